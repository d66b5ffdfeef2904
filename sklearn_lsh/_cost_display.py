"""The picture of what training or predicting costs."""

from sklearn.utils._optional_dependencies import check_matplotlib_support

from sklearn_lsh._displays import figure_and_axes
from sklearn_lsh._inspection import fitted_layers, prediction_cost
from sklearn_lsh._network import COSTS

KINDS = tuple(kind for kind in COSTS if kind != "dense")


class MultiplicationsDisplay:
    """Multiplications by purpose, as shares of those with every neuron active.

    Use :meth:`from_estimator`. Several displays can be drawn on one axes, a bar below the other.

    Parameters
    ----------
    multiplications : dict of str to int
        `n_multiplications_` of an estimator, or what `prediction_cost` returns. Kinds that are
        missing count as 0, but for "dense".
    name : str, default=None
        What the bar is called.

    Attributes
    ----------
    bars_ : dict of str to matplotlib BarContainer
        The stretch of the bar, in this order, for "forward", "backward", "update", "hashing",
        "ranking", "refresh" and "output".
    text_ : matplotlib Text
        The sum of the shares, at the end of the bar.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    prediction_cost : The multiplications of predicting.

    Notes
    -----
    The legend stands to the right of the axes: a figure of your own has room for it under
    ``layout="constrained"``.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_lsh import LSHMLPClassifier
    >>> from sklearn_lsh.inspection import MultiplicationsDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> est = LSHMLPClassifier((200,), selector="topk", max_iter=15, random_state=0).fit(X / 16, y)
    >>> display = MultiplicationsDisplay.from_estimator(est, name="training")
    >>> display = MultiplicationsDisplay.from_estimator(
    ...     est, X / 16, name="prediction", ax=display.ax_
    ... )
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['training', 'prediction']
    >>> plt.show()
    """

    def __init__(self, multiplications, *, name=None):
        self.multiplications = multiplications
        self.name = name

    def plot(self, ax=None, *, name=None, **kwargs):
        """Add a bar to the axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw: empty, or the `ax_` of another MultiplicationsDisplay. If None, a new
            figure and axes are created.
        name : str, default=None
            What the bar is called. If None, the display's own name.
        **kwargs : dict
            Passed to matplotlib's `barh`.

        Returns
        -------
        display : MultiplicationsDisplay
            The same object.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.figure_, self.ax_ = figure_and_axes(self, ax, figsize=(7, 3.2))
        ax, name = self.ax_, self.name if name is None else name
        # Every display leaves a container a kind, so that their number tells the bars there are.
        row = len(ax.containers) // len(KINDS)
        names = [label.get_text() for label in ax.get_yticklabels()] if row else []
        dense, end, self.bars_ = self.multiplications["dense"], 0.0, {}
        for k, kind in enumerate(KINDS):
            spent = self.multiplications.get(kind, 0)
            share = spent / dense if dense else 0.0  # of no rows there is none
            # One entry a kind in the legend, and only of kinds there are.
            known = ax.get_legend_handles_labels()[1]
            label = kind if spent and kind not in known else "_nolegend_"
            style = {"height": 0.6, "color": f"C{k}", "label": label} | kwargs
            self.bars_[kind] = ax.barh(row, share, left=end, **style)
            end += share
        self.text_ = ax.text(end, row, f" {end:.1%}", va="center")
        if not row:
            ax.axvline(1, color="black", linestyle=":", linewidth=1)
        ax.set_yticks(range(row + 1), [*names, name or ""])
        right = max(1.2, end + 0.2, ax.get_xlim()[1] if row else 0)
        ax.set(xlabel="share of the multiplications with every neuron active", xlim=(0, right))
        ax.set_ylim(row + 0.6, -0.6)  # the first bar on top
        handles, labels = ax.get_legend_handles_labels()
        of = dict(zip(labels, handles, strict=True))
        shown = [kind for kind in KINDS if kind in of]
        # Bars may fill the axes.
        corner = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
        ax.legend([of[kind] for kind in shown], shown, **corner)
        return self

    @classmethod
    def from_estimator(cls, estimator, X=None, *, name=None, ax=None, **kwargs):
        """Draw what training has cost, or what predicting costs.

        Parameters
        ----------
        estimator : LSHMLPClassifier or LSHMLPRegressor
            Fitted.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows to predict. If None, the cost is that of training.
        name : str, default=None
            What the bar is called. If None, the name of the estimator's class.
        ax : matplotlib Axes, default=None
            Where to draw: empty, or the `ax_` of another MultiplicationsDisplay. If None, a new
            figure and axes are created.
        **kwargs : dict
            Passed to matplotlib's `barh`.

        Returns
        -------
        display : MultiplicationsDisplay

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
        fitted_layers(estimator)
        spent = estimator.n_multiplications_ if X is None else prediction_cost(estimator, X)
        name = type(estimator).__name__ if name is None else name
        return cls(dict(spent), name=name).plot(ax=ax, **kwargs)
