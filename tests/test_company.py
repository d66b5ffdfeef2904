"""In company: what users of scikit-learn put around an estimator."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from cases import TARGET, X_TEST, Y_TEST, X, Y, assert_same_parameters, small
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_lsh import LSHMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_grid_search_in_a_pipeline():
    X, y = make_classification(200, 10, random_state=0)
    model = make_pipeline(StandardScaler(), small(selector="lsh"))
    grid = {"lshmlpclassifier__density": [0.1, 0.5], "lshmlpclassifier__n_hashes": [4, 6]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert search.score(X, y) > 0.8
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))


def test_halving_search():
    grid = {"density": [0.05, 0.25], "selector": ["lsh", "sketch"], "activation": ["relu", "tanh"]}
    search = HalvingGridSearchCV(
        small(), grid, cv=2, resource="max_iter", min_resources=2, max_resources=8,
        error_score="raise", random_state=0,
    ).fit(X, Y)  # fmt: skip
    assert search.n_iterations_ == 2 and search.best_estimator_.n_iter_ > 2
    assert search.score(X_TEST, Y_TEST) > 0.7


def test_randomized_search_on_worker_processes_finds_the_same():
    found = [
        RandomizedSearchCV(
            small(n_threads=None, max_iter=3), {"density": [0.1, 0.2, 0.3, 0.4]}, n_iter=3, cv=2,
            n_jobs=n_jobs, random_state=0, error_score="raise",
        ).fit(X, Y) for n_jobs in (1, 2)
    ]  # fmt: skip
    for one, two in zip(*(s.cv_results_["mean_test_score"] for s in found), strict=True):
        assert one == two
    assert_same_parameters(*(s.best_estimator_ for s in found))


def test_columns_of_a_data_frame():
    frame = pd.DataFrame(X[:, 20:30]).add_prefix("pixel")
    frame["parity"] = np.where(Y % 2, "odd", "even")
    columns = ColumnTransformer([
        ("pixels", StandardScaler(), list(frame.columns[:-1])),
        ("words", OneHotEncoder(), ["parity"]),
    ])  # fmt: skip
    plain = make_pipeline(columns, small(max_iter=20)).fit(frame, Y)
    assert plain.score(frame, Y) > 0.6
    columns = clone(columns).set_params(words__sparse_output=False)
    named = make_pipeline(columns, small(max_iter=20)).set_output(transform="pandas").fit(frame, Y)
    assert list(named[-1].feature_names_in_) == list(columns.fit(frame).get_feature_names_out())
    np.testing.assert_array_equal(named.predict(frame), plain.predict(frame))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_cross_val_predict(method):
    found = cross_val_predict(small(max_iter=15), X, Y, cv=3, method=method)
    if method != "predict":
        assert found.shape == (len(X), 10)
        found = found.argmax(axis=1)
    assert accuracy_score(Y, found) > 0.8


@pytest.mark.parametrize("ensemble", [True, False])
def test_calibration(ensemble):
    # Scores are float32: sigmoid calibration of scikit-learn 1.6 wants weights of the same type.
    weight = np.ones(len(X), np.float32 if sklearn.__version__.startswith("1.6.") else np.float64)
    model = CalibratedClassifierCV(small(), cv=2, ensemble=ensemble).fit(X, Y, weight)
    proba = model.predict_proba(X_TEST)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert model.score(X_TEST, Y_TEST) > 0.7


def test_bagging_weighs_rows():
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    bag = BaggingClassifier(small(max_iter=10), n_estimators=3, max_samples=0.7, random_state=0)
    assert bag.fit(X, Y, sample_weight=weight).score(X_TEST, Y_TEST) > 0.75
    assert not np.array_equal(*(e.coefs_[0] for e in bag.estimators_[:2]))


@pytest.mark.parametrize("ensemble", [
    lambda model: VotingClassifier([("a", model), ("b", LogisticRegression())], voting="soft"),
    lambda model: StackingClassifier([("a", model), ("b", LogisticRegression())], cv=2),
    lambda model: OneVsRestClassifier(model),
], ids=["voting", "stacking", "one-vs-rest"])  # fmt: skip
def test_ensembles(ensemble):
    assert ensemble(small(max_iter=10)).fit(X, Y).score(X_TEST, Y_TEST) > 0.8


def test_classifier_chain():
    labels, expected = (np.column_stack([y > 4, y % 2 == 0]).astype(int) for y in (Y, Y_TEST))
    chain = ClassifierChain(small(max_iter=20)).fit(X, labels)
    assert np.mean(chain.predict(X_TEST) == expected) > 0.85


def test_permutation_importance():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = X[:, 1] - 2 * X[:, 3]
    model = small(LSHMLPRegressor, max_iter=40, density=0.5).fit(X, y)
    importance = permutation_importance(model, X, y, n_repeats=3, random_state=0).importances_mean
    assert list(np.argsort(importance)[-2:]) == [1, 3] and importance[3] > 0.5


def test_learning_curve():
    sizes, train, test = learning_curve(
        small(max_iter=20), X, Y, train_sizes=[50, 200], cv=2, error_score="raise"
    )
    assert list(sizes) == [50, 200] and train.shape == test.shape == (2, 2)
    assert test[1].mean() > test[0].mean()
    # partial_fit trains on more and more rows.
    *_, grown = learning_curve(
        small(), X, Y, train_sizes=[50, 200], cv=2, exploit_incremental_learning=True
    )
    assert np.isfinite(grown).all()


def test_transformed_targets():
    model = TransformedTargetRegressor(
        small(LSHMLPRegressor, max_iter=40), transformer=StandardScaler()
    ).fit(X, 1000 * TARGET)
    assert model.score(X, 1000 * TARGET) > 0.8


WEIGHT = np.where(Y < 5, 1.0, 0.0)


def test_metadata_routing():
    pipeline = make_pipeline(StandardScaler().fit(X), small())
    alone = small().fit(StandardScaler().fit_transform(X), Y, WEIGHT)
    plain = clone(pipeline).fit(X, Y, lshmlpclassifier__sample_weight=WEIGHT)
    assert_same_parameters(plain[-1], alone)
    with config_context(enable_metadata_routing=True):
        pipeline[-1].set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline[0].set_fit_request(sample_weight=False)
        assert_same_parameters(clone(pipeline).fit(X, Y, sample_weight=WEIGHT)[-1], alone)
        # A scorer of its own: before scikit-learn 1.8 a pipeline's `score` is not routed there.
        accuracy = get_scorer("accuracy").set_score_request(sample_weight=True)
        results = cross_validate(
            pipeline, X, Y, cv=2, params={"sample_weight": WEIGHT}, error_score="raise",
            return_estimator=True, scoring=accuracy,
        )  # fmt: skip
        # Only rows that have a weight are learned, and scored.
        assert results["test_score"].min() > 0.85
        for model in results["estimator"]:
            assert np.mean(model.predict(X) < 5) > 0.95
        refused = small().set_fit_request(sample_weight=False)
        with pytest.raises(TypeError, match="sample_weight"):
            make_pipeline(StandardScaler().set_fit_request(sample_weight=False), refused).fit(
                X, Y, sample_weight=WEIGHT
            )


def test_partial_fit_is_routed():
    with config_context(enable_metadata_routing=True):
        model = small().set_partial_fit_request(classes=True, sample_weight=True)
        requests = model.get_metadata_routing().partial_fit.requests
    assert requests == {"classes": True, "sample_weight": True}
