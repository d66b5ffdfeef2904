"""Layer: the arrays of one layer, named; no arithmetic."""

from copy import deepcopy

import numpy as np

from sklearn_lsh._rows import CACHE_LINE, aligned_zeros

ACTIVATIONS = {"relu": 0, "leaky_relu": 1, "tanh": 2, "logistic": 3, "identity": 4}
# Neurons that respond to both signs are ranked by the size of their pre-activation.
TWO_SIDED = {"tanh", "identity"}


def aligned(shape):
    """Zeros of float32 whose rows start on cache lines, an odd number of lines apart.

    An odd stride keeps one column of all rows from falling into the same cache set.
    """
    n_rows, n_cols = shape
    stride = (-(-n_cols // CACHE_LINE) | 1) * CACHE_LINE
    return aligned_zeros(n_rows * stride).reshape(n_rows, stride)[:, :n_cols]


class Layer:
    """Weights of one layer.

    Attributes
    ----------
    W : ndarray of shape (n_out, n_in), float32
        Row = neuron.
    b : ndarray of shape (n_out,), float32
    activation : int
        Code in ``ACTIVATIONS``.
    slots : list of (ndarray like W, ndarray like b)
        Optimiser state; empty until training.
    changed : ndarray of shape (n_out,), uint8
        1 for neurons that have stepped since the selector was refreshed.
    selector : Selector
    """

    def __init__(self, W, b, activation, selector):
        self.W = W
        self.b = b
        self.activation = ACTIVATIONS[activation]
        self.slots = []
        self.changed = np.ones(len(b), dtype=np.uint8)
        self.selector = selector

    @classmethod
    def glorot(cls, n_in, n_out, activation, selector, rng):
        """Uniform start of Glorot & Bengio (2010), drawn as scikit-learn draws it."""
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (n_in + n_out))
        W = aligned((n_out, n_in))
        for k in range(n_in):
            W[:, k] = rng.uniform(-bound, bound, n_out)
        b = rng.uniform(-bound, bound, n_out).astype(np.float32)
        return cls(W, b, activation, selector)

    def prepare_to_train(self, n_slots):
        """Allocate optimiser state; copy what a memory map has made read-only."""
        if not self.W.flags.writeable:
            self.selector = deepcopy(self.selector)
        self.b, self.changed = (np.require(a, requirements="W") for a in (self.b, self.changed))
        if len(self.slots) != n_slots:
            self.slots = [(aligned(self.W.shape), np.zeros_like(self.b)) for _ in range(n_slots)]
        self.slots = [(self.writeable(W), np.require(b, requirements="W")) for W, b in self.slots]
        self.W = self.writeable(self.W)

    @staticmethod
    def writeable(W):
        """W itself, or a copy in whole cache lines, as kernels address it with its state."""
        if W.flags.writeable and W.strides == aligned((0, W.shape[1])).strides:
            return W
        copy = aligned(W.shape)
        copy[...] = W
        return copy
