"""Callbacks of scikit-learn: what they hear, and what they may do."""

import pickle
import warnings
from contextlib import nullcontext

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

    def __init__(self, stop_after=np.inf, fail=None, fail_after=0):
        self.calls, self.epochs, self.stop_after, self.fail = [], 0, stop_after, fail
        self.ids, self.fail_after = [], fail_after

    def hear(self, hook, context, **given):
        self.calls.append((hook, context.task_name, given))
        if self.fail == hook and self.epochs >= self.fail_after:
            raise RuntimeError(f"failed at {hook}")

    def setup(self, estimator, context):
        self.hear("setup", context)

    def teardown(self, estimator, context):
        self.hear("teardown", context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.ids += [context.task_id] * (context.task_name == "epoch")
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


@pytest.mark.parametrize("incremental", [False, True])
def test_epochs_before_a_failure_stay_in_a_network_that_goes_on(incremental):
    """Its weights have moved: the history tells of them."""
    model = small(warm_start=True).fit(X, Y)
    expected = small(warm_start=True).fit(X, Y)
    model.set_callbacks(Recorder(fail="end"))
    with pytest.raises(RuntimeError, match="failed at end"):
        model.partial_fit(X, Y) if incremental else model.fit(X, Y)
    expected.partial_fit(X, Y) if incremental else expected.set_params(max_iter=1).fit(X, Y)
    assert_same_parameters(model, expected)
    for name in ("loss_curve_", "n_iter_", "t_", "best_loss_"):
        assert getattr(model, name) == getattr(expected, name), name


def test_epochs_keep_their_numbers_in_a_fit_that_was_killed(tmp_path):
    recorders = Recorder(fail="end", fail_after=2), Recorder()
    for recorder in recorders:
        model = small(checkpoint=tmp_path / "fit.zip").set_callbacks(recorder)
        with pytest.raises(RuntimeError) if recorder.fail else nullcontext():
            model.fit(X, Y)
    assert [recorder.ids for recorder in recorders] == [[0, 1, 2], [2, 3, 4]]


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
