"""Fits that were killed, and go on from their files."""

import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from cases import TARGET, X_TEST, Y_TEST, X, Y, assert_same_parameters, small
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score, make_scorer

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor, _checkpoint
from sklearn_lsh._archive import read_archive, write_archive
from sklearn_lsh._epochs import Epochs
from sklearn_lsh._training import Trainer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LABELS = (Y[:, None] == np.arange(150)).astype(int) | (np.arange(150) == 140)
HISTORY = [
    "loss_curve_", "validation_scores_", "validation_loss_curve_", "n_iter_", "t_",
    "n_multiplications_", "best_loss_", "best_validation_score_",
]  # fmt: skip
HELD_OUT = {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 12}
CASES = {
    "sketch": (LSHMLPClassifier, X, Y, {"selector": "sketch"}),
    "lsh": (LSHMLPClassifier, X, Y, {"selector": "lsh", "hash_function": "kmeans", "n_hashes": 1}),
    "two layers": (LSHMLPClassifier, X, Y, {"hidden_layer_sizes": (64, 40), "selector": "topk"}),
    "dropout": (LSHMLPClassifier, X, Y, {"selector": "dropout"}),
    "dense over sparse": (LSHMLPClassifier, sp.csr_matrix(X), Y, {"selector": "dense"}),
    "labels": (LSHMLPClassifier, X, LABELS, {"sampled_output": True, "loss": "softmax"}),
    "held out": (LSHMLPClassifier, X, Y, HELD_OUT),
    "huber": (LSHMLPRegressor, X, TARGET, {"loss": "huber", "delta": 0.3} | HELD_OUT),
    "invscaling": (LSHMLPRegressor, X, TARGET, {"solver": "sgd", "learning_rate": "invscaling"}),
    "adaptive": (
        LSHMLPClassifier, X, Y,
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1},
    ),
    "adagrad, in order": (LSHMLPClassifier, X, Y, {"solver": "adagrad", "shuffle": False}),
    "warm start": (LSHMLPClassifier, X, Y, {"warm_start": True}),
}  # fmt: skip


class Killed(BaseException):
    pass


@pytest.fixture
def killed_after(monkeypatch):
    """Kill a fit once it has written its file so many times."""

    def kill(n_epochs):
        written = []

        def write(path, *args):
            write_archive(path, *args)
            written.append(path)
            if len(written) == n_epochs:
                raise Killed

        monkeypatch.setattr(_checkpoint, "write_archive", write)

    yield kill


@pytest.mark.parametrize("name", CASES)
def test_the_same_result_as_without_a_stop(name, killed_after, tmp_path):
    cls, data, y, params = CASES[name]
    path = tmp_path / "fit.zip"
    whole = small(cls, **params).fit(data, y)
    killed_after(3)  # the first is written before anything is learned
    with pytest.raises(Killed):
        small(cls, checkpoint=path, **params).fit(data, y)
    killed_after(2)
    with pytest.raises(Killed):
        small(cls, checkpoint=str(path), n_threads=2, **params).fit(data, y)
    killed_after(-1)
    model = small(cls, checkpoint=path, **params).fit(data, y)
    assert not path.exists()
    assert_same_parameters(model, whole)
    for attribute in HISTORY:
        assert getattr(model, attribute) == getattr(whole, attribute), attribute
    np.testing.assert_array_equal(model.predict(data), whole.predict(data))
    if model.warm_start:
        model.fit(data, y)
        assert_same_parameters(model, whole.fit(data, y))


def n_done(path):
    return read_archive(path)["model"]["fitted"]["n_iter_"] if path.exists() else 0


def test_a_process_that_was_killed(stop_after, tmp_path):
    path = tmp_path / "fit.zip"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from cases import X, Y, small\n"
        "small(max_iter=10**6, tol=0.0, n_iter_no_change=10**6, checkpoint=sys.argv[2]).fit(X, Y)"
    )
    folder = os.path.dirname(__file__)
    process = subprocess.Popen([sys.executable, "-c", code, folder, str(path)])
    try:
        deadline = time.monotonic() + 60
        while not n_done(path) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    done = n_done(path)
    assert done >= 1
    model = small(max_iter=10**6, tol=0.0, n_iter_no_change=10**6, checkpoint=path)
    loss_curve = stop_after(done + 2)
    with pytest.raises(Killed):
        model.fit(X, Y)
    stop_after(-1)
    assert loss_curve == small(max_iter=done + 2).fit(X, Y).loss_curve_


@pytest.fixture
def stop_after(monkeypatch):
    """End a fit after so many epochs, by an exception; gives its loss curve."""

    original = Epochs._record

    def stop(n_epochs, error=Killed):
        curve = []

        def record(epochs):
            value = original(epochs)
            if epochs.est.n_iter_ == n_epochs:
                curve.extend(epochs.est.loss_curve_)
                raise error
            return value

        monkeypatch.setattr(Epochs, "_record", record)
        return curve

    yield stop


