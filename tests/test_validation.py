"""Rows that are watched: split off or passed, their loss and score, and what these decide."""

import warnings

import numpy as np
import pandas as pd
import pytest
import reference as ref
import scipy.sparse as sp
from cases import TARGET, X_TEST, Y_TEST, X, Y, assert_same_parameters, multi_output, small
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import accuracy_score, f1_score, make_scorer, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WEIGHT = np.random.default_rng(0).uniform(0, 2, len(X_TEST))
OWN = {"X_val": X_TEST, "y_val": Y_TEST}
TEST_TARGET = np.column_stack([X_TEST[:, 20:40].sum(axis=1) / 5, X_TEST[:, 10] - X_TEST[:, 50]])


def oracle_loss(model, X, Y, loss, weight):
    Ws = [W.T.astype(float) for W in model.coefs_]
    bs = [b.astype(float) for b in model.intercepts_]
    return ref.objective(Ws, bs, X, Y, loss, "relu", None, weight)


def test_rows_that_are_watched_change_nothing_by_themselves():
    plain, watching = small().fit(X, Y), small().fit(X, Y, **OWN)
    assert_same_parameters(plain, watching)
    assert plain.loss_curve_ == watching.loss_curve_ and plain.best_loss_ == watching.best_loss_
    assert plain.validation_scores_ is plain.validation_loss_curve_ is None
    for history in (watching.validation_scores_, watching.validation_loss_curve_):
        assert isinstance(history, list) and len(history) == watching.n_iter_ == 5
        assert all(type(value) is float for value in history)
    assert watching.best_validation_score_ == max(watching.validation_scores_)


@pytest.mark.parametrize("to_input", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
def test_losses_and_scores_of_classes(to_input, weight):
    model = small(selector="dense", alpha=1.0)
    model.fit(to_input(X), Y, X_val=to_input(X_TEST), y_val=Y_TEST, sample_weight_val=weight)
    expected = oracle_loss(model, X_TEST, np.eye(10)[Y_TEST], "softmax", weight)
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-5)
    assert model.validation_scores_[-1] == model.score(X_TEST, Y_TEST, sample_weight=weight)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error", "poisson"])
def test_losses_and_scores_of_several_outputs(loss):
    model = small(LSHMLPRegressor, selector="dense", loss=loss, delta=ref.DELTA)
    target, test_target = np.abs(TARGET), np.abs(TEST_TARGET)
    model.fit(X, target, X_val=X_TEST, y_val=test_target, sample_weight_val=WEIGHT)
    expected = oracle_loss(model, X_TEST, test_target, loss, WEIGHT)
    expected /= 2 if loss == "squared_error" else 1
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-5)
    assert model.validation_scores_[-1] == pytest.approx(
        r2_score(test_target, model.predict(X_TEST), sample_weight=WEIGHT), rel=1e-6
    )


@pytest.mark.parametrize("name", ["log_loss", "softmax", "squared_hinge"])
@pytest.mark.parametrize("sampled", [False, True])
def test_losses_of_labels(name, sampled):
    X, Y = make_multilabel_classification(300, 20, n_classes=6, random_state=0)
    model = small(selector="dense", loss=name, sampled_output=sampled)
    model.fit(X[100:], sp.csr_array(Y[100:]), X_val=X[:100], y_val=sp.csr_array(Y[:100]))
    targets, loss = Y[:100], {"log_loss": "logistic"}.get(name, name)
    if name == "softmax":
        targets = Y[:100] / np.maximum(Y[:100].sum(axis=1, keepdims=True), 1)
    Ws = [W.T.astype(float) for W in model.coefs_]
    scores = ref.forward(Ws, [b.astype(float) for b in model.intercepts_], X[:100], "relu")[2]
    losses = ref.LOSSES[loss](scores, targets)[0]
    if name == "softmax":
        losses[targets.sum(axis=1) == 0] = 0  # rows without labels have nothing to predict
    assert model.validation_loss_curve_[-1] == pytest.approx(losses.mean(), rel=1e-4)
    if name != "softmax" and not sampled:
        assert model.validation_scores_[-1] == model.score(X[:100], Y[:100])


def test_early_stopping_watches_the_rows_passed_and_trains_on_all_others():
    model = small(selector="dense", early_stopping=True, max_iter=100, n_iter_no_change=3)
    model.set_params(learning_rate_init=0.02).fit(X, Y, **OWN, sample_weight_val=WEIGHT)
    assert model.t_ == len(X) * model.n_iter_ and model.n_iter_ < 100
    assert model.score(X_TEST, Y_TEST, sample_weight=WEIGHT) == model.best_validation_score_
    best = model.n_iter_ - np.argmax(model.validation_scores_[::-1])  # the last of equals
    shorter = clone(model).set_params(max_iter=int(best))
    shorter.fit(X, Y, **OWN, sample_weight_val=WEIGHT)
    assert_same_parameters(model, shorter)


