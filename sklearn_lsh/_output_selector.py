"""The selector of an output layer: in training, few of very many labels."""

from copy import copy

import numpy as np

from sklearn_lsh._selectors import DenseSelector, SketchSelector

# With so many labels at most, all are taken.
FEWEST = 100
# Labels that a batch is compared on: of small batches, random ones besides its own.
ENOUGH = 512
# Predictions that do not score every label: coordinates, of as many as there are inputs, and how
# many labels, or how many times as many as are wanted, the scores in them leave.
RANK = 64
SHORTLIST, SHORTLISTED_PER_WANTED = 1500, 10


class OutputSelector(SketchSelector):
    """In training the labels of a batch, for all of its examples; a sketch to predict by.

    An example's wrong labels are those of the others, and of small batches random ones. That costs
    little, since the examples share them, and nothing has to be found. Under the softmax such a
    label stands for others of its kind: its score is raised by the logarithm of 1 / its chance of
    being there, which makes the sum over the sample estimate that over all labels (importance
    sampling; Bengio & Senecal, 2003).

    Attributes
    ----------
    n_random : int
        Labels drawn for a batch; `draw` tells batches apart.
    most_shared : int
        Labels that a batch may hold.
    counts : ndarray of shape (n_out,), float64
        How often a label was seen, of how many rows, `n_seen`.
    """

    kind = 6
    is_shared = True
    trains = False
    most_shared = n_seen = 0
    counts = 0.0

    def __init__(self, n_in, n_out, seed):
        super().__init__(n_in, n_out, FEWEST, False, min(RANK, n_in), seed)

    @property
    def n_shortlisted(self):
        if self.is_shared:
            return self.n_active
        return min(max(SHORTLIST, SHORTLISTED_PER_WANTED * self.n_active), self.n_out)

    @property
    def most_active(self):
        return self.most_shared if self.is_shared else self.n_shortlisted

    def expect(self, targets, batch_size, more):
        if not more:
            self.counts, self.n_seen = 0.0, 0
        self.counts = self.counts + targets.column_counts()
        self.n_seen += len(targets)
        share = np.minimum(self.counts / self.n_seen, 1)
        with np.errstate(divide="ignore"):
            log_absent = batch_size * np.log1p(-share)
        # One at least: rows without labels have to be compared on something.
        self.n_random = max(1, min(ENOUGH, self.n_out) - round(-np.expm1(log_absent).sum()))
        log_absent += self.n_random * np.log1p(-1 / self.n_out)
        self.log_chance = np.log(np.maximum(-np.expm1(log_absent), 1e-6)).astype(np.float32)
        longest = np.sort(targets.length)[-batch_size:]
        self.most_shared = min(int(longest.sum(dtype=np.int64)) + self.n_random, self.n_out)

    def advance(self, n_batches=1):
        self.draw += n_batches

    def at_prediction(self):
        return DenseSelector(self.n_in, self.n_out)

    def retrieving(self, k):
        """The selector of predictions of the k best labels that does not score all of them."""
        selector = copy(self)
        selector.kind, selector.is_shared, selector.n_active = SketchSelector.kind, False, k
        return selector
