"""Layers as products of whole matrices: rows with all inputs times neurons that all rows hold.

Where a row uses a good part of the weights, a product of matrices takes less time over all of them
than index lists over that part. Inputs and deltas that are lists are spread out, zeros between
them; of all pre-activations each row picks its own. No bit depends on what is computed together.
"""
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

from sklearn_lsh._kernels._steps cimport (
    Gradient, Weights, biases_of, prefetch_share, step_entries, weights_of,
)
from sklearn_lsh._kernels._views cimport (
    LINE, LayerView, Row, RowsView, Scratch, StepView, Whole, row_at,
)


cdef extern from "matrices.h" nogil:
    void lsh_detect()
    void lsh_dot4(const float**, const float**, int, int, const float*, float*)
    void lsh_combine(const float**, int, const int32_t*, int, const float*, int64_t, int, float**)

cdef extern from "products.h" nogil:
    void lsh_prefetch(const float*, int, int, int, int)

lsh_detect()

cdef enum:
    COLUMNS = 32                        # of weights, which stay in the cache for all rows
    AT_ONCE = 8                         # rows whose sums are in registers


cdef void spread(const RowsView* rows, const RowsView* whole, Py_ssize_t first,
                 int n) noexcept nogil:
    """Give the rows [first, first + n) of `whole` every column of `rows`."""
    cdef Py_ssize_t row
    cdef int32_t k, tail
    cdef float* to
    cdef Row x
    for row in range(first, first + n):
        x = row_at(rows, row)
        to = whole.values + whole.start[row]
        memset(to, 0, whole.length[row] * sizeof(float))
        if x.indices != NULL:
            for k in range(x.length):
                to[x.indices[k]] = x.values[k]
            continue
        for k in range(x.n_lines):
            memcpy(to + x.lines[k], x.values + LINE * k, LINE * sizeof(float))
        tail = x.length % LINE
        memcpy(to + x.length - tail, x.values + LINE * x.n_lines, tail * sizeof(float))


cdef void gather(const RowsView* whole, const RowsView* rows, Py_ssize_t first,
                 int n) noexcept nogil:
    """Give the rows [first, first + n) their columns of `whole`."""
    cdef Py_ssize_t row
    cdef int32_t s
    cdef const float* source
    cdef float* to
    cdef Row held
    for row in range(first, first + n):
        held = row_at(rows, row)
        to = rows.values + rows.start[row]
        source = whole.values + whole.start[row]
        for s in range(held.length):
            to[s] = source[held.indices[s]]


cdef void forward_whole(const LayerView* layer, const Whole* whole, Held held, Py_ssize_t first,
                        int n) noexcept nogil:
    """Pre-activations of the rows [first, first + n), in whole.z, four neurons at a time."""
    cdef const RowsView* inputs = &whole.x
    cdef const RowsView* out = &whole.z
    cdef Py_ssize_t row
    cdef int n_steps = (n + AT_ONCE - 1) // AT_ONCE, s, t, step, e, size
    cdef int share = (layer.n_in + n_steps - 1) // n_steps
    cdef int32_t j
    cdef const float* w[4]
    cdef const float* x[AT_ONCE]
    cdef float start[4]
    cdef float scores[4 * AT_ONCE]
    for s in range(0, held.n, 4):
        for t in range(4):
            # Beyond the last neuron: the last again.
            j = held.neurons[min(s + t, held.n - 1)]
            w[t] = layer.W + j * layer.stride
            start[t] = layer.b[j]
        for step in range(n_steps):
            row = first + AT_ONCE * step
            size = min(n - AT_ONCE * step, <int> AT_ONCE)
            if n >= 4:  # the next four's weights, a part at a time
                for t in range(4):
                    j = held.neurons[min(s + 4 + t, held.n - 1)]
                    lsh_prefetch(layer.W + j * layer.stride, layer.n_in, step, share, layer.n_in)
            for e in range(size):
                x[e] = inputs.values + inputs.start[row + e]
            lsh_dot4(w, x, size, layer.n_in, start, scores)
            for e in range(size):
                for t in range(min(4, held.n - s)):
                    out.values[out.start[row + e] + s + t] = scores[4 * e + t]


cdef void forward_own(const LayerView* layer, const Whole* whole, const RowsView* out,
                      Py_ssize_t first, int n) noexcept nogil:
    """The same of each row's own neurons alone, to the same bits, in `out`: for few rows."""
    cdef Py_ssize_t row
    cdef int s, t
    cdef int32_t j
    cdef Row own
    cdef const float* w[4]
    cdef const float* x
    cdef float start[4]
    cdef float scores[4]
    for row in range(first, first + n):
        own = row_at(out, row)
        x = whole.x.values + whole.x.start[row]
        for s in range(0, own.length, 4):
            for t in range(4):
                # Beyond the last neuron: the last again.
                j = own.indices[min(s + t, own.length - 1)]
                w[t] = layer.W + j * layer.stride
                start[t] = layer.b[j]
                lsh_prefetch(layer.W + own.indices[min(s + 4 + t, own.length - 1)] * layer.stride,
                             layer.n_in, 0, layer.n_in, layer.n_in)
            lsh_dot4(w, &x, 1, layer.n_in, start, scores)
            for t in range(min(4, own.length - s)):
                out.values[out.start[row] + s + t] = scores[t]


