"""The two estimators through their public API: targets, inputs, weights and schedules."""

import pickle
import tracemalloc

import numpy as np
import pytest
import reference as ref
import scipy.sparse as sp
from cases import TARGET, X, Y, assert_same_parameters, multi_output, small, ten_classes
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.svm import LinearSVC
from sklearn.utils.class_weight import compute_sample_weight

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# ---- Targets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "sgd", "adagrad"])
def test_linear_learning_rate(solver):
    params = {"learning_rate": "linear", "solver": solver, "selector": "dense", "shuffle": False}
    params |= {"tol": 10.0, "n_iter_no_change": 1}  # neither loss nor score ends training
    once, twice = (small(**params, max_iter=4, warm_start=True) for _ in range(2))
    once.fit(X, Y)
    twice.fit(X, Y).fit(X, Y)
    chunks = small(**params)
    for model in (once, twice):
        for epoch in range(4):
            rate = model.learning_rate_init * (1 - epoch / 4)
            chunks.set_params(learning_rate_init=rate).partial_fit(X, Y, classes=model.classes_)
        assert model.n_iter_ == 4
        assert_same_parameters(model, chunks)
    assert small(**params, max_iter=8, early_stopping=True).fit(X, Y).n_iter_ == 8


def test_multiclass_with_string_labels():
    labels = np.array([f"digit {d}" for d in Y])
    model = small(max_iter=20).fit(X, labels)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    scores, proba = model.decision_function(X), model.predict_proba(X)
    assert scores.shape == proba.shape == (len(X), 10)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(proba, softmax(scores, axis=1), atol=1e-5)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(proba), atol=1e-3)
    np.testing.assert_array_equal(model.predict(X), model.classes_[proba.argmax(axis=1)])
    assert model.score(X, labels) == np.mean(model.predict(X) == labels) > 0.95
    assert model.out_activation_ == "softmax" and model.n_outputs_ == 10


def test_binary():
    labels = np.where(Y < 5, "low", "high")
    model = small(max_iter=20).fit(X, labels)
    scores, proba = model.decision_function(X), model.predict_proba(X)
    assert scores.shape == (len(X),) and proba.shape == (len(X), 2)
    np.testing.assert_allclose(proba[:, 1], expit(scores), atol=1e-5)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), model.classes_[(scores > 0).astype(int)])
    assert model.score(X, labels) > 0.95
    assert model.out_activation_ == "logistic" and model.n_outputs_ == 1


def test_one_class():
    model = small().fit(X, np.full(len(X), "only"))
    assert set(model.predict(X)) == {"only"}
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((len(X), 1)))


@pytest.mark.parametrize("to_target", [np.asarray, sp.csr_matrix], ids=["dense", "csr"])
def test_multilabel(to_target):
    X, Y = make_multilabel_classification(300, 20, n_classes=4, random_state=0)
    X = X / X.max()
    model = small(max_iter=60, density=0.5).fit(X, to_target(Y))
    scores, proba, predicted = model.decision_function(X), model.predict_proba(X), model.predict(X)
    predicted = predicted.toarray() if sp.issparse(predicted) else predicted
    assert scores.shape == proba.shape == predicted.shape == Y.shape
    np.testing.assert_allclose(proba, expit(scores), atol=1e-5)
    np.testing.assert_array_equal(predicted, scores > 0)
    assert np.mean(predicted == Y) > 0.85
    assert_same_parameters(model, small(max_iter=60, density=0.5).fit(X, Y))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_squared_hinge_is_that_of_linear_svc(n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = (X - X.mean(axis=0))[y < n_classes], np.array(["a", "b", "c"])[y[y < n_classes]]
    model = LSHMLPClassifier(
        (), loss="squared_hinge", solver="sgd", alpha=2.0, learning_rate="linear",
        learning_rate_init=0.05, max_iter=5000, n_iter_no_change=5000, batch_size=len(X),
        random_state=0,
    ).fit(X, y)  # fmt: skip
    peer = LinearSVC(C=1 / 2.0, intercept_scaling=1000, tol=1e-8, max_iter=1_000_000).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0].T, peer.coef_, atol=0.01)
    np.testing.assert_allclose(model.decision_function(X), peer.decision_function(X), atol=0.02)
    np.testing.assert_array_equal(model.predict(X), peer.predict(X))
    assert model.out_activation_ == "identity"
    with pytest.raises(AttributeError, match="predict_proba"):
        model.predict_proba(X)
    assert not hasattr(LSHMLPClassifier(loss="squared_hinge"), "predict_log_proba")


@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize("scale", [100, 1e5, 1e18])
def test_beyond_its_margin_a_row_has_no_squared_hinge_loss(target, scale):
    model = LSHMLPClassifier(
        (), loss="squared_hinge", solver="sgd", alpha=0, learning_rate_init=1e-30, max_iter=1,
        random_state=0,
    )  # fmt: skip
    rows = np.array([[1.0], [-1.0]]) * scale
    model.partial_fit(rows, [0, 1], classes=[0, 1])
    right = rows[[model.decision_function(rows).argsort()[target]]]
    model.partial_fit(right, [target])
    assert abs(model.decision_function(right)[0]) > 1 and model.loss_ == 0


