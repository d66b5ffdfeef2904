"""What is computed: against the oracle, and at any number of threads."""

import platform

import numpy as np
import pytest
import reference as ref
import scipy.sparse as sp
from cases import (
    SELECTORS,
    X_TEST,
    X_TRAIN,
    Y_TEST,
    Y_TRAIN,
    X,
    Y,
    assert_same_parameters,
    small,
)
from sklearn.base import clone

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor
from sklearn_lsh._losses import Loss
from sklearn_lsh._parameters import SETTLED_TOL

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def transposed(model):
    return [W.T.astype(float) for W in model.coefs_], [b.astype(float) for b in model.intercepts_]


def winners(Ws, bs, X, activations, counts):
    """Masks of the counts[l] largest pre-activations, layer by layer, or None where 0.

    Activations that respond to both signs are ranked by the absolute pre-activation.
    """
    active = [None] * len(counts)
    names = [activations] * len(counts) if isinstance(activations, str) else activations
    for layer, (count, name) in enumerate(zip(counts, names, strict=True)):
        pre = ref.forward(Ws, bs, X, activations, active)[0][layer]
        rank = np.abs(pre) if name in ("tanh", "identity") else pre
        active[layer] = ref.top_k(rank, count) if count else None
    return active


MIXES = [["tanh", "relu"], ["identity", "leaky_relu"], ["leaky_relu", "tanh"]]


# Selector, inputs, hidden neurons and how many of them are active. Of the last three, products of
# whole matrices do the work: of all layers, of the way up alone, and again of all.
NETWORKS = [
    ("dense", 20, (32, 64), [0, 0]),
    ("topk", 20, (32, 64), [8, 16]),
    ("dense", 75, (70, 91), [0, 0]),
    ("topk", 75, (72, 91), [7, 11]),
    ("topk", 75, (70, 91), [35, 64]),
]  # fmt: skip


def network(selector, hidden, counts):
    return {
        "hidden_layer_sizes": hidden, "selector": selector,
        "density": [n / size or 1 for n, size in zip(counts, hidden, strict=True)],
    }  # fmt: skip


@pytest.mark.parametrize("activation", [*ref.ACTIVATIONS, *MIXES], ids=str)
@pytest.mark.parametrize("selector, n_in, hidden, counts", NETWORKS)
def test_predictions_equal_the_oracle(activation, selector, n_in, hidden, counts):
    model = small(**network(selector, hidden, counts), activation=activation)
    Ws, bs = transposed(model.fit(X, Y))
    active = winners(Ws, bs, X, activation, counts)
    close = np.isclose(
        model.decision_function(X), ref.forward(Ws, bs, X, activation, active)[2], atol=1e-4
    )
    assert np.mean(close.all(axis=1)) > 0.98  # float32 may decide a tie the other way


NAMES = {"softmax": "log_loss", "logistic": "binary_log_loss"}


