"""Callbacks of scikit-learn: what they hear, and what they may do."""

import pickle
import warnings

import numpy as np
import pytest
from cases import X_TEST, Y_TEST, X, Y, assert_same_parameters, multi_output, small, ten_classes
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has them since 1.9")


class Recorder:
    """Keeps (hook, task, arguments) of every call; may stop after some epochs, or fail."""

    def __init__(self, stop_after=np.inf, fail=None):
        self.calls, self.epochs, self.stop_after, self.fail = [], 0, stop_after, fail

    def hear(self, hook, context, **given):
        self.calls.append((hook, context.task_name, given))
        if self.fail == hook:
            raise RuntimeError(f"failed at {hook}")

    def setup(self, estimator, context):
        self.hear("setup", context)

    def teardown(self, estimator, context):
        self.hear("teardown", context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.hear("begin", context, X=X, y=y, metadata=metadata, n=context.max_subtasks)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.hear("end", context, X=X, y=y, model=fitted_estimator)
        self.epochs += context.task_name == "epoch"
        return self.epochs >= self.stop_after

    def names(self):
        return [(hook, task) for hook, task, _ in self.calls]


EPOCH = [("begin", "epoch"), ("end", "epoch")]


def heard(n_epochs):
    tasks = [("begin", "fit"), *n_epochs * EPOCH, ("end", "fit")]
    return [("setup", "fit"), *tasks, ("teardown", "fit")]


@pytest.mark.parametrize("case", [ten_classes, multi_output])
def test_what_callbacks_hear(case):
    model, y = case()
    recorder, weight = Recorder(), np.ones(len(X))
    expected = clone(model).fit(X, y, sample_weight=weight)
    assert_same_parameters(model.set_callbacks(recorder).fit(X, y, sample_weight=weight), expected)
    assert recorder.names() == heard(5)
    begin = recorder.calls[1][2]
    assert begin["X"] is X and begin["y"] is y and begin["n"] == 5
    assert begin["metadata"]["sample_weight"] is weight
    recorder.calls.clear()
    model.partial_fit(X, y)
    assert recorder.names() == heard(1)
    assert set(vars(model)) - set(vars(expected)) == {"_skl_callbacks"}


@pytest.mark.parametrize("selector", ["dense", "sketch", "lsh", "adaptive_dropout"])
def test_after_an_epoch_the_model_is_as_if_training_had_ended(selector):
    recorder = Recorder()
    model = small(selector=selector, max_iter=3).set_callbacks(recorder).fit(X, Y)
    at_epochs = [given["model"] for hook, task, given in recorder.calls if hook == "end"][:3]
    for epoch, found in enumerate(at_epochs, start=1):
        shorter = small(selector=selector, max_iter=epoch).fit(X, Y)
        np.testing.assert_array_equal(found.predict_proba(X), shorter.predict_proba(X))
        assert found.loss_curve_ == shorter.loss_curve_ and found.n_iter_ == epoch
        assert not any(layer.slots for layer in found._network.layers)
    np.testing.assert_array_equal(at_epochs[-1].predict_proba(X), model.predict_proba(X))


def test_a_callback_may_stop_training():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = small(max_iter=50).set_callbacks(Recorder(stop_after=3)).fit(X, Y)
    assert model.n_iter_ == 3
    assert_same_parameters(model, small(max_iter=3).fit(X, Y))


def assert_as_before(model, expected, names):
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert set(vars(model)) == names


@pytest.mark.parametrize("hook", ["setup", "begin", "end"])
def test_a_callback_that_fails_is_torn_down_and_the_model_as_before(hook):
    model, recorder = small().fit(X, Y), Recorder(fail=hook)
    expected, names = model.predict_proba(X), set(vars(model))
    model.set_callbacks(recorder)
    with pytest.raises(RuntimeError, match=f"failed at {hook}"):
        model.fit(X, Y)
    assert recorder.names()[-1] == ("teardown", "fit")
    assert_as_before(model, expected, names | {"_skl_callbacks"})


def test_callbacks_are_torn_down_when_fit_fails():
    recorder = Recorder()
    model = small().fit(X, Y).set_callbacks(recorder)
    expected, names = model.predict_proba(X), set(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.where(X == X[0, 5], np.nan, X), Y)
    with pytest.raises(ValueError, match="density"):
        clone(model).set_params(density=7).fit(X, Y)
    assert recorder.names() == [("setup", "fit"), ("begin", "fit"), ("teardown", "fit")]
    assert_as_before(model, expected, names)


def test_clones_and_pickles_keep_their_callbacks():
    model = small(max_iter=2).set_callbacks(Recorder())
    for copy in (clone(model), pickle.loads(pickle.dumps(model.fit(X, Y)))):
        copy.fit(X, Y)
        assert copy._skl_callbacks[0].names()[-6:] == heard(2)[-6:]
        assert_same_parameters(copy, model)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scoring_monitor(n_jobs):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    model = small(max_iter=3).set_callbacks(monitor)
    model.fit(X, Y)
    scores = [row["accuracy"] for row in monitor.get_logs().data]  # of fit, and of its epochs
    assert scores == [model.score(X, Y)] + [
        small(max_iter=k).fit(X, Y).score(X, Y) for k in (1, 2, 3)
    ]
    pipeline = make_pipeline(StandardScaler(), model)
    search = GridSearchCV(pipeline, {"lshmlpclassifier__density": [0.1, 0.2]}, cv=2, n_jobs=n_jobs)
    search.fit(X, Y)
    rows = monitor.get_logs().data
    assert sum(row["task_name"] == "epoch" for row in rows) == (2 * 2 + 1) * 3
    assert search.score(X_TEST, Y_TEST) > 0.6


def test_progress_bars(capsys):
    pytest.importorskip("rich")
    bar = callback.ProgressBar(max_propagation_depth=None)
    search = GridSearchCV(make_pipeline(StandardScaler(), small()), {}, cv=2)
    search.set_callbacks(bar).fit(X, Y)
    assert "LSHMLPClassifier - fit" in capsys.readouterr().out
