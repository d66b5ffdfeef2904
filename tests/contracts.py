"""What every selector must do, in one place; and the small things its tests are made of."""

import numpy as np

from sklearn_lsh._kernels import _passes
from sklearn_lsh._layer import Layer
from sklearn_lsh._rows import Rows
from sklearn_lsh._selectors import DenseSelector, SketchSelector, TopKSelector
from sklearn_lsh._table_selector import TableSelector
from sklearn_lsh._workspace import Workspace

TABLES = {
    "hash_function": "simhash", "n_hashes": 4, "n_tables": 6, "n_probes": 5, "n_candidates": 60,
}  # fmt: skip


def make_selector(kind, n_in, n_out, n_active, by_magnitude=False):
    if kind == "dense":
        return DenseSelector(n_in, n_out)
    if kind == "topk":
        return TopKSelector(n_in, n_out, n_active, by_magnitude)
    if kind in ("sketch", "raw sketch"):
        rank = {"sketch": 8, "raw sketch": None}[kind]
        return SketchSelector(n_in, n_out, n_active, by_magnitude, rank, 0)
    rank = {"tables": 8, "raw tables": None}[kind]
    return TableSelector(n_in, n_out, n_active, by_magnitude, rank, 0, **TABLES)


KINDS = ["dense", "topk", "sketch", "raw sketch", "tables", "raw tables"]


def make_layer(kind, n_in=40, n_out=150, n_active=12, seed=0, activation="relu", **kw):
    rng = np.random.RandomState(seed)
    selector = make_selector(kind, n_in, n_out, n_active, **kw)
    return Layer.glorot(n_in, n_out, activation, selector, rng)


def inputs_like(layer, n_rows=64, seed=1, rank=5):
    """Rows of a subspace, as inputs of a layer nearly are: non-negative, some zero."""
    rng = np.random.default_rng(seed)
    factors = rng.exponential(size=(n_rows, rank)), rng.exponential(size=(rank, layer.W.shape[1]))
    factors[1][:, ::4] = 0
    return (factors[0] @ factors[1]).astype(np.float32)


def ready(layer, X):
    layer.selector.learn(layer, X, np.ones(len(X)), n_iter=4)
    layer.selector.refresh(layer, 1)
    return layer


def select(layer, X, n_threads=1):
    """Active sets as a list of index arrays; X an array or CSR."""
    inputs = Rows.from_matrix(X)
    workspace = Workspace([layer], len(inputs), n_threads)
    out = workspace.outputs[0].take(slice(0, len(inputs)))
    _passes.run([layer], inputs, workspace)
    if out.indices is None:
        return [np.arange(out.n_cols)] * len(inputs)
    return [
        out.indices[a : a + n].copy() for a, n in zip(out.start, out.length, strict=True)
    ]  # fmt: skip
