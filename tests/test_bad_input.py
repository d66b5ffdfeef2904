"""Bad input: an error that names the problem, and an estimator that is as it was."""

import sys

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor
from sklearn_lsh.datasets import dump_multilabel
from sklearn_lsh.metrics import inverse_propensities, precision_at_k

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 8))
Y = RNG.permutation(np.arange(60) % 3)
TARGET = np.abs(X[:, 0])
ONES = np.ones(60)


def make(cls=LSHMLPClassifier, **params):
    defaults = {
        "hidden_layer_sizes": (32,), "selector": "lsh", "density": 0.25, "max_iter": 2,
        "n_threads": 1, "random_state": 0,
    }  # fmt: skip
    return cls(**defaults | params)


def target_of(cls):
    return Y if cls is LSHMLPClassifier else TARGET


def with_entry(value, to_input=np.array):
    bad = X.copy()
    bad[3, 2] = value
    return to_input(bad)


def weights(value):
    bad = ONES.copy()
    bad[5] = value
    return bad


def assert_unchanged_by(model, calls, match):
    """Every call fails with a message that matches, and predicts as before, to the bit."""
    X_before, n_features, names = X.copy(), model.n_features_in_, set(vars(model))
    expected, coefs = model.predict(X), [W.copy() for W in model.coefs_]
    params = model.get_params()
    for call in calls:
        with pytest.raises((ValueError, TypeError), match=match):
            call(model)
        model.set_params(**params)
        np.testing.assert_array_equal(model.predict(X), expected)
        for W, before in zip(model.coefs_, coefs, strict=True):
            np.testing.assert_array_equal(W, before)
        assert model.n_features_in_ == n_features and set(vars(model)) == names
    np.testing.assert_array_equal(X, X_before)


BAD_PARAMETERS = [
    ("selector", "nearest"), ("selector", None), ("selector", ["lsh", "lsh"]),
    ("selector", ["nearest"]), ("selector", []),
    ("activation", "softplus"), ("activation", ["relu", "relu"]), ("activation", ["softplus"]),
    ("hash_function", "md5"), ("hash_function", None),
    ("solver", "rmsprop"), ("solver", "lbfgs"),
    ("density", 0), ("density", 0.0), ("density", 1.5), ("density", -0.1), ("density", np.nan),
    ("density", "half"), ("density", [0.1, 0.1]), ("density", [0.0]), ("density", []),
    ("n_hashes", 0), ("n_hashes", 64), ("n_hashes", 2.5), ("n_tables", 0), ("n_tables", -1),
    ("n_probes", 0), ("n_probes", 1.5), ("n_probes", 2**16 + 1), ("n_candidates", -1),
    ("sketch_size", 0), ("sketch_size", -3), ("asynchronous", "yes"), ("n_threads", 0),
    ("n_threads", 1.5),
    ("hidden_layer_sizes", (0,)), ("hidden_layer_sizes", (10, -3)), ("batch_size", 0),
    ("hidden_layer_sizes", 2**31),
    ("alpha", -1e-3), ("alpha", np.nan), ("learning_rate_init", 0.0), ("learning_rate", "fast"),
    ("max_iter", 0), ("tol", -1.0), ("momentum", 1.5), ("beta_1", 1.0), ("beta_2", -0.1),
    ("beta_1", 1 - 1e-8), ("beta_2", 1 - 1e-8),
    ("epsilon", 0.0), ("validation_fraction", 1.0), ("n_iter_no_change", 0),
    ("power_t", -1.0), ("random_state", "seed"), ("alpha", 10**400), ("tol", 10**400),
    ("n_threads", 2**31),
]  # fmt: skip


@pytest.mark.parametrize("name, value", BAD_PARAMETERS, ids=lambda v: str(v))
@pytest.mark.parametrize("cls", [LSHMLPClassifier, LSHMLPRegressor])
def test_bad_parameter(cls, name, value):
    y = target_of(cls)
    bad = {name: value}
    unfitted = make(cls, **bad)
    with pytest.raises((ValueError, TypeError), match=name):
        unfitted.fit(X, y)
    assert not hasattr(unfitted, "coefs_")
    assert_unchanged_by(
        make(cls).fit(X, y),
        [
            lambda model: model.set_params(**bad).partial_fit(X, y),
            lambda model: model.set_params(**bad).fit(X, y),
            lambda model: model.set_params(**bad, warm_start=True).fit(X, y),
        ],
        match=name,
    )