def test_rows_of_weight_zero_are_not_watched():
    keep = np.arange(len(X_TEST)) % 3 > 0
    model = small(scoring="f1_macro")
    a = clone(model).fit(X, Y, **OWN, sample_weight_val=keep)
    weight = np.ones(keep.sum())
    b = model.fit(X, Y, X_val=X_TEST[keep], y_val=Y_TEST[keep], sample_weight_val=weight)
    assert a.validation_scores_ == b.validation_scores_
    np.testing.assert_allclose(a.validation_loss_curve_, b.validation_loss_curve_)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 7: 0.5}])
def test_class_weights_hold_for_the_rows_that_are_watched(class_weight):
    few = Y_TEST < 5  # classes may be missing
    model = small(selector="dense", class_weight=class_weight)
    model.fit(X, Y, X_val=X_TEST[few], y_val=Y_TEST[few])
    if class_weight == "balanced":
        weight = compute_sample_weight("balanced", Y_TEST[few])
    else:
        weight = np.where(Y_TEST[few] == 0, 3.0, 1.0)
    expected = oracle_loss(model, X_TEST[few], np.eye(10)[Y_TEST[few]], "softmax", weight)
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-5)


# ---- Scoring ----------------------------------------------------------------------------------


def weighted_f1(model, X, Y):
    return f1_score(Y, model.predict(X), average="macro", sample_weight=WEIGHT)


@pytest.mark.parametrize("scoring, expected", [
    ("accuracy", lambda model: accuracy_score(Y_TEST, model.predict(X_TEST), sample_weight=WEIGHT)),
    ("f1_macro", lambda model: weighted_f1(model, X_TEST, Y_TEST)),
    ("loss", lambda model: -model.validation_loss_curve_[-1]),
    (make_scorer(accuracy_score), lambda model: model.score(X_TEST, Y_TEST)),
    (lambda est, X, y: np.float32(len(X) + est.n_iter_), lambda model: len(X_TEST) + 5),
], ids=["accuracy", "f1_macro", "loss", "scorer", "function"])  # fmt: skip
def test_scoring(scoring, expected):
    model = small(selector="dense", scoring=scoring)
    model.fit(X, Y, **OWN, sample_weight_val=WEIGHT)
    assert model.validation_scores_[-1] == pytest.approx(expected(model))
    assert_same_parameters(model, small(selector="dense").fit(X, Y))


@pytest.mark.filterwarnings("ignore:.*ill-defined")
@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("to_target", [np.asarray, sp.csr_array, pd.DataFrame])
@pytest.mark.parametrize("scoring", ["f1_samples", "roc_auc", "accuracy"])
def test_scorers_of_labels(scoring, to_target, sampled):
    if to_target is sp.csr_array and scoring == "roc_auc":
        pytest.skip("this scorer does not take sparse labels")
    X, Y = make_multilabel_classification(200, 20, n_classes=4, random_state=0)
    model = small(early_stopping=True, scoring=scoring, sampled_output=sampled, max_iter=3)
    model.fit(X, to_target(Y))
    assert len(model.validation_scores_) == 3 and np.isfinite(model.validation_scores_).all()


def test_scorers_of_two_classes_and_of_outputs():
    labels = np.where(Y < 5, "low", "high")
    model = small(early_stopping=True, scoring="roc_auc", max_iter=30).fit(X, labels)
    assert model.best_validation_score_ > 0.95
    regressor, target = multi_output()
    regressor.set_params(early_stopping=True, scoring="neg_mean_absolute_error", max_iter=30)
    assert -0.5 < regressor.fit(X, target).best_validation_score_ < 0


def test_a_score_decides_when_to_stop_and_which_weights_stay():
    seen = []

    def worse_and_worse(est, X, y):
        seen.append([W.copy() for W in est.coefs_])
        return -len(seen)

    model = small(early_stopping=True, scoring=worse_and_worse, n_iter_no_change=2, max_iter=50)
    model.fit(X, Y)
    assert model.n_iter_ == 4 and model.validation_scores_ == [-1, -2, -3, -4]
    assert model.best_validation_score_ == -1
    for kept, first in zip(model.coefs_, seen[0], strict=True):
        np.testing.assert_array_equal(kept, first)


