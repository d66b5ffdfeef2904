"""In place of scikit-learn's networks: what their users rely on (docs/scikit_learn.md)."""

import inspect
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from cases import TARGET, X_TEST, X_TRAIN, Y_TEST, Y_TRAIN, X, Y, assert_same_parameters, small
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.multiclass import check_classification_targets

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SINCE_1_7 = pytest.mark.skipif(
    "sample_weight" not in inspect.signature(MLPClassifier.fit).parameters,
    reason="scikit-learn's networks have had sample_weight and the Poisson loss since 1.7",
)
BOTH = [LSHMLPClassifier, LSHMLPRegressor]
LABELS = np.eye(10, dtype=int)[Y] | np.eye(10, dtype=int)[(3 * Y + 1) % 10]
FEW = {"hidden_layer_sizes": (30, 20), "max_iter": 15, "random_state": 3}
SGD = {"solver": "sgd", "learning_rate_init": 0.05}


def dense(cls=LSHMLPClassifier, **params):
    return cls(**{"selector": "dense", "n_threads": 1} | params)


@pytest.mark.parametrize("ours, theirs", [*zip(BOTH, [MLPClassifier, MLPRegressor], strict=True)])
def test_the_same_arguments(ours, theirs):
    parameters = inspect.signature(ours).parameters
    for name, parameter in inspect.signature(theirs).parameters.items():
        if name not in ("max_fun", "hidden_layer_sizes"):
            assert parameters[name].default == parameter.default, name


@pytest.mark.parametrize("seed", range(3))
def test_dense_networks_replace_those_of_scikit_learn(seed):
    params = {"hidden_layer_sizes": (50,), "max_iter": 40, "random_state": seed}
    ours = dense(**params).fit(X_TRAIN, Y_TRAIN)
    theirs = MLPClassifier(**params).fit(X_TRAIN, Y_TRAIN)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-4)
    assert np.mean(ours.predict(X_TEST) == theirs.predict(X_TEST)) >= 0.99
    assert ours.score(X_TEST, Y_TEST) == pytest.approx(theirs.score(X_TEST, Y_TEST), abs=0.01)


# What happens epoch after epoch, and when it ends: ours and theirs alike.
SCHEDULES = {
    "adam": {},
    "logistic": {"activation": "logistic"},
    "tanh": {"activation": "tanh"},
    "identity": {"activation": "identity"},
    "sgd": SGD,
    "no momentum": SGD | {"momentum": 0},
    "classical momentum": SGD | {"nesterovs_momentum": False, "momentum": 0.8},
    "invscaling": SGD | {"learning_rate": "invscaling", "power_t": 0.25},
    "adaptive": SGD | {"learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1,
                       "max_iter": 60},
    "in order": {"shuffle": False},
    # Blank lines of a row are neither decayed nor carried on by momentum.
    "row by row": SGD | {"batch_size": 1, "max_iter": 3, "alpha": 0, "momentum": 0},
    "whole": {"batch_size": 400},
    # The loss counts the penalty of the weights at the start of the epoch.
    "strong penalty": {"alpha": 1.0, "batch_size": 400},
    "moments": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    "tolerance": {"tol": 0.5, "max_iter": 100},
    "no tolerance": {"tol": 10.0, "n_iter_no_change": 4, "max_iter": 100},
    "patience": {"tol": 10.0, "n_iter_no_change": np.inf},
    "stops early": {"early_stopping": True, "tol": 0.01, "n_iter_no_change": 2, "max_iter": 100},
    "held out": {"early_stopping": True, "validation_fraction": 0.4},
}  # fmt: skip
TASKS = {
    "two": (LSHMLPClassifier, MLPClassifier, Y > 4),
    "labels": (LSHMLPClassifier, MLPClassifier, LABELS),
    "classes": (LSHMLPClassifier, MLPClassifier, Y),
    "outputs": (LSHMLPRegressor, MLPRegressor, TARGET),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("task", TASKS)
def test_the_same_schedule(task, name):
    cls, other, y = TASKS[task]
    params = FEW | SCHEDULES[name]
    if task == "classes" and params.get("early_stopping"):
        pytest.skip("ours holds out as many rows of every class as there should be")
    ours, theirs = dense(cls, **params).fit(X, y), other(**params).fit(X, y)
    assert (ours.n_iter_, ours.t_, ours.n_layers_) == (theirs.n_iter_, theirs.t_, theirs.n_layers_)
    assert ours.out_activation_ == theirs.out_activation_ and ours.n_outputs_ == theirs.n_outputs_
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-4)
    for attribute in ("best_loss_", "validation_scores_", "best_validation_score_"):
        expected = getattr(theirs, attribute)
        if expected is None:
            assert getattr(ours, attribute) is None
        else:
            np.testing.assert_allclose(getattr(ours, attribute), expected, rtol=1e-3, atol=1e-3)
    scores = ours.validation_scores_
    if scores and scores.count(max(scores)) > 1:
        return  # ours ends with the last of the best epochs, theirs with the first
    if task == "outputs":
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=5e-3)
    else:
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=5e-3)


