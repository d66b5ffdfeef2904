"""The oracle against finite differences, and against scikit-learn where the two overlap."""

from inspect import signature
from itertools import pairwise

import numpy as np
import pytest
import reference as ref
import scipy.sparse as sp
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

N, N_IN = 7, 5


def problem(seed, hidden, loss, n_outputs=3):
    """Weights, inputs with some zeros, targets that suit the loss."""
    rng = np.random.default_rng(seed)
    sizes = [N_IN, *hidden, n_outputs]
    Ws = [rng.normal(size=(o, i)) / np.sqrt(i) for i, o in pairwise(sizes)]
    bs = [0.1 * rng.normal(size=o) for o in sizes[1:]]
    X = rng.normal(size=(N, N_IN)) * (rng.random((N, N_IN)) < 0.7)
    Y = {
        "softmax": lambda: np.eye(n_outputs)[rng.integers(n_outputs, size=N)],
        "logistic": lambda: rng.integers(2, size=(N, n_outputs)).astype(float),
        "squared_error": lambda: rng.normal(size=(N, n_outputs)),
        "poisson": lambda: rng.poisson(1.5, size=(N, n_outputs)).astype(float),
        "absolute_error": lambda: rng.normal(size=(N, n_outputs)),
        "huber": lambda: rng.normal(size=(N, n_outputs)),
        "squared_hinge": lambda: rng.integers(2, size=(N, n_outputs)).astype(float),
    }[loss]()
    return Ws, bs, X, Y, rng