def test_loss_stops_at_the_smallest_validation_loss():
    model = small(early_stopping=True, scoring="loss", n_iter_no_change=3, max_iter=300)
    model.set_params(selector="dense", learning_rate_init=0.05, alpha=0).fit(X, Y, **OWN)
    assert model.n_iter_ < 300
    expected = oracle_loss(model, X_TEST, np.eye(10)[Y_TEST], "softmax", None)
    assert min(model.validation_loss_curve_) == pytest.approx(expected, rel=1e-4)
    assert model.best_validation_score_ == -min(model.validation_loss_curve_)


@pytest.mark.parametrize("kind", ["frame", "csc", "list"])
@pytest.mark.parametrize("own", [False, True])
def test_functions_score_rows_as_they_were_given(own, kind):
    make = {"frame": lambda X: pd.DataFrame(X).add_prefix("x"), "csc": sp.csc_array, "list": list}
    labels, test_labels = (pd.Series([f"digit {d}" for d in y]) for y in (Y, Y_TEST))
    seen = []

    def scoring(est, X, y):
        seen.append((X, y))
        return est.score(X, y)

    model = small(early_stopping=True, scoring=scoring, max_iter=2)
    given = {"X_val": make[kind](X_TEST), "y_val": test_labels} if own else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*feature names")
        model.fit(make[kind](X), labels, **given)
    found, y = seen[-1]
    assert isinstance(y, pd.Series) and set(y) <= set(labels)
    assert found.shape[0] == len(y) if kind == "csc" else len(found) == len(y)
    if kind == "frame":
        assert list(found.columns) == list(model.feature_names_in_)
    rows = X_TEST if own else X
    found = found.toarray() if kind == "csc" else np.asarray(found)
    at = [np.flatnonzero((rows == row).all(axis=1))[0] for row in found]
    assert list(y) == list((test_labels if own else labels).iloc[at])


def test_weights_of_rows_split_off_reach_scorers():
    weight = np.random.default_rng(1).integers(0, 3, len(X)).astype(float)
    model = small(early_stopping=True, scoring="accuracy", selector="dense")
    default = clone(model).set_params(scoring=None).fit(X, Y, sample_weight=weight)
    model.fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(model.validation_scores_, default.validation_scores_)
    assert model.validation_loss_curve_ == default.validation_loss_curve_


def test_verbose_prints_what_is_watched(capsys):
    model = small(verbose=True, max_iter=2).fit(X, Y, **OWN)
    printed = capsys.readouterr().out
    for loss, score in zip(model.validation_loss_curve_, model.validation_scores_, strict=True):
        assert f"Validation loss = {loss:.8f}, score = {score:.6f}" in printed


# ---- Pipelines, and what is refused ------------------------------------------------------------


def test_a_pipeline_transforms_the_rows_that_are_watched():
    scaler = StandardScaler().fit(X)
    expected = small(early_stopping=True).fit(
        scaler.transform(X), Y, X_val=scaler.transform(X_TEST), y_val=Y_TEST
    )
    with config_context(enable_metadata_routing=True):
        model = small(early_stopping=True)
        model.set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        pipeline = make_pipeline(StandardScaler(), model, transform_input=["X_val"])
        pipeline.fit(X, Y, **OWN, sample_weight_val=np.ones(len(X_TEST)))
    assert_same_parameters(pipeline[-1], expected)
    assert pipeline[-1].validation_loss_curve_ == expected.validation_loss_curve_


def with_nan(X):
    X = X.copy()
    X[3, 2] = np.nan
    return X


NEGATIVE = np.where(np.arange(len(X_TEST)) == 5, -1.0, 1.0)


@pytest.mark.parametrize("given, match", [
    ({"X_val": X_TEST}, "y_val"),
    ({"y_val": Y_TEST}, "X_val"),
    ({"sample_weight_val": WEIGHT}, "X_val"),
    (OWN | {"X_val": X_TEST[:, :5]}, "X_val.*5 features"),
    (OWN | {"X_val": with_nan(X_TEST)}, "X_val.*NaN"),
    (OWN | {"X_val": X_TEST[:0], "y_val": Y_TEST[:0]}, "X_val.*0 sample"),
    (OWN | {"X_val": X_TEST[:9]}, "y_val.*inconsistent"),
    (OWN | {"y_val": Y_TEST + 1}, r"y_val.*classes \[10\]"),
    (OWN | {"y_val": np.eye(10)[Y_TEST]}, "y_val.*indicator"),
    (OWN | {"sample_weight_val": WEIGHT[:-1]}, "(?s)sample_weight_val"),
    (OWN | {"sample_weight_val": NEGATIVE}, "sample_weight_val.*Negative"),
    (OWN | {"sample_weight_val": 0 * WEIGHT}, "sample_weight_val.*zero"),
], ids=str)  # fmt: skip
def test_what_is_refused(given, match):
    model = small().fit(X, Y)
    before, names = [W.copy() for W in model.coefs_], set(vars(model))
    for warm_start in (False, True):
        model.set_params(warm_start=warm_start)
        with pytest.raises(ValueError, match=match):
            model.fit(X, Y, **given)
        for old, new in zip(before, model.coefs_, strict=True):
            np.testing.assert_array_equal(old, new)
        assert set(vars(model)) == names
    with pytest.raises(ValueError, match=match):
        small().fit(X, Y, **given)