@SINCE_1_7
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("task", ["two", "outputs", "counts"])
def test_the_same_schedule_with_weights(task, early_stopping):
    cls, other, y = TASKS.get(task) or (LSHMLPRegressor, MLPRegressor, np.round(abs(TARGET)))
    params = FEW | {"early_stopping": early_stopping}
    if task == "counts":
        params |= {"loss": "poisson"}
    weight = np.random.default_rng(0).uniform(0.2, 2, len(X))
    ours = dense(cls, **params).fit(X, y, sample_weight=weight)
    theirs = other(**params).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=5e-3)


@pytest.mark.parametrize("cls, y", [(LSHMLPClassifier, Y), (LSHMLPRegressor, TARGET)])
def test_weights_of_one_are_no_weights(cls, y):
    model = small(cls, early_stopping=True)
    assert_same_parameters(
        clone(model).fit(X, y), clone(model).fit(X, y, sample_weight=np.ones(len(X)))
    )


@pytest.mark.parametrize("selector", ["dense", "sketch", "lsh"])
def test_a_larger_penalty_makes_smaller_weights(selector):
    sizes = []
    for alpha in (0, 1):
        model = small(selector=selector, alpha=alpha, max_iter=20).fit(X, Y)
        sizes.append([np.abs(W).sum() for W in model.coefs_])
    assert np.all(np.array(sizes[0]) > sizes[1])


@pytest.mark.parametrize("cls, y", [(LSHMLPClassifier, Y), (LSHMLPRegressor, TARGET)])
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_partial_fit_again_and_again_is_fit(cls, y, momentum):
    model = dense(cls, **FEW | SGD | {"momentum": momentum, "shuffle": False, "tol": 0})
    again = clone(model)
    for _ in range(15):
        again.partial_fit(X, y, **({"classes": range(10)} if y is Y else {}))
    assert_same_parameters(model.fit(X, y), again)
    assert len(again.loss_curve_) == 15 and again.n_iter_ == 1


def test_classes_may_come_late():
    model = small().partial_fit([[1], [2], [3]], list("abc"), classes=list("abcd"))
    model.partial_fit([[4]], ["d"])
    assert model.score([[1], [2], [3], [4]], list("abcd")) > 0


@pytest.mark.parametrize("selector", ["dense", "sketch"])
def test_the_order_of_the_rows_matters(selector):
    model = small(LSHMLPRegressor, selector=selector, batch_size=1, max_iter=1)
    shuffled = clone(model).fit(X, TARGET)
    assert_same_parameters(shuffled, clone(model).fit(X, TARGET))
    other = model.set_params(shuffle=False).fit(X, TARGET)
    assert not np.array_equal(shuffled.coefs_[0], other.coefs_[0])


def test_verbose(capsys):
    model = small(verbose=10, max_iter=2).fit(X, Y)
    assert capsys.readouterr().out.count("Iteration") == 2
    model.partial_fit(X, Y)
    assert "Iteration 1, loss = " in capsys.readouterr().out


@pytest.mark.parametrize("rate", ["constant", "invscaling"])
def test_the_step_size_of_a_warm_start(rate):
    model = small(**SGD, learning_rate=rate, power_t=0.25, max_iter=1, warm_start=True)
    for n_epochs in (1, 2):
        model.fit(X, Y)
        decay = (n_epochs * len(X) + 1) ** 0.25 if rate == "invscaling" else 1
        assert model._trainer.optimizer.learning_rate == pytest.approx(0.05 / decay)


