"""The best of many labels: ranked in prediction."""

import tracemalloc

import numpy as np
import pytest
from cases import labelled, many
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_lsh import LSHMLPClassifier, _ranking
from sklearn_lsh._layer import Layer
from sklearn_lsh._selectors import DenseSelector
from sklearn_lsh._workspace import CHUNK


@pytest.mark.parametrize("sampled_output", [True, False])
def test_top_k_is_the_order_of_the_scores(sampled_output):
    X, Y = labelled(60, 50, 300)
    model = many(sampled_output=sampled_output, max_iter=3).fit(X, Y)
    scores = model.decision_function(X)
    labels, best = model.predict_top_k(X, 7)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(labels, order)
    np.testing.assert_array_equal(best, np.take_along_axis(scores, order, axis=1))


@pytest.mark.parametrize("sampled_output", [True, False])
@pytest.mark.parametrize("n_labels, hidden", [(600, (16,)), (5000, (16,)), (5000, (128,))])
def test_top_k_by_rounded_weights_scores_what_it_finds(n_labels, hidden, sampled_output):
    X, Y = labelled(400, 300, n_labels)
    model = many(
        sampled_output=sampled_output, max_iter=3, learning_rate_init=4e-3, warm_start=True,
        hidden_layer_sizes=hidden,
    )  # fmt: skip
    for _ in range(2):  # the second time other weights, which it follows
        model.fit(X, Y)
        scores = model.decision_function(X)
        for k in (4, 1, 9):
            exact, _ = model.predict_top_k(X, k)
            labels, best = model.predict_top_k(X, k, exact=False)
            found = np.take_along_axis(scores, labels, axis=1)
            # Where all labels are a whole matrix, few of them are summed in another order.
            np.testing.assert_allclose(best, found, rtol=1e-5 if hidden == (128,) else 0)
            assert np.all(np.diff(best, axis=1) <= 0)
            assert np.mean(labels == exact) > 0.99
    every, _ = model.predict_top_k(X[:3], n_labels, exact=False)
    np.testing.assert_array_equal(np.sort(every, axis=1), np.tile(np.arange(n_labels), (3, 1)))


N_LABELS = 3 * CHUNK


def few_long(rng, n_in):
    """Some labels in a hundred have long weights, the others short ones."""
    lengths = np.where(rng.random(N_LABELS) < 0.05, 5, 0.1 * rng.random(N_LABELS))
    return rng.normal(size=(N_LABELS, n_in)) * lengths[:, None]


