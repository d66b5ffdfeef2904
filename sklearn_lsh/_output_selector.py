"""The selector of an output layer: in training, few of very many labels."""

import numpy as np

from sklearn_lsh._selectors import DenseSelector, Selector

# With so many labels at most, all are taken.
FEWEST = 100
# Labels up to which sampled_output="auto" takes all: products of whole matrices are cheap.
FEW_LABELS = 2**12
# Labels that a batch is compared on: of small batches, random ones besides its own.
ENOUGH = 512


class OutputSelector(Selector):
    """In training the labels of a batch, for all of its examples; every label in prediction.

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
    most_shared = n_seen = 0
    counts = 0.0

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out, FEWEST)

    @property
    def most_active(self):
        return self.most_shared

    def expect(self, targets, batch_size, more):
        if not more:
            self.counts, self.n_seen = 0.0, 0
        self.counts = self.counts + targets.column_counts()
        self.n_seen += len(targets)
        log_absent = log_chance_of_none(self.counts, self.n_seen, min(batch_size, self.n_seen))
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


def log_chance_of_none(counts, n, n_drawn):
    """That rows drawn, of n, are none of `counts` (hypergeometric).

    Draw by draw, of every count once: log-gamma functions of millions differ by their rounding.
    """
    left = n - np.arange(n_drawn)
    distinct, place = np.unique(counts, return_inverse=True)
    with np.errstate(divide="ignore"):
        absent = [np.log1p(-np.minimum(count / left, 1)).sum() for count in distinct]
    return np.array(absent)[place]


def samples(sampled, n_out):
    """Whether training takes few of the outputs; sampled : True, False or "auto"."""
    return n_out > (FEW_LABELS if sampled == "auto" else FEWEST) and bool(sampled)


def make_output_selector(sampled, n_in, n_out):
    """Selector of the output layer; sampled : True, False or "auto"."""
    if not samples(sampled, n_out):
        return DenseSelector(n_in, n_out)
    return OutputSelector(n_in, n_out)
