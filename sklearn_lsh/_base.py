"""What the two estimators share: data, fitting, raw scores."""

from contextlib import contextmanager
from copy import copy, deepcopy
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_lsh._blas import one_blas_thread
from sklearn_lsh._callbacks import CallbackSupportMixin, Tasks, with_callbacks
from sklearn_lsh._checkpoint import Checkpoint
from sklearn_lsh._conversion import to_sklearn
from sklearn_lsh._epochs import Epochs
from sklearn_lsh._network import COSTS, WORK_PER_THREAD
from sklearn_lsh._parameters import (
    CONSTRAINTS,
    built_in,
    check_parameters,
    hidden_layer_sizes,
    make_network,
    make_optimizer,
    thread_count,
)
from sklearn_lsh._persistence import load_estimator, save_estimator
from sklearn_lsh._plans import plan_for
from sklearn_lsh._rows import Rows
from sklearn_lsh._samples import (
    check_data,
    check_sample,
    check_validation_sample,
    few_rows,
    split,
)
from sklearn_lsh._training import Trainer, work_of_row
from sklearn_lsh._workspace import Workspace, widest

PREDICT_BATCH = 512
# Activations of a layer that are held at once in prediction.
BATCH_ACTIVATIONS = 2**22
ROWS_PER_PASS = 64  # that share what is read of the weights, whatever they hold
LARGEST_BATCH = 2**40  # in sums of floating-point numbers a batch still counts


