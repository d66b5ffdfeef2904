"""Displays show what the functions of `inspection` return."""

import doctest
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor, _base
from sklearn_lsh.inspection import (
    ActiveSetDisplay,
    MultiplicationsDisplay,
    SelectionRecallDisplay,
    active_sets,
    neuron_usage,
    prediction_cost,
    selection_recall,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:300] / 16, Y[:300]
DISPLAYS = [SelectionRecallDisplay, ActiveSetDisplay, MultiplicationsDisplay]
KINDS = ["forward", "backward", "update", "hashing", "ranking", "refresh", "output"]


def fitted(cls=LSHMLPClassifier, y=Y, **params):
    defaults = {
        "hidden_layer_sizes": (60, 40), "density": 0.1, "max_iter": 3, "batch_size": 50,
        "sketch_size": 8, "n_hashes": 3, "n_tables": 2, "n_probes": 2, "random_state": 0,
    }  # fmt: skip
    return cls(**defaults | params).fit(X, y)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def ends(display):
    """Where the stretches of a bar begin and end."""
    bars = [bar for kind in KINDS for bar in display.bars_[kind]]
    return [bar.get_x() for bar in bars], [bar.get_x() + bar.get_width() for bar in bars]


@pytest.mark.parametrize("selector", ["topk", "sketch", "lsh", "dense", ["dense", "sketch"]])
def test_usage_equals_the_naive_computation(selector, monkeypatch):
    monkeypatch.setattr(_base, "PREDICT_BATCH", 77)
    est = fitted(selector=selector)
    usage = neuron_usage(est, X)
    for shares, sets in zip(usage, active_sets(est, X), strict=True):
        naive = np.zeros(sets.shape[1])
        for row in range(len(X)):
            naive[sets.indices[sets.indptr[row] : sets.indptr[row + 1]]] += 1
        assert shares.dtype == np.float64
        np.testing.assert_array_equal(shares, naive / len(X))


def test_bars_show_the_recall():
    est = fitted(selector="sketch")
    display, report = SelectionRecallDisplay.from_estimator(est, X), selection_recall(est, X)
    for name, bars in zip(("recall", "mass", "exact_mass"), display.bars_, strict=True):
        np.testing.assert_array_equal(getattr(display, name), report[name])
        np.testing.assert_array_equal([bar.get_height() for bar in bars], report[name])
    assert display.ax_.get_ylim() == (0, 1)
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["1", "2"]
    assert legend(display) == ["recall", "mass", "exact mass"]


def test_lines_show_the_usage():
    est = fitted(selector="sketch", hidden_layer_sizes=(200, 40), density=0.02)
    display = ActiveSetDisplay.from_estimator(est, X)
    for line, shown, usage in zip(display.lines_, display.usage, neuron_usage(est, X), strict=True):
        np.testing.assert_array_equal(shown, usage)
        np.testing.assert_array_equal(line.get_ydata(), sorted(usage, reverse=True))
        np.testing.assert_allclose(line.get_xdata(), np.arange(1, len(usage) + 1) / len(usage))
    assert display.ax_.get_yscale() == "symlog" and display.ax_.get_ylim()[0] < 0
    dead = [np.mean(usage == 0) for usage in display.usage]
    assert dead[0] > 0
    assert legend(display) == [f"layer {k}, {share:.1%} dead" for k, share in enumerate(dead, 1)]


@pytest.mark.parametrize("rows", [None, X], ids=["training", "prediction"])
@pytest.mark.parametrize("selector", ["topk", "sketch", "lsh", "dense"])
def test_stretches_show_the_multiplications(selector, rows):
    est = fitted(selector=selector)
    display = MultiplicationsDisplay.from_estimator(est, rows)
    spent = est.n_multiplications_ if rows is None else prediction_cost(est, X)
    assert display.multiplications == spent
    shares = np.array([spent.get(kind, 0) for kind in KINDS]) / spent["dense"]
    left, right = ends(display)
    np.testing.assert_allclose(left, np.cumsum(shares) - shares, atol=1e-12)
    np.testing.assert_allclose(right, np.cumsum(shares), atol=1e-12)
    assert legend(display) == [kind for kind in KINDS if spent.get(kind)]
    assert display.text_.get_text().strip() == f"{shares.sum():.1%}"
    assert display.ax_.get_xlim()[1] > max(1, shares.sum())


