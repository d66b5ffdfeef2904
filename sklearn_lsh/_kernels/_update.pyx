"""Weight updates: one owner per neuron, so the same bits at any number of threads.

A batch's (example, delta) pairs are grouped by neuron; each neuron sums its gradient in double
precision (scikit-learn's checks want weighted rows to equal repeated rows at 1e-7) and takes one
optimiser step on the entries it touched. A row is in cache once and serves the whole batch.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

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


def update(layer, deltas, inputs, const double[::1] sample_weight, step, double alpha,
           workspace):
    """One optimiser step of a layer on a batch.

    deltas : Rows over the layer's neurons, sample weights not yet in them. inputs : Rows of the
    same batch.
    Returns the number of weights touched.
    """
    cdef LayerView view = layer_view(layer)
    cdef StepView step_ = step_view(step)
    cdef RowsView d = rows_view(deltas), x = rows_view(inputs)
    cdef int n_threads = workspace.n_threads, thread
    cdef int32_t j, chunk = max(1, view.n_out // (16 * n_threads))
    cdef Py_ssize_t i
    cdef int64_t total = 0, n_pairs = 0
    cdef double weight = 0
    cdef Gradient gradient
    for i in range(d.n):
        n_pairs += d.length[i]
        weight += sample_weight[i]
    gradient.scale = 1 / weight
    gradient.decay = alpha / weight
    cdef Scratch* scratch = <Scratch*> malloc(n_threads * sizeof(Scratch))
    cdef int64_t* start = <int64_t*> calloc(view.n_out + 1, sizeof(int64_t))
    cdef int32_t* examples = <int32_t*> malloc((n_pairs + 1) * sizeof(int32_t))
    cdef double* values = <double*> malloc((n_pairs + 1) * sizeof(double))
    try:
        if scratch == NULL or start == NULL or examples == NULL or values == NULL:
            raise MemoryError()
        for thread in range(n_threads):
            scratch[thread] = scratch_view(workspace, thread)
        with nogil:
            group_by_neuron(&d, &sample_weight[0], view.n_out, start, examples, values)
        for j in prange(view.n_out, nogil=True, schedule="dynamic", chunksize=chunk,
                        num_threads=n_threads):
            if start[j + 1] > start[j]:
                total += update_neuron(&view, j, &x, examples + start[j], values + start[j],
                                       <int> (start[j + 1] - start[j]), &step_, gradient,
                                       &scratch[threadid()])
    finally:
        free(scratch)
        free(start)
        free(examples)
        free(values)
    return total


cdef void group_by_neuron(const RowsView* deltas, const double* weights, int n_out, int64_t* start,
                          int32_t* examples, double* values) noexcept nogil:
    """Counting sort of the batch's (neuron, example, weighted delta) triples, examples in order."""
    cdef Py_ssize_t i
    cdef int32_t s, j
    cdef Row row
    for i in range(deltas.n):
        row = row_at(deltas, i)
        for s in range(row.length):
            start[row.indices[s] if row.indices != NULL else s] += 1
    for j in range(n_out):
        start[j + 1] += start[j]
    for i in range(deltas.n - 1, -1, -1):
        row = row_at(deltas, i)
        for s in range(row.length):
            j = row.indices[s] if row.indices != NULL else s
            start[j] -= 1
            examples[start[j]] = <int32_t> i
            values[start[j]] = weights[i] * row.values[s]
