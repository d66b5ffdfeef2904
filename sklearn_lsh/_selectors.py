"""Selectors: which neurons of a layer an example computes.

A selector is configured once and follows the layer's inputs by `learn`, its weights by `turn` and
`refresh`. The kernels pick active sets: a pure function of its arrays and of one input row.
"""

import numpy as np
import scipy.sparse as sp

from sklearn_lsh._costs import CANDIDATE, COPY, GEMM, PICK, PROBE, SCORE, STREAM, per_entry
from sklearn_lsh._directions import Directions
from sklearn_lsh._hashing import HASH_FAMILIES, probe_sets
from sklearn_lsh._kernels import _sketch, _tables
from sklearn_lsh._rows import aligned_zeros
from sklearn_lsh._workspace import PANEL


class Selector:
    """What the kernels read; a subclass fills in what it uses.

    Parameters
    ----------
    n_in, n_out : int
        Inputs and neurons of the layer.
    n_active : int
        Neurons kept per example.
    by_magnitude : bool
        Rank by the absolute pre-activation.
    """

    is_dense = False
    learns = False  # whether it looks at the layer's inputs
    rank = n_tables = n_hashes = n_probes = n_candidates = group = n_buckets = 0
    is_signed = adaptive = False
    draw = n_kept = 0
    directions = panels = halves = rows = offsets = None
    plane_start = plane_columns = plane_values = None
    hyperplanes = shift = sets = bucket_start = neurons = None

    def __init__(self, n_in, n_out, n_active, by_magnitude=False):
        self.n_in = n_in
        self.n_out = n_out
        self.n_active = n_active
        self.by_magnitude = by_magnitude

    @property
    def n_ranked(self):
        """Neurons scored for an example, at most."""
        return self.n_candidates or self.n_out

    def advance(self, n_batches=1):
        """Go on to a later batch."""

    def at_prediction(self):
        """The selector of predictions."""
        return self

    def learn(self, layer, inputs, weight, *, memory=0.0, n_iter=1):
        """Follow the layer's inputs (array or CSR); returns multiplications."""
        return 0

    def turn(self, layer):
        """Follow the weights with what was learned of the inputs; returns multiplications."""
        return 0

    def refresh(self, layer, n_threads):
        """Bring every neuron's code up to date; returns multiplications."""
        return 0

    def refresh_cost(self):
        """Multiplications of `refresh`."""
        return 0

    def refresh_time(self):
        """Nanoseconds of `refresh` on one core, roughly."""
        return GEMM * self.refresh_cost()

    def query_cost(self, n_projected, n_rows):
        """Multiplications of turning inputs, `n_projected` non-zero entries in all, into codes."""
        return 0

    def ranking_cost(self, n_projected, n_rows, n_ranked):
        """Multiplications of scoring `n_ranked` neurons in all for `n_rows` inputs."""
        return 0

    def costs(self, n_projected, n_rows, n_ranked):
        """Multiplications of hashing and of ranking."""
        return (
            self.query_cost(n_projected, n_rows),
            self.ranking_cost(n_projected, n_rows, n_ranked),
        )


class DenseSelector(Selector):
    """Every neuron."""

    kind = 0
    is_dense = True

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out, n_out)


class TopKSelector(Selector):
    """Winner take all by the exact pre-activation: the oracle of the others."""

    kind = 1
    learns = True

    def learn(self, layer, inputs, weight, *, memory=0.0, n_iter=1):
        self.mean = weighted_mean(inputs, weight)
        self.learns = False  # the start takes the mean, and nothing after it
        return 0

    def ranking_cost(self, n_projected, n_rows, n_ranked):
        return n_projected * self.n_out


class SampledSelector(Selector):
    """Dropout, the baseline: a random set of n_active neurons for every row and batch.

    Uniform, or `adaptive`: drawn one after another with chances in proportion to the logistic
    function of the pre-activation (the standout of Ba & Frey 2013, at a fixed budget; keys of
    Efraimidis & Spirakis 2006). Predictions use every neuron, times about its chance of being kept.
    """

    kind = 4

    def __init__(self, n_in, n_out, n_active, seed, adaptive):
        super().__init__(n_in, n_out, n_active)
        self.adaptive = adaptive
        self.draw = seed << 40

    def advance(self, n_batches=1):
        self.draw += n_batches

    def at_prediction(self):
        return ExpectedSelector(self.n_in, self.n_out, self.n_active, self.adaptive)

    def ranking_cost(self, n_projected, n_rows, n_ranked):
        return n_projected * self.n_out if self.adaptive else 0


