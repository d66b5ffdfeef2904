"""Examples' way up and down the network, a block at a time: one parallel region a batch.

Training in batches (here) and asynchronous training compose the same two functions.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

import numpy as np

from sklearn_lsh._kernels._linear cimport backward_row, forward_row
from sklearn_lsh._kernels._loss cimport loss_row
from sklearn_lsh._kernels._select cimport select_row
from sklearn_lsh._kernels._views cimport (
    LayerView, Row, RowsView, Scratch, layer_view, row_at, rows_view, scratch_view,
)


cdef enum:
    BLOCK = 25                          # examples at a time, at most


cdef int net_view(Net* net, layers, inputs, workspace) except -1:
    cdef int depth
    net.n_layers = len(layers)
    if net.n_layers > MAX_LAYERS:
        raise ValueError(f"hidden_layer_sizes: at most {MAX_LAYERS - 1} hidden layers")
    net.x = rows_view(inputs)
    for depth in range(net.n_layers):
        net.layers[depth] = layer_view(layers[depth])
        net.outputs[depth] = rows_view(workspace.outputs[depth])
        if workspace.deltas:
            net.deltas[depth] = rows_view(workspace.deltas[depth])
    return 0


cdef void forward_block(const Net* net, Py_ssize_t first, int n, Py_ssize_t room, Scratch* scratch,
                        int64_t* counts) noexcept nogil:
    """Outputs of n rows of x from `first` on, into rows of every layer's outputs from `room` on.

    Adds to counts. Layer by layer, so that what scores a layer stays in the cache for all of them.
    """
    cdef int depth, e, n_ranked, n_projected
    cdef int64_t at
    cdef const LayerView* layer
    cdef const RowsView* out
    cdef const RowsView* inputs = &net.x
    cdef Py_ssize_t row = first
    cdef Row x
    for depth in range(net.n_layers):
        layer = &net.layers[depth]
        out = &net.outputs[depth]
        if out.indices != NULL:
            for e in range(n):
                out.length[room + e] = select_row(layer, row_at(inputs, row + e), scratch,
                                                  out.indices + out.start[room + e], &n_ranked,
                                                  &n_projected)
                counts[COUNTS * depth + 1] += n_ranked
                counts[COUNTS * depth + 2] += n_projected
        for e in range(n):
            x = row_at(inputs, row + e)
            at = out.start[room + e]
            forward_row(layer, x, row_at(out, room + e).indices, out.length[room + e],
                        out.values + at)
            counts[COUNTS * depth] += <int64_t> x.length * out.length[room + e]
        inputs = out
        row = room


cdef double backward_example(const Net* net, Py_ssize_t i, Py_ssize_t room) noexcept nogil:
    """Loss of row i of y, and the deltas of every layer in row `room`."""
    cdef int depth = net.n_layers - 1
    cdef const RowsView* out = &net.outputs[depth]
    cdef int64_t at = out.start[room]
    cdef double loss = loss_row(net.loss, out.values + at, out.length[room], row_at(&net.y, i),
                                net.deltas[depth].values + at)
    while depth > 0:
        out = &net.outputs[depth - 1]
        backward_row(&net.layers[depth], row_at(&net.deltas[depth], room), row_at(out, room),
                     net.layers[depth - 1].activation,
                     net.deltas[depth - 1].values + out.start[room])
        depth -= 1
    return loss


def run(layers, inputs, workspace, targets=None, int loss=0):
    """Outputs of a batch, and with targets the losses and deltas too.

    Fills the first rows of workspace.outputs and workspace.deltas. Returns the losses, float64
    (n,), and counts, int64 (n_layers, 3): weights used (entries of a row times its active
    neurons), neurons ranked, entries of the inputs projected; all summed over the batch.
    """
    cdef Net net
    cdef int n_threads = workspace.n_threads, n = len(layers), thread
    cdef bint backward = targets is not None
    cdef Py_ssize_t i, block, first, last, size
    net_view(&net, layers, inputs, workspace)
    # Blocks of equal size, the same number for every thread.
    size = n_threads * ((net.x.n + BLOCK * n_threads - 1) // (BLOCK * n_threads))
    size = max(1, (net.x.n + size - 1) // max(size, 1))
    net.loss = loss
    if backward:
        net.y = rows_view(targets)
    cdef double[::1] losses = np.zeros(net.x.n)
    # A thread's counters fill cache lines of their own.
    cdef int64_t[:, ::1] counts = np.zeros((n_threads, COUNTS * n + 16), dtype=np.int64)
    cdef Scratch* scratch = <Scratch*> malloc(n_threads * sizeof(Scratch))
    if scratch == NULL:
        raise MemoryError()
    try:
        for thread in range(n_threads):
            scratch[thread] = scratch_view(workspace, thread)
        for block in prange((net.x.n + size - 1) // size, nogil=True, schedule="dynamic",
                            num_threads=n_threads):
            first = block * size
            last = min(first + size, net.x.n)
            forward_block(&net, first, <int> (last - first), first, &scratch[threadid()],
                          &counts[threadid(), 0])
            if backward:
                for i in range(first, last):
                    losses[i] = backward_example(&net, i, i)
    finally:
        free(scratch)
    return np.asarray(losses), np.asarray(counts).sum(axis=0)[:COUNTS * n].reshape(n, COUNTS)
