"""The leading directions of a layer's inputs, followed as the layer below learns."""

import numpy as np
import scipy.sparse as sp

# Directions whose share of the largest variance is below this are noise and are left out.
NEGLIGIBLE = 1e-9


class Directions:
    """Mean and top principal directions of a stream of inputs.

    One block power step per call of `learn`, on the new rows plus what is remembered of the old
    ones (the low-rank covariance itself): streaming principal components, a few milliseconds.

    Attributes
    ----------
    mean : ndarray of shape (n_in,), float64
    basis : ndarray of shape (n_in, rank), float64
        Orthonormal columns; zero columns where the inputs have no such direction.
    variances : ndarray of shape (rank,), float64
    """

    def __init__(self, n_in, rank, seed):
        self.mean = np.zeros(n_in)
        self.variances = np.zeros(rank)
        rng = np.random.RandomState(seed)
        self.basis = np.linalg.qr(rng.standard_normal((n_in, rank)))[0]

    def learn(self, X, weight, *, memory, n_iter=1):
        """Update from rows X (array or CSR), weighted; `memory` in [0, 1) is the share kept.

        Returns the multiplications spent.
        """
        share = np.asarray(weight, dtype=np.float64) / np.sum(weight)
        X = X.astype(np.float64)
        mean = np.asarray(share @ X).ravel()
        shift = mean - self.mean
        self.mean = memory * self.mean + (1 - memory) * mean
        old, old_variances = self.basis, self.variances
        basis = old
        for _ in range(n_iter):
            scores = X @ basis - mean @ basis
            scores *= share[:, None]
            image = np.asarray(X.T @ scores) - np.outer(mean, scores.sum(axis=0))
            if memory:
                image += memory * np.outer(shift, shift @ basis)
                image = (1 - memory) * image + memory * (old * old_variances) @ (old.T @ basis)
            basis, triangle = np.linalg.qr(image)
        # Rayleigh-Ritz: rotate so that the directions are the principal ones, in order.
        left, variances, _ = np.linalg.svd(triangle)
        basis = basis @ left
        basis[:, variances <= NEGLIGIBLE * max(variances[0], 1e-300)] = 0
        self.basis, self.variances = basis, variances
        entries = X.nnz if sp.issparse(X) else X.size
        n_in, rank = basis.shape
        return n_iter * (2 * entries * rank + 2 * n_in * rank * rank)
