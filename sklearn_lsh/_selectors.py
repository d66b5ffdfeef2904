"""Selectors: which neurons of a layer an example computes.

A selector is configured once and follows the layer's inputs by `learn`, its weights by `turn` and
`refresh`. The kernels pick active sets: a pure function of its arrays and of one input row.
"""

from math import ceil

import numpy as np

from sklearn_lsh._coordinates import Coordinates, RawCoordinates
from sklearn_lsh._costs import SKETCH
from sklearn_lsh._directions import weighted_mean
from sklearn_lsh._kernels import _sketch
from sklearn_lsh._workspace import PANEL

# Codes of neurons reach so far, those of queries half as far: products of two pairs fit 16 bits.
LARGEST_CODE = 127
# Neurons whose coordinates are held at once.
CODED_AT_ONCE = 2**15
# Scores in few coordinates are off by a little, which matters at the edge of the active set. Above
# an active set, whose few outputs are all that an exact score takes, there may be more of them.
SHORTLISTED = 1.5
SHORTLISTED_ABOVE_ACTIVE = 2.0


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

    Attributes
    ----------
    shortlisted : float
        Neurons for each one kept that the best scores tell; of these, pre-activations tell which.
    """

    is_dense = False
    is_shared = False  # whether all rows of a batch have one active set
    is_sketch = False  # whether all neurons are scored by a sketch
    scores_all = False  # whether it goes by the pre-activations of all neurons
    shortlisted = 1.0
    learns = False  # whether it looks at the layer's inputs
    groups_alike = False  # whether rows that are alike hold much the same neurons
    stale = True  # whether all codes have to be computed anew
    rank = n_tables = n_hashes = n_probes = n_candidates = group = n_buckets = 0
    is_signed = adaptive = False
    draw = n_kept = n_random = 0
    log_chance = order = lengths = limits = None
    directions = scales = sketches = sketch_starts = rows = offsets = None
    plane_start = plane_columns = plane_values = None
    hyperplanes = shift = sets = bucket_start = neurons = None

    def __init__(self, n_in, n_out, n_active, by_magnitude=False):
        self.n_in = n_in
        self.n_out = n_out
        self.n_active = n_active
        self.by_magnitude = by_magnitude
        self.n_refreshed = n_out  # neurons whose codes the last refresh computed

    @property
    def n_shortlisted(self):
        """Neurons that are kept by their scores."""
        return min(ceil(self.shortlisted * self.n_active), self.n_ranked)

    @property
    def most_active(self):
        """Neurons held per example, at most."""
        return self.n_shortlisted

    @property
    def n_ranked(self):
        """Neurons scored for an example, at most."""
        return self.n_candidates or self.n_out

    def advance(self, n_batches=1):
        """Go on to a later batch."""

    def expect(self, targets, batch_size, more):
        """Learn what labels there are to come; more : besides those seen before."""

    def at_prediction(self):
        """The selector of predictions."""
        return self

    def learn(self, layer, inputs, weight, *, memory=0.0, n_iter=1):
        """Follow the layer's inputs (array or CSR); returns multiplications."""
        return 0

    def turn(self, layer):
        """Follow the weights with what was learned of the inputs; returns multiplications."""
        return 0

    def by_input(self):
        """Arrays that have a row for every input, and that a refresh does not compute anew."""
        return []

    def refresh(self, layer, n_threads):
        """Follow the weights of the neurons that have changed; returns multiplications."""
        ids = np.arange(self.n_out) if self.stale else np.flatnonzero(layer.changed)
        self.n_refreshed = len(ids)
        spent = self.update(layer, ids.astype(np.int32), n_threads) if len(ids) else 0
        # Last: an interrupt leaves nothing behind.
        self.stale = False
        layer.changed = np.zeros(self.n_out, dtype=np.uint8)
        return spent

    def update(self, layer, ids, n_threads):
        """Bring the codes of the neurons `ids` up to date; returns multiplications."""
        return 0

    def refresh_time(self, n_neurons):
        """Nanoseconds of `update` for so many neurons on one core, roughly."""
        return 0

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
    groups_alike = True
    scores_all = True

    def learn(self, layer, inputs, weight, *, memory=0.0, n_iter=1):
        self.mean = weighted_mean(inputs, weight)
        self.learns = False  # the start takes the mean, and nothing after it
        return 0

    def by_input(self):
        return [] if self.learns else [self.mean]

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

    @property
    def scores_all(self):
        return self.adaptive

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