def test_multi_output_regression():
    model = small(LSHMLPRegressor, max_iter=60).fit(X, TARGET)
    assert model.predict(X).shape == TARGET.shape and model.n_outputs_ == 2
    assert model.score(X, TARGET) > 0.8
    assert small(LSHMLPRegressor).fit(X, TARGET[:, 0]).predict(X).shape == (len(X),)


def test_poisson_regression():
    counts = np.random.default_rng(0).poisson(np.exp(TARGET[:, 0] - 1))
    model = small(LSHMLPRegressor, loss="poisson", max_iter=40).fit(X, counts)
    predicted = model.predict(X)
    assert np.all(predicted > 0) and model.out_activation_ == "exp"
    assert predicted.mean() == pytest.approx(counts.mean(), rel=0.2)
    assert model.score(X, counts) > 0.2


# ---- Inputs -----------------------------------------------------------------------------------


def int64_indices(X):
    X = sp.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def unsorted_with_duplicates(X):
    X = sp.coo_array(X)
    order = np.random.default_rng(0).permutation(2 * X.nnz)
    row, col = np.tile(X.row, 2)[order], np.tile(X.col, 2)[order]
    return sp.coo_array((np.tile(X.data / 2, 2)[order], (row, col)), shape=X.shape)


FORMATS = [
    sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array, int64_indices,
    unsorted_with_duplicates,
]  # fmt: skip


@pytest.mark.parametrize("selector", ["dense", "topk", "lsh", "sketch"])
def test_sparse_input_is_as_good_as_dense(selector):
    # Steps without moments or decay: those of Adam also move the weights of stored zeros.
    plain = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "learning_rate_init": 0.1}
    model = small(selector=selector, max_iter=10, **plain)
    dense, expected = clone(model).fit(X, Y), clone(model).fit(sp.csr_array(X), Y)
    agreement = 0.95  # a tie decided the other way changes an active set
    if selector == "dense":
        agreement = 1.0
        np.testing.assert_allclose(expected.predict_proba(X), dense.predict_proba(X), atol=1e-3)
    # After a tie two trainings go their own ways, to the same accuracy.
    assert expected.score(X, Y) == pytest.approx(dense.score(X, Y), abs=0.03)
    for to_input in FORMATS:
        assert_same_parameters(clone(model).fit(to_input(X), Y), expected)
        close = np.isclose(
            dense.decision_function(to_input(X)), dense.decision_function(X), atol=1e-4
        )
        assert np.mean(close.all(axis=1)) >= agreement


@pytest.mark.parametrize("selector", ["dense", "topk", "lsh", "sketch"])
def test_lazy_adam_learns_from_sparse_input(selector):
    model = small(selector=selector, max_iter=20).fit(sp.csr_array(X), Y)
    assert model.score(sp.csr_array(X), Y) > 0.95