@pytest.mark.parametrize("selector, n_in, hidden, counts", NETWORKS)
@pytest.mark.parametrize("to_input", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("activation", ["relu", *MIXES[1:]], ids=str)
@pytest.mark.parametrize("loss", ref.LOSSES)
def test_one_step_equals_the_oracle(loss, activation, to_input, selector, n_in, hidden, counts):
    rng = np.random.default_rng(0)
    classify = loss in ("softmax", "logistic", "squared_hinge")
    model = small(
        LSHMLPClassifier if classify else LSHMLPRegressor,
        **network(selector, hidden, counts), solver="sgd", momentum=0.0,
        learning_rate_init=0.5, batch_size=81, activation=activation,
        alpha=0.1 if selector == "dense" else 0.0,
        **({"loss": loss} if loss not in NAMES else {}),
        **({} if classify else {"delta": ref.DELTA}),
    )  # fmt: skip
    X, weight = rng.normal(size=(81, n_in)), rng.uniform(0.1, 2, 81)
    X[::3, 8:16] = 0
    if loss in ("softmax", "squared_hinge"):
        y = rng.permutation(np.arange(81) % 4)
        target = np.eye(4)[y]
    elif loss == "logistic":
        y = rng.permutation(np.arange(81) % 2)
        target = y[:, None]
    else:
        y = target = rng.poisson(1.0, size=(81, 2)).astype(float)
    model.partial_fit(to_input(X), y, **({"classes": np.unique(y)} if classify else {}))
    Ws, bs = transposed(model)
    active = winners(Ws, bs, X, activation, counts)
    args = (X, target, loss, activation, active, weight, model.alpha)
    value, dWs, dbs = ref.gradients(Ws, bs, *args)
    new_Ws, new_bs = transposed(model.partial_fit(to_input(X), y, sample_weight=weight))
    for old, new, slope in zip(Ws + bs, new_Ws + new_bs, dWs + dbs, strict=True):
        np.testing.assert_allclose(new, old - 0.5 * slope, rtol=1e-4, atol=1e-5)
    if loss != "squared_error":  # scikit-learn reports that one as a mean over the outputs
        assert model.loss_ == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("sampled_output", [False, True])
@pytest.mark.parametrize("to_input", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize(
    "selectors, n_in, hidden, counts",
    [n for n in NETWORKS if n[0] == "topk"] + [(["dense", "topk"], 20, (32, 64), [0, 16])],
)
def test_settled_rows_teach_nothing(selectors, n_in, hidden, counts, to_input, sampled_output):
    # Of some rows of the first two classes the scores leave no doubt.
    model = small(
        **network(selectors, hidden, counts), solver="sgd", momentum=0.0,
        learning_rate_init=0.5, batch_size=80, alpha=0.0, sampled_output=sampled_output,
    )  # fmt: skip
    X, y = np.random.default_rng(0).normal(size=(80, n_in)), np.repeat(np.arange(4), 20)
    model.partial_fit(to_input(X), y, classes=range(4))
    model.intercepts_[-1][:2] += 4
    for _ in range(40):
        model.partial_fit(to_input(X[:40]), y[:40])
    Ws, bs = transposed(model)
    active = winners(Ws, bs, X, "relu", counts)
    deltas = ref.LOSSES["softmax"](ref.forward(Ws, bs, X, "relu", active)[2], np.eye(4)[y])[1]
    doubtful = np.abs(deltas).max(axis=1) >= SETTLED_TOL
    assert not doubtful[:40].all() and doubtful[40:].any()
    before = dict(model.n_multiplications_)
    new_Ws, new_bs = transposed(model.partial_fit(to_input(X), y))
    spent = model.n_multiplications_["backward"] - before["backward"]
    active_below, active_there = (n or size for n, size in zip(counts, hidden, strict=True))
    if counts == [35, 64]:
        active_below, active_there = hidden  # as whole matrices, zeros are multiplied too
    assert spent == doubtful.sum() * active_below * active_there
    args = (X, np.eye(4)[y], "softmax", "relu", active, doubtful.astype(float))
    _, dWs, dbs = ref.gradients(Ws, bs, *args)
    share = doubtful.sum() / 80  # of the batch, which all rows count in
    for old, new, slope in zip(Ws + bs, new_Ws + new_bs, dWs + dbs, strict=True):
        np.testing.assert_allclose(new, old - 0.5 * share * slope, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sampled_output", [False, True])
@pytest.mark.parametrize("to_input", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_batch_of_settled_rows_changes_nothing(asynchronous, to_input, sampled_output):
    model = small(
        asynchronous=asynchronous, sampled_output=sampled_output, hidden_layer_sizes=(64, 64),
        selector=["dense", "topk"],
    )  # fmt: skip
    X_, y = to_input(X), np.zeros(len(X), dtype=int)
    model.partial_fit(X_, y, classes=range(10))
    model.intercepts_[-1][0] += 100
    before = [a.copy() for a in model.coefs_ + model.intercepts_]
    model.partial_fit(X_, y)
    for old, new in zip(before, model.coefs_ + model.intercepts_, strict=True):
        np.testing.assert_array_equal(old, new)
    model.partial_fit(X_, y + 1)
    for old, new in zip(before, model.coefs_ + model.intercepts_, strict=True):
        assert np.any(old != new)


@pytest.mark.parametrize("loss", ref.LOSSES)
def test_losses_of_rows_equal_the_oracle(loss):
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(scale=2, size=(30, 3)), rng.integers(2, size=(30, 3))
    expected = ref.LOSSES[loss](scores, targets)[0] / (3 if loss == "squared_error" else 1)
    if loss == "softmax":  # the oracle's rows have one label; a row's targets may add up to any sum
        lone = targets.sum(axis=1) == 1
        scores, targets, expected = scores[lone], targets[lone], expected[lone]
    found = Loss(NAMES.get(loss, loss), ref.DELTA).of_rows(scores, targets)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_slope_is_zero_where_the_absolute_error_has_a_kink():
    model = small(LSHMLPRegressor, loss="absolute_error", solver="sgd", alpha=0, momentum=0)
    y = np.zeros(len(X))
    model.partial_fit(X, y)
    model.intercepts_[-1][:] = 0
    model.coefs_[-1][:] = 0  # now every prediction is right
    before = [a.copy() for a in model.coefs_ + model.intercepts_]
    model.partial_fit(X, y)
    for old, new in zip(before, model.coefs_ + model.intercepts_, strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.loss_ == 0


@pytest.mark.parametrize("batch_size", [1, 50])
def test_entries_stored_twice_are_summed(batch_size):
    once = sp.csr_matrix(X[:100])
    halves = [np.repeat(a, 2) for a in (once.data / 2, once.indices)]
    twice = sp.csr_matrix((*halves, 2 * once.indptr), shape=once.shape)
    assert twice.nnz == 2 * once.nnz
    a, b = (small(batch_size=batch_size, max_iter=2).fit(A, Y[:100]) for A in (once, twice))
    assert_same_parameters(a, b)
    np.testing.assert_array_equal(a.predict_proba(once), b.predict_proba(twice))
    assert twice.nnz == 2 * once.nnz  # the caller's matrix is left alone


@pytest.mark.parametrize("solver", ["adam", "sgd", "adagrad"])
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("batch_size", [1, 20])
def test_lines_that_are_blank_throughout_keep_their_weights(solver, asynchronous, batch_size):
    X = np.random.default_rng(0).normal(size=(40, 27))
    model = small(
        solver=solver, alpha=0.1, batch_size=batch_size, selector="dense", asynchronous=asynchronous
    )
    model.partial_fit(X, np.arange(40) % 4, classes=range(4))
    before = model.coefs_[0].copy()
    X[:, 8:16] = 0
    X[:, 24:] = 0  # the last columns do not make a line
    model.partial_fit(X, np.arange(40) % 4)
    moved = np.any(model.coefs_[0] != before, axis=1)
    np.testing.assert_array_equal(moved, (np.arange(27) < 8) | (np.arange(27) >= 16))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="kernels set a mode there alone")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_numbers_below_full_precision_count_as_zero_in_kernels_alone(n_threads):
    model = small(LSHMLPRegressor, selector="dense", solver="adagrad", warm_start=True)
    model.set_params(n_threads=n_threads, alpha=0.0, batch_size=40)
    model.fit(np.full((40, 3), 1e-21), np.arange(40.0))
    assert not model._network.layers[0].slots[0][0].any()
    for b in model.intercepts_:
        b[:] = 0
    assert model.predict(np.full((1, 3), 1e-36)) != 0
    assert model.predict(np.full((1, 3), 1e-40)) == 0
    assert np.float32(1e-20) * np.float32(1e-20) != 0


@pytest.mark.parametrize("weight", [1e-200, 1e-306, 1e-308])
@pytest.mark.parametrize("n_rows", [30, 3000])
@pytest.mark.parametrize("to_input", [sp.csr_matrix, np.asarray])
def test_entries_whose_gradient_vanishes_are_touched_once(to_input, n_rows, weight):
    X = np.zeros((n_rows, 16), dtype=np.float32)
    X[0, 8], X[1:, 0] = 1, 1e-3  # lines of their own: the first column tells whether one is touched
    weights = np.full(n_rows, weight)
    weights[0] = 1
    model = small(LSHMLPRegressor, selector="topk", max_iter=1, batch_size=n_rows, alpha=0.0)

    def updates(weights):
        model.fit(to_input(X), np.full(n_rows, 5.0), sample_weight=weights)
        return model.n_multiplications_["update"]

    assert updates(weights) == updates(np.ones(n_rows))


@pytest.mark.parametrize("solver", ["adam", "adagrad"])
def test_an_epsilon_below_full_precision_is_the_least_there_is(solver):
    X = np.array([[0.0, 1.0], [0.0, 2.0]])
    tiny, least = (
        small(LSHMLPRegressor, solver=solver, epsilon=epsilon, batch_size=2).fit(X, [1.0, 2.0])
        for epsilon in (1e-44, float(np.finfo(np.float32).tiny))
    )
    assert_same_parameters(tiny, least)


@pytest.mark.parametrize("solver", ["adam", "sgd", "adagrad"])
@pytest.mark.parametrize("selector", SELECTORS)
def test_same_bits_at_any_thread_count(selector, solver):
    fits = [
        small(selector=selector, solver=solver, hidden_layer_sizes=(64, 128), n_threads=n)
        for n in (1, 2, 2)
    ]
    one, *others = [model.fit(X, Y) for model in fits]
    for other in others:
        assert_same_parameters(one, other)
        np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
        assert one.loss_curve_ == other.loss_curve_
        assert one.n_multiplications_ == other.n_multiplications_
    assert_same_parameters(one, one.fit(X, Y))


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_row_is_predicted_alone(selector):
    model = small(selector=selector, hidden_layer_sizes=(64, 128)).fit(X, Y)
    expected, order = model.decision_function(X), np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(model.decision_function(X[order]), expected[order], atol=1e-6)
    alone = np.vstack([model.decision_function(X[i : i + 1]) for i in range(50)])
    np.testing.assert_allclose(alone, expected[:50], atol=1e-6)


@pytest.mark.parametrize(
    "selector, bar", [("dense", 0.95), ("topk", 0.93), ("sketch", 0.93), ("lsh", 0.93)]
)
def test_digits(selector, bar):
    model = small(hidden_layer_sizes=(500,), density=0.1, max_iter=15, selector=selector)
    model.set_params(learning_rate_init=0.002).fit(X_TRAIN, Y_TRAIN)
    assert model.score(X_TEST, Y_TEST) >= bar


@pytest.mark.parametrize("solver, rate", [("adam", 0.002), ("sgd", 0.03), ("adagrad", 0.02)])
@pytest.mark.parametrize("batch_size, slower", [("auto", 1), (1, 10)])
@pytest.mark.parametrize("selector", ["lsh", "sketch"])
def test_asynchronous_training(selector, solver, rate, batch_size, slower):
    model = small(
        asynchronous=True, n_threads=2, hidden_layer_sizes=(500,), density=0.1, max_iter=15,
        selector=selector, solver=solver, learning_rate_init=rate / slower, batch_size=batch_size,
    )  # fmt: skip

    def trains():
        return model.fit(X_TRAIN, Y_TRAIN).score(X_TEST, Y_TEST) >= 0.9

    # Once in a while a busy machine stops a thread in a step, and the others go on without it.
    assert trains() or trains()


@pytest.mark.parametrize("solver", ["adam", "sgd", "adagrad"])
@pytest.mark.parametrize("batch_size", [1, 33, 250])
def test_one_asynchronous_thread_trains_as_batches_do(solver, batch_size):
    # 250 rows are several blocks.
    batches = small(selector="dense", solver=solver, batch_size=batch_size, max_iter=2, n_threads=1)
    lock_free = clone(batches).set_params(asynchronous=True)
    X, y = X_TRAIN[:700], Y_TRAIN[:700]
    for a, b in zip(batches.fit(X, y).coefs_, lock_free.fit(X, y).coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert batches.loss_ == pytest.approx(lock_free.loss_)
