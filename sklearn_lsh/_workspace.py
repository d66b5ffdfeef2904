"""Workspace: everything training and prediction write to besides the weights."""

from typing import NamedTuple

import numpy as np

from sklearn_lsh._costs import is_matrix
from sklearn_lsh._kernels._best import in_chunks
from sklearn_lsh._rows import Rows

PANEL = 32  # these two as in _kernels/_views.pxd
TOGETHER = 32
CHUNK = 2048  # as in _kernels/_best.pxd
# Rows a thread takes at a time: what they share, weights of one neuron or panels of a sketch, is
# fetched once for all of them, and they still fit into the second-level cache.
BLOCK = 100
# Lists of pairs take room for every neuron and block.
MAX_BLOCKS_PER_THREAD = 4
# Batches of fewer rows go down by lists: a step of all weights would take longer than they do.
FEW_ROWS = 64


class Sizes(NamedTuple):
    """What a layer needs room for."""

    n_out: int
    n_in: int
    by_input: bool
    is_dense: bool
    n_active: int
    most_active: int
    is_shared: bool
    scores_all: bool
    is_sketch: bool
    rank: int
    n_tables: int
    n_hashes: int
    group: int
    n_probes: int
    n_sets: int

    @classmethod
    def of(cls, layer):
        s = layer.selector
        return cls(
            *layer.W.shape, layer.by_input, s.is_dense, s.n_active, s.most_active, s.is_shared,
            s.scores_all, s.is_sketch, s.rank, s.n_tables, s.n_hashes, s.group, s.n_probes,
            0 if s.sets is None else len(s.sets),
        )  # fmt: skip


class Whole(NamedTuple):
    """Rows of a layer whose work is done by products of whole matrices, all of them dense.

    x, z, d : its inputs, pre-activations and deltas. None: by lists; d, all in prediction.
    """

    x: Rows | None = None
    z: Rows | None = None
    d: Rows | None = None


class Pairs:
    """Which rows of a batch hold a neuron: (neuron, row) pairs, block by block and by neuron.

    Attributes
    ----------
    n_out, block, room : int
        Neurons; rows in a block; pairs a row may have.
    runs_room : int
        Neurons a block may hold.
    n_runs : ndarray of shape (n_blocks,), int32, or None
        How many it holds; None when all.
    neurons : ndarray of shape (n_blocks, runs_room), int32, or None
        Which, ascending.
    start : ndarray of shape (n_blocks, runs_room + 1), int32, or None
        Where a neuron's pairs begin; None when every row holds every one of the neurons.
    rows, slots : ndarray of shape (n_rows * room,), int32
        The row of every pair, and the place of the neuron in it. Without `start`, the numbers of
        all rows, and None.
    """

    def __init__(self, n_rows, n_out, block, room, sparse, shared):
        self.n_out = n_out
        self.block = block
        self.room = room
        self.runs_room = min(n_out, block * room)
        self.n_runs = self.neurons = self.start = self.slots = None
        self.rows = np.arange(n_rows, dtype=np.int32)
        n_blocks = n_rows // block
        if shared:
            self.runs_room = room
        if sparse:
            self.n_runs = np.zeros(n_blocks, dtype=np.int32)
            self.neurons = np.zeros((n_blocks, self.runs_room), dtype=np.int32)
        if sparse and not shared:
            self.start = np.zeros((n_blocks, self.runs_room + 1), dtype=np.int32)
            self.rows = np.zeros(n_rows * room, dtype=np.int32)
            self.slots = np.zeros(n_rows * room, dtype=np.int32)


def through_matrices(sizes, depth, batch_size):
    """Whether products of whole matrices give a layer's pre-activations; and the way down too."""
    size, below = sizes[depth], sizes[depth - 1] if depth else None
    if size.is_shared:
        return (depth > 0 and below.is_dense,) * 2
    reached = below.n_active / below.n_out if depth else 1
    active = size.n_active / size.n_out
    up, down = (
        not size.by_input and is_matrix(size.n_in, size.n_out, reached, share)
        for share in (1 if size.scores_all else active, active)
    )
    return up, down and batch_size >= FEW_ROWS


