"""The selector of an output layer: in training, few of very many labels."""

from copy import copy
from math import log2

import numpy as np

from sklearn_lsh._selectors import DenseSelector
from sklearn_lsh._table_selector import TableSelector

# Wrong labels kept of an example's candidates, and how many of these there are.
STRONGEST = 100
CANDIDATES = 1500
# Tables, and buckets looked up in each; labels a bucket should hold on average.
N_TABLES = 5
N_PROBES = 30
BUCKET = 64
# Labels of other examples that an example is compared with.
MOST_SHARED = 1024
# Prediction by tables: a quarter of the labels at most, from so many buckets of each.
LABELS_LOOKED_AT = 4
PREDICTION_PROBES = 100


class OutputSelector(TableSelector):
    """The labels of an example, the strongest others that tables find, and those of its batch.

    Few, hard wrong labels train better than all of them. What tables return is scored by the
    present weights, since stale scores single out labels that have long been corrected. Tables lag
    behind as well, and miss many labels of very many; those of the other examples of a batch cost
    little, since all of its examples share them. Under
    the softmax a shared label stands for the others of its kind: its score is raised by the
    logarithm of 1 / its chance of being there, which makes the sum over the sample estimate that
    over all labels (importance sampling; Bengio & Senecal, 2003).

    Attributes
    ----------
    n_labels : int
        Labels that an example may have.
    most_shared : int
        Labels that a batch may share.
    counts : ndarray of shape (n_out,), float64
        How often a label was seen, of how many rows, `n_seen`.
    """

    n_labels = n_seen = 0
    counts = 0.0

    def __init__(self, n_in, n_out, seed):
        super().__init__(
            n_in, n_out, STRONGEST, False, None, seed, hash_function="simhash",
            n_hashes=max(1, round(log2(n_out / BUCKET))), n_tables=N_TABLES, n_probes=N_PROBES,
            n_candidates=CANDIDATES,
        )  # fmt: skip

    @property
    def most_active(self):
        return min(self.n_out, self.n_active + self.n_labels + self.most_shared)

    def expect(self, targets, batch_size, more):
        if not more:
            self.counts, self.n_seen = 0.0, 0
        self.counts = self.counts + targets.column_counts()
        self.n_seen += len(targets)
        share = np.minimum(self.counts / self.n_seen, 1)
        with np.errstate(divide="ignore"):
            # Of being among the batch's labels; of more than MOST_SHARED the last rows' are left
            # out, and the chance is then too high for all alike.
            chance = -np.expm1(batch_size * np.log1p(-share))
        self.log_chance = np.log(np.maximum(chance, 1e-6)).astype(np.float32)
        self.n_labels = int(targets.length.max())
        self.most_shared = min(MOST_SHARED, batch_size * self.n_labels, self.n_out)

    def at_prediction(self):
        return DenseSelector(self.n_in, self.n_out)

    def retrieving(self, k):
        """The selector of predictions by tables alone, k labels at least where they can."""
        selector = copy(self)
        selector.n_labels = selector.most_shared = 0
        selector.n_active = min(self.n_out, max(self.n_active, 2 * k))
        selector.n_candidates = max(self.n_out // LABELS_LOOKED_AT, selector.n_active)
        selector.look_into(PREDICTION_PROBES)
        return selector
