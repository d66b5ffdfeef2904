"""Workspace: everything training and prediction write to besides the weights."""

import numpy as np

from sklearn_lsh._rows import Rows

PANEL = 64  # as in _kernels/_views.pxd


class Workspace:
    """Scratch of every thread, and room for a batch's outputs and deltas in every layer.

    Lives as long as one call of ``fit`` or ``predict``; never part of a fitted model.
    """

    def __init__(self, layers, n_rows, n_threads, *, training=True):
        self.n_threads = n_threads
        selectors = [layer.selector for layer in layers]
        n_out = max(layer.W.shape[0] for layer in layers)
        n_in = max(layer.W.shape[1] for layer in layers) if training else 0
        n_tables = max(s.n_tables for s in selectors)
        n_probes = max(s.n_probes for s in selectors)

        def per_thread(size, dtype):
            # 64 entries more keep two threads off one cache line.
            return np.zeros((n_threads, size + 64), dtype=dtype)

        self.scores = per_thread(n_out + PANEL, np.float32)
        self.edge_scores = per_thread(n_out, np.float32)
        self.bins = per_thread(n_out, np.int8)
        self.query = per_thread(max(s.rank for s in selectors), np.float32)
        self.projections = per_thread(n_tables * max(s.n_hashes for s in selectors), np.float32)
        self.ids = per_thread(n_out + 1, np.int32)
        self.positions = per_thread(n_out + 1, np.int32)
        self.edge = per_thread(n_out + 1, np.int32)
        self.probes = per_thread(n_tables * n_probes, np.int32)
        self.heap_keys = per_thread(2 * n_probes + 2, np.float32)
        self.heap_sets = per_thread(2 * n_probes + 2, np.int32)
        self.seen = per_thread(n_out // 64 + 1, np.uint64)
        self.edge_bits = per_thread(n_out // 64 + 1, np.uint64)
        self.sums = per_thread(n_in, np.float64)
        self.touched = per_thread(n_in + 1, np.int32)
        self.marks = per_thread(n_in, np.int8)
        self.ones = per_thread(n_in, np.int8)
        self.packed = per_thread(3 * n_in, np.float32)
        self.packed_sums = per_thread(n_in, np.float64)
        self.outputs = [
            Rows.allocate(n_rows, s.n_active, s.n_out, sparse=not s.is_dense) for s in selectors
        ]
        self.deltas = [out.like() for out in self.outputs] if training else []