cdef void backward_whole(const LayerView* layer, const Whole* whole, Held held,
                         const RowsView* below, float* out, const unsigned char* settled,
                         Py_ssize_t first, int n, Scratch* scratch) noexcept nogil:
    """out[k] = sum_j delta_j w_jk, over each row's entries.

    below : outputs of the layer below, whose places `out` shares. settled : rows to pass over.
    """
    cdef const RowsView* deltas = &whole.d
    cdef int32_t* rows = scratch.examples
    cdef Py_ssize_t row
    cdef int t, c, panel, p, n_left = 0
    cdef int32_t s
    cdef Row x
    cdef const float* d[4]
    cdef float* to[4]
    for row in range(first, first + n):
        if not settled[row]:
            rows[n_left] = <int32_t> row
            n_left += 1
    for panel in range((layer.n_in + COLUMNS - 1) // COLUMNS):
        c = panel * COLUMNS
        for p in range(0, n_left, 4):
            for t in range(4):
                # Beyond the last row: the last again.
                row = rows[min(p + t, n_left - 1)]
                d[t] = deltas.values + deltas.start[row]
                to[t] = (out + below.start[row] if below.indices == NULL
                         else scratch.wide + (row - first) * layer.n_in) + c
            lsh_combine(d, 1, held.neurons, held.n, layer.W + c, layer.stride,
                        min(<int> COLUMNS, layer.n_in - c), to)
    if below.indices == NULL:
        return
    for p in range(n_left):
        row = rows[p]
        x = row_at(below, row)
        for s in range(x.length):
            out[below.start[row] + s] = scratch.wide[(row - first) * layer.n_in + x.indices[s]]


cdef int64_t update_whole(const LayerView* layer, const Whole* whole, Held held, int part,
                          int n_parts, const unsigned char* settled, Py_ssize_t first,
                          Py_ssize_t n, const double* weights, const StepView* step,
                          Gradient gradient, Scratch* scratch) noexcept nogil:
    """Step one part of the neurons on the rows [first, first + n); returns the entries touched.

    Four neurons at a time, all of their weights; sums in single precision, rows in order.
    """
    cdef const RowsView* deltas = &whole.d
    cdef const RowsView* x = &whole.x
    cdef int begin = <int> (<int64_t> held.n * part // n_parts)
    cdef int end = <int> (<int64_t> held.n * (part + 1) // n_parts)
    cdef int s, t, p, n_pairs = 0, n_in = layer.n_in, n_asks, share
    cdef int64_t e, stride = x.start[first + 1] - x.start[first] if n > 1 else 0
    cdef float* d = scratch.tile        # four deltas of every row
    cdef const float* of_neuron[4]      # every fourth of these
    cdef float* g[4]
    cdef const float* of_row
    cdef float last[4]
    cdef float biases[4]
    cdef float factor
    cdef Weights target
    for t in range(4):
        of_neuron[t] = d + t
        g[t] = scratch.packed + t * n_in
    for e in range(n):
        if not settled[first + e]:
            scratch.examples[n_pairs] = <int32_t> e
            n_pairs += 1
    if n_pairs == 0:
        return 0
    n_asks = (n_pairs + 3) // 4
    share = (n_in + n_asks - 1) // n_asks
    for s in range(begin, end, 4):
        memset(biases, 0, sizeof(biases))
        for p in range(n_pairs):
            if p % 4 == 0:  # the four's weights, a part at a time
                for t in range(4):
                    prefetch_share(weights_of(layer, held.neurons[min(s + t, end - 1)]), p // 4,
                                   share, n_in)
            e = scratch.examples[p]
            factor = <float> (gradient.scale * weights[e])
            of_row = deltas.values + deltas.start[first + e] + s
            if s + 4 > end:
                for t in range(4):  # beyond the last neuron: the last again
                    last[t] = of_row[min(t, end - 1 - s)]
                of_row = last
            for t in range(4):
                d[4 * p + t] = factor * of_row[t]
        # Apart: no compiler fuses these sums with the products.
        for p in range(n_pairs):
            for t in range(4):
                biases[t] += d[4 * p + t]
        lsh_combine(of_neuron, 4, scratch.examples, n_pairs, x.values + x.start[first], stride,
                    n_in, g)
        for t in range(min(4, end - s)):
            if not layer.changed[held.neurons[s + t]]:
                layer.changed[held.neurons[s + t]] = 1
            target = biases_of(layer, held.neurons[s + t], 1)
            step_entries(target.w, target.s0, target.s1, biases + t, NULL, 0, 1, step, 0)
            target = weights_of(layer, held.neurons[s + t])
            step_entries(target.w, target.s0, target.s1, g[t], NULL, n_in // LINE, n_in, step,
                         <float> gradient.decay)
    return (end - begin) * <int64_t> n_in