def finite_difference(value, params, h=1e-6):
    """Central differences of value() by every entry of every array in params."""
    slopes = []
    for p in params:
        slope = np.empty_like(p)
        for i in np.ndindex(p.shape):
            old = p[i]
            p[i] = old + h
            up = value()
            p[i] = old - h
            slope[i] = (up - value()) / (2 * h)
            p[i] = old
        slopes.append(slope)
    return slopes


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("to_input", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("masked", [False, True], ids=["all", "active"])
@pytest.mark.parametrize("hidden", [(4,), (5, 4)], ids=["depth2", "depth3"])
@pytest.mark.parametrize("loss", ref.LOSSES)
@pytest.mark.parametrize("activation", ref.ACTIVATIONS)
def test_gradients_are_slopes(activation, loss, hidden, masked, to_input, weighted):
    Ws, bs, X, Y, rng = problem(0, hidden, loss)
    active = [rng.random((N, n)) < 0.6 for n in hidden] if masked else None
    sample_weight = rng.uniform(0, 2, N) if weighted else None
    args = (to_input(X), Y, loss, activation, active, sample_weight, 0.3)

    value, dWs, dbs = ref.gradients(Ws, bs, *args)
    assert value == ref.objective(Ws, bs, *args)
    slopes = finite_difference(lambda: ref.objective(Ws, bs, *args), Ws + bs)
    for gradient, slope in zip(dWs + dbs, slopes, strict=True):
        np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("loss", ref.LOSSES)
def test_deltas_are_slopes_of_the_loss(loss):
    *_, Y, rng = problem(1, (4,), loss)
    scores = rng.normal(size=Y.shape)
    delta = ref.LOSSES[loss](scores, Y)[1]
    slope = finite_difference(lambda: ref.LOSSES[loss](scores, Y)[0].sum(), [scores])[0]
    np.testing.assert_allclose(delta, slope, rtol=1e-6, atol=1e-8)


def test_activation_and_mask_per_layer():
    Ws, bs, X, Y, rng = problem(2, (5, 4), "softmax")
    active = [None, rng.random((N, 4)) < 0.5]
    args = (X, Y, "softmax", ["tanh", "leaky_relu"], active)
    _, dWs, dbs = ref.gradients(Ws, bs, *args)
    slopes = finite_difference(lambda: ref.objective(Ws, bs, *args), Ws + bs)
    for gradient, slope in zip(dWs + dbs, slopes, strict=True):
        np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("activation", ref.ACTIVATIONS)
def test_inactive_neurons_are_silent_and_untouched(activation):
    Ws, bs, X, Y, _ = problem(3, (5, 4), "softmax")
    active = [np.ones((N, 5), bool), np.ones((N, 4), bool)]
    active[0][:, 2] = False  # never active
    active[1][0] = False  # no neuron active for the first example
    pre, outputs, scores = ref.forward(Ws, bs, X, activation, active)
    assert np.all(outputs[0][:, 2] == 0) and np.all(outputs[1][0] == 0)
    assert np.all(pre[0][:, 2] != 0)
    np.testing.assert_array_equal(scores[0], bs[-1])
    _, dWs, dbs = ref.gradients(Ws, bs, X, Y, "softmax", activation, active)
    assert np.all(dWs[0][2] == 0) and dbs[0][2] == 0 and np.all(dWs[1][:, 2] == 0)


@pytest.mark.skipif(
    "sample_weight" not in signature(MLPClassifier.partial_fit).parameters,
    reason="scikit-learn's MLP has had sample_weight and the Poisson loss since 1.7",
)
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("to_input", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("loss", ["softmax", "logistic", "squared_error", "poisson"])
def test_one_step_equals_scikit_learn(loss, to_input, weighted, activation):
    _, _, X, Y, rng = problem(4, (4,), loss)
    sample_weight = rng.uniform(0.1, 2, N) if weighted else None
    params = {
        "hidden_layer_sizes": (6, 4), "activation": activation, "solver": "sgd", "momentum": 0.0,
        "nesterovs_momentum": False, "learning_rate_init": 0.1, "alpha": 0.3, "batch_size": N,
        "shuffle": False, "random_state": 0,
    }  # fmt: skip
    if loss in ("softmax", "logistic"):
        model = MLPClassifier(**params)
        y, classes = (Y.argmax(axis=1) if loss == "softmax" else Y.astype(int)), np.arange(3)
        model.partial_fit(to_input(X), y, classes=classes)
    else:
        model, y = MLPRegressor(loss=loss, **params), Y
        model.partial_fit(to_input(X), y)

    Ws = [W.T.copy() for W in model.coefs_]
    bs = [b.copy() for b in model.intercepts_]
    model.partial_fit(to_input(X), y, sample_weight=sample_weight)
    value, dWs, dbs = ref.gradients(Ws, bs, X, Y, loss, activation, None, sample_weight, 0.3)

    if loss == "squared_error":  # reported as a mean over the outputs, descended as a sum
        data = ref.objective(Ws, bs, X, Y, loss, activation, None, sample_weight, 0.0)
        value += data / Y.shape[1] - data
    assert model.loss_ == pytest.approx(value, rel=1e-12)
    for layer in range(3):
        step, _ = ref.sgd(Ws[layer], dWs[layer], 0.0, 0.1, momentum=0.0, nesterov=False)
        np.testing.assert_allclose(model.coefs_[layer].T, step, rtol=1e-12, atol=1e-14)
        step, _ = ref.sgd(bs[layer], dbs[layer], 0.0, 0.1, momentum=0.0, nesterov=False)
        np.testing.assert_allclose(model.intercepts_[layer], step, rtol=1e-12, atol=1e-14)


def test_adam_equals_scikit_learn():
    rng = np.random.default_rng(5)
    theirs = rng.normal(size=(3, 4))
    w, m, v = theirs.copy(), np.zeros((3, 4)), np.zeros((3, 4))
    optimizer = AdamOptimizer([theirs], 0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-6)
    for t in range(1, 6):
        g = rng.normal(size=w.shape)
        optimizer.update_params([theirs], [g])
        w, m, v = ref.adam(w, g, m, v, t, 0.01, 0.8, 0.99, 1e-6)
        np.testing.assert_allclose(w, theirs, rtol=1e-13)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_equals_scikit_learn(nesterov):
    rng = np.random.default_rng(6)
    theirs = rng.normal(size=(3, 4))
    w, velocity = theirs.copy(), np.zeros((3, 4))
    optimizer = SGDOptimizer([theirs], 0.1, momentum=0.7, nesterov=nesterov)
    for _ in range(5):
        g = rng.normal(size=w.shape)
        optimizer.update_params([theirs], [g])
        w, velocity = ref.sgd(w, g, velocity, 0.1, 0.7, nesterov)
        np.testing.assert_allclose(w, theirs, rtol=1e-13)


def test_adagrad_by_hand():
    w, acc = np.array([1.0, 2.0]), np.array([7.0, 0.0])
    w, acc = ref.adagrad(w, np.array([3.0, -2.0]), acc, lr=0.5, epsilon=1.0)
    np.testing.assert_allclose(acc, [16.0, 4.0])
    np.testing.assert_allclose(w, [1 - 0.5 * 3 / 5, 2 + 0.5 * 2 / 3])


@pytest.mark.parametrize("step, n_state, extra", [
    (ref.adam, 2, {"t": 3}), (ref.sgd, 1, {}), (ref.adagrad, 1, {}),
])  # fmt: skip
def test_untouched_entries_keep_everything(step, n_state, extra):
    rng = np.random.default_rng(7)
    w, g, *state = rng.uniform(0.5, 1, size=(2 + n_state, 4, 5))
    touched = rng.random((4, 5)) < 0.5
    lazy = step(w, g, *state, touched=touched, **extra)
    full = step(w, g, *state, **extra)
    for new, every, old in zip(lazy, full, [w, *state], strict=True):
        np.testing.assert_array_equal(new[touched], every[touched])
        np.testing.assert_array_equal(new[~touched], old[~touched])
        assert np.all(every != old)


def test_top_k():
    scores = np.array([[1.0, 3.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0], [-1.0, -4.0, -2.0, -3.0]])
    np.testing.assert_array_equal(
        ref.top_k(scores, 2), np.array([[0, 1, 1, 0], [1, 1, 0, 0], [1, 0, 1, 0]], bool)
    )
    np.testing.assert_array_equal(ref.top_k(scores, 1)[0], [False, True, False, False])
    assert ref.top_k(scores, 0).sum() == 0 and ref.top_k(scores, 4).all()
