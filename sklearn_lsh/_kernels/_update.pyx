"""Weight updates: one owner per neuron, so the same bits at any number of threads.

A batch's (example, delta) pairs are grouped by neuron; each neuron sums its gradient in double
precision (scikit-learn's checks want weighted rows to equal repeated rows at 1e-7) and takes one
optimiser step on the entries it touched. A row is in cache once and serves the whole batch.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

import numpy as np

from sklearn_lsh._kernels._views cimport (
    ADAM, SGD, LayerView, Row, RowsView, Scratch, StepView,
    layer_view, row_at, rows_view, scratch_view, step_view,
)


cdef extern from "simd.h" nogil:
    void lsh_detect()
    void lsh_axpy1(double*, double, const float*, int)
    void lsh_axpy4(double*, const double*, const float*, const float*, const float*, const float*,
                   int)
    void lsh_adam(const char*, float*, float*, float*, const double*, int, double, double, float,
                  float, float, float)
    void lsh_sgd(const char*, float*, float*, const double*, int, double, double, float, float, int)
    void lsh_adagrad(const char*, float*, float*, const double*, int, double, double, float, float)

lsh_detect()


cdef enum:
    # A row is stepped whole, under a mask, unless its touched entries are fewer than one in SPARSE.
    SPARSE = 16


cdef void step_entries(const char* on, float* w, float* s0, float* s1, const double* g, int n,
                       const StepView* step, double scale, double decay) noexcept nogil:
    if step.kind == ADAM:
        lsh_adam(on, w, s0, s1, g, n, scale, decay, step.rate, step.beta1, step.beta2, step.epsilon)
    elif step.kind == SGD:
        lsh_sgd(on, w, s0, g, n, scale, decay, step.rate, step.beta1, step.nesterov)
    else:
        lsh_adagrad(on, w, s0, g, n, scale, decay, step.rate, step.epsilon)


cdef int step_packed(float* w, float* s0, float* s1, int n_in, int n_touched, const StepView* step,
                     Gradient gradient, Scratch* scratch) noexcept nogil:
    """Step the few entries listed in scratch.touched, side by side; leaves sums and marks zero."""
    cdef float* packed = scratch.packed
    cdef int k
    cdef int32_t c
    for k in range(n_touched):
        c = scratch.touched[k]
        scratch.packed_sums[k] = scratch.sums[c]
        packed[k] = w[c]
        packed[n_in + k] = s0[c]
        if s1 != NULL:
            packed[2 * n_in + k] = s1[c]
    memset(scratch.ones, 1, n_touched)
    step_entries(scratch.ones, packed, packed + n_in, packed + 2 * n_in, scratch.packed_sums,
                 n_touched, step, gradient.scale, gradient.decay)
    for k in range(n_touched):
        c = scratch.touched[k]
        scratch.sums[c] = 0
        scratch.marks[c] = 0
        w[c] = packed[k]
        s0[c] = packed[n_in + k]
        if s1 != NULL:
            s1[c] = packed[2 * n_in + k]
    return n_touched


cdef int update_neuron(const LayerView* layer, int32_t j, const RowsView* x,
                       const int32_t* examples, const double* deltas, int n_pairs,
                       const StepView* step, Gradient gradient, Scratch* scratch) noexcept nogil:
    """Step neuron j on the examples whose active set holds it; return the entries touched."""
    cdef int64_t at = j * layer.stride
    cdef float* w = layer.W + at
    cdef float* s0 = layer.slots[0] + at
    cdef float* s1 = layer.slots[1] + at if layer.slots[1] != NULL else NULL
    cdef double* sums = scratch.sums
    cdef char* marks = scratch.marks
    cdef char one = 1
    cdef double bias = 0
    cdef const float* v[4]
    cdef Row row
    cdef int p, t, k, n_touched = 0, n_in = layer.n_in
    cdef int64_t n_entries = 0
    cdef int32_t c
    for p in range(n_pairs):
        bias += deltas[p]
        n_entries += x.length[examples[p]]
    step_entries(&one, layer.b + j, layer.bias_slots[0] + j,
                 layer.bias_slots[1] + j if s1 != NULL else NULL, &bias, 1, step, gradient.scale, 0)
    if x.indices != NULL and n_entries * SPARSE < n_in:
        for p in range(n_pairs):
            row = row_at(x, examples[p])
            for k in range(row.length):
                c = row.indices[k]
                scratch.touched[n_touched] = c
                n_touched += not marks[c]
                marks[c] = 1
                sums[c] += deltas[p] * row.values[k]
        return step_packed(w, s0, s1, n_in, n_touched, step, gradient, scratch)
    if x.indices != NULL:
        for p in range(n_pairs):
            row = row_at(x, examples[p])
            for k in range(row.length):
                c = row.indices[k]
                marks[c] = 1
                sums[c] += deltas[p] * row.values[k]
        for k in range(n_in):
            n_touched += marks[k]
    else:
        for p in range(0, n_pairs - 3, 4):
            for t in range(4):
                v[t] = x.values + x.start[examples[p + t]]
            lsh_axpy4(sums, deltas + p, v[0], v[1], v[2], v[3], n_in)
        for p in range(n_pairs & ~3, n_pairs):
            lsh_axpy1(sums, deltas[p], x.values + x.start[examples[p]], n_in)
        memset(marks, 1, n_in)
        n_touched = n_in
    step_entries(marks, w, s0, s1, sums, n_in, step, gradient.scale, gradient.decay)
    memset(sums, 0, n_in * sizeof(double))
    memset(marks, 0, n_in)
    return n_touched


cdef struct Group:                      # a layer's share of a batch
    LayerView layer
    RowsView deltas
    RowsView inputs
    int64_t* start                      # (n_out + 1,) where a neuron's pairs begin
    int32_t* examples                   # of each pair: the example and its weighted delta
    double* values


def update(layers, deltas, inputs, const double[::1] sample_weight, step, double alpha, workspace):
    """One optimiser step of every layer on a batch.

    deltas, inputs : a Rows for each layer, over its neurons and its inputs; sample weights are not
    yet in them. Returns the number of weights touched in every layer, int64 (n_layers,).
    """
    cdef StepView step_ = step_view(step)
    cdef int n_threads = workspace.n_threads, n = len(layers), thread, g
    cdef int64_t n_neurons = 0, p, n_pairs, chunk
    cdef Py_ssize_t i
    cdef int32_t j
    cdef double weight = 0
    cdef Gradient gradient
    cdef int64_t[:, ::1] touched = np.zeros((n_threads, n + 16), dtype=np.int64)
    for i in range(sample_weight.shape[0]):
        weight += sample_weight[i]
    gradient.scale = 1 / weight
    gradient.decay = alpha / weight
    cdef Scratch* scratch = <Scratch*> malloc(n_threads * sizeof(Scratch))
    cdef Group* groups = <Group*> calloc(n, sizeof(Group))
    try:
        if scratch == NULL or groups == NULL:
            raise MemoryError()
        for thread in range(n_threads):
            scratch[thread] = scratch_view(workspace, thread)
        for g in range(n):
            groups[g].layer = layer_view(layers[g])
            groups[g].deltas = rows_view(deltas[g])
            groups[g].inputs = rows_view(inputs[g])
            n_neurons += groups[g].layer.n_out
            n_pairs = 0
            for i in range(groups[g].deltas.n):
                n_pairs += groups[g].deltas.length[i]
            groups[g].start = <int64_t*> calloc(groups[g].layer.n_out + 1, sizeof(int64_t))
            groups[g].examples = <int32_t*> malloc((n_pairs + 1) * sizeof(int32_t))
            groups[g].values = <double*> malloc((n_pairs + 1) * sizeof(double))
            if groups[g].start == NULL or groups[g].examples == NULL or groups[g].values == NULL:
                raise MemoryError()
        for g in prange(n, nogil=True, schedule="dynamic", num_threads=n_threads):
            group_by_neuron(&groups[g], &sample_weight[0])
        chunk = max(1, n_neurons // (32 * n_threads))
        for p in prange(n_neurons, nogil=True, schedule="dynamic", chunksize=chunk,
                        num_threads=n_threads):
            thread = threadid()
            g = 0
            j = <int32_t> p
            while j >= groups[g].layer.n_out:
                j = j - groups[g].layer.n_out
                g = g + 1
            if groups[g].start[j + 1] > groups[g].start[j]:
                touched[thread, g] += update_neuron(
                    &groups[g].layer, j, &groups[g].inputs,
                    groups[g].examples + groups[g].start[j], groups[g].values + groups[g].start[j],
                    <int> (groups[g].start[j + 1] - groups[g].start[j]), &step_, gradient,
                    &scratch[thread])
    finally:
        free(scratch)
        if groups != NULL:
            for g in range(n):
                free(groups[g].start)
                free(groups[g].examples)
                free(groups[g].values)
        free(groups)
    return np.asarray(touched).sum(axis=0)[:n]


cdef void group_by_neuron(Group* group, const double* weights) noexcept nogil:
    """Counting sort of (neuron, example, weighted delta) triples, examples in order."""
    cdef Py_ssize_t i
    cdef int32_t s, j
    cdef Row row
    for i in range(group.deltas.n):
        row = row_at(&group.deltas, i)
        for s in range(row.length):
            group.start[row.indices[s] if row.indices != NULL else s] += 1
    for j in range(group.layer.n_out):
        group.start[j + 1] += group.start[j]
    for i in range(group.deltas.n - 1, -1, -1):
        row = row_at(&group.deltas, i)
        for s in range(row.length):
            j = row.indices[s] if row.indices != NULL else s
            group.start[j] -= 1
            group.examples[group.start[j]] = <int32_t> i
            group.values[group.start[j]] = weights[i] * row.values[s]