def test_a_kill_while_writing_leaves_one_file_for_the_next_to_use(killed_after, tmp_path):
    path = tmp_path / "fit.zip"
    killed_after(2)
    with pytest.raises(Killed):
        small(checkpoint=path).fit(X, Y)
    (tmp_path / "fit.zip.unfinished").write_bytes(path.read_bytes()[:1000])
    killed_after(-1)
    assert_same_parameters(small(checkpoint=path).fit(X, Y), small().fit(X, Y))
    assert not list(tmp_path.iterdir())


def test_files_that_links_lead_to_are_left_alone(tmp_path):
    path = tmp_path / "fit.zip"
    (tmp_path / "other").write_text("of somebody else")
    (tmp_path / "fit.zip.unfinished").symlink_to(tmp_path / "other")
    small(checkpoint=path).fit(X, Y)
    assert [p.name for p in tmp_path.iterdir()] == ["other"]
    assert (tmp_path / "other").read_text() == "of somebody else"


@pytest.mark.parametrize("incremental", [False, True])
def test_a_warm_start_that_cannot_write_changes_nothing(incremental, tmp_path, monkeypatch):
    def fails(*_):
        raise OSError("no space left")

    model, expected = (small(warm_start=True, early_stopping=True).fit(X, Y) for _ in range(2))
    model.set_params(checkpoint=tmp_path / "fit", learning_rate_init=0.5, alpha=0.1, batch_size=7)
    monkeypatch.setattr(_checkpoint, "write_archive", fails)
    with pytest.raises(OSError, match="no space"):
        model.fit(X, Y)
    model.set_params(**expected.get_params())
    for est in (model, expected):
        est.set_params(early_stopping=False).partial_fit(X, Y) if incremental else est.fit(X, Y)
    assert_same_parameters(model, expected)


class Narrow(LSHMLPClassifier):
    """Has a parameter of its own, and not those of its parent."""

    def __init__(self, scale, checkpoint=None):
        self.scale = scale
        super().__init__((64,), batch_size=50, max_iter=5, random_state=0, checkpoint=checkpoint)


def test_subclasses_with_other_parameters(killed_after, tmp_path):
    path = tmp_path / "fit.zip"
    killed_after(3)
    with pytest.raises(Killed):
        Narrow(2, path).fit(X, Y)
    killed_after(-1)
    model = Narrow(2, path).fit(X, Y)
    assert_same_parameters(model, Narrow(2).fit(X, Y))
    model.save(path)
    loaded = Narrow.load(path)
    assert loaded.scale == 2
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_an_interrupt_keeps_model_and_file(stop_after, tmp_path):
    path = tmp_path / "fit.zip"
    model = small(checkpoint=path)
    whole = small().fit(X, Y)
    stop_after(3, KeyboardInterrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, Y)
    assert model.n_iter_ == 3 and path.exists()
    stop_after(-1)
    assert_same_parameters(small(checkpoint=path).fit(X, Y), whole)


@pytest.mark.parametrize(
    ("params", "data", "y"),
    [
        ({"learning_rate_init": 0.1}, X, Y),
        ({"random_state": 1}, X, Y),
        ({"hidden_layer_sizes": (65,)}, X, Y),
        ({"random_state": np.random.RandomState(1)}, X, Y),
        ({"scoring": make_scorer(f1_score, average="macro")}, X, Y),
        ({}, X + 1, Y),
        ({}, X, Y + 1),
        ({}, X, Y[::-1]),
        ({}, X[:300], Y[:300]),
        ({}, sp.csr_matrix(X), Y),
    ],
)
def test_files_of_other_fits_are_refused(params, data, y, killed_after, tmp_path):
    path = tmp_path / "fit.zip"
    killed_after(1)
    with pytest.raises(Killed):
        small(checkpoint=path).fit(X, Y)
    before = path.read_bytes()
    model = small(checkpoint=path, **params)
    with pytest.raises(ValueError, match=r"checkpoint=.* other parameters or other data"):
        model.fit(data, y)
    assert path.read_bytes() == before and not hasattr(model, "classes_")


def damaged(state, how):
    schedule, layers = state["model"]["trainer"]["schedule"], state["model"]["trainer"]["layers"]
    if how == "order":
        schedule["order"] = np.zeros_like(schedule["order"])
    elif how == "no order":
        schedule["order"] = None
    elif how == "short":
        schedule["order"] = schedule["order"][:-1]
    elif how == "shape":
        layers[-1]["stored"] = np.zeros((10, 64), dtype=np.float32)
        layers[0]["stored"] = np.zeros((64, 63), dtype=np.float32)
        layers[0]["slots"] = layers[1]["slots"] = []
    elif how == "monitor":
        state["monitor"]["no_improvement"] = "3"
    elif how == "best":
        state["monitor"]["best_layers"] = layers[:1]
    elif how == "epochs":
        state["model"]["fitted"]["n_iter_"] = 2**60
    elif how == "start":
        state["start"]["pos"] = 10**6
    else:
        del state["monitor"]


