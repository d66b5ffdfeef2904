"""Lock-free training: every thread takes batches of its own, forward to update, without a barrier.

Spring & Shrivastava (2017), section 5.6; Recht et al., "Hogwild!" (2011). Threads may overwrite
each other's steps on a shared weight; sparse active sets make that rare.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport pow, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

import numpy as np

from sklearn_lsh._kernels._passes cimport COUNTS, Net, net_view, pass_block
from sklearn_lsh._kernels._update cimport Gradient, update_neurons
from sklearn_lsh._kernels._views cimport (
    ADAM, RowsView, Scratch, StepView, rows_view, scratch_views, step_view,
)


cdef void train_batch(const Net* net, Py_ssize_t i, Py_ssize_t first, int n, const double* weights,
                      const StepView* step, double alpha, Scratch* scratch, int64_t* counts,
                      int64_t* touched, double* losses) noexcept nogil:
    """One optimiser step on the examples [i, i + n), in the rows from `first` on."""
    cdef int depth, e
    cdef Py_ssize_t block, at, size = net.pairs[0].block
    cdef const RowsView* inputs = &net.inputs
    cdef Gradient gradient
    gradient.scale = 1. / n
    gradient.decay = alpha / n
    for block in range((n + size - 1) // size):
        at = block * size
        pass_block(net, i + at, first + at, <int> min(size, n - at), scratch, counts,
                   losses + 1 + at)
    for e in range(n):
        losses[0] += weights[e] * losses[1 + e]
    for depth in range(net.n_layers):
        touched[depth] += update_neurons(
            &net.layers[depth], 0, net.layers[depth].n_out, &net.deltas[depth], inputs,
            &net.pairs[depth], first, n, weights, step, gradient, scratch)
        inputs = &net.outputs[depth]


def train(layers, int loss, inputs, targets, const double[::1] sample_weight, step, int64_t t,
          double alpha, int batch_size, workspace):
    """One pass over the rows of `inputs`, an optimiser step a batch.

    sample_weight : relative to their mean. t : steps taken before. workspace : for batch_size rows
    a thread.
    Returns the weighted loss sum, counts as `_passes.run`, and the weights touched, int64
    (n_layers,).
    """
    cdef Net net
    cdef int n = len(layers), n_threads = workspace.n_threads, thread, size
    cdef Py_ssize_t batch, room = len(workspace.outputs[0]) // n_threads
    cdef double rate = step.learning_rate, beta1 = step.beta1, beta2 = step.beta2
    net_view(&net, layers, inputs, workspace)
    net.loss = loss
    net.y = rows_view(targets)
    # A thread's counters fill cache lines of their own.
    cdef int64_t[:, ::1] counts = np.zeros((n_threads, COUNTS * n + 16), dtype=np.int64)
    cdef int64_t[:, ::1] touched = np.zeros((n_threads, n + 16), dtype=np.int64)
    cdef double[:, ::1] losses = np.zeros((n_threads, batch_size + 16))
    cdef StepView* steps = <StepView*> malloc(n_threads * sizeof(StepView))
    cdef Scratch* scratch = scratch_views(workspace)
    try:
        if steps == NULL:
            raise MemoryError()
        for thread in range(n_threads):
            steps[thread] = step_view(step)
        for batch in prange((net.x.n + batch_size - 1) // batch_size, nogil=True,
                            schedule="dynamic", num_threads=n_threads):
            thread = threadid()
            size = <int> min(batch_size, net.x.n - batch * batch_size)
            if steps[thread].kind == ADAM:
                steps[thread].rate = <float> (
                    rate * sqrt(1 - pow(beta2, t + batch + 1)) / (1 - pow(beta1, t + batch + 1)))
            train_batch(&net, batch * batch_size, thread * room, size,
                        &sample_weight[batch * batch_size], &steps[thread], alpha,
                        &scratch[thread], &counts[thread, 0], &touched[thread, 0],
                        &losses[thread, 0])
    finally:
        free(steps)
    return (np.asarray(losses)[:, 0].sum(),
            np.asarray(counts).sum(axis=0)[:COUNTS * n].reshape(n, COUNTS),
            np.asarray(touched).sum(axis=0)[:n])
