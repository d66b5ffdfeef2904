"""Hash families against theory, and tables against a naive reading of them."""

import numpy as np
import pytest
from contracts import inputs_like, make_layer, ready, select

from sklearn_lsh._hashing import HASH_FAMILIES
from sklearn_lsh._kernels import _tables
from sklearn_lsh._selectors import TableSelector


@pytest.mark.parametrize("family", HASH_FAMILIES)
@pytest.mark.parametrize("cosine", [-0.5, 0.0, 0.3, 0.7, 0.95])
@pytest.mark.parametrize("n_hashes", [1, 4])
def test_collision_probability(family, cosine, n_hashes):
    n_tables, n_dims = 2000, 20
    functions = HASH_FAMILIES[family](n_dims, n_hashes, n_tables, 0)
    rng = np.random.default_rng(0)
    a, b = np.linalg.qr(rng.normal(size=(n_dims, 2)))[0].T
    pair = np.stack([a, cosine * a + np.sqrt(1 - cosine**2) * b]).astype(np.float32)
    start, _ = _tables.file_neurons(pair @ functions.hyperplanes, n_tables, n_hashes, 1)
    together = np.mean([np.any(np.diff(s) == 2) for s in start])
    expected = functions.collision_probability(cosine)
    assert together == pytest.approx(expected, abs=4 * np.sqrt(0.25 / n_tables))


def test_every_neuron_is_filed_once_in_every_table_under_its_signs():
    rng = np.random.default_rng(0)
    projections = rng.normal(size=(300, 5 * 3)).astype(np.float32)
    start, neurons = _tables.file_neurons(projections, 5, 3, 2)
    codes = (projections.reshape(300, 5, 3) > 0) @ [1, 2, 4]
    for table in range(5):
        for bucket in range(8):
            filed = neurons[table, start[table, bucket] : start[table, bucket + 1]]
            np.testing.assert_array_equal(filed, np.flatnonzero(codes[:, table] == bucket))


def naive_probes(h, n_probes):
    """Buckets of one table by the squared margins of the signs that must flip."""
    bits = 1 << np.arange(len(h))
    sets = np.arange(2 ** len(h))
    penalty = ((sets[:, None] & bits > 0) * h.astype(np.float64) ** 2).sum(axis=1)
    return ((h > 0) @ bits) ^ np.argsort(penalty, kind="stable")[:n_probes]


@pytest.mark.parametrize("kind", ["tables", "raw tables"])
@pytest.mark.parametrize("n_probes", [1, 3, 16])
def test_candidates_are_those_of_the_likeliest_buckets(kind, n_probes):
    layer = make_layer(kind)
    selector = layer.selector
    selector.n_probes, selector.n_candidates = n_probes, layer.selector.n_out
    selector.n_active = layer.selector.n_out - 1  # no ranking: every candidate is active
    X = inputs_like(layer)
    active = select(ready(layer, X), X)
    for x, found in zip(X, active, strict=True):
        h = x @ selector.directions
        h = (h if selector.hyperplanes is None else h @ selector.hyperplanes) + selector.shift
        expected = set()
        for table, part in enumerate(h.reshape(selector.n_tables, -1)):
            for bucket in naive_probes(part, n_probes):
                a, b = selector.bucket_start[table, bucket : bucket + 2]
                expected |= set(selector.neurons[table, a:b].tolist())
        assert len(expected ^ set(found.tolist())) <= 1


def test_tables_find_what_hashing_promises():
    """More tables, more recall; and the exact best among the candidates is kept."""
    found = []
    for n_tables in (1, 4, 16):
        layer = make_layer("tables", n_out=1000, n_active=20)
        layer.selector = TableSelector(
            40, 1000, 20, False, 8, 0, hash_function="simhash", n_hashes=6, n_tables=n_tables,
            n_probes=4, n_candidates=1000,
        )  # fmt: skip
        X = inputs_like(layer, 200)
        scores = X @ layer.W.T + layer.b
        best = np.argsort(-scores, axis=1)[:, :20]
        active = select(ready(layer, X), X)
        found.append(np.mean([np.isin(b, a).mean() for b, a in zip(best, active, strict=True)]))
    assert found[0] < found[1] < found[2] and found[2] > 0.8
