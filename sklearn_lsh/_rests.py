"""Rows that know their answer are met less often."""

import numpy as np

# Epochs in a row that a row is left out of, at most.
LONGEST = 3


class Rests:
    """Which of the training rows an epoch leaves out: those that were settled when last met.

    Once at first, twice if found settled again, LONGEST times at most; a row that is not settled
    any more is met in every epoch.

    Parameters
    ----------
    n_rows : int

    Attributes
    ----------
    streaks : ndarray of shape (n_rows,), int64
        How often in a row it was found settled.
    left : ndarray of shape (n_rows,), int64
        Epochs to come without it.
    losses : ndarray of shape (n_rows,), float64
        When last met.
    """

    def __init__(self, n_rows):
        self.streaks = np.zeros(n_rows, dtype=np.int64)
        self.left = np.zeros(n_rows, dtype=np.int64)
        self.losses = np.zeros(n_rows)

    def due(self, order):
        """The rows of `order` that this epoch meets."""
        rests = self.left > 0
        self.left[rests] -= 1
        return order[~rests[order]]

    def note(self, rows, settled, losses):
        """What was found of rows that have been met."""
        self.streaks[rows] = np.where(settled, self.streaks[rows] + 1, 0)
        self.left[rows] = np.minimum(self.streaks[rows], LONGEST)
        self.losses[rows] = losses
