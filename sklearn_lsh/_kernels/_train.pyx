"""Training: an optimiser step a batch, over many batches without the interpreter.

Two schedules over the same functions. Together: all threads share a batch, its rows on the way up
and down, neurons in the update; bits do not depend on their number. Alone, lock-free: every thread
takes batches of its own, forward to update, without a barrier (Spring & Shrivastava 2017, section
5.6; Recht et al., "Hogwild!", 2011). Threads may overwrite each other's steps on a shared weight;
sparse active sets make that rare.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport pow, sqrt
from libc.stdint cimport int64_t
from libc.string cimport memcpy

import numpy as np

from sklearn_lsh._kernels._passes cimport (
    COUNTS, MAX_LAYERS, Net, list_shared, net_view, pass_batch, pass_block,
)
from sklearn_lsh._kernels._update cimport Gradient, update_batch, update_part
from sklearn_lsh._kernels._views cimport (
    ADAGRAD, ADAM, SAMPLED, Scratch, StepView, rows_view, scratch_views, step_view,
)


cdef struct Batch:
    Py_ssize_t i                        # its first example
    int n
    double weight                       # of its examples
    StepView step
    Gradient gradient


cdef struct Task:                       # what all batches share
    const double* weights               # of the examples
    int batch_size
    bint lock_free
    StepView step
    double learning_rate
    double beta1                        # in double: single precision rounds them to 1
    double beta2
    int64_t t                           # steps taken before
    double alpha
    double due                          # share of all rows; the others rest: a gradient of 0
    double* losses                      # of the examples, to be written
    unsigned char* settled


cdef Batch batch_at(const Net* net, const Task* task, int64_t number) noexcept nogil:
    cdef Batch batch
    cdef Py_ssize_t i
    cdef double weight = 0, t = task.t + number + 1
    batch.i = number * task.batch_size
    batch.n = <int> min(<Py_ssize_t> task.batch_size, net.x.n - batch.i)
    batch.step = task.step
    if task.step.kind == ADAM:
        batch.step.rate = <float> (task.learning_rate * sqrt(1 - pow(task.beta2, t))
                                   / (1 - pow(task.beta1, t)))
    if task.lock_free:
        # Batches of one row are usual; their own weight would cancel out.
        weight = batch.n
    else:
        for i in range(batch.i, batch.i + batch.n):
            weight += task.weights[i]
    batch.weight = weight
    batch.gradient.scale = task.due / weight
    batch.gradient.decay = task.alpha * task.due / weight
    return batch


cdef void note(const Task* task, const Batch* batch, const unsigned char* settled,
               double* totals) noexcept nogil:
    """Add the batch's loss, and the share its penalty has in it, times the rows it has.

    settled : of the rows that its examples were in.
    """
    cdef int e
    cdef double loss = 0
    memcpy(task.settled + batch.i, settled, batch.n)
    for e in range(batch.n):
        loss += task.weights[batch.i + e] * task.losses[batch.i + e]
    totals[0] += batch.n / batch.weight * loss
    totals[1] += batch.n / batch.weight


cdef void train_alone(const Net* net, const Task* task, int64_t number, Py_ssize_t first,
                      Scratch* scratch, int64_t* counts, int64_t* touched,
                      double* totals) noexcept nogil:
    """A batch on one thread, in the rows from `first` on."""
    cdef Batch batch = batch_at(net, task, number)
    cdef int depth, block, at, size = net.pairs[0].block
    cdef int n_shared = list_shared(net, batch.i, batch.n, scratch)
    for block in range((batch.n + size - 1) // size):
        at = block * size
        pass_block(net, batch.i + at, first + at, min(size, batch.n - at), scratch.shared,
                   n_shared, scratch, counts, task.losses + batch.i + at)
    note(task, &batch, net.settled + first, totals)
    for depth in range(net.n_layers):
        touched[depth] += update_part(net, depth, 0, 1, first, batch.n, task.weights + batch.i,
                                      &batch.step, batch.gradient, scratch)


cdef void train_together(Net* net, const Task* task, int64_t number, int n_threads,
                         Scratch* scratch, int64_t* counts, int64_t* touched,
                         double* totals) noexcept nogil:
    """A batch on all threads."""
    cdef Batch batch = batch_at(net, task, number)
    cdef int depth
    pass_batch(net, batch.i, batch.n, n_threads, scratch, counts, task.losses + batch.i)
    note(task, &batch, net.settled, totals)
    update_batch(net, batch.n, task.weights + batch.i, &batch.step, batch.gradient, n_threads,
                 scratch, touched)
    for depth in range(net.n_layers):
        if net.layers[depth].selector.kind == SAMPLED:
            net.layers[depth].selector.draw += 1


def train(layers, loss, inputs, targets, const double[::1] sample_weight, optimizer,
          double alpha, int batch_size, bint lock_free, float settled_below, double due,
          workspace):
    """One pass over the rows of `inputs`, an optimiser step a batch.

    sample_weight : lock-free, relative to their mean. settled_below : rows whose deltas at the
    output are all smaller are not learned from. due : share that these rows are of all there are;
    under Adagrad the gradient of the others counts as 0. workspace : for batch_size rows, a thread
    where lock-free; holds the last batch afterwards.
    Returns the weighted loss and the share of the penalty in it, both summed over the rows; counts
    as `_passes.run`; the weights touched, int64 (n_layers,); of every row its loss, float64, and
    whether it was settled, uint8.
    """
    cdef Net net
    cdef Task task
    cdef int n = len(layers), n_threads = workspace.n_threads, thread
    cdef int64_t number, n_batches
    cdef Py_ssize_t room = len(workspace.outputs[0]) // n_threads if lock_free else 0
    cdef Scratch* scratch
    # What threads add to fills cache lines of its own.
    cdef int64_t[:, :, ::1] counts = np.zeros((n_threads, MAX_LAYERS, COUNTS), dtype=np.int64)
    cdef int64_t[:, ::1] touched = np.zeros((n_threads, MAX_LAYERS), dtype=np.int64)
    cdef double[::1] losses = np.zeros(len(inputs))
    cdef unsigned char[::1] settled = np.zeros(len(inputs), dtype=np.uint8)
    cdef double[:, ::1] totals = np.zeros((n_threads, 16))
    net_view(&net, layers, inputs, workspace)
    scratch = scratch_views(workspace)
    net.settled_below = settled_below
    net.loss.kind = loss.kind
    net.loss.delta = loss.delta
    net.y = rows_view(targets)
    task.weights = &sample_weight[0]
    task.batch_size = batch_size
    task.lock_free = lock_free
    task.step = step_view(optimizer)
    task.learning_rate = optimizer.learning_rate
    task.beta1 = optimizer.beta1
    task.beta2 = optimizer.beta2
    task.t = optimizer.t
    task.alpha = alpha
    # A few rows taken for a whole batch would undo what Adagrad, with its small sums of squares of
    # settled entries, has learned. SGD would starve them: rests have cut the number of its steps.
    task.due = due if task.step.kind == ADAGRAD else 1
    task.losses = &losses[0]
    task.settled = &settled[0]
    n_batches = (net.x.n + batch_size - 1) // batch_size
    if lock_free:
        for number in prange(n_batches, nogil=True, schedule="dynamic", num_threads=n_threads):
            thread = threadid()
            train_alone(&net, &task, number, thread * room, &scratch[thread], &counts[thread, 0, 0],
                        &touched[thread, 0], &totals[thread, 0])
    else:
        with nogil:
            for number in range(n_batches):
                train_together(&net, &task, number, n_threads, scratch, &counts[0, 0, 0],
                               &touched[0, 0], &totals[0, 0])
    loss_, share = np.asarray(totals).sum(axis=0)[:2]
    return (loss_, share, np.asarray(counts), np.asarray(touched).sum(axis=0)[:n],
            np.asarray(losses), np.asarray(settled))
