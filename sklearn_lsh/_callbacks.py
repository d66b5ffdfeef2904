"""Callbacks of scikit-learn 1.9 and later, and who is silent in their place before."""

from functools import wraps

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class Silence:
        """A context of which no callback hears."""

        def subcontext(self, **_):
            return self

        def call_on_fit_task_begin(self, **_):
            return self

        def call_on_fit_task_end(self, **_):
            return False

    class CallbackSupportMixin:
        """There are no callbacks to support."""

        def _init_callback_context(self, **_):
            return Silence()

    def with_callbacks(method):
        """The method, a frame deeper as there: warnings count frames."""

        @wraps(method)
        def same(estimator, *args, **kwargs):
            return method(estimator, *args, **kwargs)

        return same


class Tasks:
    """What callbacks hear of a call that trains: its start, its epochs, its end.

    Parameters
    ----------
    est : BaseLSHMLP
    n_epochs : int
        Largest number of epochs.
    X, y, sample_weight
        As they were given.
    """

    def __init__(self, est, n_epochs, X, y, sample_weight):
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.told = {"estimator": est, "X": X, "y": y, "metadata": metadata}
        # Not within what is put back on an error: callbacks are to be torn down then.
        self.fit = est._init_callback_context(max_subtasks=n_epochs)
        self.fit.call_on_fit_task_begin(**self.told)

    def skip(self, n_epochs):
        """Count epochs that a killed fit has done, so that those to come have their numbers."""
        for _ in range(n_epochs):
            self.fit.subcontext(task_name="epoch")

    def begin_epoch(self):
        self.epoch = self.fit.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.told)

    def end_epoch(self, stopped_here):
        """Whether a callback wants training to stop.

        stopped_here : function that returns attributes of a model that has stopped now.
        """
        return self.epoch.call_on_fit_task_end(**self.told, reconstruction_attributes=stopped_here)

    def end(self):
        self.fit.call_on_fit_task_end(**self.told, reconstruction_attributes={})
