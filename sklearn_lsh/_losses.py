"""Losses by name: of rows, and the prediction each makes of raw scores."""

from typing import ClassVar

import numpy as np
from scipy.special import expit, logsumexp, softmax, xlogy


def huber(error, delta):
    inside = np.minimum(np.abs(error), delta)
    return inside * (np.abs(error) - 0.5 * inside)


def classifier_loss(loss, n_classes, multilabel):
    """The loss of a network's outputs that the parameter `loss` stands for."""
    if loss == "squared_hinge":
        return loss
    competing = loss == "softmax" if multilabel else n_classes > 2
    return "log_loss" if competing else "binary_log_loss"


class Loss:
    """Loss of raw scores.

    Parameters
    ----------
    name : str
    delta : float
        Error from which on Huber's loss is linear.

    Attributes
    ----------
    name, delta
    kind : int
        Code of the kernel.
    out_activation : str
        scikit-learn's name of the function that turns scores into predictions.
    """

    KINDS: ClassVar[dict] = {
        "log_loss": (0, "softmax"),
        "binary_log_loss": (1, "logistic"),
        "squared_error": (2, "identity"),
        "poisson": (3, "exp"),
        "huber": (4, "identity"),
        "absolute_error": (5, "identity"),
        "squared_hinge": (6, "identity"),
    }
    FUNCTIONS: ClassVar[dict] = {
        "softmax": lambda scores: softmax(scores, axis=1),
        "logistic": expit,
        "identity": lambda scores: scores,
        "exp": np.exp,
    }
    # Losses of rows, of scores and targets of shape (n_rows, n_outputs).
    ROWS: ClassVar[dict] = {
        "log_loss": lambda s, y, _: y.sum(axis=1) * logsumexp(s, axis=1) - (y * s).sum(axis=1),
        "binary_log_loss": lambda s, y, _: (np.logaddexp(0, s) - y * s).sum(axis=1),
        "squared_error": lambda s, y, _: 0.5 * ((s - y) ** 2).mean(axis=1),
        "poisson": lambda s, y, _: (np.exp(s) - y * s + xlogy(y, y) - y).sum(axis=1),
        "huber": lambda s, y, delta: huber(s - y, delta).sum(axis=1),
        "absolute_error": lambda s, y, _: np.abs(s - y).sum(axis=1),
        "squared_hinge": lambda s, y, _: (np.maximum(1 - (2 * y - 1) * s, 0) ** 2).sum(axis=1),
    }

    def __init__(self, name, delta=1.0):
        self.name = name
        self.delta = delta
        self.kind, self.out_activation = self.KINDS[name]

    def predictions(self, scores):
        """Raw scores (n_rows, n_outputs) to probabilities or means, float64."""
        return self.FUNCTIONS[self.out_activation](scores.astype(np.float64))

    def of_rows(self, scores, targets):
        """Loss of every row (n_rows,), float64, as kernels compute it in training.

        scores, targets : arrays of shape (n_rows, n_outputs).
        """
        scores, targets = (np.asarray(a, dtype=np.float64) for a in (scores, targets))
        return self.ROWS[self.name](scores, targets, self.delta)
