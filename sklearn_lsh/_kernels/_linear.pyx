"""Forward and backward through the active neurons of one layer, a block of rows at a time.

Neuron by neuron: its weights are fetched once for all rows of the block that hold it. The sums of a
row run in the order of its neurons, so that no bit depends on the blocks.
"""
from libc.math cimport expf, tanhf
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from sklearn_lsh._kernels._pairs cimport Run, n_runs, neuron_at, run_at, slot
from sklearn_lsh._kernels._views cimport (
    EXPECTED, IDENTITY, LEAKY_RELU, LOGISTIC, RELU, TANH, Activation, LayerView, Pairs,
    Row, RowsView, Scratch, column_at, n_stored, row_at,
)


cdef extern from "products.h" nogil:
    void lsh_detect()
    void lsh_prefetch(const float*, int, int, int, int)
    void lsh_dot(const float*, const float*, const int32_t*, int, int, float*)
    void lsh_gather_dot(const float*, const int32_t*, const float*, int, float*)
    void lsh_dot_rows(const float*, const float*, int, float, const int32_t*, int, const int64_t*,
                      const float*, const int32_t*, const int32_t*, float*)
    void lsh_gather_dot_rows(const float*, const float*, int, float, const int32_t*, int,
                             const int64_t*, const float*, const int32_t*, const int32_t*, float*)
    void lsh_axpy(float*, float, const float*, int)
    void lsh_gather_axpy(float*, float, const float*, const int32_t*, int)

lsh_detect()

cdef enum:
    AHEAD = 4                        # rows of weights asked for before their turn

cdef float LEAK = 0.01
cdef float TINY = 1e-26              # the least chance, as in _select.pyx


cdef inline float activate(Activation kind, float z) noexcept nogil:
    if kind == RELU:
        return z if z > 0 else 0
    if kind == LEAKY_RELU:
        return z if z > 0 else LEAK * z
    if kind == TANH:
        return tanhf(z)
    if kind == LOGISTIC:
        return 1 / (1 + expf(-z))
    return z


cdef inline float slope(Activation kind, float y) noexcept nogil:
    """The derivative, from the activation's own value."""
    if kind == RELU:
        return 1 if y > 0 else 0
    if kind == LEAKY_RELU:
        return 1 if y > 0 else LEAK
    if kind == TANH:
        return 1 - y * y
    if kind == LOGISTIC:
        return y * (1 - y)
    return 1


cdef inline float dot(const float* w, Row x) noexcept nogil:
    cdef float z
    if x.indices == NULL:
        lsh_dot(w, x.values, x.lines, x.n_lines, x.length, &z)
    else:
        lsh_gather_dot(w, x.indices, x.values, x.length, &z)
    return z


cdef void preactivations(const LayerView* layer, Row x, const int32_t* active, int n_active,
                         float* out) noexcept nogil:
    """out[s] = w_j . x + b_j for the neurons j = active[s] (NULL: all)."""
    cdef int s, j
    for s in range(n_active):
        j = active[s] if active != NULL else s
        if active != NULL and s + AHEAD < n_active:
            lsh_prefetch(layer.W + active[s + AHEAD] * layer.stride, layer.n_in, 0, layer.n_in,
                         x.length)
        out[s] = dot(layer.W + j * layer.stride, x) + layer.b[j]


cdef void expect(const LayerView* layer, float* out) noexcept nogil:
    """Make all pre-activations outputs, times p_j = min(1, c s_j) with sum_j p_j = n_kept.

    s_j is the logistic function of the pre-activation, or 1: then p_j is the chance of being drawn;
    else close to it, since draws without replacement even chances out.
    """
    cdef int n = layer.n_out, j, n_sure = -1, count
    cdef float c = 0, s
    cdef double total
    while True:
        # Those that are sure to be kept leave less for the others; few rounds settle it.
        count = 0
        total = 0
        for j in range(n):
            s = max(activate(LOGISTIC, out[j]), TINY) if layer.selector.adaptive else 1
            if c * s >= 1:
                count += 1
            else:
                total += s
        if count == n_sure or count >= layer.selector.n_kept or total == 0:
            break
        n_sure = count
        c = <float> ((layer.selector.n_kept - n_sure) / total)
    for j in range(n):
        s = max(activate(LOGISTIC, out[j]), TINY) if layer.selector.adaptive else 1
        out[j] = activate(layer.activation, out[j]) * min(c * s, <float> 1)


