"""Hash families: functions whose values collide the more often, the closer two vectors point.

Every function is a few linear scores of the vector and the place of the best: the sign of one
projection (SimHash), the largest of a group of coordinates (winner take all), the largest in
absolute value and its sign (cross-polytope), the nearest centroid (cells). So that tables, queries
and probes need not know which family they serve.
"""

import heapq
import warnings
from functools import lru_cache

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.special import ndtri


class HashFamily:
    """n_hashes functions (K) make the bucket of a table, n_tables tables (L).

    Parameters
    ----------
    n_dims : int
        Dimension of the hashed vectors.
    n_hashes, n_tables : int
    seed : int
        The functions are drawn once and kept: redrawing them at a rebuild costs accuracy.

    Attributes
    ----------
    hyperplanes : ndarray of shape (n_dims, n_tables * n_hashes * group), float32
        Columns score a vector.
    key_shift : ndarray of shape (n_tables * n_hashes * group,) or float
        Added to the scores of what is filed, not to those of queries.
    group : int
        Scores per function.
    signed : bool
        Whether the best is the largest in absolute value, and its sign a part of the hash value.
    sparse : bool
        Whether most entries of the hyperplanes are zero.
    adapts : bool
        Whether `fit` changes the functions.
    n_values : int
        Values a function takes.
    """

    group = 1
    signed = True
    sparse = False
    adapts = False
    key_shift = np.float32(0)

    def __init__(self, n_dims, n_hashes, n_tables, seed):
        self.n_dims = n_dims
        self.n_hashes = n_hashes
        self.n_tables = n_tables
        self.rng = np.random.RandomState(seed)
        self.hyperplanes = self.draw(n_tables * n_hashes * self.group).astype(np.float32)

    @classmethod
    def bits(cls):
        """Binary logarithm of n_values."""
        return int(np.log2(cls.group * (2 if cls.signed else 1)))

    @property
    def n_values(self):
        return 2 ** self.bits()

    def draw(self, n_columns):
        return self.rng.standard_normal((self.n_dims, n_columns))

    def fit(self, vectors):
        """Adapt to the vectors that will be filed; returns multiplications."""
        return 0


class SimHash(HashFamily):
    """Signs of Gaussian projections (Charikar 2002)."""


class SparseSimHash(SimHash):
    """Signs of projections on few coordinates, +1 or -1 each (Li, Hastie & Church 2006).

    One entry in sqrt(n_dims) is not zero. Collides as SimHash does where no few coordinates make
    up most of a vector. The last coordinate is the offset of a neuron and takes part everywhere.
    """

    sparse = True

    def draw(self, n_columns):
        share = 1 / np.sqrt(self.n_dims)
        shape = (self.n_dims, n_columns)
        planes = np.where(self.rng.uniform(size=shape) < share, 1, 0) / np.sqrt(share)
        planes[-1] = 1
        return planes * self.rng.choice([-1, 1], size=shape)


class WinnerTakeAll(HashFamily):
    """The largest of eight random coordinates (Yagnik et al. 2011).

    Chen & Shrivastava (2018) densify it for sparse vectors, whose groups may be empty. Here
    vectors are centred first, no group is empty, and nothing is left to densify.
    """

    group = 8
    signed = False
    sparse = True

    def draw(self, n_columns):
        planes = np.zeros((self.n_dims, n_columns))
        for first in range(0, n_columns, self.group):
            ids = self.rng.choice(self.n_dims, self.group, replace=self.n_dims < self.group)
            planes[ids, range(first, first + self.group)] = 1
        return planes


class CrossPolytope(WinnerTakeAll):
    """The largest in absolute value of eight Gaussian projections, and its sign.

    Andoni et al. (2015); eight projections stand for a random rotation.
    """

    signed = True
    sparse = False
    draw = HashFamily.draw


class Cells(HashFamily):
    """The nearest of 32 centroids of the filed vectors (k-means); of a query, the best aligned."""

    group = 32
    signed = False
    adapts = True
    N_ITER = 4
    # Vectors for every centroid that k-means looks at, at most.
    SAMPLE = 64

    def fit(self, vectors):
        n_codebooks = self.n_tables * self.n_hashes
        planes, shifts = [], []
        n_rows = min(len(vectors), self.SAMPLE * self.group)
        for _ in range(n_codebooks):
            sample = vectors[self.rng.permutation(len(vectors))[:n_rows]].astype(np.float64)
            if not np.isfinite(sample).all():
                return 0  # weights that have diverged: k-means would read out of bounds
            start = sample[np.arange(self.group) % n_rows]
            with warnings.catch_warnings():
                # A cell may be empty: fewer neurons than cells, or equal ones.
                warnings.simplefilter("ignore", UserWarning)
                centroids, _ = kmeans2(
                    sample, start, iter=self.N_ITER, minit="matrix", check_finite=False
                )
            planes.append(centroids.T)
            shifts.append(-0.5 * (centroids**2).sum(axis=1))
        self.hyperplanes = np.ascontiguousarray(np.hstack(planes), dtype=np.float32)
        self.key_shift = np.hstack(shifts).astype(np.float32)
        return n_codebooks * self.N_ITER * n_rows * self.group * vectors.shape[1]


HASH_FAMILIES = {
    "simhash": SimHash,
    "sparse_simhash": SparseSimHash,
    "wta": WinnerTakeAll,
    "cross_polytope": CrossPolytope,
    "kmeans": Cells,
}

# Next best values of the functions of a table that probing considers, at most.
MAX_ALTERNATIVES = 64
MOST_PROBES = 2**16  # finding the order of so many takes a second


@lru_cache(maxsize=64)
def probe_sets(n_hashes, n_others, n_probes):
    """Sets of alternatives to a query's own hash values, the likeliest first.

    Lv et al., "Multi-Probe LSH" (VLDB 2007), section 4.5: alternatives of a query (`n_others` to
    each value) are sorted by how far behind the best value they are, and sets of their ranks are
    tried in the order of expected squared distances, computed once. A set may hold two alternatives
    of one function; the query skips it, so that there are more sets than probes.

    Returns
    -------
    ndarray of shape (n_sets, 2), int32
        Row 0 is the empty set; others are the set of an earlier row and one rank more.
    """
    n_ranks = min(n_hashes * n_others, MAX_ALTERNATIVES)
    n_sets = n_probes if n_others == 1 or n_hashes == 1 else 8 * n_probes
    cost = ndtri((1 + (np.arange(n_ranks) + 0.5) / n_ranks) / 2) ** 2
    numbers, sets, heap = {(): 0}, [(0, 0)], [(cost[0], (0,))]
    while heap and len(sets) < n_sets:
        total, ranks = heapq.heappop(heap)
        numbers[ranks] = len(sets)
        sets.append((numbers[ranks[:-1]], ranks[-1]))
        top = ranks[-1]
        if top + 1 < n_ranks:
            shifted = total - cost[top] + cost[top + 1]
            heapq.heappush(heap, (shifted, (*ranks[:-1], top + 1)))
            if len(ranks) < n_hashes:
                heapq.heappush(heap, (total + cost[top + 1], (*ranks, top + 1)))
    return np.array(sets, dtype=np.int32)