@pytest.mark.parametrize(
    "how",
    ["order", "no order", "short", "shape", "monitor", "best", "epochs", "start", "missing"],
)
def test_files_that_were_tampered_with_are_refused(how, killed_after, tmp_path):
    path = tmp_path / "fit.zip"
    killed_after(1)
    with pytest.raises(Killed):
        small(checkpoint=path, selector="dense").fit(X, Y)
    state = read_archive(path)
    damaged(state, how)
    write_archive(path, state)
    model = small(checkpoint=path, selector="dense")
    with pytest.raises(ValueError, match="checkpoint="):
        model.fit(X, Y)
    assert not hasattr(model, "classes_")
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no model"):
        model.fit(X, Y)


@pytest.mark.parametrize("name", ["none/fit.zip", ".", "\0"])
def test_what_cannot_be_written_is_refused(name, tmp_path):
    for path in (tmp_path / name, ""):
        model = small(checkpoint=path)
        with pytest.raises(ValueError, match="checkpoint="):
            model.fit(X, Y)
        assert not hasattr(model, "classes_")


def test_what_does_not_matter_may_change(killed_after, tmp_path, capsys):
    path = tmp_path / "fit.zip"
    killed_after(3)
    with pytest.raises(Killed):
        small(checkpoint=path).fit(X, Y)
    os.rename(path, tmp_path / "other")
    small(checkpoint=tmp_path / "other", n_threads=2, verbose=True).fit(X, Y)
    assert "after iteration 2" in capsys.readouterr().out


def test_chunks_and_saved_models_know_no_checkpoint(tmp_path):
    path = tmp_path / "fit.zip"
    model = small(checkpoint=path).partial_fit(X, Y, classes=np.arange(10))
    model.save(tmp_path / "model")
    assert not path.exists()
    assert LSHMLPClassifier.load(tmp_path / "model").checkpoint is None


def test_random_numbers_of_no_seed(killed_after, tmp_path):
    """The rows held out are those of the fit that was killed."""
    path = tmp_path / "fit.zip"
    np.random.seed(1)  # noqa: NPY002
    killed_after(3)
    with pytest.raises(Killed):
        small(checkpoint=path, random_state=None, **HELD_OUT).fit(X, Y)
    killed_after(-1)
    np.random.seed(2)  # noqa: NPY002
    model = small(checkpoint=path, random_state=None, **HELD_OUT).fit(X, Y)
    np.random.seed(1)  # noqa: NPY002
    assert_same_parameters(model, small(random_state=None, **HELD_OUT).fit(X, Y))


def test_a_warm_start_begins_with_the_same_weights(killed_after, tmp_path):
    path = tmp_path / "fit.zip"
    params = {"warm_start": True, "class_weight": {1: 2.0, 3: 0.0}, **HELD_OUT}
    start = small(**params).fit(X, Y)
    start.save(tmp_path / "start")
    whole = start.fit(X, Y, X_val=X_TEST, y_val=Y_TEST)
    model = LSHMLPClassifier.load(tmp_path / "start").set_params(checkpoint=path)
    killed_after(3)
    with pytest.raises(Killed):
        model.fit(X, Y, X_val=X_TEST, y_val=Y_TEST)
    with pytest.raises(ValueError, match="other parameters or other data"):
        small(checkpoint=path, **params).fit(X, Y, X_val=X_TEST, y_val=Y_TEST)
    killed_after(-1)
    model = LSHMLPClassifier.load(tmp_path / "start").set_params(checkpoint=path)
    assert_same_parameters(model.fit(X, Y, X_val=X_TEST, y_val=Y_TEST), whole)


def test_the_file_stays_until_the_fit_is_done(tmp_path):
    path = tmp_path / "fit.zip"
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning):
            small(checkpoint=path).fit(X, Y)
    assert path.exists()
    assert_same_parameters(small(checkpoint=path).fit(X, Y), small().fit(X, Y))


def test_state_that_the_solver_no_longer_has_is_not_written(tmp_path, monkeypatch):
    """momentum=0 needs none; what momentum left behind goes with the first step only."""
    path = tmp_path / "fit.zip"

    def start():
        return LSHMLPClassifier(
            (16,), solver="sgd", warm_start=True, max_iter=2, random_state=0
        ).fit(X, Y)  # fmt: skip

    def stop(*args, **kwargs):
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        model = start().set_params(momentum=0, checkpoint=path)
        patch.setattr(Trainer, "epoch", stop)
        model.fit(X, Y)
    resumed = start().set_params(momentum=0, checkpoint=path).fit(X, Y)
    straight = start().set_params(momentum=0).fit(X, Y)
    assert_same_parameters(resumed, straight)
