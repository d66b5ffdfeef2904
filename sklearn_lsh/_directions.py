"""The leading directions of a layer's inputs, followed as the layer below learns."""

import numpy as np
import scipy.sparse as sp

# Directions of less than this share of the largest variance are rounding errors of float32.
NEGLIGIBLE = 1e-5


class Directions:
    """Mean and top principal directions of a stream of inputs.

    A block power step on the new rows plus what is remembered of the old ones (the low-rank
    covariance itself): streaming principal components, orthonormalised through the Gram matrix,
    which takes products of matrices only.

    Attributes
    ----------
    mean : ndarray of shape (n_in,), float64
    basis : ndarray of shape (n_in, rank), float32
        Orthonormal columns; zero columns where the inputs have no such direction.
    variances : ndarray of shape (rank,), float64
        Descending.
    """

    def __init__(self, n_in, rank, seed):
        self.mean = np.zeros(n_in)
        self.basis = np.zeros((n_in, rank), dtype=np.float32)
        self.variances = np.zeros(rank)
        self.seed = seed

    def learn(self, X, weight, *, memory, n_iter=1):
        """Update from rows X (array or CSR, float32), weighted; the share `memory` is kept.

        Returns the multiplications spent.
        """
        share, mean = shares(weight), weighted_mean(X, weight)
        shift = (mean - self.mean).astype(np.float32)
        self.mean = memory * self.mean + (1 - memory) * mean
        mean, share = mean.astype(np.float32), share.astype(np.float32)
        n_in, rank = self.basis.shape
        old, kept_variances = self.basis, (memory * self.variances).astype(np.float32)
        basis = old.copy()
        unknown = np.flatnonzero(self.variances == 0)
        if len(unknown):
            rng = np.random.RandomState(self.seed)
            basis[:, unknown] = rng.standard_normal((n_in, len(unknown))) / np.sqrt(n_in)
        for _ in range(n_iter):
            scores = (X @ basis - mean @ basis) * share[:, None]
            image = np.asarray(X.T @ scores) - np.outer(mean, scores.sum(axis=0))
            if memory:
                image *= 1 - memory
                image += (old * kept_variances) @ (old.T @ basis)
                image += (memory * (1 - memory)) * np.outer(shift, shift @ basis)
            # In a unit of their own: fourth powers of inputs overflow before anything else does.
            unit = power_of_two(np.abs(image).max())
            image = image / unit if unit else np.zeros_like(image)
            squares, rotation = np.linalg.eigh((image.T @ image).astype(np.float64))
            variances = np.sqrt(np.maximum(squares[::-1], 0))
            real = variances > NEGLIGIBLE * variances[0]
            variances = np.where(real, variances, 0)
            inverse = np.divide(1, variances, out=np.zeros(rank), where=real)
            basis = image @ (rotation[:, ::-1] * inverse).astype(np.float32)
        self.basis, self.variances = basis, variances * np.float64(unit)
        entries = X.nnz if sp.issparse(X) else X.size
        products = 4 if memory else 2  # of n_in x rank x rank
        return n_iter * (2 * entries * rank + products * n_in * rank * rank)


def power_of_two(size):
    """The largest that is not above `size`, to divide by without rounding; 0 of 0 and infinity."""
    return np.ldexp(np.float32(1), np.frexp(size)[1] - 1) if 0 < size < np.inf else np.float32(0)


def shares(weight):
    return np.asarray(weight, dtype=np.float64) / np.sum(weight)


def weighted_mean(X, weight):
    """In float64, some rows at a time: all of them in float64 may be larger than the network."""
    share, n_rows = shares(weight), 256
    parts = [slice(at, at + n_rows) for at in range(0, X.shape[0], n_rows)]
    return sum(np.asarray(share[part] @ X[part]).ravel() for part in parts)
