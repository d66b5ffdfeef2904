"""What scikit-learn asks of an estimator: its own checks, its company, and documentation."""

import doctest
import inspect
import os
import pickle
import re
import subprocess
import sys

import joblib
import numpy as np
import pytest
from cases import SELECTORS, X, Y, multi_output, small, ten_classes
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*fit-time.*"),
]

ESTIMATORS = [LSHMLPClassifier, LSHMLPRegressor]
CONFIGURATIONS = [  # of both; of narrower layers and fewer epochs, which are quicker to check
    {"selector": "lsh"}, {"selector": "sketch"}, {"selector": "topk"}, {"selector": "dropout"},
    {"selector": "adaptive_dropout"}, {"asynchronous": True, "n_threads": 1}, {"n_threads": 2},
]  # fmt: skip
QUICK = {"hidden_layer_sizes": (100,), "density": 0.5, "max_iter": 100}
CHECKED = [
    *[cls() for cls in ESTIMATORS],
    *[cls(**QUICK, **c) for cls in ESTIMATORS for c in CONFIGURATIONS],
    LSHMLPClassifier(**QUICK, sampled_output=True),
    LSHMLPClassifier(**QUICK, loss="squared_hinge"),
    LSHMLPRegressor(**QUICK, loss="huber"),
    LSHMLPRegressor(**QUICK, loss="absolute_error"),
]


def not_to_be_met(estimator):
    """Checks that a rule of the field contradicts: dropout draws for every example anew."""
    if estimator.selector not in ("dropout", "adaptive_dropout"):
        return {}
    why = "A repeated row draws two sets of neurons, a row of twice the weight one."
    return {f"check_sample_weight_equivalence_on_{kind}_data": why for kind in ("dense", "sparse")}


@parametrize_with_checks(CHECKED, expected_failed_checks=not_to_be_met)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check", [check_param_validation, check_dataframe_column_names_consistency]
)
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_checks_that_scikit_learn_keeps_to_itself(cls, check):
    check(cls.__name__, cls(**QUICK))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_array_api_in_scipy(cls):
    # SciPy reads the variable when it is imported.
    script = (
        f"from sklearn_lsh import {cls.__name__} as E\n"
        "from sklearn.utils.estimator_checks import check_estimator\n"
        f"done = check_estimator(E(**{QUICK}), on_skip=None)\n"
        "print(*[r['check_name'] for r in done if r['status'] != 'passed'])"
    )
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**os.environ, "SCIPY_ARRAY_API": "1"}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert found.stdout.split() == []


@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("case", [ten_classes, multi_output])
def test_clone_pickle_and_state(case, selector, tmp_path):
    model, y = case()
    model.set_params(selector=selector, hash_function="simhash")
    copy = clone(model)
    assert copy.get_params() == model.get_params() and not hasattr(copy, "coefs_")
    expected = model.fit(X, y).predict(X)

    names, state = set(vars(model)), joblib.hash(vars(model))
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        if hasattr(model, method):
            getattr(model, method)(X)
    model.score(X, y)
    assert set(vars(model)) == names and joblib.hash(vars(model)) == state

    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.predict(X), expected)
    np.testing.assert_array_equal(restored.fit(X, y).predict(X), expected)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    np.testing.assert_array_equal(mapped.predict(X), expected)


WITHOUT = """
import sys, sklearn.model_selection, sklearn.metrics
sys.modules["sklearn.callback"] = None
import warnings, joblib
sys.path.insert(0, {tests!r})
from cases import X, Y, small
assert not hasattr(small(), "set_callbacks")
with warnings.catch_warnings(record=True) as caught:
    model = small().fit(X, Y)
assert [w.filename for w in caught] == ["<string>"]
model.partial_fit(X, Y)
print(joblib.hash(model.coefs_))
"""


def test_scikit_learn_without_callbacks(request):
    script = WITHOUT.format(tests=str(request.path.parent))
    found = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    model = small().fit(X, Y).partial_fit(X, Y)
    assert found.stdout.split() == [joblib.hash(model.coefs_)]


def test_warnings_point_to_the_caller():
    with pytest.warns(ConvergenceWarning) as caught:
        small().fit(X, Y)
    assert caught[0].filename == __file__


# ---- Documentation ----------------------------------------------------------------------------


def sections(cls):
    """Body of every section of the class's docstring, by title."""
    parts = re.split(r"^(\w[\w ]*)\n-+\n", inspect.getdoc(cls), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section):
    """Text of every entry of a section, by name."""
    parts = re.split(r"^(\w+) : ", section, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_parameters_are_documented_with_their_defaults(cls):
    documented = entries(sections(cls)["Parameters"])
    parameters = inspect.signature(cls).parameters
    assert list(documented) == list(parameters)
    for name, text in documented.items():
        default = text.split("\n")[0].split("default=")[1]
        assert eval(default) == parameters[name].default, name


@pytest.mark.parametrize("case", [ten_classes, multi_output])
def test_attributes_are_documented(case):
    model, y = case()
    documented = set(entries(sections(type(model))["Attributes"]))
    model.fit(X, y)
    public = {name for name in dir(model) if name.endswith("_") and not name.startswith("_")}
    assert documented - {"feature_names_in_"} == public


def test_the_two_estimators_are_documented_alike():
    ours, theirs = (sections(cls) for cls in ESTIMATORS)
    assert ours["Notes"] == theirs["Notes"] and ours["References"] == theirs["References"]
    shared = [entries(part["Parameters"]) for part in (ours, theirs)]
    for name in set(shared[0]) & set(shared[1]) - {"loss", "scoring"}:
        assert shared[0][name].rstrip() == shared[1][name].rstrip()


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_examples_in_docstrings(cls):
    result = doctest.testmod(sys.modules[cls.__module__])
    assert result.attempted > 0 and result.failed == 0