@pytest.mark.parametrize("target, match", [
    (TEST_TARGET[:, :1], "y_val.*1 outputs.*2"), (-TEST_TARGET, "y_val.*negative"),
])  # fmt: skip
def test_targets_that_are_refused(target, match):
    with pytest.raises(ValueError, match=match):
        small(LSHMLPRegressor, loss="poisson").fit(X, np.abs(TARGET), X_val=X_TEST, y_val=target)


def test_a_scorer_of_probabilities_that_are_not_there():
    model = small(loss="squared_hinge", scoring="neg_log_loss", early_stopping=True)
    with pytest.raises(ValueError, match="scoring='neg_log_loss'"):
        model.fit(X, Y)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("cls", [LSHMLPClassifier, LSHMLPRegressor])
@pytest.mark.parametrize("scoring", ["best", 3, ["accuracy"]])
def test_scoring_that_is_refused(cls, scoring):
    with pytest.raises(ValueError, match="scoring"):
        small(cls, scoring=scoring, early_stopping=True).fit(X, Y)


def test_scorers_that_take_no_weights_are_named():
    params = {"scoring": "neg_max_error", "early_stopping": True}
    small(LSHMLPRegressor, **params).fit(X, TARGET[:, 0])
    with pytest.raises(TypeError, match=r"scoring='neg_max_error'.*sample_weight"):
        small(LSHMLPRegressor, **params).fit(X, TARGET[:, 0], sample_weight=np.ones(len(X)))


def test_a_scorer_that_fails_later_leaves_curves_of_one_length():
    n_calls = []

    def fails_later(est, X, y):
        n_calls.append(1)
        if len(n_calls) == 4:
            raise RuntimeError("no score")
        return est.score(X, y)

    model = small(warm_start=True).fit(X, Y, X_val=X_TEST, y_val=Y_TEST)
    with pytest.raises(RuntimeError, match="no score"):
        model.set_params(scoring=fails_later).fit(X, Y, X_val=X_TEST, y_val=Y_TEST)
    assert len(model.loss_curve_) == 5 + 3
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == 8
    assert np.isnan(model.validation_scores_[-1])


def test_a_score_is_a_number():
    with pytest.raises(ValueError, match=r"scoring.*'good'"):
        small(scoring=lambda est, X, y: "good", early_stopping=True).fit(X, Y)


def test_names_of_features_are_those_of_fit():
    frame, other = pd.DataFrame(X).add_prefix("x"), pd.DataFrame(X_TEST).add_prefix("z")
    with pytest.raises(ValueError, match=r"(?s)X_val.*feature names"):
        small().fit(frame, Y, X_val=other, y_val=Y_TEST)


# ---- Robust losses ----------------------------------------------------------------------------


def test_robust_losses_bear_outliers():
    target = TARGET[:, 0] - TARGET[:, 0].mean()
    spoilt = target.copy()
    spoilt[::10] += 30
    error = {}
    for loss in ("squared_error", "huber", "absolute_error"):
        model = small(LSHMLPRegressor, loss=loss, delta=0.5, max_iter=60, density=0.5)
        error[loss] = np.median(np.abs(model.fit(X, spoilt).predict(X) - target))
    assert max(error["huber"], error["absolute_error"]) < 0.5 * error["squared_error"]


def test_a_wide_delta_is_the_squared_error():
    square, wide = (
        small(LSHMLPRegressor, loss=loss, delta=1e6).fit(X, TARGET)
        for loss in ("squared_error", "huber")
    )
    assert_same_parameters(square, wide)


def test_delta_may_change_under_warm_start():
    model = small(LSHMLPRegressor, loss="huber", delta=1e6, warm_start=True).fit(X, TARGET)
    same = small(LSHMLPRegressor, loss="huber", delta=1e6, warm_start=True).fit(X, TARGET)
    same.fit(X, TARGET)
    model.set_params(delta=1e-3).fit(X, TARGET)
    assert np.abs(model.coefs_[0] - same.coefs_[0]).max() > 1e-4


@pytest.mark.parametrize("delta", [0, -1.0, np.inf, "1"])
def test_delta_that_is_refused(delta):
    with pytest.raises(ValueError, match="delta"):
        small(LSHMLPRegressor, loss="huber", delta=delta).fit(X, TARGET)
