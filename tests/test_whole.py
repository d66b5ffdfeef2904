"""Layers as products of whole matrices: what lists would give, at any size."""

import numpy as np
import pytest
import scipy.sparse as sp
from cases import assert_same_parameters, small
from contracts import KINDS, inputs_like, make_layer, ready, select
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_lsh import _costs
from sklearn_lsh._kernels import _passes
from sklearn_lsh._rows import Rows
from sklearn_lsh._selection import cells, cheapest
from sklearn_lsh._workspace import Sizes, Workspace, through_matrices

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def outputs(layers, X, n_threads=1):
    inputs = Rows.from_matrix(X)
    workspace = Workspace(layers, len(inputs), n_threads, training=False)
    _passes.run(layers, inputs, workspace)
    return workspace.outputs[-1].take(slice(0, len(inputs))).to_matrix()


def by_lists(monkeypatch):
    monkeypatch.setattr(_costs, "SMALL", 10**6)


@settings(deadline=None, max_examples=60)
@given(
    n_in=st.integers(64, 200), n_out=st.integers(64, 150), n_rows=st.integers(1, 9),
    n_threads=st.integers(1, 2), seed=st.integers(0, 99),
)  # fmt: skip
def test_products_at_any_size(n_in, n_out, n_rows, n_threads, seed):
    layer = make_layer("dense", n_in, n_out, seed=seed, activation="identity")
    assert through_matrices([Sizes.of(layer)], 0, 64) == (True, True)
    X = np.random.default_rng(seed).normal(size=(n_rows, n_in)).astype(np.float32)
    X[:, 8:24] = 0
    out = outputs([layer], X, n_threads)
    exact = X.astype(float) @ layer.W.T.astype(float) + layer.b
    np.testing.assert_allclose(out, exact, rtol=1e-5, atol=1e-5)
    for i in range(n_rows):
        np.testing.assert_array_equal(outputs([layer], X[i : i + 1]), out[i : i + 1])


@pytest.mark.parametrize("kind", KINDS)
def test_active_sets_are_those_of_lists(kind, monkeypatch):
    def active():
        layer = make_layer(kind, n_in=72, n_out=150, n_active=60)
        X = inputs_like(layer)
        return select(ready(layer, X), X), outputs([layer], X)

    whole, out = active()
    by_lists(monkeypatch)
    lists, expected = active()
    for a, b in zip(whole, lists, strict=True):
        np.testing.assert_array_equal(a, b)
    if sp.issparse(out):
        out, expected = out.toarray(), expected.toarray()
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-4)


SELECTORS = ["dense", "topk", "sketch", "lsh", "dropout", "adaptive_dropout"]
X = np.random.default_rng(0).normal(size=(333, 70))
Y = (X[:, :5] @ np.random.default_rng(1).normal(size=(5, 4))).argmax(axis=1)


@pytest.mark.parametrize("to_input", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("density", [0.2, 0.5])
@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("solver", ["adam", "sgd", "adagrad"])
def test_training_follows_lists(selector, density, to_input, solver, monkeypatch):
    """SGD to rounding; others step weights of no gradient too. Same bits at any thread count."""
    model = small(
        hidden_layer_sizes=(80, 130), selector=selector, density=density, solver=solver,
        max_iter=3, batch_size=111, sketch_size=12, n_candidates=120, alpha=0.0, momentum=0.0,
    )  # fmt: skip
    X_ = to_input(X)
    one, two = (model.set_params(n_threads=n).fit(X_, Y).coefs_ for n in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    score = model.score(X_, Y)
    by_lists(monkeypatch)
    model.fit(X_, Y)
    assert abs(model.score(X_, Y) - score) < 0.1
    # Dropouts draw by the bits of their inputs, others refresh by the time that rows take.
    if solver == "sgd" and selector in ("dense", "topk"):
        for a, b in zip(one, model.coefs_, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize("selector", ["dense", "topk"])
@pytest.mark.parametrize("batch_size", [1, 3, 50, 80])
def test_batches_of_any_size_and_one_asynchronous_thread(batch_size, selector, monkeypatch):
    """By lists or not, from 64 rows on and below, on the way up and down."""
    model = small(
        hidden_layer_sizes=(80, 130), selector=selector, density=0.5, max_iter=1, solver="sgd",
        batch_size=batch_size, settled_tol=0.0,
    ).fit(X, Y)  # fmt: skip
    other = small(**model.get_params() | {"asynchronous": True, "n_threads": 1})
    assert_same_parameters(model, other.fit(X, Y))
    by_lists(monkeypatch)
    for a, b in zip(other.coefs_, model.fit(X, Y).coefs_, strict=True):
        assert np.mean(np.isclose(a, b, atol=2e-5)) > 0.98  # rounding may decide a tie


def test_few_rows_of_either_kind_in_turn():
    """A plan for few rows serves dense rows and sparse ones; each like many rows of its kind."""
    model = small(hidden_layer_sizes=(80, 130), selector="topk", density=0.5).fit(X, Y)
    by_kind = {kind: model.decision_function(kind(X)) for kind in (np.asarray, sp.csr_array)}
    for kind in (np.asarray, sp.csr_array, np.asarray):
        np.testing.assert_array_equal(model.decision_function(kind(X[:3])), by_kind[kind][:3])


@pytest.mark.parametrize("selector", ["dense", "topk", "sketch", "lsh", "adaptive_dropout"])
def test_few_rows_are_predicted_as_many_are(selector):
    model = small(
        hidden_layer_sizes=(83, 131), selector=selector, density=0.5, n_candidates=120
    ).fit(X[:, :69], Y)  # fmt: skip
    many = model.decision_function(X[:, :69])
    for n_rows in (1, 2, 5, 15, 16, 17):
        np.testing.assert_array_equal(model.decision_function(X[:n_rows, :69]), many[:n_rows])


def test_weighted_rows_are_repeated_rows_to_rounding():
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, len(X))
    params = {
        "hidden_layer_sizes": (80, 130), "selector": "dense", "max_iter": 1, "shuffle": False,
        "solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.5,
    }  # fmt: skip
    one = small(**params, batch_size=len(X)).fit(X, Y, sample_weight=weight)
    other = small(**params, batch_size=weight.sum())
    other.fit(np.repeat(X, weight, axis=0), np.repeat(Y, weight))
    for a, b in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_auto_takes_all_neurons_where_matrices_do_not_help_nowhere():
    """Of CSR data, and of few inputs, lists are what there is."""
    shape = {"n_candidates": 1600, **cells(2000)}
    assert cheapest(784, 2000, 400, 784, False, 28, 1.5, **shape) == "dense"
    assert cheapest(784, 2000, 200, 392, True, 28, 1.0, from_csr=True, **shape) == "sketch"
    assert cheapest(60, 2000, 400, 60, False, 28, 1.5, **shape) != "dense"
