"""Lock-free training: every thread takes whole examples, forward to update, without a barrier.

Spring & Shrivastava (2017), section 5.6; Recht et al., "Hogwild!" (2011). Threads may overwrite
each other's steps on a shared weight; sparse active sets make that rare.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport pow, sqrt
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

import numpy as np

from sklearn_lsh._kernels._passes cimport COUNTS, Net, backward_block, forward_block, load, net_view
from sklearn_lsh._kernels._update cimport Gradient, update_neuron
from sklearn_lsh._kernels._views cimport (
    ADAM, Row, RowsView, Scratch, StepView, row_at, rows_view, scratch_views, step_view,
)


cdef int64_t update_example(const Net* net, int depth, int thread, double weight,
                            const StepView* step, Gradient gradient,
                            Scratch* scratch) noexcept nogil:
    """Step the active neurons of layer depth; returns the number of weights touched."""
    cdef Row deltas = row_at(&net.deltas[depth], thread)
    cdef const RowsView* inputs = &net.outputs[depth - 1] if depth > 0 else &net.inputs
    cdef int32_t example = <int32_t> thread, j, s
    cdef int64_t touched = 0
    cdef double delta
    for s in range(deltas.length):
        j = deltas.indices[s] if deltas.indices != NULL else s
        delta = weight * deltas.values[s]
        if delta != 0:
            touched += update_neuron(&net.layers[depth], j, inputs, &example, &delta, 1, step,
                                     gradient, scratch)
    return touched


def train(layers, int loss, inputs, targets, const double[::1] sample_weight, step, int64_t t,
          double decay, workspace):
    """One pass over the rows of `inputs`, an optimiser step an example.

    sample_weight : relative to their mean. t : examples seen before. workspace : its outputs and
    deltas have at least as many rows as threads.
    Returns the weighted loss sum, counts as `_passes.run`, and the weights touched, int64
    (n_layers,).
    """
    cdef Net net
    cdef int n = len(layers), n_threads = workspace.n_threads, depth, thread
    cdef Py_ssize_t i
    cdef double rate = step.learning_rate
    cdef Gradient gradient
    gradient.scale = 1
    gradient.decay = decay
    net_view(&net, layers, inputs, workspace)
    for depth in range(n):
        net.pairs[depth].lone = True
    net.loss = loss
    net.y = rows_view(targets)
    # A thread's counters fill cache lines of their own.
    cdef int64_t[:, ::1] counts = np.zeros((n_threads, COUNTS * n + 16), dtype=np.int64)
    cdef int64_t[:, ::1] touched = np.zeros((n_threads, n + 16), dtype=np.int64)
    cdef double[:, ::1] losses = np.zeros((n_threads, 16))
    cdef StepView* steps = <StepView*> malloc(n_threads * sizeof(StepView))
    cdef Scratch* scratch = scratch_views(workspace)
    try:
        if steps == NULL:
            raise MemoryError()
        for thread in range(n_threads):
            steps[thread] = step_view(step)
        for i in prange(net.x.n, nogil=True, schedule="dynamic", chunksize=16,
                        num_threads=n_threads):
            thread = threadid()
            if steps[thread].kind == ADAM:
                steps[thread].rate = <float> (rate * sqrt(1 - pow(steps[thread].beta2, t + i + 1))
                                              / (1 - pow(steps[thread].beta1, t + i + 1)))
            load(&net, i, thread)
            forward_block(&net, thread, 1, &scratch[thread], &counts[thread, 0])
            backward_block(&net, i, thread, 1, &losses[thread, 0])
            losses[thread, 1] += sample_weight[i] * losses[thread, 0]
            for depth in range(n):
                touched[thread, depth] += update_example(
                    &net, depth, thread, sample_weight[i], &steps[thread], gradient,
                    &scratch[thread])
    finally:
        free(steps)
    return (np.asarray(losses)[:, 1].sum(),
            np.asarray(counts).sum(axis=0)[:COUNTS * n].reshape(n, COUNTS),
            np.asarray(touched).sum(axis=0)[:n])
