"""What the two estimators share: data, fitting, raw scores."""

import warnings
from contextlib import contextmanager
from copy import deepcopy
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from sklearn_lsh._network import COSTS
from sklearn_lsh._parameters import (
    CONSTRAINTS,
    check_parameters,
    hidden_layer_sizes,
    make_network,
    make_optimizer,
    thread_count,
)
from sklearn_lsh._rows import Rows, check_indices
from sklearn_lsh._training import Trainer, work_of_row
from sklearn_lsh._workspace import Workspace

PREDICT_BATCH = 512
# Activations of a layer that are held at once in prediction.
BATCH_ACTIVATIONS = 2**22
ASYNCHRONOUS_BATCH = 64
# Parameters that a network is built by, and keeps.
BUILT_IN = (
    "activation", "solver", "selector", "density", "hash_function", "n_hashes", "n_tables",
    "n_probes", "n_candidates", "mips", "sketch_size", "sampled_output", "loss",
)  # fmt: skip
# Multiplications of a batch, in dense inputs of every layer, that occupy a thread.
WORK_PER_THREAD = 2**21


class BaseLSHMLP(BaseEstimator):
    """Shared machinery of LSHMLPClassifier and LSHMLPRegressor.

    A subclass encodes its targets (``_encode``), scores held-out rows (``_validation_score``), may
    stratify them (``_strata``) and says how raw scores become predictions.
    """

    _parameter_constraints: ClassVar[dict] = CONSTRAINTS
    sampled_output = False

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
        """Attributes as they were if the block fails; networks change after validation only."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def _fit(self, X, y, sample_weight, *, incremental=False, classes=None):
        with self._unchanged_on_error():
            check_parameters(self)
            if incremental and self.early_stopping:
                raise ValueError("partial_fit does not support early_stopping=True.")
            cold = not hasattr(self, "_trainer") or not (incremental or self.warm_start)
            X, y = validate_data(
                self,
                check_indices(X, "X"),
                check_indices(y, "y"),
                reset=cold,
                accept_sparse="csr",
                dtype=np.float32,
                order="C",
                multi_output=True,
                y_numeric=is_regressor(self),
            )
            weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
            if np.any(weight < 0):
                raise ValueError("Negative values in sample_weight.")
            loss, targets, weight = self._encode(y, weight, cold, incremental, classes)
            rows = np.flatnonzero(weight)
            if not len(rows):
                raise ValueError("sample_weight (with class_weight) is zero for every sample.")
            inputs, targets, weight = Rows.from_matrix(X), targets.take(rows), weight[rows]
            inputs = inputs.take(rows)
            if not cold:
                self._check_same_network(targets)
            train, validation = np.arange(len(inputs)), None
            rng = check_random_state(self.random_state) if cold else self._random_state
            # Threads of BLAS would spin against ours, and their number could change the bits.
            with threadpool_limits(1, user_api="blas"):
                if cold:
                    self._start(inputs, targets, weight, loss, rng)
                if self.early_stopping:
                    train, validation = self._split(targets, rng)
                self._train(inputs, targets, weight, train, validation, cold, incremental)
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

    def _start(self, inputs, targets, weight, loss, rng):
        """A new network and an empty history."""
        self._random_state = rng
        self._built_with = {name: deepcopy(getattr(self, name)) for name in BUILT_IN}
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
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _split(self, targets, rng):
        """Rows to train on and rows to watch."""
        train, validation = train_test_split(
            np.arange(len(targets)),
            random_state=rng,
            test_size=self.validation_fraction,
            stratify=self._strata(targets),
        )
        if len(validation) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        return train, validation

    def _strata(self, targets):
        return None

    def _batch_size(self):
        if self.batch_size != "auto":
            return int(self.batch_size)
        return ASYNCHRONOUS_BATCH if self.asynchronous else 200

    def _train(self, inputs, targets, weight, train, validation, cold, incremental):
        trainer, rng = self._trainer, self._random_state
        trainer.alpha, trainer.rows_per_step = float(self.alpha), self._batch_size()
        trainer.streaming = incremental
        if not (cold or incremental):
            trainer.adjust(make_optimizer(self))
        self.loss_curve_ = list(self.loss_curve_)
        spent = self.n_multiplications_ = dict(self.n_multiplications_)
        if validation is None and self.best_loss_ is None:
            self.best_loss_ = np.inf
        if validation is not None and self.validation_scores_ is None:
            self.validation_scores_, self.best_validation_score_ = [], -np.inf
        batch_size = min(self._batch_size(), len(train))
        if self.batch_size != "auto" and self.batch_size > len(train):
            warnings.warn(
                f"batch_size={self.batch_size} is clipped to the {len(train)} samples.",
                stacklevel=4,
            )
        trainer.network.layers[-1].selector.expect(targets, batch_size, incremental)
        workspace = self._workspace(batch_size, trainer.network, training=True)
        if cold:
            trainer.begin(inputs.take(train), weight[train], workspace, spent)
        max_iter = 1 if incremental else self.max_iter
        no_improvement, best, finished = 0, None, incremental
        n_before = len(self.validation_scores_ or [])
        self.n_iter_ = 0
        try:
            while self.n_iter_ < max_iter:
                if self.shuffle:
                    order = np.arange(len(train))
                    rng.shuffle(order)
                    train = train[order]
                self.loss_ = trainer.epoch(
                    inputs.take(train),
                    targets.take(train),
                    weight[train],
                    batch_size,
                    self.asynchronous,
                    workspace,
                    spent,
                )
                self.n_iter_ += 1
                self.t_ += len(train)
                self.loss_curve_.append(self.loss_)
                if self.verbose:
                    print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                improved = self._improved(inputs, targets, weight, validation)
                # Scores of earlier fits are those of other rows.
                if validation is not None and self.validation_scores_[-1] >= max(
                    self.validation_scores_[n_before:]
                ):
                    best = deepcopy([(la.W, la.b, la.selector) for la in trainer.network.layers])
                no_improvement = 0 if improved else no_improvement + 1
                if self.learning_rate == "invscaling" and self.solver == "sgd":
                    trainer.optimizer.learning_rate = (
                        self.learning_rate_init / (self.t_ + 1) ** self.power_t
                    )
                if no_improvement > self.n_iter_no_change:
                    no_improvement = 0
                    finished = self._stops(trainer.optimizer)
                    if finished:
                        break
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
            finished = True
        if not finished:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )
        if best is not None:
            for layer, kept in zip(trainer.network.layers, best, strict=True):
                layer.W[...], layer.b[...], layer.selector = kept
                layer.changed[:] = 1
        if not incremental:
            trainer.network.refresh(spent, workspace.n_threads)
            if not self.warm_start:
                trainer.forget_slots()

    def _improved(self, inputs, targets, weight, validation):
        """Record the epoch; whether it was better than the best so far by tol."""
        if validation is None:
            improved = self.loss_ <= self.best_loss_ - self.tol
            self.best_loss_ = min(self.best_loss_, self.loss_)
            return improved
        score = self._validation_score(
            inputs.take(validation), targets.take(validation), weight[validation]
        )
        improved = score >= self.best_validation_score_ + self.tol
        self.validation_scores_ = [*self.validation_scores_, score]
        self.best_validation_score_ = max(self.best_validation_score_, score)
        return improved

    def _stops(self, optimizer):
        """No more improvement: stop, or go on with a smaller step."""
        if self.solver == "sgd" and self.learning_rate == "adaptive":
            if optimizer.learning_rate > 1e-6:
                optimizer.learning_rate /= 5
                return False
        if self.verbose:
            print(f"No improvement of tol={self.tol} for {self.n_iter_no_change} epochs. Stopping.")
        return True

    # ---- Prediction ---------------------------------------------------------------------------

    def _workspace(self, n_rows, network, training=False):
        layers = network.layers
        n_threads = thread_count(self)
        if self.n_threads is None and not self.asynchronous:
            # Threads change no bit of the result, so that small batches can do without: waiting
            # for one another takes longer than the work, by far when other programs run.
            work = n_rows * sum(layer.selector.n_in * layer.selector.n_active for layer in layers)
            n_threads = max(1, min(n_threads, work // WORK_PER_THREAD))
        if training and self.asynchronous:
            n_rows *= n_threads
        return Workspace(layers, n_rows, n_threads, training=training)

    def _rows(self, X):
        """Validated input of a fitted estimator."""
        check_is_fitted(self)
        check_indices(X, "X")
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=np.float32, order="C")
        return Rows.from_matrix(X)

    def _blocks(self, inputs, network=None):
        """Rows, slice by slice, and the output of the network for them: never all at once."""
        network = self._network.at_prediction() if network is None else network
        widest = max(layer.selector.most_active for layer in network.layers)
        n_rows = min(len(inputs), PREDICT_BATCH, max(1, BATCH_ACTIVATIONS // widest))
        workspace = self._workspace(n_rows, network)
        for rows in network.batches(inputs, workspace):
            yield rows, network.forward(inputs.take(rows), workspace, dict.fromkeys(COSTS, 0))[-1]

    def _scores(self, inputs):
        """Raw scores of shape (n_samples, n_outputs)."""
        result = np.empty((len(inputs), self.n_outputs_), dtype=np.float32)
        for rows, out in self._blocks(inputs):
            result[rows] = out.to_matrix()
        return result
