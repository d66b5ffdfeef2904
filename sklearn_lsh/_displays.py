"""Pictures of what layers select, in the manner of scikit-learn's displays."""

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from sklearn_lsh._inspection import neuron_usage, selection_recall


class SelectionRecallDisplay:
    """Recall of the active sets, and the activation they capture, layer by layer.

    Use :meth:`from_estimator`, or pass what `selection_recall` returns:
    ``SelectionRecallDisplay(**selection_recall(est, X)).plot()``.

    Parameters
    ----------
    recall : ndarray of shape (n_hidden_layers,), float64
        Neurons selected that are in the exact active set, as a share of that set.
    mass : ndarray of shape (n_hidden_layers,), float64
        Absolute activation of the neurons selected, as a share of that of all neurons.
    exact_mass : ndarray of shape (n_hidden_layers,), float64
        The same share for the exact active set.

    Raises
    ------
    ValueError
        If they differ in length.

    Attributes
    ----------
    bars_ : list of matplotlib BarContainer
        Bars of recall, mass and exact mass, with one bar a layer in each.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    selection_recall : The numbers alone, and how they are defined.

    Notes
    -----
    The legend stands to the right of the axes: a figure of your own has room for it under
    ``layout="constrained"``.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_lsh import LSHMLPClassifier
    >>> from sklearn_lsh.inspection import SelectionRecallDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> est = LSHMLPClassifier((200,), selector="topk", max_iter=15, random_state=0).fit(X / 16, y)
    >>> display = SelectionRecallDisplay.from_estimator(est, X / 16)
    >>> display.recall
    array([1.])
    >>> plt.show()
    """

    def __init__(self, *, recall, mass, exact_mass):
        self.recall, self.mass, self.exact_mass = recall, mass, exact_mass
        if not len(recall) == len(mass) == len(exact_mass):
            raise ValueError(
                "recall, mass and exact_mass must have an entry for every hidden layer."
            )

    def plot(self, ax=None, **kwargs):
        """Draw three bars for every hidden layer.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. If None, a new figure and axes are created.
        **kwargs : dict
            Passed to matplotlib's `bar`.

        Returns
        -------
        display : SelectionRecallDisplay
            The same object.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.figure_, self.ax_ = figure_and_axes(self, ax)
        series = {
            "recall": (self.recall, "tab:blue"),
            "mass": (self.mass, "tab:orange"),
            "exact mass": (self.exact_mass, "tab:gray"),
        }
        layers, width = np.arange(len(self.recall)), 0.26
        self.bars_ = []
        for k, (label, (height, color)) in enumerate(series.items()):
            style = {"width": width, "color": color, "label": label} | kwargs
            self.bars_.append(self.ax_.bar(layers + (k - 1) * width, height, **style))
        self.ax_.set(xlabel="hidden layer", ylabel="share", ylim=(0, 1))
        self.ax_.set_xticks(layers, [str(layer + 1) for layer in layers])
        # Bars may fill the axes.
        self.ax_.legend(loc="upper left", bbox_to_anchor=(1, 1))
        return self

    @classmethod
    def from_estimator(cls, estimator, X, *, ax=None, **kwargs):
        """Compute `selection_recall` and draw it.

        Parameters
        ----------
        estimator : LSHMLPClassifier or LSHMLPRegressor
            Fitted.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        ax : matplotlib Axes, default=None
            Where to draw. If None, a new figure and axes are created.
        **kwargs : dict
            Passed to matplotlib's `bar`.

        Returns
        -------
        display : SelectionRecallDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is none of this package, such as a pipeline.
        ValueError
            If X would be refused by `predict`.
        ImportError
            If matplotlib is not installed.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        return cls(**selection_recall(estimator, X)).plot(ax=ax, **kwargs)


class ActiveSetDisplay:
    """How evenly the neurons of every hidden layer are used, and how many are dead.

    Use :meth:`from_estimator`, or pass what `neuron_usage` returns.

    Parameters
    ----------
    usage : list of ndarray of shape (n_neurons,), float64
        One a hidden layer: the share of rows in whose active set a neuron is.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        One a hidden layer: its neurons by falling use. Those at 0 are dead: in no active set.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    neuron_usage : The numbers alone.
    active_sets : Which neurons are active for which row.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_lsh import LSHMLPClassifier
    >>> from sklearn_lsh.inspection import ActiveSetDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> est = LSHMLPClassifier((200,), selector="topk", max_iter=15, random_state=0).fit(X / 16, y)
    >>> display = ActiveSetDisplay.from_estimator(est, X / 16)
    >>> [usage.shape for usage in display.usage]
    [(200,)]
    >>> plt.show()
    """

    def __init__(self, usage):
        self.usage = usage

    def plot(self, ax=None, **kwargs):
        """Draw a line for every hidden layer.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. If None, a new figure and axes are created.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        display : ActiveSetDisplay
            The same object.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.figure_, self.ax_ = figure_and_axes(self, ax)
        self.lines_ = []
        each = [np.asarray(usage) for usage in self.usage]
        for depth, usage in enumerate(each, start=1):
            rank = np.arange(1, len(usage) + 1) / len(usage)
            label = f"layer {depth}, {np.mean(usage == 0):.1%} dead"
            self.lines_ += self.ax_.plot(rank, np.sort(usage)[::-1], **{"label": label} | kwargs)
        # Logarithmic down to the least use there is, linear from there to the dead neurons at 0.
        least = min([0.1, *(usage[usage > 0].min() for usage in each if usage.any())])
        self.ax_.set_yscale("symlog", linthresh=least)
        decades = 10.0 ** np.arange(np.ceil(np.log10(least)), 1)
        self.ax_.set_yticks([0, *decades], ["0", *(f"{tick:g}" for tick in decades)])
        self.ax_.set_yticks([], minor=True)
        self.ax_.set(
            xlabel="neurons, most used first (share of the layer)",
            ylabel="share of rows in which active",
            xlim=(0, 1),
            ylim=(-0.2 * least, 1.5),
        )
        if self.lines_:
            self.ax_.legend()
        return self

    @classmethod
    def from_estimator(cls, estimator, X, *, ax=None, **kwargs):
        """Compute `neuron_usage` and draw it.

        Parameters
        ----------
        estimator : LSHMLPClassifier or LSHMLPRegressor
            Fitted.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        ax : matplotlib Axes, default=None
            Where to draw. If None, a new figure and axes are created.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        display : ActiveSetDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is none of this package, such as a pipeline.
        ValueError
            If X would be refused by `predict`.
        ImportError
            If matplotlib is not installed.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        return cls(neuron_usage(estimator, X)).plot(ax=ax, **kwargs)


def figure_and_axes(display, ax, **kwargs):
    """The figure and the axes to draw on, new ones if `ax` is None."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(layout="constrained", **kwargs)
    return ax.figure, ax
