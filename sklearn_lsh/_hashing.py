"""Hash families: functions whose values collide the more often, the closer two vectors point."""

import numpy as np


class SimHash:
    """Signs of Gaussian projections (Charikar 2002); n_hashes signs make the bucket of a table.

    Parameters
    ----------
    n_dims : int
        Dimension of the hashed vectors.
    n_hashes, n_tables : int
        K and L.
    seed : int
        The functions are drawn once and kept: redrawing them at a rebuild costs accuracy.

    Attributes
    ----------
    hyperplanes : ndarray of shape (n_dims, n_tables * n_hashes), float32
    """

    def __init__(self, n_dims, n_hashes, n_tables, seed):
        rng = np.random.RandomState(seed)
        self.n_hashes = n_hashes
        self.n_tables = n_tables
        self.hyperplanes = rng.standard_normal((n_dims, n_tables * n_hashes)).astype(np.float32)

    def collision_probability(self, cosine):
        """Chance that vectors at this cosine share a bucket of one table: (1 - angle / pi)^K."""
        return (1 - np.arccos(np.clip(cosine, -1, 1)) / np.pi) ** self.n_hashes


HASH_FAMILIES = {"simhash": SimHash}
