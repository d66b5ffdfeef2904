"""Inspection against a naive computation, row by row."""

import numpy as np
import pytest
import reference as ref
import scipy.sparse as sp
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor, _base
from sklearn_lsh.inspection import active_sets, prediction_cost, selection_recall

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:300] / 16, Y[:300]
X[::3, 16:24] = 0  # whole lines are left out
SELECTORS = ["topk", "sketch", "lsh", "dense"]


def fitted(cls=LSHMLPClassifier, X=X, y=Y, **params):
    defaults = {
        "hidden_layer_sizes": (60, 40), "density": 0.2, "max_iter": 3, "batch_size": 50,
        "sketch_size": 8, "n_hashes": 3, "n_tables": 2, "n_probes": 2, "random_state": 0,
    }  # fmt: skip
    return cls(**defaults | params).fit(X, y)


def naive(est, X, activation):
    """recall, mass and exact mass of every hidden layer, from masks and float64 matrices."""
    function, _ = ref.ACTIVATIONS[activation]
    inputs, result = X, []
    for W, b, sets in zip(est.coefs_, est.intercepts_, active_sets(est, X), strict=False):
        n_active = max(1, round(est.density * len(b)))
        before = inputs @ W.astype(np.float64) + b
        size = np.abs(function(before))
        scores = np.abs(before) if activation in ("tanh", "identity") else before
        exact = np.zeros(before.shape, dtype=bool)
        np.put_along_axis(exact, np.argsort(-scores, axis=1)[:, :n_active], True, axis=1)
        active = mask(sets)
        recall = (active & exact).sum() / exact.sum()
        result.append((recall, *(size[m].sum() / size.sum() for m in (active, exact))))
        inputs = np.where(active, function(before), 0)
    return np.array(result).T


def mask(sets):
    stored = sets.copy()
    stored.data[:] = 1
    return stored.toarray() > 0


@pytest.mark.parametrize("selector", ["topk", "sketch", "lsh"])
@pytest.mark.parametrize("activation", ref.ACTIVATIONS)
def test_recall_and_mass_equal_the_naive_computation(selector, activation, monkeypatch):
    monkeypatch.setattr(_base, "PREDICT_BATCH", 77)
    est = fitted(selector=selector, activation=activation)
    report = selection_recall(est, X)
    recall, mass, exact_mass = naive(est, X, activation)
    # A pair of scores closer than single precision tells may change places.
    np.testing.assert_allclose(report["recall"], recall, atol=1e-3)
    np.testing.assert_allclose(report["mass"], mass, rtol=1e-4)
    np.testing.assert_allclose(report["exact_mass"], exact_mass, rtol=1e-4)
    if selector == "topk":
        np.testing.assert_array_equal(report["recall"], 1)
        np.testing.assert_array_equal(report["mass"], report["exact_mass"])
    else:
        assert report["recall"][0] < 1
    if activation != "leaky_relu":
        assert np.all(report["mass"] <= report["exact_mass"] + 1e-12)


@pytest.mark.parametrize("selector", SELECTORS)
def test_csr_input_is_inspected_like_dense_input(selector):
    est = fitted(selector=selector)
    dense, sparse = selection_recall(est, X), selection_recall(est, sp.csr_matrix(X))
    for name in dense:
        np.testing.assert_allclose(sparse[name], dense[name], atol=2e-3)
    for a, b in zip(active_sets(est, X), active_sets(est, sp.csr_matrix(X)), strict=True):
        assert np.mean(mask(a) == mask(b)) > 0.999


def test_dense_layers_recall_everything():
    est = fitted(selector=["dense", "sketch"])
    report = selection_recall(est, X)
    assert all(shares[0] == 1 for shares in report.values())
    assert report["recall"][1] < 1


def test_a_dead_layer_loses_nothing():
    est = fitted(selector="sketch")
    est._network.layers[0].W[:] = 0
    est._network.layers[0].b[:] = -1
    report = selection_recall(est, X)
    assert report["mass"][0] == report["exact_mass"][0] == 1
    assert report["recall"][0] < 1


@pytest.mark.parametrize("selector", SELECTORS)
def test_active_sets_lead_to_the_decision(selector, monkeypatch):
    monkeypatch.setattr(_base, "BATCH_ACTIVATIONS", 1000)
    est = fitted(selector=selector)
    sets = active_sets(est, X)
    assert [s.shape for s in sets] == [(300, 60), (300, 40)]
    for s, n_active in zip(sets, (60, 40) if selector == "dense" else (12, 8), strict=True):
        assert s.format == "csr" and s.dtype == np.float32 and s.has_sorted_indices
        assert np.diff(s.indptr).max() == n_active
    scores = sets[-1] @ est.coefs_[-1] + est.intercepts_[-1]
    np.testing.assert_allclose(scores, est.decision_function(X), rtol=1e-4, atol=1e-5)


def test_cost_of_a_prediction():
    topk, dense = fitted(selector="topk"), fitted(selector="dense")
    n = len(X)
    stored = 8 * np.count_nonzero(X.reshape(n, 8, 8).any(axis=2))  # blank lines cost nothing
    assert stored < 64 * n
    above = n * (60 * 40 + 40 * 10)
    cost = prediction_cost(topk, X)
    assert cost == {
        "forward": stored * 12 + n * 12 * 8, "hashing": 0, "ranking": stored * 60 + n * 12 * 40,
        "output": n * 8 * 10, "dense": n * 64 * 60 + above,
    }  # fmt: skip
    cost = prediction_cost(dense, X)
    assert cost["forward"] + cost["output"] == stored * 60 + above
    assert cost["dense"] == n * 64 * 60 + above
    cost = prediction_cost(dense, sp.csr_matrix(X))
    assert cost["dense"] == np.count_nonzero(X) * 60 + n * (60 * 40 + 40 * 10)
    cost = prediction_cost(fitted(selector="lsh"), X)
    assert cost["hashing"] > 0 and cost["ranking"] > 0


def test_regression_and_one_row():
    est = fitted(LSHMLPRegressor, y=X[:, :3], selector="sketch")
    assert selection_recall(est, X[:1])["recall"].shape == (2,)
    assert [s.shape for s in active_sets(est, X[:1])] == [(1, 60), (1, 40)]


@pytest.mark.parametrize("inspect", [selection_recall, active_sets, prediction_cost])
def test_refusals_and_an_unchanged_estimator(inspect):
    est = fitted(selector="lsh")
    before = dict(vars(est))
    inspect(est, X)
    assert vars(est) == before
    with pytest.raises(NotFittedError):
        inspect(LSHMLPClassifier(), X)
    with pytest.raises(ValueError, match="features"):
        inspect(est, X[:, :5])
    with pytest.raises(ValueError, match="NaN"):
        inspect(est, np.full((2, 64), np.nan))
    with pytest.raises(TypeError, match="last step"):
        inspect(make_pipeline(MinMaxScaler(), est), X)