def widest(layers):
    """Floats that a row takes in a layer at most, whose input may be dense, in prediction."""
    sizes, most = [Sizes.of(layer) for layer in layers], 0
    for depth, size in enumerate(sizes):
        up, _ = through_matrices(sizes, depth, 0)
        spread = up and (depth == 0 or not sizes[depth - 1].is_dense)
        most = max(most, size.n_out if up else size.most_active, size.n_in if spread else 0)
    return most


def room_to_score(sizes):
    """What a thread needs: scores from a row to the next, scores in all, places for the best.

    Rows that sketches score are TOGETHER; others come one after another.
    """
    spans, rooms = [0], [0]
    for size in sizes:
        n, k = size.n_out, size.most_active
        rooms.append(n if in_chunks(n, 0) else 0)  # of a row, whatever its k
        if size.is_sketch:
            spans.append(CHUNK if in_chunks(n, k) else n)
            rooms.append(TOGETHER * (2 * k + CHUNK) if in_chunks(n, k) else 0)
    span = max(spans) + PANEL
    return span, max(TOGETHER * span, *(size.n_out for size in sizes)), max(rooms)


class Workspace:
    """Scratch of every thread, and room for a batch's outputs and deltas in every layer.

    Never part of a fitted model.

    Parameters
    ----------
    layers : list of Layer
        Of which `Sizes` is all that matters.
    n_rows, n_threads : int
    batch_size : int or None
        Rows of a step, in training; None: n_rows.
    training : bool
    """

    def __init__(self, layers, n_rows, n_threads, *, batch_size=None, training=True):
        sizes = [Sizes.of(layer) for layer in layers]
        # Not what threads make of it: bits depend on it.
        self.batch_size = batch_size or n_rows
        self.n_rows = n_rows
        self.n_threads = n_threads
        n_blocks = min(-(-n_rows // (BLOCK * n_threads)), MAX_BLOCKS_PER_THREAD) * n_threads
        block = -(-n_rows // n_blocks)
        n_rows = block * n_blocks  # room for whole blocks
        most = Sizes(*map(max, zip(*sizes, strict=True)))
        n_out, n_in = most.n_out, most.n_in

        per_thread = self.per_thread

        self.stride, n_scores, n_best = room_to_score(sizes)
        self.scores = per_thread(n_scores, np.float32)
        self.best_ids = per_thread(n_best, np.int32)
        self.best_scores = per_thread(n_best, np.float32)
        self.edge_scores = per_thread(n_out, np.float32)
        self.bins = per_thread(n_out, np.int8)
        self.queries = per_thread(TOGETHER * most.rank, np.float32)
        self.query_codes = per_thread(TOGETHER * (most.rank + 3), np.uint8)
        self.kept = per_thread(n_in + 1, np.int32)
        self.projections = per_thread(
            max(s.n_tables * s.n_hashes * s.group for s in sizes), np.float32
        )
        self.ids = per_thread(n_out + 1, np.int32)
        self.positions = per_thread(n_out + 1, np.int32)
        self.edge = per_thread(n_out + 1, np.int32)
        self.probes = per_thread(most.n_tables * most.n_probes, np.int32)
        self.set_buckets = per_thread(most.n_sets, np.int32)
        self.set_owners = per_thread(most.n_sets, np.int32)
        self.seen = per_thread(n_out // 64 + 1, np.uint64)
        self.edge_bits = per_thread(n_out // 64 + 1, np.uint64)
        shares = sizes[-1].is_shared
        self.shared = per_thread(sizes[-1].most_active if shares else 0, np.int32)
        self.products = per_thread(n_rows, np.float32)
        self.cursors = per_thread(n_blocks, np.int32)
        self.examples = per_thread(n_rows, np.int32)
        self.weighted = per_thread(n_rows, np.float64)
        self.packed = per_thread((4 if training else 1) * n_in, np.float32)
        self.sums = per_thread(n_in if training else 0, np.float64)
        # Minus zero marks an entry that no example has touched.
        self.sums.fill(-0.0)
        self.outputs = [
            Rows.allocate(n_rows, s.most_active, s.n_out, sparse=not s.is_dense) for s in sizes
        ]
        self.pairs = [
            Pairs(n_rows, s.n_out, block, s.most_active, not s.is_dense, s.is_shared) for s in sizes
        ]
        self.deltas = [out.like() for out in self.outputs] if training else []
        self.sizes = sizes
        self.through = [through_matrices(sizes, at, self.batch_size) for at in range(len(sizes))]
        self.wholes = [Whole(), *(self.whole(depth) for depth in range(1, len(sizes)))]
        stepped = [at for at, (_, down) in enumerate(self.through) if training and down]
        self.tile = per_thread(4 * n_rows if stepped else 0, np.float32)
        self.wide = per_thread(
            max((block * sizes[at].n_in for at in stepped if at and not sizes[at - 1].is_dense),
                default=0), np.float32,
        )  # fmt: skip
        self.everyone = np.arange(n_out, dtype=np.int32)
        n_listed = n_in if training and sizes[0].by_input else 0
        self.heads = per_thread(n_listed, np.int32)
        self.listed = per_thread(n_listed, np.int32)
        self.hold_entries(0)
        self.settled = np.zeros(n_rows, dtype=np.uint8)
        self.inputs = self.scratch = None
        self.by_input = n_listed > 0

    def whole(self, depth):
        """Rows of a layer as matrices: its own where they are dense, or room for them."""
        size, out = self.sizes[depth], self.outputs[depth]
        up, down = self.through[depth]
        if not up:
            return Whole()
        x = self.outputs[depth - 1] if depth else None
        if x is None or x.indices is not None:
            x = Rows.allocate(len(out), size.n_in, size.n_in, sparse=False)
        if size.is_dense or size.is_shared:
            return Whole(x, out, self.deltas[depth] if down and self.deltas else None)
        z = Rows.allocate(len(out), size.n_out, size.n_out, sparse=False)
        return Whole(x, z, z if down and self.deltas else None)

    def let_go(self):
        """Forget rows that are not its own."""
        if self.inputs is not None and self.inputs.indices is not None:
            self.inputs = None

    def per_thread(self, size, dtype):
        # 64 entries more keep two threads off one cache line.
        return np.zeros((self.n_threads, size + 64), dtype=dtype)

    def hold_entries(self, size):
        """Room for the entries of a batch, numbered from 1 on."""
        self.n_entries = size
        self.nexts, self.entry_rows = (self.per_thread(size + 1, np.int32) for _ in range(2))
        self.entry_values = self.per_thread(size + 1, np.float32)
        self.scratch = None

    def hold(self, inputs):
        """Rows that take a batch of `inputs`: copies of dense rows, views of sparse ones."""
        n_rows = len(self.outputs[0])
        if self.by_input:
            size = n_rows * int(inputs.length.max(initial=0))
            if size > self.n_entries:
                self.hold_entries(size)
        if inputs.indices is not None:
            # No matrices: sparse data may be far wider than its rows are long.
            self.wholes[0] = Whole()
            start, length = np.zeros(n_rows, dtype=np.int64), np.zeros(n_rows, dtype=np.int32)
            self.inputs = Rows(start, length, inputs.indices, inputs.values, inputs.n_cols)
        elif self.inputs is None or self.inputs.indices is not None:
            self.wholes[0] = self.whole(0)
            self.inputs = Rows.allocate(n_rows, inputs.n_cols, inputs.n_cols, sparse=False)
        return self.inputs