def test_bars_of_several_estimators_on_one_axes():
    first = MultiplicationsDisplay.from_estimator(fitted(selector="lsh"), X, name="lsh")
    ax = first.ax_
    MultiplicationsDisplay.from_estimator(fitted(selector="sketch"), ax=ax)
    last = MultiplicationsDisplay(first.multiplications, name="unused").plot(ax, name="again")
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert names == ["lsh", "LSHMLPClassifier", "again"]
    assert ends(last) == ends(first)
    at = [display.bars_["forward"][0].get_y() for display in (first, last)]
    assert at[1] - at[0] == 2
    top, bottom = ax.get_ylim()[::-1]
    assert top < at[0] and at[1] < bottom
    assert legend(last) == KINDS


@pytest.mark.parametrize("cls", DISPLAYS)
def test_axes_style_and_a_second_plot(cls):
    figure, (left, right) = plt.subplots(1, 2)
    display = cls.from_estimator(fitted(selector="sketch"), X, ax=left, alpha=0.5)
    assert display.ax_ is left and display.figure_ is figure
    artists = display.ax_.lines if cls is ActiveSetDisplay else display.ax_.patches
    assert all(artist.get_alpha() == 0.5 for artist in artists)
    assert display.plot(ax=right) is display and display.ax_ is right
    assert display.plot().figure_ is not figure
    figure.canvas.draw()


@pytest.mark.parametrize("cls", DISPLAYS)
@pytest.mark.parametrize("sizes", [(), (30,)])
def test_any_depth_and_regression(cls, sizes):
    est = fitted(LSHMLPRegressor, y=X[:, :2], hidden_layer_sizes=sizes, selector="topk")
    cls.from_estimator(est, X[:1]).figure_.canvas.draw()


@pytest.mark.parametrize("inspect", [neuron_usage, *(cls.from_estimator for cls in DISPLAYS)])
def test_refusals(inspect):
    est = fitted(selector="lsh")
    before = dict(vars(est))
    inspect(est, X)
    assert vars(est) == before
    with pytest.raises(NotFittedError):
        inspect(LSHMLPClassifier(), X)
    with pytest.raises(ValueError, match="features"):
        inspect(est, X[:, :5])
    with pytest.raises(TypeError, match="last step"):
        inspect(make_pipeline(MinMaxScaler(), est), X)


def test_displays_of_odd_values():
    with pytest.raises(ValueError, match="an entry for every hidden layer"):
        SelectionRecallDisplay(recall=[0.5, 0.6], mass=[0.1], exact_mass=[0.1, 0.2])
    assert len(ActiveSetDisplay([[0.1, 0.2, 0]]).plot().lines_) == 1
    assert MultiplicationsDisplay({"forward": 0, "dense": 0}).plot().text_.get_text() == " 0.0%"


def test_training_cost_is_refused_alike():
    with pytest.raises(NotFittedError):
        MultiplicationsDisplay.from_estimator(LSHMLPClassifier())
    with pytest.raises(TypeError, match="last step"):
        MultiplicationsDisplay.from_estimator(make_pipeline(fitted()))


@pytest.mark.parametrize("cls", DISPLAYS)
def test_without_matplotlib(cls, monkeypatch):
    est = fitted(selector="sketch")
    display = cls.from_estimator(est, X)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=f"{cls.__name__}.from_estimator requires matplotlib"):
        cls.from_estimator(est, X)
    with pytest.raises(ImportError, match=f"{cls.__name__}.plot requires matplotlib"):
        display.plot()
    assert len(neuron_usage(est, X)) == 2


@pytest.mark.parametrize("name", ["inspection", "_inspection", "_displays", "_cost_display"])
def test_examples_in_docstrings(name):
    result = doctest.testmod(sys.modules[f"sklearn_lsh.{name}"])
    assert result.attempted > 0 and result.failed == 0