@pytest.mark.parametrize("case", [ten_classes, multi_output])
def test_input_precision_and_order_do_not_matter(case):
    model, y = case()
    expected = model.fit(X, y).predict(X)
    for given in (X.astype(np.float32), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        other = clone(model).fit(given, y)
        np.testing.assert_allclose(other.predict(given), expected, rtol=1e-4)


@pytest.mark.parametrize("selector", ["lsh", "sketch", "topk"])
def test_wide_sparse_input_never_becomes_dense(selector):
    n, n_features, n_words = 2000, 100_000, 40
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=n)
    topic = y[:, None] * 1000 + rng.integers(30, size=(n, n_words // 2))
    noise = rng.integers(n_features, size=(n, n_words // 2))
    row, col = np.repeat(np.arange(n), n_words), np.hstack([topic, noise]).ravel()
    wide = sp.csr_array((np.ones(row.size, np.float32), (row, col)), shape=(n, n_features))
    model = small(selector=selector, hidden_layer_sizes=(32,), max_iter=4)
    tracemalloc.start()
    try:
        model.fit(wide, y)
        score, peak = model.score(wide, y), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert score > 0.9
    assert peak < 400e6  # the float32 dense input alone would take 800 MB, the weights take 13


# ---- Weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("to_input", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("case", [ten_classes, multi_output])
def test_zero_weight_is_a_removed_row(case, to_input):
    model, y = case()
    keep = np.random.default_rng(0).random(len(X)) < 0.7
    weighted = clone(model).fit(to_input(X), y, sample_weight=keep.astype(float))
    assert_same_parameters(weighted, clone(model).fit(to_input(X[keep]), y[keep]))


@pytest.mark.parametrize("class_weight", ["balanced", {0: 5.0, 3: 0.5}])
def test_class_weight_is_sample_weight(class_weight):
    y = np.where(Y > 2, 3, Y)
    sample_weight = np.linspace(0.5, 1.5, len(y))
    weight = compute_sample_weight(class_weight, y)
    model = small(class_weight=class_weight)
    for given, same in ((None, weight), (sample_weight, weight * sample_weight)):
        ours = clone(model).fit(X, y, sample_weight=given)
        plain = small().fit(X, y, sample_weight=same)
        np.testing.assert_allclose(ours.predict_proba(X), plain.predict_proba(X), atol=1e-3)


def test_class_weight_shifts_predictions():
    y = Y == 8
    few = small(class_weight={False: 1.0, True: 0.01}, max_iter=10).fit(X, y).predict(X).sum()
    many = small(class_weight={False: 0.01, True: 1.0}, max_iter=10).fit(X, y).predict(X).sum()
    assert few < many


# ---- Schedules --------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [ten_classes, multi_output])
def test_partial_fit_improves(case):
    model, y = case()
    arguments = {"classes": np.arange(10)} if case is ten_classes else {}
    model.partial_fit(X, y, **arguments)
    first, loss = model.score(X, y), model.loss_
    for _ in range(15):
        assert model.partial_fit(X, y) is model
    assert model.score(X, y) > first and model.loss_ < loss
    assert model.t_ == 16 * len(X) and len(model.loss_curve_) == 16


def test_partial_fit_has_no_balanced_classes():
    with pytest.raises(ValueError, match="balanced"):
        small(class_weight="balanced").partial_fit(X, Y, classes=np.arange(10))


def test_partial_fit_needs_classes_first():
    with pytest.raises(ValueError, match="classes"):
        small().partial_fit(X, Y)
    model = small().partial_fit(X[Y < 3], Y[Y < 3], classes=np.arange(10))
    assert model.predict_proba(X).shape == (len(X), 10)


@pytest.mark.parametrize("case", [ten_classes, multi_output])
def test_warm_start_goes_on(case):
    model, y = case()
    warm = clone(model).set_params(warm_start=True, max_iter=3).fit(X, y)
    loss = warm.loss_
    assert_same_parameters(warm, clone(model).set_params(max_iter=3).fit(X, y))
    warm.fit(X, y)
    assert warm.loss_ < loss and len(warm.loss_curve_) == 6
    cold = clone(model).set_params(max_iter=3).fit(X, y).fit(X, y)
    assert cold.loss_ == pytest.approx(loss) and len(cold.loss_curve_) == 3


@pytest.mark.parametrize("case", [ten_classes, multi_output])
def test_early_stopping(case):
    model, y = case()
    stopped = clone(model).set_params(
        early_stopping=True, max_iter=200, n_iter_no_change=3, tol=1e-2, learning_rate_init=0.02
    )
    stopped.fit(X, y)
    assert len(stopped.validation_scores_) == stopped.n_iter_ < 200
    assert stopped.best_validation_score_ == max(stopped.validation_scores_)
    assert stopped.best_loss_ is None
    model.fit(X, y)
    assert model.validation_scores_ is None and model.best_loss_ == min(model.loss_curve_)


@pytest.mark.parametrize("solver, rate", [("adam", 0.005), ("sgd", 0.05), ("adagrad", 0.05)])
@pytest.mark.parametrize("selector", ["dense", "topk", "lsh", "sketch"])
def test_solvers_learn(solver, rate, selector):
    model = small(solver=solver, learning_rate_init=rate, selector=selector, max_iter=20)
    assert model.fit(X, Y).score(X, Y) > 0.9
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]


@pytest.mark.parametrize("activation", ref.ACTIVATIONS)
@pytest.mark.parametrize("selector", ["dense", "topk", "sketch"])
def test_activations_learn(activation, selector):
    model = small(activation=activation, selector=selector, density=0.5, max_iter=30)
    assert model.fit(X, Y).score(X, Y) > 0.9


def test_parameters_per_layer():
    lists = {
        "selector": ["dense", "sketch"], "density": [1.0, 0.25], "activation": ["tanh", "relu"],
    }  # fmt: skip
    model = small(hidden_layer_sizes=(32, 64), max_iter=20, **lists).fit(X, Y)
    assert model.score(X, Y) > 0.9
    assert model.get_params()["selector"] == ["dense", "sketch"]
    single = {"selector": "sketch", "density": 0.25, "activation": "relu"}
    double = {name: [value] * 2 for name, value in single.items()}
    assert_same_parameters(
        small(hidden_layer_sizes=(32, 64), **single).fit(X, Y),
        small(hidden_layer_sizes=(32, 64), **double).fit(X, Y),
    )


def test_early_stopping_may_change_between_calls():
    model = small(early_stopping=True, warm_start=True).fit(X, Y)
    restored = pickle.loads(pickle.dumps(model))
    assert_same_parameters(model.fit(X, Y), restored.fit(X, Y))
    model.set_params(early_stopping=False).partial_fit(X, Y)
    model.set_params(early_stopping=True).fit(X, Y)
    assert model.best_validation_score_ == max(model.validation_scores_)
