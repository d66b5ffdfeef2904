"""The epochs of a fit: what each leaves in the estimator's history, and when there are enough."""

import warnings
from copy import copy, deepcopy

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh._monitor import Monitor, evaluate
from sklearn_lsh._network import COSTS
from sklearn_lsh._parameters import make_optimizer, settled_tol
from sklearn_lsh._rests import Rests
from sklearn_lsh._workspace import Workspace


class Epochs:
    """Trains an estimator that has a network, epoch by epoch.

    What lasts from one epoch to the next is in the trainer, the monitor, the random state and the
    attributes of the history.

    Parameters
    ----------
    est : BaseLSHMLP
    train : Sample
        Rows to train on.
    watched : Sample or None
        Rows that are scored after every epoch.
    n_epochs : int
        At most.
    incremental : bool
        Whether this is a chunk of a stream.
    tasks : Tasks
    checkpoint : Checkpoint
    """

    def __init__(self, est, train, watched, n_epochs, incremental, tasks, checkpoint):
        self.est = est
        self.train = train
        self.watched = watched
        self.n_epochs = n_epochs
        self.incremental = incremental
        self.tasks = tasks
        self.checkpoint = checkpoint

    def begin(self, cold):
        """Everything up to the first epoch, or to the one that a checkpoint goes on with.

        cold : whether the network is new.
        """
        est, train = self.est, self.train
        if self.watched is not None and not cold:
            evaluate(est, self.watched)  # what cannot be scored shows before anything is changed
        self._go_on_with_history()
        best = -np.inf if est.early_stopping else -est.best_loss_
        self.monitor = Monitor(best, est.tol, est.n_iter_no_change, est.early_stopping)
        est.n_iter_ = 0
        resumed = self.checkpoint.resume(est, self.monitor, len(train))
        est.n_multiplications_ = dict(est.n_multiplications_)
        trainer = est._trainer
        n_rows = est._batch_size()
        self.batch_size = min(n_rows, len(train))
        if est.batch_size != "auto" and n_rows > len(train):
            warnings.warn(
                f"batch_size={est.batch_size} is clipped to the {len(train)} samples.",
                stacklevel=5,
            )
        self.dense_cost = trainer.network.dense_cost(
            train.inputs, trainer.optimizer, self.batch_size
        )
        output = trainer.network.layers[-1].selector
        output.expect(train.targets, self.batch_size, self.incremental)
        n_threads = est._threads(self.batch_size, trainer.network)
        # Asynchronous threads have batches of their own.
        at_once = self.batch_size * (n_threads if est.asynchronous else 1)
        self.workspace = Workspace(
            trainer.network.layers, at_once, n_threads, batch_size=self.batch_size
        )
        if resumed:
            self.tasks.skip(est.n_iter_)
            if est.verbose:
                print(f"Going on after iteration {est.n_iter_} of {self.checkpoint.path}")
            return
        trainer.alpha, trainer.rows_per_step = float(est.alpha), n_rows
        trainer.streaming, trainer.order = self.incremental, np.arange(len(train))
        trainer.settled_tol = settled_tol(est, trainer.network)
        rests = trainer.settled_tol and not self.incremental
        trainer.rests = Rests(len(train)) if rests else None
        if cold:
            trainer.begin(train.inputs, train.weight, self.workspace, est.n_multiplications_)
        elif not self.incremental:
            trainer.adjust(make_optimizer(est))
        self.checkpoint.write(est, self.monitor)

    def _go_on_with_history(self):
        """Lists of its own, so that those before can be put back."""
        est = self.est
        est.loss_curve_ = list(est.loss_curve_)
        if est.early_stopping:
            est.best_loss_ = None
        elif est.best_loss_ is None:
            est.best_loss_ = np.inf
        if self.watched is not None:
            est.validation_loss_curve_ = list(est.validation_loss_curve_ or [])
            est.validation_scores_ = list(est.validation_scores_ or [])
            if est.best_validation_score_ is None:
                est.best_validation_score_ = -np.inf

    def run(self):
        """Whether training came to its end, rather than to an interrupt."""
        est, train, trainer = self.est, self.train, self.est._trainer
        enough, interrupted = self.incremental, False
        try:
            while est.n_iter_ < self.n_epochs:
                enough = self._epoch()
                if enough:
                    break
                if est.n_iter_ < self.n_epochs:
                    self.checkpoint.write(est, self.monitor)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)
            enough = interrupted = True
        if est.learning_rate == "linear":
            trainer.optimizer.learning_rate = est.learning_rate_init
        elif not (enough or self.incremental):
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.n_epochs}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )
        keep_slots = not self.monitor.put_back(est._network) and est.warm_start
        shown = None if interrupted else train.inputs
        trainer.finish(shown, self.workspace, est.n_multiplications_, keep_slots)
        return not interrupted

    def _epoch(self):
        """Train once on every row; whether this was enough."""
        est, train, trainer = self.est, self.train, self.est._trainer
        self.tasks.begin_epoch()
        if est.shuffle:
            trainer.shuffle(est._random_state)
        if est.learning_rate == "linear":
            # A chunk of a stream does not know the end.
            over = 0 if self.incremental else est.n_iter_ / self.n_epochs
            trainer.optimizer.learning_rate = est.learning_rate_init * (1 - over)
        est.loss_ = trainer.epoch(
            train.inputs,
            train.targets,
            train.weight,
            self.batch_size,
            est.asynchronous,
            self.workspace,
            est.n_multiplications_,
        )
        est.n_multiplications_["dense"] += self.dense_cost
        value = self._record()
        if est.learning_rate == "invscaling" and est.solver == "sgd":
            with np.errstate(over="ignore"):
                gain = np.power(est.t_ + 1.0, est.power_t)
            trainer.optimizer.learning_rate = float(est.learning_rate_init / gain)
        enough = self.monitor.watch(value, trainer.network) and self._stops(trainer.optimizer)
        return self.tasks.end_epoch(self._stopped_here) or enough

    def _record(self):
        """Add an epoch to the history; what it is judged by, larger is better."""
        est = self.est
        est.n_iter_ += 1
        est.t_ += len(self.train)
        est.loss_curve_.append(est.loss_)
        if est.verbose:
            print(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
        if not est.early_stopping:
            est.best_loss_ = min(est.best_loss_, est.loss_)
        if self.watched is not None:
            # An interrupt, or a scorer that fails, leaves curves of the same length.
            est.validation_loss_curve_.append(np.nan)
            est.validation_scores_.append(np.nan)
            loss, score = evaluate(est, self.watched)
            est.validation_loss_curve_[-1], est.validation_scores_[-1] = loss, score
            est.best_validation_score_ = max(est.best_validation_score_, score)
            if est.verbose:
                print(f"Validation loss = {loss:.8f}, score = {score:.6f}")
        return score if est.early_stopping else -est.loss_

    def _stops(self, optimizer):
        """No more improvement: stop, or go on with a smaller step."""
        est = self.est
        if est.learning_rate == "linear":
            return False
        if est.solver == "sgd" and est.learning_rate == "adaptive":
            if optimizer.learning_rate > 1e-6:
                optimizer.learning_rate /= 5
                return False
        if est.verbose:
            print(f"No improvement of tol={est.tol} for {est.n_iter_no_change} epochs. Stopping.")
        return True

    def _stopped_here(self):
        """Attributes of the model that this one would be, had training ended with this epoch."""
        est = self.est
        trainer = deepcopy(est._trainer)
        trainer.finish(self.train.inputs, self.workspace, dict.fromkeys(COSTS, 0), est.warm_start)
        lists = (
            "loss_curve_", "validation_loss_curve_", "validation_scores_", "n_multiplications_",
        )  # fmt: skip
        own = {"_trainer": trainer, "_random_state": deepcopy(est._random_state)}
        return own | {name: copy(getattr(est, name)) for name in lists}