def alike(rng, n_in):
    """Groups of twenty alike, of nearly one length."""
    groups = np.repeat(rng.normal(size=(-(-N_LABELS // 20), n_in)), 20, axis=0)[:N_LABELS]
    W = groups + 0.7 * rng.normal(size=groups.shape)
    return W / np.linalg.norm(W, axis=1, keepdims=True) * rng.uniform(1, 1.1, size=(N_LABELS, 1))


def one_outlier(rng, n_in):
    """One weight dwarfs the others of its input."""
    W = rng.normal(size=(N_LABELS, n_in))
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    W[0, 0] = 100
    return W


def halves(rng, n_in):
    """Few are long, and some rows' inputs see them, others the many short ones."""
    W = rng.normal(size=(N_LABELS, n_in))
    is_long = rng.random(N_LABELS) < 0.05
    W[is_long, n_in // 2 :] = 0
    W[~is_long, : n_in // 2] = 0
    return W * np.where(is_long, 3, rng.uniform(0.5, 1, size=N_LABELS))[:, None]


def with_weights(kind, hidden, **params):
    """A network of such an output layer, and inputs that are close to some labels."""
    X, Y = labelled(40, hidden, N_LABELS)
    model = many(hidden_layer_sizes=(hidden,), **params).fit(X.toarray(), Y)
    rng = np.random.default_rng(0)
    below, output = model._network.layers
    output.W[...] = kind(rng, hidden) + 1
    output.b[...] = rng.normal(size=N_LABELS) / 50
    below.W[...] = np.eye(hidden)
    below.b[...] = 0
    near = rng.choice(N_LABELS, size=40, replace=False)
    if kind is few_long:
        near = np.argsort(-np.linalg.norm(output.W - 1, axis=1))[:40]
    X = np.abs(output.W[near] - 1 + 0.2 * rng.normal(size=(40, hidden)))
    return model, X.astype(np.float32)


@pytest.mark.parametrize("hidden", [16, 21, 128])
@pytest.mark.parametrize("kind", [few_long, alike, one_outlier, halves])
def test_top_k_misses_nothing_for_stopping(kind, hidden):
    model, X = with_weights(kind, hidden)
    for k in (1, 5):
        labels, _ = model.predict_top_k(X, k, exact=False)
        selector = _ranking.ROUNDED[model._network][1].selector
        limits = selector.limits.copy()
        selector.limits[1] = np.inf
        np.testing.assert_array_equal(model.predict_top_k(X, k, exact=False)[0], labels)
        selector.limits[...] = limits


@pytest.mark.parametrize("params", [{}, {"selector": "sketch", "density": 0.2}])
@pytest.mark.parametrize("kind, stopped", [(few_long, 1), (halves, 0.5), (alike, 0)])
def test_labels_of_weights_too_short_are_not_scored(kind, stopped, params):
    model, X = with_weights(kind, 60, **params)
    if kind is halves:
        X[::2, 30:] = 0
        X[1::2, :30] = 0
    labels, _ = model.predict_top_k(X, 5, exact=False)
    selector = _ranking.ROUNDED[model._network][1].selector
    selector.offsets[CHUNK:] = 1e6  # whoever is scored there is the best
    poisoned, _ = model.predict_top_k(X, 5, exact=False)
    same = np.all(poisoned == labels, axis=1)
    assert np.mean(same) == stopped
    if kind is halves:
        np.testing.assert_array_equal(same, np.arange(len(X)) % 2 == 0)


def test_a_short_label_of_a_large_bias_is_the_best():
    model, X = with_weights(few_long, 16)
    output = model._network.layers[-1]
    shortest = np.argmin(np.linalg.norm(output.W - 1, axis=1))
    output.b[shortest] = 1000
    labels, _ = model.predict_top_k(X, 5, exact=False)
    assert np.all(labels[:, 0] == shortest)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_weights_whose_squares_overflow():
    model, X = with_weights(few_long, 16)
    model._network.layers[-1].W[...] *= np.float32(1e22)
    exact, _ = model.predict_top_k(X, 5)
    np.testing.assert_array_equal(model.predict_top_k(X, 5, exact=False)[0], exact)


@settings(deadline=None)
@given(st.integers(1, 3 * CHUNK), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_no_score_by_codes_is_above_its_limit(n_labels, n_in, seed):
    rng = np.random.default_rng(seed)
    layer = Layer.glorot(n_in, n_labels, "identity", DenseSelector(n_in, n_labels), rng)
    layer.W[...] *= rng.exponential(size=(n_labels, 1))
    layer.b[...] = rng.normal(size=n_labels)
    selector = _ranking.LabelSelector(layer)
    selector.refresh(layer, 1)
    codes = selector.sketches.swapaxes(1, 2).reshape(len(selector.offsets), -1)
    rounded = codes[:n_labels, :n_in] * selector.scales.astype(float)
    centred = layer.W.astype(float) - layer.W.mean(axis=0, dtype=float)
    np.testing.assert_allclose(rounded, centred[selector.order], atol=0.51 * selector.scales.max())
    x = rng.normal(size=n_in) - rng.random()
    scores = rounded @ x + selector.offsets[:n_labels]
    np.testing.assert_array_equal(selector.offsets[:n_labels], layer.b[selector.order])
    for chunk, (length, highest) in enumerate(selector.limits.T.astype(float)):
        product = length * np.linalg.norm(x)
        assert scores[chunk * CHUNK :].max() <= product + highest + 1e-5 * (product + abs(highest))
    np.testing.assert_array_equal(np.sort(selector.order), np.arange(n_labels))


@pytest.mark.parametrize("kind", [few_long, halves])
def test_top_k_by_rounded_weights_goes_by_the_row_alone(kind):
    model, X = with_weights(kind, 16)
    labels, scores = model.predict_top_k(X, 5, exact=False)
    for row in range(0, 40, 7):
        alone = model.predict_top_k(X[row : row + 1], 5, exact=False)
        np.testing.assert_array_equal(alone, (labels[row : row + 1], scores[row : row + 1]))
    model.n_threads = 2
    np.testing.assert_array_equal(model.predict_top_k(X, 5, exact=False), (labels, scores))


def test_rounded_weights_keep_no_state_of_the_optimiser():
    X, Y = labelled(60, 50, 600)
    model = many(warm_start=True).fit(X, Y)
    model.predict_top_k(X, 3, exact=False)
    assert model._network.layers[-1].slots
    assert not _ranking.ROUNDED[model._network][1].slots


def test_top_k_without_hidden_layers():
    X, Y = labelled(60, 50, 600)
    model = many(hidden_layer_sizes=()).fit(X, Y)
    for got, exact in zip(
        model.predict_top_k(X, 3, exact=False), model.predict_top_k(X, 3), strict=True
    ):
        np.testing.assert_array_equal(got, exact)


@pytest.mark.parametrize("n_labels", [150, 9000])
def test_top_k_of_scores_that_overflow(n_labels):
    """Infinite scores come first or last; every label is there once."""
    X, Y = labelled(20, 50, n_labels)
    model = many(hidden_layer_sizes=(), sampled_output=False).fit(X.toarray(), Y)
    weights = np.random.default_rng(0).permutation(np.linspace(-9, 9, n_labels))
    model.coefs_[0][:] = weights
    model.intercepts_[0][:] = 0
    for k in (3, n_labels // 3, n_labels):
        labels, scores = model.predict_top_k(np.full((2, 50), 3e36, dtype=np.float32), k)
        assert all(len(set(row)) == k for row in labels)
        assert np.isinf(scores[:, 0]).all()
        assert np.all(weights[labels[:, : n_labels // 4]] > 0)


@pytest.mark.parametrize("names", [["b", "a"], ["c", "a", "b"]])
def test_top_k_of_classes(names):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 5)).astype(np.float32)
    y = np.array(names)[np.argmax(X[:, : len(names)], axis=1)]
    model = LSHMLPClassifier((20,), max_iter=30, random_state=0).fit(X, y)
    labels, scores = model.predict_top_k(X, len(names))
    np.testing.assert_array_equal(labels[:, 0], model.predict(X))
    assert all(set(row) == set(names) for row in labels)
    assert np.all(np.diff(scores, axis=1) <= 0)


@pytest.mark.parametrize("k", [0, 301, 2.5, "3"])
def test_top_k_refuses(k):
    X, Y = labelled(30, 50, 300)
    model = many(sampled_output=False).fit(X, Y)
    with pytest.raises((ValueError, TypeError), match="k"):
        model.predict_top_k(X, k)
    assert model.predict_top_k(X, True)[0].shape == (30, 1)


def test_scores_that_would_not_fit_are_refused(monkeypatch):
    X, Y = labelled(30, 50, 300)
    model = many().fit(X, Y)
    monkeypatch.setattr(_ranking.os, "sysconf", lambda name: 100)
    dense = many().fit(X, Y.toarray())
    for method in (model.predict_proba, model.decision_function, dense.predict):
        with pytest.raises(ValueError, match="predict_top_k"):
            method(X)
    assert model.predict(X).shape == Y.shape


def test_equal_scores_go_to_the_lower_label():
    X, Y = labelled(30, 50, 300)
    model = many(sampled_output=False).fit(X, Y)
    model._network.layers[-1].W[...] = 0
    model._network.layers[-1].b[...] = np.arange(300) % 3 == 1
    labels, _ = model.predict_top_k(X, 120)
    expected = np.argsort(np.arange(300) % 3 != 1, kind="stable")
    np.testing.assert_array_equal(labels, np.tile(expected[:120], (30, 1)))


@pytest.mark.parametrize("method", ["decision_function", "predict_proba", "predict"])
def test_what_is_refused_for_its_size_would_have_been_too_large(method, monkeypatch):
    X, Y = labelled(2000, 50, 1500)
    call = getattr(many().fit(X, Y.toarray()), method)
    tracemalloc.start()
    call(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    sizes = {"SC_PHYS_PAGES": int(0.75 * peak), "SC_PAGE_SIZE": 1}
    monkeypatch.setattr(_ranking.os, "sysconf", sizes.get)
    with pytest.raises(ValueError, match="predict_top_k"):
        call(X)
    sizes["SC_PHYS_PAGES"] = int(1.25 * peak)
    call(X)
