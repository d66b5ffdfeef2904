"""A model over several calls: warm starts, interrupts, memory maps."""

import joblib
import numpy as np
import pytest
from cases import X, Y, assert_same_parameters, small

from sklearn_lsh._selectors import SketchSelector

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("selector", ["sketch", "lsh", "dense"])
@pytest.mark.parametrize("incremental", [False, True])
def test_a_memory_mapped_model_goes_on_training(tmp_path, selector, incremental, compressed):
    model = small(selector=selector, hidden_layer_sizes=(64, 64), warm_start=True, max_iter=2)
    model.partial_fit(X, Y, classes=range(10)) if incremental else model.fit(X, Y)
    joblib.dump(model, tmp_path / "model", compress=compressed)
    loaded = joblib.load(tmp_path / "model", mmap_mode=None if compressed else "r")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    for est in (loaded, model):
        est.partial_fit(X, Y) if incremental else est.fit(X, Y)
    assert_same_parameters(loaded, model)


@pytest.mark.parametrize(
    "change", [{"selector": "topk"}, {"solver": "sgd"}, {"density": 0.5}, {"n_tables": 3}], ids=str
)
def test_what_a_network_is_built_by_does_not_change(change):
    model = small(warm_start=True).fit(X, Y)
    before = [W.copy() for W in model.coefs_]
    model.set_params(**change)
    for train in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=f"{next(iter(change))} cannot change"):
            train(X, Y)
    for old, new in zip(before, model.coefs_, strict=True):
        np.testing.assert_array_equal(old, new)
    model.set_params(warm_start=False).fit(X, Y)


def test_a_warm_start_takes_a_new_learning_rate():
    fits = [small(warm_start=True).fit(X, Y) for _ in range(2)]
    fits[1].set_params(learning_rate_init=1e-9)
    before = [W.copy() for W in fits[1].coefs_]
    for model in fits:
        model.fit(X, Y)
    assert np.abs(fits[0].coefs_[0] - before[0]).max() > 1e-3
    assert np.abs(fits[1].coefs_[0] - before[0]).max() < 1e-6


def test_a_warm_start_that_stops_early_ends_with_its_own_best_weights():
    model = small(early_stopping=True, warm_start=True, max_iter=20, n_iter_no_change=3)
    model.fit(X, Y)
    n_before = len(model.validation_scores_)
    other = np.random.default_rng(0).permutation(Y)
    seen = []

    def watched(est, X, y):
        seen.append([W.copy() for W in est.coefs_])
        return est.score(X, y)

    model.set_params(scoring=watched).fit(X, other)
    scores = np.array(model.validation_scores_[n_before:])
    assert len(seen) == len(scores) + 1  # once before anything is learned
    best = seen[len(scores) - scores[::-1].argmax()]
    for old, new in zip(best, model.coefs_, strict=True):
        np.testing.assert_array_equal(old, new)
    assert model._trainer.network.layers[0].W.flags.writeable


def test_an_interrupted_refresh_leaves_no_stale_codes(monkeypatch):
    calls, update = [], SketchSelector.update

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return update(self, *args)

    monkeypatch.setattr(SketchSelector, "update", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        model = small(selector="sketch", hidden_layer_sizes=(200,), sketch_size=8).fit(X, Y)
    assert len(calls) > 6
    found = model.predict_proba(X)
    layer = model._network.layers[0]
    layer.changed[:] = 1
    layer.selector.refresh(layer, 1)
    np.testing.assert_array_equal(found, model.predict_proba(X))


def test_partial_fit_after_fit_starts_adam_anew():
    model = small(solver="adam", alpha=0, max_iter=300, batch_size=20).fit(X, Y)
    before = [W.copy() for W in model.coefs_]
    model.set_params(batch_size=len(X)).partial_fit(X, Y)
    for old, new in zip(before, model.coefs_, strict=True):
        assert np.abs(new - old).max() <= 1.01 * model.learning_rate_init


def test_a_changed_batch_size_does_not_put_off_looks_and_refreshes():
    model = small(selector="sketch", sketch_size=8, batch_size=1)
    for _ in range(5):
        model.partial_fit(X, Y, classes=range(10))
    trainer = model._trainer
    for batch_size in (1, 200):
        model.set_params(batch_size=batch_size).partial_fit(X, Y)
        assert trainer.next_refresh - trainer.rows <= batch_size + trainer.rows / 4
        assert trainer.next_look - trainer.rows <= 20_000


def test_a_refused_warm_start_keeps_the_solver():
    model = small(warm_start=True, early_stopping=True).fit(X, Y)
    before = model._trainer.optimizer.learning_rate
    model.set_params(learning_rate_init=1.0, validation_fraction=1e-6)
    with pytest.raises(ValueError):
        model.fit(X, Y)
    assert model._trainer.optimizer.learning_rate == before


def test_early_stopping_has_no_best_loss():
    model = small(warm_start=True).fit(X, Y)
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.set_params(early_stopping=True).fit(X, Y).best_loss_ is None
    n_before = len(model.loss_curve_)
    model.set_params(early_stopping=False).fit(X, Y)
    assert model.best_loss_ == min(model.loss_curve_[n_before:])


def test_arrays_that_kernels_cannot_read_are_refused():
    model = small().fit(X, Y)
    layer = model._trainer.network.layers[0]
    b, expected = layer.b, model.decision_function(X)
    shifted = np.frombuffer(b"\0" + b.tobytes(), dtype=np.uint8)[1:].view(np.float32)
    layer.b = shifted  # at an odd address, as old memory maps may be
    np.testing.assert_array_equal(model.decision_function(X), expected)
    for wrong in (b.astype(float), b.astype(">f4"), b.astype(np.int32), np.repeat(b, 2)[::2]):
        layer.b = wrong
        with pytest.raises((TypeError, ValueError), match=r"kernels take|contiguous"):
            model.decision_function(X)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_gaps_that_vanish_beside_the_rows_so_far(asynchronous):
    model = small(selector="topk", asynchronous=asynchronous).fit(X, Y)
    trainer = model._trainer
    trainer.rows, trainer.next_refresh, trainer.next_look = 2**61 + 1, 2.0**61, 2.0**61
    model.partial_fit(X, Y)
    assert trainer.rows > 2**61 + len(X)
