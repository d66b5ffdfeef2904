"""Lock-free training: every thread takes whole examples, forward to update, without a barrier.

Spring & Shrivastava (2017), section 5.6; Recht et al., "Hogwild!" (2011). Threads may overwrite each
other's steps on a shared weight; sparse active sets make that rare. The composition of the same row
kernels that deterministic training runs batch by batch.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport pow, sqrt
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

import numpy as np

from sklearn_lsh._kernels._linear cimport backward_row, forward_row
from sklearn_lsh._kernels._loss cimport loss_row
from sklearn_lsh._kernels._select cimport select_row
from sklearn_lsh._kernels._update cimport Gradient, update_neuron
from sklearn_lsh._kernels._views cimport (
    ADAM, DENSE, LayerView, Row, RowsView, Scratch, StepView,
    layer_view, row_at, rows_view, scratch_view, step_view,
)


cdef struct Net:
    int n_layers
    int loss
    LayerView* layers
    RowsView* outputs                   # row t of each belongs to thread t
    RowsView* deltas
    RowsView x
    RowsView y


cdef double train_example(const Net* net, Py_ssize_t i, int thread, double weight, double decay,
                          const StepView* step, Scratch* scratch, int64_t* counts) noexcept nogil:
    """counts: (n_layers, 4) of this thread: weights used and touched, neurons ranked, inputs projected."""
    cdef int l, s, n_ranked, n_projected, top = net.n_layers - 1
    cdef int32_t j, example
    cdef int64_t at
    cdef const LayerView* layer
    cdef RowsView* out
    cdef const RowsView* inputs
    cdef Row x
    cdef Row d
    cdef double loss, delta
    cdef Gradient gradient
    gradient.scale = 1
    gradient.decay = decay
    for l in range(net.n_layers):
        layer = &net.layers[l]
        out = &net.outputs[l]
        at = out.start[thread]
        x = row_at(&net.x, i) if l == 0 else row_at(&net.outputs[l - 1], thread)
        if out.indices != NULL:
            out.length[thread] = select_row(layer, x, scratch, out.indices + at, &n_ranked,
                                            &n_projected)
            counts[4 * l + 2] += n_ranked
            counts[4 * l + 3] += n_projected
        forward_row(layer, x, row_at(out, thread).indices, out.length[thread], out.values + at)
        net.deltas[l].length[thread] = out.length[thread]
        counts[4 * l] += <int64_t> x.length * out.length[thread]
    out = &net.outputs[top]
    at = out.start[thread]
    loss = loss_row(net.loss, out.values + at, out.length[thread], row_at(&net.y, i),
                    net.deltas[top].values + at)
    for l in range(top, -1, -1):
        layer = &net.layers[l]
        d = row_at(&net.deltas[l], thread)
        if l > 0:
            inputs = &net.outputs[l - 1]
            example = thread
            backward_row(layer, d, row_at(inputs, thread), net.layers[l - 1].activation,
                         net.deltas[l - 1].values + inputs.start[thread])
        else:
            inputs = &net.x
            example = <int32_t> i
        for s in range(d.length):
            j = d.indices[s] if d.indices != NULL else s
            delta = weight * d.values[s]
            if delta != 0:
                counts[4 * l + 1] += update_neuron(layer, j, inputs, &example, &delta, 1, step,
                                                   gradient, scratch)
    return weight * loss


def train(layers, int loss, inputs, targets, const double[::1] sample_weight, step, int64_t t,
          double decay, workspace):
    """One pass over the rows of `inputs`, an optimiser step an example.

    sample_weight : relative to their mean. t : examples seen before. workspace : its outputs and
    deltas have at least as many rows as threads.
    Returns the weighted loss sum and counts int64 (n_layers, 4): weights used (examples x active x
    inputs), weights touched, neurons ranked, inputs projected.
    """
    cdef Net net
    cdef int n = len(layers), n_threads = workspace.n_threads, l, thread
    cdef Py_ssize_t i
    cdef double total = 0, rate = step.learning_rate
    cdef StepView* steps = <StepView*> malloc(n_threads * sizeof(StepView))
    cdef Scratch* scratch = <Scratch*> malloc(n_threads * sizeof(Scratch))
    # A thread's counters fill cache lines of their own.
    cdef int64_t[:, ::1] counts = np.zeros((n_threads, 4 * n + 16), dtype=np.int64)
    net.n_layers = n
    net.loss = loss
    net.x = rows_view(inputs)
    net.y = rows_view(targets)
    net.layers = <LayerView*> malloc(n * sizeof(LayerView))
    net.outputs = <RowsView*> malloc(n * sizeof(RowsView))
    net.deltas = <RowsView*> malloc(n * sizeof(RowsView))
    try:
        if (steps == NULL or scratch == NULL or net.layers == NULL or net.outputs == NULL
                or net.deltas == NULL):
            raise MemoryError()
        for l in range(n):
            net.layers[l] = layer_view(layers[l])
            net.outputs[l] = rows_view(workspace.outputs[l])
            net.deltas[l] = rows_view(workspace.deltas[l])
        for thread in range(n_threads):
            scratch[thread] = scratch_view(workspace, thread)
            steps[thread] = step_view(step)
        for i in prange(net.x.n, nogil=True, schedule="dynamic", chunksize=16, num_threads=n_threads):
            thread = threadid()
            if steps[thread].kind == ADAM:
                steps[thread].rate = <float> (rate * sqrt(1 - pow(steps[thread].beta2, t + i + 1))
                                              / (1 - pow(steps[thread].beta1, t + i + 1)))
            total += train_example(&net, i, thread, sample_weight[i], decay, &steps[thread],
                                   &scratch[thread], &counts[thread, 0])
    finally:
        free(steps)
        free(scratch)
        free(net.layers)
        free(net.outputs)
        free(net.deltas)
    return total, np.asarray(counts).sum(axis=0)[:4 * n].reshape(n, 4)