class ExpectedSelector(DenseSelector):
    """Every neuron, times about its chance of being in one of SampledSelector's sets."""

    kind = 5

    def __init__(self, n_in, n_out, n_kept, adaptive):
        super().__init__(n_in, n_out)
        self.n_kept = n_kept
        self.adaptive = adaptive


def weighted_mean(inputs, weight):
    share = np.asarray(weight, dtype=np.float64) / np.sum(weight)
    return np.asarray(share @ inputs).ravel()


class SketchSelector(Selector):
    """Every neuron scored by a low-rank sketch: the best one, for these inputs and these weights.

    Pre-activations of inputs x = mean + rest are W.mean + b + W.rest. The last term is approximated
    at rank r in the least-squares sense over neurons and inputs (reduced-rank regression), within
    the leading 2 r principal directions of the inputs, and with what all neurons share left out,
    since no ranking notices it. Neurons and inputs end with the same spread in every coordinate,
    which leaves their inner products alone and makes both fit for hashing.

    Attributes
    ----------
    directions : ndarray of shape (n_in, rank), float32
        Inputs to their coordinates.
    neuron_directions : ndarray of shape (n_blocks, n_in, PANEL), float32
        Weights to the neurons' coordinates, padded.
    rest : ndarray of shape (n_in,), float32
        Weights to the score of the mean input.
    """

    kind = 2
    learns = True
    OVERSAMPLING = 2

    def __init__(self, n_in, n_out, n_active, by_magnitude, rank, seed):
        super().__init__(n_in, n_out, n_active, by_magnitude)
        self.rank = rank
        self.following = Directions(n_in, min(self.OVERSAMPLING * rank, n_in), seed)

    def learn(self, layer, inputs, weight, *, memory=0.0, n_iter=1):
        spent = self.following.learn(inputs, weight, memory=memory, n_iter=n_iter)
        self.mean = self.following.mean
        return spent + self.turn(layer)

    def turn(self, layer):
        """Choose the coordinates anew for the present weights; returns multiplications."""
        basis, mean = self.following.basis, self.following.mean
        spread = np.sqrt(self.following.variances)
        responses = (layer.W @ basis) * spread
        responses -= responses.mean(axis=0)
        squares, rotation = np.linalg.eigh(responses.T @ responses / self.n_out)
        squares, rotation = squares[: -self.rank - 1 : -1], rotation[:, : -self.rank - 1 : -1]
        share = np.maximum(squares, 0) ** 0.25
        neurons = basis @ (spread[:, None] * rotation * reciprocal(share))
        directions = basis @ (reciprocal(spread)[:, None] * rotation * share)
        rest = mean - neurons @ (directions.T @ mean)
        self.directions = np.ascontiguousarray(directions, dtype=np.float32)
        n_blocks = -(-self.rank // PANEL)
        padded = np.zeros((self.n_in, n_blocks * PANEL), dtype=np.float32)
        padded[:, : self.rank] = neurons
        self.neuron_directions = np.ascontiguousarray(
            padded.reshape(self.n_in, n_blocks, PANEL).swapaxes(0, 1)
        )
        self.rest = rest.astype(np.float32)
        n_directions = basis.shape[1]
        return n_directions * (self.n_out * (self.n_in + n_directions) + 2 * self.n_in * self.rank)

    def refresh_cost(self):
        return self.n_out * self.n_in * (self.rank + 1)

    def sketch(self, layer, n_threads):
        """Coordinates (n_out, rank) and offset (n_out,) of every neuron."""
        sketch, at_rest = _sketch.sketch(layer.W, self.neuron_directions, self.rest, n_threads)
        return sketch[:, : self.rank], at_rest + layer.b

    def refresh(self, layer, n_threads):
        sketch, offsets = self.sketch(layer, n_threads)
        n_panels = -(-self.n_out // PANEL)
        padded = np.zeros((n_panels * PANEL, self.rank + 1), dtype=np.float32)
        padded[: self.n_out, :-1] = sketch
        padded[: self.n_out, -1] = offsets
        panels = padded.reshape(n_panels, PANEL, -1).transpose(0, 2, 1)
        self.panels = np.ascontiguousarray(panels[:, :-1])
        self.offsets = padded[:, -1].copy()
        return self.refresh_cost()

    def ranking_cost(self, n_projected, n_rows, n_ranked):
        return (n_projected + n_ranked) * self.rank


class CopySelector(Selector):
    """Every neuron scored exactly, by a copy of the weights that is laid out by inputs.

    For inputs that are themselves a small active set: one product for each of its members and
    neuron, read side by side, where rows of weights would have to be gathered from. Scores are
    exact up to the steps since the last refresh.
    """

    kind = 6
    learns = True

    def learn(self, layer, inputs, weight, *, memory=0.0, n_iter=1):
        self.mean = weighted_mean(inputs, weight)
        self.learns = False  # the start takes the mean, and nothing after it
        return inputs.shape[0] * inputs.shape[1]

    def refresh(self, layer, n_threads):
        if self.halves is None:
            n_panels = -(-self.n_out // PANEL)
            halves = aligned_zeros(n_panels * self.n_in * PANEL // 2).view(np.uint32)
            self.halves = halves.reshape(n_panels, self.n_in, PANEL // 2)
            self.offsets = np.zeros(n_panels * PANEL, dtype=np.float32)
        _sketch.lay_out(layer.W, self.halves, n_threads)
        self.offsets[: self.n_out] = layer.b
        return 0

    def refresh_time(self):
        return COPY * self.n_out * self.n_in

    def ranking_cost(self, n_projected, n_rows, n_ranked):
        return n_projected * self.n_out


def reciprocal(values):
    """1 / values, and 0 where there is nothing to divide by."""
    kept = values > 1e-9 * max(values.max(), 1e-300)
    return np.divide(1, values, out=np.zeros_like(values), where=kept)


class TableSelector(Selector):
    """Neurons filed in hash tables; those an input's buckets return are ranked, the best kept.

    Hashed are the coordinates of SketchSelector, centred over the neurons, which no ranking
    notices; the neurons' offsets are one coordinate more, against a constant. `rank` None hashes
    the raw weights, as the paper does, and ranks by the exact pre-activation.
    """

    kind = 3
    learns = True

    def __init__(self, n_in, n_out, n_active, by_magnitude, rank, seed, *, hash_function, n_hashes,
                 n_tables, n_probes, n_candidates, mips=False):  # fmt: skip
        super().__init__(n_in, n_out, n_active, by_magnitude)
        self.n_candidates = min(n_candidates, n_out)
        self.sketched = None
        if rank is not None:
            self.sketched = SketchSelector(n_in, n_out, n_active, by_magnitude, rank, seed)
        n_dims = n_in if rank is None else rank
        self.mips = mips
        # What equalises norms is one coordinate more, the offset of a neuron the last one.
        self.family = HASH_FAMILIES[hash_function](n_dims + 1 + mips, n_hashes, n_tables, seed)
        self.n_hashes, self.n_tables = n_hashes, n_tables
        self.group, self.is_signed = self.family.group, self.family.signed
        self.n_buckets = self.family.n_values**n_hashes
        self.n_probes = min(n_probes, self.n_buckets)
        self.sets = probe_sets(n_hashes, self.family.n_values - 1, self.n_probes)
        self.n_scores = n_tables * n_hashes * self.group
        self.rank = self.n_scores if rank is None else rank
        self.mean = np.zeros(n_in)
        # Entries of the hyperplanes that take part in a product.
        planes = self.family.hyperplanes
        self.n_entries = np.count_nonzero(planes) if self.family.sparse else planes.size
        if rank is None and self.family.sparse:
            entries = sp.csr_matrix(planes[:n_in])
            self.plane_start, self.plane_columns = entries.indptr, entries.indices
            self.plane_values = entries.data
        self.fitted = not self.family.adapts

    def learn(self, layer, inputs, weight, *, memory=0.0, n_iter=1):
        self.fitted = not self.family.adapts
        if self.sketched is not None:
            spent = self.sketched.learn(layer, inputs, weight, memory=memory, n_iter=n_iter)
            self.directions = self.sketched.directions
            self.mean = self.sketched.following.mean
            return spent
        self.mean = memory * self.mean + (1 - memory) * weighted_mean(inputs, weight)
        return inputs.shape[0] * inputs.shape[1]

    def turn(self, layer):
        self.fitted = not self.family.adapts
        if self.sketched is None:
            return 0
        spent = self.sketched.turn(layer)
        self.directions = self.sketched.directions
        return spent

    def refresh_cost(self):
        if self.sketched is None:
            return self.n_out * (self.n_in + self.n_entries)
        return self.sketched.refresh_cost() + self.n_out * (self.rank + 1) * self.n_scores

    def refresh(self, layer, n_threads):
        mean, spent = self.mean.astype(np.float32), self.refresh_cost()
        if self.sketched is None:
            vectors, at_mean, centre = layer.W, layer.W @ mean + layer.b, mean
        else:
            self.rows, self.offsets = self.sketched.sketch(layer, n_threads)
            vectors = self.rows = np.ascontiguousarray(self.rows)
            centre = mean @ self.directions
            at_mean = self.offsets + self.rows @ centre
        # What all neurons share is hashed to nothing, the mean input to nothing but the constant.
        shared = vectors.mean(axis=0)
        extra = [at_mean - at_mean.mean()]
        if self.mips:
            squares = np.einsum("ij,ij->i", vectors - shared, vectors - shared) + extra[0] ** 2
            extra.insert(0, np.sqrt(np.maximum(squares.max() - squares, 0)))
        extra = np.column_stack(extra).astype(np.float32)
        if not self.fitted:
            spent += self.family.fit(np.hstack([vectors - shared, extra]))
            self.fitted = True
        planes, n_dims = self.family.hyperplanes, vectors.shape[1]
        if self.sketched is not None:
            self.hyperplanes = np.ascontiguousarray(planes[:n_dims])
        elif not self.family.sparse:
            self.directions = np.ascontiguousarray(planes[:n_dims])
        self.shift = planes[-1] - centre @ planes[:n_dims]
        scores = vectors @ planes[:n_dims] - shared @ planes[:n_dims] + extra @ planes[n_dims:]
        self.bucket_start, self.neurons = _tables.file_neurons(
            np.ascontiguousarray(scores + self.family.key_shift), self.n_tables, self.n_hashes,
            self.group, self.is_signed, n_threads,
        )  # fmt: skip
        return spent

    def query_cost(self, n_projected, n_rows):
        if self.sketched is None:
            return n_projected * self.n_entries // self.n_in
        return (n_projected + n_rows * self.n_scores) * self.rank

    def ranking_cost(self, n_projected, n_rows, n_ranked):
        if self.sketched is None:
            return n_projected * n_ranked // max(n_rows, 1)
        return n_ranked * self.rank


CANDIDATES_PER_ACTIVE = 8
# A twentieth of so few neurons represents little: "auto" keeps narrow layers dense.
NARROW = 128
# Products of exact scores for one of a sketch's that are worth having none to miss.
COPY_UP_TO = 4


def make_selector(name, n_in, n_out, n_active, n_entries, sparse, *, above_active_set=False,
                  by_magnitude, seed, sketch_size, **tables):  # fmt: skip
    """Selector of a hidden layer by its public name.

    n_entries : mean number of entries of an input row. sparse : whether rows are stored so.
    above_active_set : whether inputs are active sets, at prediction too.
    """
    if n_active >= n_out:
        return DenseSelector(n_in, n_out)
    # As many directions as inputs or neurons leave nothing to sketch.
    rank = None if sketch_size is None or sketch_size >= min(n_in, n_out) else sketch_size
    if tables["n_candidates"] is None:
        tables["n_candidates"] = CANDIDATES_PER_ACTIVE * n_active
    if name == "auto":
        name = cheapest(n_in, n_out, n_active, n_entries, sparse, rank or n_in, **tables)
    if name == "dense":
        return DenseSelector(n_in, n_out)
    if name == "lsh":
        return TableSelector(n_in, n_out, n_active, by_magnitude, rank, seed, **tables)
    if name in ("dropout", "adaptive_dropout"):
        return SampledSelector(n_in, n_out, n_active, seed, adaptive=name == "adaptive_dropout")
    if name == "topk" or rank is None:
        return TopKSelector(n_in, n_out, n_active, by_magnitude)
    if above_active_set and n_entries <= COPY_UP_TO * rank:
        return CopySelector(n_in, n_out, n_active, by_magnitude)
    return SketchSelector(n_in, n_out, n_active, by_magnitude, rank, seed)


def cheapest(n_in, n_out, n_active, n_entries, sparse, rank, *, hash_function, n_hashes, n_tables,
             n_probes, n_candidates, **_):  # fmt: skip
    """The choice of selector="auto": least time an example, selection and training together."""
    if n_out <= NARROW:
        return "dense"
    # Forward, backward and update use a weight once each.
    weight = 3 * per_entry(sparse)
    query = STREAM * n_entries * rank
    active = weight * n_entries * n_active
    found = min(n_candidates, n_out)
    family = HASH_FAMILIES[hash_function]
    costs = {
        "dense": weight * n_entries * n_out,
        "topk": active + n_out * (per_entry(sparse) * n_entries + PICK),
        "sketch": active + query + n_out * (SCORE * rank + PICK),
        "lsh": active
        + query
        + n_tables * (STREAM * rank * n_hashes * family.group)
        + n_tables * PROBE * min(n_probes, 2 ** (n_hashes * family.bits()))
        + found * CANDIDATE,
    }
    return min(costs, key=costs.get)
