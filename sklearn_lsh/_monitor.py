"""What watches training: the scores of an epoch, the best one, and when to stop."""

from numbers import Real

import numpy as np
import scipy.sparse as sp
from sklearn.metrics import get_scorer

from sklearn_lsh._rows import stack
from sklearn_lsh._samples import naming


class Monitor:
    """The best epoch so far, its weights, and how many have come since.

    Parameters
    ----------
    best : float
        What earlier epochs reached; larger is better.
    tol : float
        Improvement that counts.
    patience : int
        Epochs in a row without one that are tolerated.
    keeps_weights : bool
        Whether to keep the weights of this call's best epoch.

    Attributes
    ----------
    no_improvement : int
        Epochs since the last improvement.
    best_layers : list of Layer, or None
        Copies, without the optimiser's state.
    version_of_best : int or None
        The network's when they were copied.
    """

    def __init__(self, best, tol, patience, keeps_weights):
        self.best = best
        self.tol = tol
        self.patience = patience
        self.keeps_weights = keeps_weights
        self.no_improvement = 0
        self.best_layers = None
        self.version_of_best = None

    def watch(self, value, network):
        """Take note of what an epoch reached; whether there has been none better for too long."""
        if self.keeps_weights and value >= self.best:
            self.version_of_best = network.version
            self.best_layers = [layer.snapshot() for layer in network.layers]
        self.no_improvement = 0 if value >= self.best + self.tol else self.no_improvement + 1
        self.best = max(self.best, value)
        if self.no_improvement <= self.patience:
            return False
        self.no_improvement = 0
        return True

    def put_back(self, network):
        """Give the network the best weights, if they are not its own; whether they are others.

        They come without the solver's state, which is of the last epoch: neurons may have got
        other numbers since.
        """
        if self.best_layers is None or self.version_of_best == network.version:
            return False
        for layer in self.best_layers:
            layer.changed[:] = 1
        with network.changing():
            network.layers = self.best_layers  # all at once, whatever interrupts
        return True


def evaluate(est, sample):
    """Mean loss of rows without the penalty, and score, by the network as it is."""
    losses, predicted = [], []
    for rows, out in est._outputs(sample.inputs):
        scores, targets = out.to_matrix(), sample.targets.take(rows).to_matrix()
        targets = targets.toarray() if sp.issparse(targets) else targets
        losses.append(est._network.loss.of_rows(scores, targets))
        if est.scoring is None:
            predicted.append(est._to_score(scores))
    loss = float(np.average(np.concatenate(losses), weights=sample.weight))
    if est.scoring is None:
        return loss, est._score(sample.targets, stack(predicted), sample.weight)
    return loss, -loss if est.scoring == "loss" else score_by(est.scoring, est, sample)


def score_by(scoring, est, sample):
    """Score by scikit-learn's scorers, which weigh rows, or by a function."""
    X, y, sample_weight = sample.given
    if isinstance(scoring, str):
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        with naming(f"scoring={scoring!r}"):
            return float(get_scorer(scoring)(est, X, y, **weights))
    score = scoring(est, X, y)
    if not isinstance(score, Real):
        raise ValueError(f"scoring must return a number, got {score!r}.")
    return float(score)
