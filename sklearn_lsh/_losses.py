"""Losses by name, and the prediction each makes of raw scores."""

from typing import ClassVar

import numpy as np
from scipy.special import expit, softmax


class Loss:
    """Loss of raw scores.

    Attributes
    ----------
    name : str
        Key of ``KINDS``.
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
    }
    FUNCTIONS: ClassVar[dict] = {
        "softmax": lambda scores: softmax(scores, axis=1),
        "logistic": expit,
        "identity": lambda scores: scores,
        "exp": np.exp,
    }

    def __init__(self, name):
        self.name = name
        self.kind, self.out_activation = self.KINDS[name]

    def predictions(self, scores):
        """Raw scores (n_rows, n_outputs) to probabilities or means, float64."""
        return self.FUNCTIONS[self.out_activation](scores.astype(np.float64))