@pytest.mark.parametrize("cls", [LSHMLPClassifier, LSHMLPRegressor])
def test_lbfgs_is_refused_with_the_reason(cls):
    with pytest.raises(ValueError, match=r"(?is)(?=.*lbfgs).*(full|batch|stochastic|sparse|lazy)"):
        make(cls, solver="lbfgs").fit(X, target_of(cls))


@pytest.mark.parametrize("name, value", [("class_weight", "heavy"), ("class_weight", {0: -1.0})])
def test_bad_class_weight(name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        make(**{name: value}).fit(X, Y)


def test_bad_loss():
    with pytest.raises(ValueError, match="loss"):
        make(LSHMLPRegressor, loss="hinge").fit(X, TARGET)


BAD_DATA = {  # name: (X, y or None for a good one, sample_weight, what the message mentions)
    "nan": (with_entry(np.nan), None, None, "NaN"),
    "inf": (with_entry(np.inf), None, None, "infinity|inf"),
    "nan in csr": (with_entry(np.nan, sp.csr_array), None, None, "NaN"),
    "inf in csr": (with_entry(np.inf, sp.csr_array), None, None, "infinity|inf"),
    "nan in csc": (with_entry(np.nan, sp.csc_array), None, None, "NaN"),
    "too large for float32": (with_entry(1e60), None, None, "(?i)float32|infinity|large"),
    "text": (np.full((60, 8), "a"), None, None, "(?i)convert|numeric|string"),
    "complex": (X + 1j, None, None, "(?i)complex"),
    "empty": (X[:0], [], None, "(?i)sample"),
    "empty csr": (sp.csr_array((0, 8)), [], None, "(?i)sample"),
    "no features": (X[:, :0], None, None, "(?i)feature"),
    "one-dimensional": (X[:, 0], None, None, "(?i)2D"),
    "y too short": (X, Y[:-1], None, "(?i)inconsistent|samples|length"),
    "ragged y": (X, [[0]] * 30 + [[0, 1]] * 30, None,
                 "(?i)inhomogeneous|sequence|ragged|legacy|label"),
    "nan in y": (X, np.where(np.arange(60) == 7, np.nan, Y), None, "NaN"),
    "no y": (X, "none", None, "(?i)y"),
    "negative weight": (X, None, weights(-1.0), "(?i)negative"),
    "nan weight": (X, None, weights(np.nan), "(?i)weight"),
    "inf weight": (X, None, weights(np.inf), "(?i)weight"),
    "no weight": (X, None, 0 * ONES, "(?i)weight"),
    "weights too few": (X, None, ONES[:-1], "(?i)weight"),
    "weights two-dimensional": (X, None, np.ones((60, 2)), "(?i)weight"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_DATA)
@pytest.mark.parametrize("cls", [LSHMLPClassifier, LSHMLPRegressor])
def test_bad_data(cls, case):
    bad_X, bad_y, sample_weight, match = BAD_DATA[case]
    good = target_of(cls)
    if bad_y is None:
        bad_y = good[: bad_X.shape[0]]
    elif isinstance(bad_y, str):
        bad_y = None
    elif len(bad_y) == len(Y) - 1:
        bad_y = good[:-1]

    def fit(model):
        model.fit(bad_X, bad_y, sample_weight=sample_weight)

    with pytest.raises((ValueError, TypeError), match=match):
        fit(make(cls))
    assert_unchanged_by(
        make(cls).fit(X, good),
        [
            lambda model: model.partial_fit(bad_X, bad_y, sample_weight=sample_weight),
            lambda model: fit(model.set_params(warm_start=True)),
            fit,
        ],
        match=match,
    )


@pytest.mark.parametrize("to_input", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("cls", [LSHMLPClassifier, LSHMLPRegressor])
def test_wrong_feature_count(cls, to_input):
    y = target_of(cls)
    narrow = to_input(X[:, :5])
    assert_unchanged_by(
        make(cls).fit(X, y),
        [
            lambda model: model.predict(narrow),
            lambda model: model.score(narrow, y),
            lambda model: model.partial_fit(narrow, y),
            lambda model: model.set_params(warm_start=True).fit(narrow, y),
        ],
        match="5 features.*8 features",
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("to_input", [np.asarray, sp.csr_array], ids=["dense", "csr"])
def test_prediction_refuses_what_is_not_finite(to_input, value):
    model = make().fit(X, Y)
    for method in (model.predict, model.predict_proba, model.decision_function):
        with pytest.raises(ValueError, match=r"NaN|inf"):
            method(with_entry(value, to_input))


def test_numbers_that_no_float_holds():
    model = make().fit(X, Y)
    calls = [
        lambda model: model.fit([[10**400] * 8] * 60, Y),
        lambda model: model.partial_fit([[10**400] * 8] * 60, Y),
        lambda model: model.predict([[10**400] * 8]),
    ]
    assert_unchanged_by(model, calls, match="X")


def test_classes_that_do_not_fit():
    unseen = np.where(np.arange(60) < 5, 9, Y)
    assert_unchanged_by(
        make().fit(X, Y),
        [
            lambda model: model.partial_fit(X, unseen),
            lambda model: model.partial_fit(X, Y, classes=[0, 1]),
            lambda model: model.set_params(warm_start=True).fit(X, unseen),
        ],
        match="(?i)class",
    )
    with pytest.raises(ValueError, match=r"(?i)class"):
        make().partial_fit(X, unseen, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="classes is empty"):
        make().partial_fit(X, Y, classes=[])


def test_other_targets_than_before():
    two = np.column_stack([TARGET, TARGET])
    assert_unchanged_by(
        make(LSHMLPRegressor).fit(X, TARGET),
        [
            lambda model: model.partial_fit(X, two),
            lambda model: model.set_params(warm_start=True).fit(X, two),
        ],
        match="(?i)output|target",
    )


def test_other_layers_than_before():
    assert_unchanged_by(
        make().fit(X, Y),
        [
            lambda model: model.set_params(hidden_layer_sizes=(16,)).partial_fit(X, Y),
            lambda model: model.set_params(hidden_layer_sizes=(16,), warm_start=True).fit(X, Y),
        ],
        match="hidden_layer_sizes",
    )


def test_poisson_needs_counts():
    model = make(LSHMLPRegressor, loss="poisson").fit(X, TARGET)
    assert_unchanged_by(
        model,
        [
            lambda model: model.partial_fit(X, -TARGET),
            lambda model: model.set_params(warm_start=True).fit(X, -TARGET),
            lambda model: model.fit(X, -TARGET),
        ],
        match="(?i)negative|non-negative|poisson|y >= 0",
    )


@pytest.mark.parametrize("cls", [LSHMLPClassifier, LSHMLPRegressor])
def test_partial_fit_has_no_early_stopping(cls):
    y = target_of(cls)
    assert_unchanged_by(
        make(cls).fit(X, y),
        [lambda model: model.set_params(early_stopping=True).partial_fit(X, y)],
        match="early_stopping",
    )


@pytest.mark.parametrize("tables", [{}, {"hash_function": "kmeans", "n_hashes": 1}])
@pytest.mark.parametrize("rate", [1e5, 1e30])
def test_diverging_training_is_an_error(rate, tables):
    diverging = {"solver": "sgd", "learning_rate_init": rate, "sketch_size": None, **tables}
    with np.errstate(all="ignore"):
        with pytest.raises(ValueError, match=r"(?i)finite"):
            make(LSHMLPRegressor, **diverging, max_iter=50).fit(X, 1e3 * TARGET)


def test_clone_of_a_bad_estimator_is_as_bad():
    with pytest.raises(ValueError, match="density"):
        clone(make(density=7.0)).fit(X, Y)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_rows_without_entries_are_rows(asynchronous):
    empty = sp.csr_array((60, 8), dtype=np.float32)
    model = make(asynchronous=asynchronous).fit(empty, Y)
    assert np.isfinite(model.partial_fit(empty[:1], Y[:1]).predict_proba(empty)).all()


@pytest.mark.parametrize("fault", ["high", "low", "pointers"])
@pytest.mark.parametrize("to_input", [sp.csr_array, sp.csc_array])
def test_indices_out_of_range(fault, to_input):
    bad = to_input(X)
    if fault == "pointers":
        bad.indptr[1] = -1
    else:
        bad.indices[0] = {"high": 60, "low": -1}[fault]
    assert_unchanged_by(
        make().fit(X, Y),
        [lambda model: model.predict(bad), lambda model: model.fit(bad, Y)],
        match="X is no valid sparse matrix",
    )
    with pytest.raises(ValueError, match="y is no valid sparse matrix"):
        make().fit(X, bad)
    for call in (precision_at_k, dump_multilabel):
        with pytest.raises(ValueError, match="no valid sparse matrix"):
            call(bad, X[:, :1], "no such file")
    with pytest.raises(ValueError, match="no valid sparse matrix"):
        inverse_propensities(bad)


@pytest.mark.parametrize("n_threads", [2**31, 1025, "two", 0])
def test_threads_that_cannot_be_are_refused_at_prediction_as_well(n_threads):
    model = make().fit(X, Y)
    with pytest.raises(ValueError, match="n_threads"):
        model.set_params(n_threads=n_threads).predict(X)


def test_small_integers_of_numpy_are_integers():
    numbers = {
        "n_threads": 2, "batch_size": 60, "n_hashes": 7, "n_tables": 60, "n_probes": 100,
        "n_candidates": 30, "sketch_size": 4,
    }  # fmt: skip
    small = make(**{name: np.int8(value) for name, value in numbers.items()}).fit(X, Y)
    np.testing.assert_array_equal(
        small.predict_proba(X), make(**numbers).fit(X, Y).predict_proba(X)
    )


@pytest.mark.parametrize("kind", [sp.coo_matrix, sp.lil_matrix, sp.bsr_matrix, sp.csr_matrix])
@pytest.mark.parametrize("fault", [10**8, -1])
def test_sparse_matrices_that_point_outside_are_refused_in_every_format(kind, fault):
    model = make().fit(X, Y)
    broken = kind(X)
    if kind is sp.coo_matrix:
        broken.col[:5] = fault
    elif kind is sp.lil_matrix:
        broken.rows[0][0] = fault
    else:
        broken.indices[:5] = fault
    for call in (lambda: model.predict(broken), lambda: model.fit(broken, Y)):
        with pytest.raises(ValueError, match="no valid sparse matrix"):
            call()


def test_row_pointers_too_many_or_too_few_are_refused():
    model = make().fit(X, Y)
    for indptr in (lambda p: p[:-1], lambda p: np.append(p, p[-1])):
        broken = sp.csr_matrix(X)
        broken.indptr = indptr(broken.indptr)
        with pytest.raises(ValueError, match="no valid sparse matrix"):
            model.predict(broken)


@pytest.mark.parametrize("batch_size", [10**18, 2**62, sys.maxsize, 10**400])
def test_batches_larger_than_any_data_end(batch_size, tmp_path):
    with pytest.warns(UserWarning, match="clipped"):
        model = make(batch_size=batch_size, selector="lsh").fit(X, Y)
    model.save(tmp_path / "model")
    restored = LSHMLPClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(restored.predict(X), model.predict(X))


def test_powers_that_no_float_holds():
    make(solver="sgd", learning_rate="invscaling", power_t=1e300).fit(X, Y)
    for model in (make(class_weight={0: 10**400}), make(LSHMLPRegressor, delta=10**400)):
        with pytest.raises(ValueError, match=r"class_weight|delta"):
            model.fit(X, Y)


def test_scores_that_cannot_be_had_leave_a_warm_start_as_it_was():
    model = make(warm_start=True).fit(X, Y)
    before = joblib.hash(model._trainer), model.t_, list(model.loss_curve_)
    model.set_params(early_stopping=True, scoring="roc_auc")
    with pytest.raises(ValueError):
        model.fit(X, Y)
    assert (joblib.hash(model._trainer), model.t_, model.loss_curve_) == before
