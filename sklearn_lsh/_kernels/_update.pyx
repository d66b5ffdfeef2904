"""Weight updates: one owner per neuron, so the same bits at any number of threads.

Each neuron sums its gradient over the rows that hold it, in double precision (scikit-learn's checks
want weighted rows to equal repeated rows at 1e-7), and takes one optimiser step on the entries they
touch. A row of weights is in cache once and serves the whole batch.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

import numpy as np

from sklearn_lsh._kernels._views cimport (
    ADAM, LINE, SGD, LayerView, Pairs, Row, RowsView, Scratch, StepView,
    layer_view, n_stored, pairs_view, row_at, rows_view, scratch_views, step_view,
)


cdef extern from "updates.h" nogil:
    void lsh_detect()
    void lsh_prefetch(const float*, int, int64_t)
    void lsh_sum(double*, double, const float*, const int32_t*, int, int)
    void lsh_take_sums(double*, double, int, float*, int32_t*, int*)
    void lsh_scaled(double, double, const float*, int, float*)
    void lsh_scatter(double*, double, const int32_t*, const float*, int, int32_t*, int*)
    void lsh_adam(float*, float*, float*, const float*, const int32_t*, int, int, float, float,
                  float, float, float)
    void lsh_sgd(float*, float*, const float*, const int32_t*, int, int, float, float, float, int)
    void lsh_adagrad(float*, float*, const float*, const int32_t*, int, int, float, float, float)

lsh_detect()


cdef void step_entries(float* w, float* s0, float* s1, const float* g, const int32_t* lines,
                       int n_lines, int n, const StepView* step, float decay) noexcept nogil:
    if step.kind == ADAM:
        lsh_adam(w, s0, s1, g, lines, n_lines, n, decay, step.rate, step.beta1, step.beta2,
                 step.epsilon)
    elif step.kind == SGD:
        lsh_sgd(w, s0, g, lines, n_lines, n, decay, step.rate, step.beta1, step.nesterov)
    else:
        lsh_adagrad(w, s0, g, lines, n_lines, n, decay, step.rate, step.epsilon)


cdef int update_neuron(const LayerView* layer, int32_t j, const RowsView* x,
                       const int32_t* examples, const double* deltas, int n_pairs,
                       const StepView* step, Gradient gradient, Scratch* scratch) noexcept nogil:
    """Step neuron j on the examples whose active set holds it; return the entries touched.

    Those are, of sparse inputs, the entries stored; of dense ones, the lines that are not left out.
    """
    cdef int64_t at = j * layer.stride, n_reads
    cdef int n = layer.n_in, n_lines = 0, p, k
    cdef int32_t c
    cdef const int32_t* lines
    cdef float* w = layer.W + at
    cdef float* s0 = layer.slots[0] + at
    cdef float* s1 = layer.slots[1] + at if layer.slots[1] != NULL else NULL
    cdef float* g = scratch.packed
    cdef float* packed = scratch.packed + n
    cdef int32_t* listed = scratch.kept
    cdef const int32_t* touched = listed
    cdef float decay = <float> gradient.decay, g_bias
    cdef double bias = 0
    cdef Row row
    for p in range(n_pairs):
        bias += deltas[p]
    g_bias = <float> (bias * gradient.scale)
    step_entries(layer.b + j, layer.bias_slots[0] + j,
                 layer.bias_slots[1] + j if s1 != NULL else NULL, &g_bias, NULL, 0, 1, step, 0)
    row = row_at(x, examples[0])
    if n_pairs == 1:
        lsh_scaled(deltas[0], gradient.scale, row.values, n_stored(&row), g)
    if x.indices == NULL:
        lines = row.lines
        n_lines = row.n_lines
        if n_pairs > 1:
            for p in range(n_pairs):
                row = row_at(x, examples[p])
                lsh_sum(scratch.sums, deltas[p], row.values, row.lines, row.n_lines, n)
            lsh_take_sums(scratch.sums, gradient.scale, n, g, listed, &n_lines)
            lines = listed
        step_entries(w, s0, s1, g, lines, n_lines, n, step, decay)
        return LINE * n_lines + n % LINE
    # The touched entries are stepped side by side: a mask over the whole row costs more.
    n_reads = <int64_t> n_pairs * row.length
    lsh_prefetch(w, n, n_reads)
    lsh_prefetch(s0, n, n_reads)
    if s1 != NULL:
        lsh_prefetch(s1, n, n_reads)
    if n_pairs == 1:
        n = row.length
        touched = row.indices
    else:
        n = 0
        for p in range(n_pairs):
            row = row_at(x, examples[p])
            lsh_scatter(scratch.sums, deltas[p], row.indices, row.values, row.length, listed, &n)
        for k in range(n):
            c = listed[k]
            g[k] = <float> (scratch.sums[c] * gradient.scale)
            scratch.sums[c] = -0.0
    for k in range(n):
        c = touched[k]
        packed[k] = w[c]
        packed[n + k] = s0[c]
        if s1 != NULL:
            packed[2 * n + k] = s1[c]
    step_entries(packed, packed + n, packed + 2 * n, g, NULL, n // LINE, n, step, decay)
    for k in range(n):
        c = touched[k]
        w[c] = packed[k]
        s0[c] = packed[n + k]
        if s1 != NULL:
            s1[c] = packed[2 * n + k]
    return n


cdef struct Group:                      # a layer's share of a batch
    LayerView layer
    RowsView deltas
    RowsView inputs
    Pairs pairs


cdef int gather_pairs(const Group* group, int32_t j, const double* weights,
                      Scratch* scratch) noexcept nogil:
    """The rows that hold neuron j and their weighted deltas, into scratch; returns their number."""
    cdef const Pairs* pairs = &group.pairs
    cdef const RowsView* deltas = &group.deltas
    cdef const int32_t* start
    cdef Py_ssize_t block, first, row
    cdef int p, n = 0
    if pairs.start == NULL:
        for row in range(deltas.n):
            scratch.examples[row] = <int32_t> row
            scratch.deltas[row] = weights[row] * deltas.values[deltas.start[row] + j]
        return <int> deltas.n
    for block in range((deltas.n + pairs.block - 1) // pairs.block):
        first = block * pairs.block * pairs.room
        start = pairs.start + block * (pairs.n_out + <Py_ssize_t> 1)
        for p in range(start[j], start[j + 1]):
            row = pairs.rows[first + p]
            scratch.examples[n] = <int32_t> row
            scratch.deltas[n] = (
                weights[row] * deltas.values[deltas.start[row] + pairs.slots[first + p]])
            n += 1
    return n


def update(layers, deltas, inputs, const double[::1] sample_weight, step, double alpha, workspace):
    """One optimiser step of every layer on the batch that `_passes.run` has just seen.

    deltas, inputs : a Rows for each layer, over its neurons and its inputs; sample weights are not
    yet in them. Returns the number of weights touched in every layer, int64 (n_layers,).
    """
    cdef StepView step_ = step_view(step)
    cdef int n_threads = workspace.n_threads, n = len(layers), thread, g, n_pairs
    cdef int64_t n_neurons = 0, p, chunk
    cdef Py_ssize_t i
    cdef int32_t j
    cdef double weight = 0
    cdef Gradient gradient
    cdef int64_t[:, ::1] touched = np.zeros((n_threads, n + 16), dtype=np.int64)
    for i in range(sample_weight.shape[0]):
        weight += sample_weight[i]
    gradient.scale = 1 / weight
    gradient.decay = alpha / weight
    cdef Scratch* scratch = scratch_views(workspace)
    cdef Group* groups = <Group*> malloc(n * sizeof(Group))
    if groups == NULL:
        raise MemoryError()
    try:
        for g in range(n):
            groups[g].layer = layer_view(layers[g])
            groups[g].deltas = rows_view(deltas[g])
            groups[g].inputs = rows_view(inputs[g])
            groups[g].pairs = pairs_view(workspace.pairs[g])
            n_neurons += groups[g].layer.n_out
        chunk = max(1, n_neurons // (32 * n_threads))
        for p in prange(n_neurons, nogil=True, schedule="dynamic", chunksize=chunk,
                        num_threads=n_threads):
            thread = threadid()
            g = 0
            j = <int32_t> p
            while j >= groups[g].layer.n_out:
                j = j - groups[g].layer.n_out
                g = g + 1
            n_pairs = gather_pairs(&groups[g], j, &sample_weight[0], &scratch[thread])
            if n_pairs > 0:
                touched[thread, g] += update_neuron(
                    &groups[g].layer, j, &groups[g].inputs, scratch[thread].examples,
                    scratch[thread].deltas, n_pairs, &step_, gradient, &scratch[thread])
    finally:
        free(groups)
    return np.asarray(touched).sum(axis=0)[:n]