@pytest.mark.parametrize("cls, y", [(LSHMLPClassifier, Y), (LSHMLPRegressor, TARGET)])
@pytest.mark.parametrize("solver", ["adam", "sgd", "adagrad"])
def test_a_warm_start_takes_all_of_its_epochs(cls, y, solver):
    model = small(cls, solver=solver, warm_start=True, n_iter_no_change=np.inf, tol=10.0)
    for max_iter in (3, 5):
        with pytest.warns(ConvergenceWarning, match=f"{max_iter}"):
            model.set_params(max_iter=max_iter).fit(X, y)
        assert model.n_iter_ == max_iter


def test_a_warm_start_may_see_fewer_classes_but_no_others():
    model = small(warm_start=True).fit(X, Y)
    model.fit(X[Y < 3], Y[Y < 3])
    assert len(model.classes_) == 10
    with pytest.raises(ValueError, match="classes"):
        model.fit(X, Y + 1)


def test_rows_held_out_keep_the_shares_of_the_classes():
    with pytest.raises(ValueError, match="least populated class"):
        small(early_stopping=True).fit([[1, 2], [2, 3], [3, 4], [4, 5]], [0, 0, 0, 1])
    model = small(early_stopping=True, validation_fraction=0.25)
    held = []
    original = model._score
    model._score = lambda *args: held.append(args[0].to_csr()) or original(*args)
    model.fit(X, Y)
    counts = np.asarray(held[0].sum(axis=0)).ravel()
    np.testing.assert_allclose(counts, np.bincount(Y) / 4, atol=1)


@pytest.mark.parametrize("cls", BOTH)
def test_too_few_rows_to_hold_out(cls):
    with pytest.raises(ValueError, match=r"validation set is too small|test_size"):
        small(cls, early_stopping=True).fit(X[:4], [0, 1, 0, 1])


@pytest.mark.parametrize("cls", BOTH)
def test_names_of_features_are_no_reason_to_warn(cls):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        small(cls, early_stopping=True).fit(frame, Y).predict(frame)


def test_strings_that_are_objects_and_held_out():
    model = small(early_stopping=True).fit(X, np.array(["a", "b"], dtype=object)[Y % 2])
    assert np.isfinite(model.validation_scores_).all() and set(model.predict(X)) == {"a", "b"}


def test_one_poisson_neuron_is_a_linear_model():
    x = np.linspace(0, 1, 100)[:, None]
    y = np.random.default_rng(0).poisson(np.exp(x[:, 0] + 1))
    linear = PoissonRegressor(alpha=0, tol=1e-7).fit(x, y).predict(x)
    params = {"activation": "identity", "alpha": 0, "batch_size": 100, "max_iter": 2000}
    params |= {"n_iter_no_change": np.inf, "learning_rate_init": 0.02}
    for loss, close in [("poisson", True), ("squared_error", False)]:
        model = small(LSHMLPRegressor, hidden_layer_sizes=(1,), loss=loss, **params).fit(x, y)
        assert np.allclose(model.predict(x), linear, rtol=1e-3) == close


def test_sparse_rows_are_dense_rows():
    params = FEW | SGD | {"alpha": 0, "momentum": 0}
    ours = dense(**params).fit(sp.csr_array(X), Y)
    theirs = MLPClassifier(**params).fit(sp.csr_array(X), Y)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-4)


def test_weights_are_of_single_precision():
    for dtype in (np.float32, np.float64):
        model = small(LSHMLPRegressor).fit(X.astype(dtype), TARGET.astype(dtype))
        assert {p.dtype for p in model.coefs_ + model.intercepts_} == {np.dtype(np.float32)}
        assert model.predict(X.astype(dtype)).dtype == np.float64


def test_classes_that_look_like_a_regression_are_told():
    told = []
    for check in (check_classification_targets, lambda y: small().fit(X[:60], y)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check(np.arange(60))
        messages = [str(warning.message) for warning in caught]
        told.append([message for message in messages if "unique classes" in message])
    assert told[0] == told[1]