class BaseLSHMLP(CallbackSupportMixin, BaseEstimator):
    """Shared machinery of LSHMLPClassifier and LSHMLPRegressor.

    A subclass encodes its targets (``_encode``), scores held-out rows (``_to_score``, ``_score``),
    may stratify them (``_strata``) and says how raw scores become predictions.
    """

    _parameter_constraints: ClassVar[dict] = CONSTRAINTS
    sampled_output = False
    settled_tol = 0.0

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.non_deterministic = bool(self.asynchronous)
        return tags

    @property
    def coefs_(self):
        """Weight matrices of shape (n_in, n_out), float32, one a layer: views."""
        return [layer.W.T for layer in self._network.layers]

    @property
    def intercepts_(self):
        """Biases of shape (n_out,), float32, one vector a layer."""
        return [layer.b for layer in self._network.layers]

    @property
    def _network(self):
        if not hasattr(self, "_trainer"):
            raise AttributeError(f"this {type(self).__name__} is not fitted yet")
        return self._trainer.network

    # ---- Fitting ------------------------------------------------------------------------------

    @contextmanager
    def _unchanged_on_error(self):
        """Attributes as they were if the block fails; networks change after validation only.

        Epochs of a network that was there before stay once they are over: history, and the last
        weights.
        """
        before, trainer = dict(vars(self)), vars(self).get("_trainer")
        if trainer is not None:
            schedule, optimizer = dict(vars(trainer)), copy(trainer.optimizer)
            random_numbers = self._random_state.get_state()
        try:
            yield
        except BaseException:
            if trainer is None or self._trainer is not trainer or self.t_ == before["t_"]:
                vars(self).clear()
                vars(self).update(before)
                if trainer is not None:
                    vars(trainer).update(schedule, optimizer=optimizer)
                    self._random_state.set_state(random_numbers)
            if trainer is not None:
                with one_blas_thread():
                    trainer.network.mend()
            raise

    @with_callbacks
    def _fit(
        self, X, y, sample_weight, validation=(None, None, None), incremental=False, classes=None
    ):
        """Check everything, then train; validation : X, y and sample_weight."""
        check_parameters(self)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        n_epochs = 1 if incremental else self.max_iter
        tasks = Tasks(self, n_epochs, X, y, sample_weight)
        with self._unchanged_on_error():
            cold = not hasattr(self, "_trainer") or not (incremental or self.warm_start)
            loss, train = check_sample(self, X, y, sample_weight, cold, incremental, classes)
            watched = check_validation_sample(self, *validation, train.targets.n_cols)
            if not cold:
                self._check_same_network(train.targets)
            path = None if incremental else self.checkpoint
            checkpoint = Checkpoint(path, self, train, watched, cold)
            rng = check_random_state(self.random_state) if cold else self._random_state
            rng = checkpoint.begin(rng)
            with one_blas_thread():
                if cold:
                    self._start(train, loss, rng)
                if self.early_stopping and watched is None:
                    train, watched = split(self, train, rng)
                self._network.loss = loss
                epochs = Epochs(self, train, watched, n_epochs, incremental, tasks, checkpoint)
                epochs.begin(cold)
                done = epochs.run()
            tasks.end()
        if done:
            checkpoint.remove()
        return self

    def _check_same_network(self, targets):
        network = self._network
        sizes = [len(layer.b) for layer in network.layers[:-1]]
        if sizes != hidden_layer_sizes(self):
            raise ValueError(f"hidden_layer_sizes cannot change; the network has {sizes}.")
        for name, value in self._built_with.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} cannot change; the network was built with {value!r}.")
        if targets.n_cols != self.n_outputs_:
            raise ValueError(
                f"y has {targets.n_cols} outputs, the network has {self.n_outputs_} outputs."
            )

    def _start(self, sample, loss, rng):
        """A new network and an empty history."""
        inputs, targets, weight = sample.inputs, sample.targets, sample.weight
        self._random_state = rng
        self._built_with = {name: deepcopy(getattr(self, name)) for name in built_in(type(self))}
        n_entries = float(np.average(inputs.length, weights=weight))
        sparse = inputs.indices is not None
        network = make_network(self, inputs.n_cols, targets.n_cols, loss, n_entries, sparse, rng)
        self._trainer = Trainer(
            network,
            make_optimizer(self),
            self.alpha,
            work_of_row(network, n_entries, sparse),
        )
        self.n_outputs_ = targets.n_cols
        self.n_layers_ = len(network.layers) + 1
        self.out_activation_ = loss.out_activation
        self.n_multiplications_ = dict.fromkeys(COSTS, 0)
        self.t_ = 0
        self.loss_ = np.nan
        self.loss_curve_ = []
        self.best_loss_ = self.best_validation_score_ = None
        self.validation_scores_ = self.validation_loss_curve_ = None

    def _strata(self, targets):
        return None

    def _batch_size(self):
        if self.batch_size != "auto":
            return min(int(self.batch_size), LARGEST_BATCH)
        return 200

    # ---- Prediction ---------------------------------------------------------------------------

    def _threads(self, n_rows, network):
        """How many are to work on a batch of n_rows."""
        n_threads = thread_count(self)
        if self.n_threads is None and not self.asynchronous:
            # Threads change no bit of the result, so that small batches can do without: waiting
            # for one another takes longer than the work, by far when other programs run.
            n_threads = max(1, min(n_threads, network.work(n_rows) // WORK_PER_THREAD))
        return n_threads

    def _rows(self, X):
        """Validated input of a fitted estimator."""
        if not hasattr(self, "_trainer"):
            check_is_fitted(self)
        few = few_rows(self, X)
        return Rows.from_matrix(check_data(self, X, reset=False) if few is None else few)

    def _slices(self, inputs, network, n_held):
        """Which rows, themselves, and the workspace to take them through the network in.

        What lives in that does not outlive its turn.

        n_held : floats that a row takes in a layer at most.
        """
        # Scores of very many labels, even so, take half the room of their weights at most.
        least = min(ROWS_PER_PASS, 1 + network.layers[-1].selector.n_in // 2)
        n_rows = min(len(inputs), PREDICT_BATCH, max(least, BATCH_ACTIVATIONS // n_held))
        n_threads = self._threads(n_rows, network)
        workspace = Workspace(network.layers, n_rows, n_threads, training=False)
        for rows in network.batches(inputs, workspace):
            yield rows, inputs.take(rows), workspace

    def _outputs(self, inputs):
        """Rows, slice by slice, and the output of the network for them: never all at once."""
        network = self._network.at_prediction()
        for rows, x, workspace in self._slices(inputs, network, widest(network.layers)):
            yield rows, network.scores(x, workspace)

    def _score_slices(self, inputs):
        """Rows, slice by slice, and their raw scores: arrays of shape (n_rows, n_outputs)."""
        plan = plan_for(self._network, inputs)
        if plan is not None:
            yield slice(None), plan.scores(inputs)
            return
        for rows, out in self._outputs(inputs):
            yield rows, out.to_matrix()

    def _scores(self, inputs):
        """Raw scores of shape (n_samples, n_outputs)."""
        result = np.empty((len(inputs), self.n_outputs_), dtype=np.float32)
        for rows, scores in self._score_slices(inputs):
            result[rows] = scores
        return result

    # ---- Elsewhere ----------------------------------------------------------------------------

    def save(self, path):
        """Write the fitted model to a file that holds numbers and text, and no code.

        A zip file of ``.npy`` arrays and a JSON document, with all that prediction, `partial_fit`
        and `warm_start` go on from: `load` gives an estimator that does the same, to the bit. Not
        kept are metadata routing requests and `checkpoint`.

        Parameters
        ----------
        path : str or path-like
            A file that is there already is replaced, once the new one is complete.

        Raises
        ------
        ValueError
            A parameter, or a class, that is not a number, string, bool, None, RandomState (over
            MT19937), or a list, tuple, dict or array of these; parameters out of range; weights
            that are not finite.
        """
        save_estimator(self, path)

    @classmethod
    def load(cls, path):
        """The fitted model in a file that `save` has written.

        Nothing in the file is executed, and everything is checked, so that files may come from
        anywhere.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        estimator : object of this class

        Raises
        ------
        OSError
            If the file cannot be opened.
        ValueError
            If it is damaged, was not written by `save`, or holds an estimator of the other kind.
        """
        return load_estimator(cls, path)

    def to_sklearn(self):
        """scikit-learn's own `MLPClassifier` or `MLPRegressor` with these weights, fitted.

        For tools that know these: converters, explainers, their `partial_fit`. Every neuron
        answers there, so that its predictions are those of this model if all layers are dense, and
        otherwise those that the network makes without selection, commonly worse. Weights are
        copies, float32; behind layers of selector "dropout" they are scaled by the share of kept
        neurons. Parameters that scikit-learn's class has not are left out; 'adagrad' becomes
        'adam'.

        Returns
        -------
        MLPClassifier or MLPRegressor

        Raises
        ------
        ValueError
            For a network that scikit-learn has not: several activations or 'leaky_relu', labels
            under loss='softmax', loss='squared_hinge', 'adaptive_dropout'.
        """
        return to_sklearn(self)
