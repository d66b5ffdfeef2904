"""The selector of the paper: hash tables over the neurons."""

import numpy as np
import scipy.sparse as sp

from sklearn_lsh._costs import FILE, SKETCH
from sklearn_lsh._hashing import HASH_FAMILIES, probe_sets
from sklearn_lsh._kernels import _tables
from sklearn_lsh._selectors import SHORTLISTED, CoordinateSelector

# Of the bucket offsets of a layer, at most.
MAX_TABLE_BYTES = 2**28
# Neurons whose scores are held at once: they stay in the cache.
SCORED_AT_ONCE = 4096


class TableSelector(CoordinateSelector):
    """Neurons filed in hash tables; those an input's buckets return are ranked, the best kept.

    Hashed are few coordinates, centred over the neurons, which no ranking notices; the neurons'
    offsets are one coordinate more, against a constant. `rank` None hashes the raw weights, as the
    paper does, and ranks by the exact pre-activation.
    """

    kind = 3

    def __init__(self, n_in, n_out, n_active, by_magnitude, rank, seed, *, hash_function, n_hashes,
                 n_tables, n_probes, n_candidates, mips=False,
                 shortlisted=SHORTLISTED):  # fmt: skip
        super().__init__(n_in, n_out, n_active, by_magnitude, rank, seed)
        self.n_candidates = min(n_candidates, n_out)
        self.mips = mips
        # What equalises norms is one coordinate more, the offset of a neuron the last one.
        n_dims = self.coordinates.rank + 1 + mips
        self.family = HASH_FAMILIES[hash_function](n_dims, n_hashes, n_tables, seed)
        self.n_hashes, self.n_tables = n_hashes, n_tables
        self.group, self.is_signed = self.family.group, self.family.signed
        self.n_buckets = self.family.n_values**n_hashes
        # Buckets of every table that are looked into.
        self.n_probes = min(n_probes, self.n_buckets)
        self.sets = probe_sets(n_hashes, self.family.n_values - 1, self.n_probes)
        self.n_scores = n_tables * n_hashes * self.group
        self.rank = self.n_scores if rank is None else rank
        # Neurons that went to other buckets, and how many had when functions were last fitted to
        # them: these are again whenever that has doubled.
        self.n_moved = self.n_moved_at_fit = 0
        # Entries of the hyperplanes that take part in the product with an input.
        planes = self.family.hyperplanes[: self.coordinates.rank]
        self.n_entries = np.count_nonzero(planes) if self.family.sparse else planes.size
        if rank is not None:
            self.shortlisted = shortlisted
            self.rows = np.zeros((n_out, rank), dtype=np.float32)
            self.offsets = np.zeros(n_out, dtype=np.float32)

    def update(self, layer, ids, n_threads):
        vectors, offsets = self.coordinates.of(layer, ids, n_threads)
        spent = self.update_cost(len(ids))
        if self.rows is not None:
            self.rows[ids], self.offsets[ids] = vectors, offsets
        if self.stale:
            return spent + self.file_anew(vectors, offsets, n_threads)
        codes = self.hash(vectors, offsets, n_threads)
        n_moved = np.count_nonzero((self.codes[:, ids] != codes).any(axis=0))
        self.n_moved += n_moved
        self.codes[:, ids] = codes
        if self.family.adapts and self.n_moved >= 2 * self.n_moved_at_fit:
            every = (layer.W, layer.b) if self.rows is None else (self.rows, self.offsets)
            spent += self.hash_cost(self.n_out)
            return spent + self.file_anew(*every, n_threads)
        if n_moved:
            self.file(n_threads)
        return spent

    def by_input(self):
        if self.rows is not None:
            return super().by_input()
        return [*super().by_input(), self.family.hyperplanes[: self.n_in]]

    def file_anew(self, vectors, offsets, n_threads):
        """File all neurons by functions that fit them; returns multiplications of fitting."""
        spent = 0
        # What all neurons share is hashed to nothing, the mean input to the constant alone.
        self.shared = vectors.mean(axis=0)
        at_mean = self.at_mean(vectors, offsets)
        self.level = at_mean.mean()
        if self.mips:
            self.largest = self.squares(vectors, at_mean - self.level).max()
        if self.family.adapts:
            spent = self.family.fit(
                np.hstack([vectors - self.shared, self.added_coordinates(vectors, offsets)])
            )
        self.n_moved_at_fit = max(self.n_moved, self.n_active)
        planes, n_dims = self.family.hyperplanes, self.coordinates.rank
        self.shift = planes[-1] - self.coordinates.centre() @ planes[:n_dims]
        if self.rows is not None:
            self.directions = self.coordinates.directions
        self.use_planes()
        self.codes = self.hash(vectors, offsets, n_threads)
        self.file(n_threads)
        return spent

    def use_planes(self):
        """Hash inputs by the family's functions as they are now."""
        planes = self.family.hyperplanes[: self.coordinates.rank]
        if self.rows is not None:
            self.hyperplanes = np.ascontiguousarray(planes)
        elif not self.family.sparse:
            self.directions = np.ascontiguousarray(planes)
        else:
            entries = sp.csr_matrix(planes)
            self.plane_start, self.plane_columns = entries.indptr, entries.indices
            self.plane_values = entries.data

    def at_mean(self, vectors, offsets):
        """Scores of the mean input."""
        return offsets + vectors @ self.coordinates.centre()

    def squares(self, vectors, at_mean):
        """Squared norms of what is hashed."""
        rest = vectors - self.shared
        return np.einsum("ij,ij->i", rest, rest) + at_mean**2

    def added_coordinates(self, vectors, offsets):
        """Coordinates of neurons beside their vectors: what equalises norms, and the offset."""
        at_mean = self.at_mean(vectors, offsets) - self.level
        columns = [at_mean]
        if self.mips:
            missing = self.largest - self.squares(vectors, at_mean)
            columns.insert(0, np.sqrt(np.maximum(missing, 0)))
        return np.column_stack(columns).astype(np.float32)

    def hash(self, vectors, offsets, n_threads):
        """Buckets of neurons in every table, int32 (n_tables, n_neurons)."""
        planes, n_dims = self.family.hyperplanes, self.coordinates.rank
        shift = self.family.key_shift - self.shared @ planes[:n_dims]
        codes = np.empty((self.n_tables, len(vectors)), dtype=np.int32)
        for at in range(0, len(vectors), SCORED_AT_ONCE):
            part = slice(at, at + SCORED_AT_ONCE)
            scores = vectors[part] @ planes[:n_dims]
            scores += self.added_coordinates(vectors[part], offsets[part]) @ planes[n_dims:]
            scores += shift
            codes[:, part] = _tables.codes(
                scores, self.n_tables, self.group, self.is_signed, n_threads
            )
        return codes

    def file(self, n_threads):
        self.bucket_start, self.neurons = _tables.file_neurons(
            self.codes, self.n_buckets, n_threads
        )

    def hash_cost(self, n_neurons):
        """Multiplications of `hash`."""
        further = (1 + self.mips) * self.n_scores
        if self.rows is None:
            return n_neurons * (self.n_in + self.n_entries + further)
        return n_neurons * (self.rank * self.n_scores + further)

    def update_cost(self, n_neurons):
        return self.coordinates.cost(n_neurons) + self.hash_cost(n_neurons)

    def refresh_time(self, n_neurons):
        return SKETCH * self.update_cost(n_neurons) + FILE * self.n_tables * self.n_out

    def query_cost(self, n_projected, n_rows):
        if self.rows is None:
            return n_projected * self.n_entries // self.n_in
        return (n_projected + n_rows * self.n_scores) * self.rank

    def ranking_cost(self, n_projected, n_rows, n_ranked):
        if self.rows is None:
            return n_projected * n_ranked // max(n_rows, 1)
        return n_ranked * self.rank
