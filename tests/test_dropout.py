"""The baselines that draw their active sets: dropout, uniform and adaptive."""

import numpy as np
import pytest
import reference as ref
from contracts import inputs_like, make_layer, select
from sklearn.datasets import load_digits

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor
from sklearn_lsh._kernels import _passes
from sklearn_lsh._rows import Rows
from sklearn_lsh._selectors import SampledSelector
from sklearn_lsh._workspace import Workspace

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_digits(return_X_y=True)
X = X / 16


def sampled_layer(adaptive, n_active=12, n_out=150, activation="relu"):
    layer = make_layer("dense", n_out=n_out, activation=activation)
    layer.selector = SampledSelector(40, n_out, n_active, 0, adaptive)
    return layer


@pytest.mark.parametrize("adaptive", [False, True])
def test_sets_are_drawn_anew_and_reproducibly(adaptive):
    layer, inputs = sampled_layer(adaptive), inputs_like(make_layer("dense"))
    first = np.array(select(layer, inputs))
    assert first.shape == (64, 12) and (np.diff(first) > 0).all()
    np.testing.assert_array_equal(first, select(layer, inputs, n_threads=2))
    assert len({tuple(row) for row in first}) > 60
    # Rows draw for themselves, equal ones too.
    equal = select(layer, np.repeat(inputs[:1], 64, axis=0))
    assert len({tuple(row) for row in equal}) > 60
    layer.selector.advance()
    assert (np.array(select(layer, inputs)) != first).any(axis=1).sum() > 60


def frequencies(layer, row, n_draws=400):
    counts = np.zeros(layer.selector.n_out)
    for _ in range(n_draws):
        counts[select(layer, row[None])[0]] += 1
        layer.selector.advance()
    return counts / n_draws


def test_uniform_dropout_is_uniform():
    share = frequencies(sampled_layer(False, 30), inputs_like(make_layer("dense"))[0], 4000)
    assert share.mean() == pytest.approx(0.2)
    assert np.abs(share - 0.2).max() < 5 * np.sqrt(0.16 / 4000)


def expected(layer, row):
    """What the layer gives at prediction, and before its activation in full."""
    layer.selector = layer.selector.at_prediction()
    workspace = Workspace([layer], 1, 1)
    _passes.run([layer], Rows.from_matrix(row[None]), workspace)
    return workspace.outputs[0].take(slice(0, 1)).to_matrix()[0], layer.W @ row + layer.b


@pytest.mark.parametrize("n_active", [12, 75, 140])
@pytest.mark.parametrize("adaptive", [False, True])
def test_expectation_sums_to_the_budget(adaptive, n_active):
    row = inputs_like(make_layer("dense"))[0]
    out, full = expected(sampled_layer(adaptive, n_active, activation="identity"), row)
    chance = out / full
    assert chance.sum() == pytest.approx(n_active, rel=1e-3)
    assert (chance > 0).all() and chance.max() <= 1 + 1e-4
    if not adaptive:
        np.testing.assert_allclose(chance, n_active / 150, rtol=1e-4)
        return
    logistic = 1 / (1 + np.exp(-full))
    free = chance < 1 - 1e-3
    ratio = chance[free] / logistic[free]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


def test_adaptive_draws_follow_the_expectation():
    """Drawing without replacement evens chances out a little; the order stays."""
    row = inputs_like(make_layer("dense"))[0]
    layer = sampled_layer(True, 12)
    layer.W[...] *= 3
    share = frequencies(layer, row, 8000)
    _, full = expected(layer, row)
    chance = 1 / (1 + np.exp(-full))
    chance *= 12 / chance.sum()
    assert np.corrcoef(share, chance)[0, 1] > 0.98
    assert np.abs(share - chance).max() < 0.03


@pytest.mark.parametrize("cls", [LSHMLPClassifier, LSHMLPRegressor])
def test_prediction_is_the_naive_expectation(cls):
    est = cls((60, 40), selector="dropout", density=0.3, max_iter=3, random_state=0).fit(X, Y)
    inputs = X
    for W, b in zip(est.coefs_[:-1], est.intercepts_[:-1], strict=True):
        share = max(1, round(0.3 * len(b))) / len(b)
        inputs = ref.ACTIVATIONS["relu"][0](inputs @ W.astype(np.float64) + b) * share
    scores = inputs @ est.coefs_[-1] + est.intercepts_[-1]
    if cls is LSHMLPRegressor:
        np.testing.assert_allclose(est.predict(X), scores.ravel(), rtol=1e-3, atol=1e-4)
    else:
        np.testing.assert_allclose(
            est.predict_proba(X), np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True),
            rtol=1e-3, atol=1e-5,
        )  # fmt: skip


@pytest.mark.parametrize("selector", ["dropout", "adaptive_dropout"])
def test_they_learn_the_same_at_any_number_of_threads(selector):
    settings = {"selector": selector, "density": 0.3, "max_iter": 30, "random_state": 0}
    first, second = (
        LSHMLPClassifier((100,), n_threads=n, early_stopping=True, **settings).fit(X, Y)
        for n in (1, 2)
    )
    np.testing.assert_array_equal(first.coefs_[0], second.coefs_[0])
    assert first.score(X, Y) > 0.9


@pytest.mark.parametrize("selector", ["dropout", "adaptive_dropout"])
def test_asynchronous_training_refuses_them(selector):
    est = LSHMLPClassifier((50,), selector=selector, asynchronous=True)
    with pytest.raises(ValueError, match=r"selector='\w+' .* asynchronous=True"):
        est.fit(X, Y)


@pytest.mark.parametrize("batch_size", [1, 65])
@pytest.mark.parametrize("above", ["topk", "sketch"])
def test_layers_above_start_the_same_at_any_thread_count(batch_size, above):
    X = np.random.default_rng(0).normal(size=(130, 8))
    fits = [
        LSHMLPClassifier(
            (64, 64), selector=["dropout", above], density=0.5, batch_size=batch_size, max_iter=1,
            random_state=0, n_threads=n,
        ).fit(X, np.arange(130) % 2)
        for n in (1, 2, 3)
    ]  # fmt: skip
    for other in fits[1:]:
        np.testing.assert_array_equal(fits[0].coefs_[1], other.coefs_[1])