cdef void forward_by_input(const LayerView* layer, Row x, float* out) noexcept nogil:
    """Pre-activations of every neuron for one row, of a layer stored by inputs."""
    cdef int32_t k
    cdef int j
    for j in range(layer.n_out):
        out[j] = layer.b[j]
    for k in range(n_stored(&x)):
        if k + AHEAD < x.length and x.indices != NULL:
            lsh_prefetch(layer.W + x.indices[k + AHEAD] * layer.stride, layer.n_out, 0,
                         layer.n_out, layer.n_out)
        lsh_axpy(out, x.values[k], layer.W + column_at(&x, k) * layer.stride, layer.n_out)


cdef inline const float* next_weights(const LayerView* layer, const Pairs* pairs, Py_ssize_t block,
                                      int32_t r) noexcept nogil:
    """Those of the run after r, to be asked for while r is at work; at the end, those of r."""
    return layer.W + neuron_at(pairs, block, min(r + 1, n_runs(pairs, block) - 1)) * layer.stride


cdef void forward(const LayerView* layer, const RowsView* inputs, const RowsView* out,
                  const Pairs* pairs, Py_ssize_t first, int n, Scratch* scratch) noexcept nogil:
    """Pre-activations of the rows [first, first + n)."""
    cdef Run run
    cdef int32_t r
    cdef Py_ssize_t row, block = first // pairs.block
    cdef int p
    cdef const float* w
    cdef const float* coming
    if layer.by_input:
        for row in range(first, first + n):
            forward_by_input(layer, row_at(inputs, row), out.values + out.start[row])
        return
    for r in range(n_runs(pairs, block)):
        run = run_at(pairs, block, n, r)
        w = layer.W + run.neuron * layer.stride
        coming = next_weights(layer, pairs, block, r)
        if inputs.indices == NULL:
            lsh_dot_rows(w, coming, layer.n_in, layer.b[run.neuron], run.rows, run.n, inputs.start,
                         inputs.values, inputs.lines, inputs.n_lines, scratch.products)
        else:
            lsh_gather_dot_rows(w, coming, layer.n_in, layer.b[run.neuron], run.rows, run.n,
                                inputs.start, inputs.values, inputs.indices, inputs.length,
                                scratch.products)
        for p in range(run.n):
            out.values[out.start[run.rows[p]] + slot(run, p)] = scratch.products[p]


cdef void activate_block(const LayerView* layer, const RowsView* out, Py_ssize_t first,
                         int n) noexcept nogil:
    """Make the pre-activations of the rows [first, first + n) outputs."""
    cdef Py_ssize_t row
    cdef int s
    cdef float* z
    for row in range(first, first + n):
        z = out.values + out.start[row]
        if layer.selector.kind == EXPECTED:
            expect(layer, z)
            continue
        for s in range(out.length[row]):
            z[s] = activate(layer.activation, z[s])


cdef void backward(const LayerView* layer, const RowsView* deltas, const Pairs* pairs,
                   const RowsView* below, float* out, const unsigned char* settled,
                   Py_ssize_t first, int n) noexcept nogil:
    """out[k] = sum_j delta_j w_jk, over each row's entries.

    below : outputs of the layer below, whose places `out` shares. settled : rows to pass over.
    """
    cdef Run run
    cdef Py_ssize_t row, at, block = first // pairs.block
    cdef int32_t r
    cdef int p, share
    cdef float d
    cdef const float* w
    cdef const float* coming
    for row in range(first, first + n):
        if not settled[row]:
            memset(out + below.start[row], 0, below.length[row] * sizeof(float))
    for r in range(n_runs(pairs, block)):
        run = run_at(pairs, block, n, r)
        w = layer.W + run.neuron * layer.stride
        coming = next_weights(layer, pairs, block, r)
        share = (layer.n_in + run.n - 1) // run.n
        for p in range(run.n):
            row = run.rows[p]
            lsh_prefetch(coming, layer.n_in, p, share, below.length[row])
            d = deltas.values[deltas.start[row] + slot(run, p)]
            at = below.start[row]
            if d == 0 or settled[row]:
                continue
            if below.indices == NULL:
                lsh_axpy(out + at, d, w, below.length[row])
            else:
                lsh_gather_axpy(out + at, d, w, below.indices + at, below.length[row])


cdef void apply_slope(const RowsView* below, float* out, Activation activation,
                      const unsigned char* settled, Py_ssize_t first, int n) noexcept nogil:
    """Times the slope of the layer below."""
    cdef Py_ssize_t row
    cdef int32_t k
    cdef Row x
    cdef float* target
    if activation == IDENTITY:
        return
    for row in range(first, first + n):
        if settled[row]:
            continue
        x = row_at(below, row)
        target = out + below.start[row]
        for k in range(x.length):
            target[k] *= slope(activation, x.values[k])