class CoordinateSelector(Selector):
    """Goes by few coordinates of inputs and neurons, or, at a `rank` of None, by the weights."""

    learns = True
    groups_alike = True

    def __init__(self, n_in, n_out, n_active, by_magnitude, rank, seed):
        super().__init__(n_in, n_out, n_active, by_magnitude)
        self.coordinates = RawCoordinates(n_in) if rank is None else Coordinates(n_in, rank, seed)
        self.mean = self.coordinates.mean

    def learn(self, layer, inputs, weight, *, memory=0.0, n_iter=1):
        self.stale = True
        spent = self.coordinates.learn(layer, inputs, weight, memory=memory, n_iter=n_iter)
        self.mean = self.coordinates.mean
        return spent

    def turn(self, layer):
        self.stale = True
        return self.coordinates.turn(layer)

    def by_input(self):
        return self.coordinates.by_input()


class SketchSelector(CoordinateSelector):
    """Every neuron scored in few coordinates, rounded to 8 bits.

    Attributes
    ----------
    scales : ndarray of shape (rank,), float32
        Of a neuron's coordinate by its code.
    directions : ndarray of shape (n_in, rank), float32, or None
        Inputs to coordinates that match the codes. None: the coordinates are the inputs, scaled.
    sketches : ndarray of shape (n_panels, ceil(rank / 4), PANEL, 4), int8
        The codes.
    sketch_starts : ndarray of shape (n_panels * PANEL,), int32
        What makes up for queries' codes, which are unsigned, beginning at -CODE_ZERO.
    offsets : ndarray of shape (n_panels * PANEL,), float32
    """

    kind = 2
    is_sketch = True
    CODE_ZERO = 64  # as in _kernels/products.h
    room_to_grow = 1.5  # by so much neurons may, before all of them are coded anew

    def __init__(self, n_in, n_out, n_active, by_magnitude, rank, seed, shortlisted=SHORTLISTED):
        super().__init__(n_in, n_out, n_active, by_magnitude, rank, seed)
        self.shortlisted = shortlisted
        self.rank = rank = self.coordinates.rank
        n_panels = -(-n_out // PANEL)
        self.sketches = np.zeros((n_panels, -(-rank // 4), PANEL, 4), dtype=np.int8)
        self.sketch_starts = np.zeros(n_panels * PANEL, dtype=np.int32)
        self.offsets = np.zeros(n_panels * PANEL, dtype=np.float32)

    def update(self, layer, ids, n_threads):
        parts = [ids[at : at + CODED_AT_ONCE] for at in range(0, len(ids), CODED_AT_ONCE)]
        spent = self.coordinates.cost(len(ids))

        def found():
            return ((part, *self.coordinates.of(layer, part, n_threads)) for part in parts)

        # All at once are computed once; of more, the scales are found in a pass of their own.
        kept = list(found()) if len(parts) == 1 else None
        if self.stale:
            largest = np.zeros(self.rank)
            for _, vectors, _ in kept or found():
                np.maximum(largest, vectors.max(axis=0), out=largest)
                np.maximum(largest, -vectors.min(axis=0), out=largest)
            # Where all are 0, any scale will do.
            self.scales = np.where(largest > 0, self.room_to_grow / LARGEST_CODE * largest, 1)
            self.scales = self.scales.astype(np.float32)
            spent *= 1 if kept else 2
        with np.errstate(over="ignore", invalid="ignore"):  # weights that diverge are told later
            if self.coordinates.directions is not None:
                self.directions = self.coordinates.directions * self.scales
        for piece in kept or found():
            self.code(*piece, n_threads)
        return spent

    def code(self, ids, vectors, offsets, n_threads):
        """Keep the codes of the neurons `ids`; NaN is refused later."""
        _sketch.encode(
            vectors, self.scales, ids, self.sketches, self.sketch_starts, LARGEST_CODE,
            -self.CODE_ZERO, n_threads,
        )  # fmt: skip
        self.offsets[ids] = offsets

    def refresh_time(self, n_neurons):
        return SKETCH * self.coordinates.cost(n_neurons)

    def ranking_cost(self, n_projected, n_rows, n_ranked):
        return self.coordinates.query_cost(n_projected) + n_ranked * self.rank
