"""Layer: the arrays of one layer, named; no arithmetic."""

from copy import copy, deepcopy

import numpy as np

from sklearn_lsh._rows import CACHE_LINE, aligned_zeros

ACTIVATIONS = {"relu": 0, "leaky_relu": 1, "tanh": 2, "logistic": 3, "identity": 4}
# Neurons that respond to both signs are ranked by the size of their pre-activation.
TWO_SIDED = {"tanh", "identity"}
# Share of the random start in a layer that starts as a copy: tells copies of one input apart.
RANDOM_SHARE = 0.3


def aligned(shape):
    """Zeros of float32 whose rows start on cache lines, an odd number of lines apart.

    An odd stride keeps one column of all rows from falling into the same cache set.
    """
    n_rows, n_cols = shape
    stride = (-(-n_cols // CACHE_LINE) | 1) * CACHE_LINE
    return aligned_zeros(n_rows * stride).reshape(n_rows, stride)[:, :n_cols]


def aligned_copy(matrix):
    rows = aligned(matrix.shape)
    rows[...] = matrix
    return rows


class Layer:
    """Weights of one layer.

    Attributes
    ----------
    W : ndarray of shape (n_out, n_in), float32
        Row = neuron. A view of `stored`.
    stored : ndarray, float32
        W, or its transpose.
    by_input : bool
        Whether weights are stored by inputs, of which each has a row: dense layers above sparse
        data, whose rows touch few inputs and all neurons.
    b : ndarray of shape (n_out,), float32
    activation : int
        Code in ``ACTIVATIONS``.
    slots : list of (ndarray like stored, ndarray like b)
        Optimiser state; empty until training.
    changed : ndarray of shape (n_out,), uint8
        1 for neurons that have stepped since the selector was refreshed.
    selector : Selector
    """

    def __init__(self, stored, b, activation, selector, by_input=False):
        self.stored = stored
        self.by_input = by_input
        self.b = b
        self.activation = ACTIVATIONS[activation]
        self.slots = []
        self.changed = np.ones(len(self.W), dtype=np.uint8)
        self.selector = selector

    @property
    def W(self):
        return self.stored.T if self.by_input else self.stored

    @classmethod
    def glorot(cls, n_in, n_out, activation, selector, rng, by_input=False, factor=6.0,
               fan_in=None):  # fmt: skip
        """Uniform start of Glorot & Bengio (2010), drawn as scikit-learn draws it.

        fan_in : inputs that a row has, if not n_in. The bound is far wider then, and a bias as
            large would outweigh what a row adds: biases start at 0, as in that paper.
        """
        bound = np.sqrt(factor / ((fan_in or n_in) + n_out))
        layer = cls(aligned((n_in, n_out) if by_input else (n_out, n_in)), None, activation,
                    selector, by_input)  # fmt: skip
        together = max(1, 2**18 // n_out)  # a strided write for every input would take long
        for k in range(0, n_in, together):
            columns = layer.W[:, k : k + together]
            columns[...] = rng.uniform(-bound, bound, columns.shape[::-1]).T
        b = np.zeros(n_out) if fan_in else rng.uniform(-bound, bound, n_out)
        layer.b = b.astype(np.float32)
        return layer

    def start_as_copy(self):
        """Pass the inputs on: neuron j those whose number is j, modulo the smaller of n_in, n_out.

        The few largest of random sums change with every small change of the inputs, and after a
        few layers examples of a kind have nothing in common; a copy keeps what they have.
        """
        n_out, n_in = self.W.shape
        numbers = np.arange(max(n_out, n_in))
        self.W[...] *= np.float32(RANDOM_SHARE)
        self.W[numbers % n_out, numbers % n_in] += 1

    def prepare_to_train(self, n_slots):
        """Allocate optimiser state; copy what a memory map has made read-only."""
        if not self.stored.flags.writeable:
            self.selector = deepcopy(self.selector)
        self.b, self.changed = (np.require(a, requirements="W") for a in (self.b, self.changed))
        if len(self.slots) != n_slots:
            shape = self.stored.shape
            self.slots = [(aligned(shape), np.zeros_like(self.b)) for _ in range(n_slots)]
        self.slots = [(self.writeable(s), np.require(b, requirements="W")) for s, b in self.slots]
        self.stored = self.writeable(self.stored)

    def snapshot(self):
        """A copy of what predicts: without the optimiser's state."""
        kept = copy(self)
        kept.slots = []
        kept.stored = aligned_copy(self.stored)
        kept.b, kept.changed, kept.selector = deepcopy((self.b, self.changed, self.selector))
        return kept

    @staticmethod
    def writeable(rows):
        """The rows, or a copy in whole cache lines, as kernels address weights with their state."""
        if rows.flags.writeable and rows.strides == aligned((0, rows.shape[1])).strides:
            return rows
        return aligned_copy(rows)
