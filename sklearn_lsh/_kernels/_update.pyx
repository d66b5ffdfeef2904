"""Weight updates: one owner per neuron, so the same bits at any number of threads.

Each neuron sums its gradient over the rows that hold it, and takes one optimiser step on the
entries they touch (`_steps`). A row of weights is in cache once and serves the whole batch. Rows
that are settled, whose deltas are all next to nothing, take no part.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from sklearn_lsh._kernels._pairs cimport (
    Run, is_shared, n_runs, neuron_at, neurons_of, run_at, run_from, slot,
)
from sklearn_lsh._kernels._passes cimport MAX_LAYERS, Net
from sklearn_lsh._kernels._steps cimport (
    Weights, biases_of, prefetch_share, step_entries, step_row, weights_of,
)
from sklearn_lsh._kernels._views cimport (
    LINE, LayerView, Pairs, Row, RowsView, Scratch, StepView, column_at, n_stored, row_at,
)


cdef extern from "updates.h" nogil:
    void lsh_detect()
    unsigned lsh_flush()
    void lsh_unflush(unsigned)
    void lsh_four(float, const float*, float*, float*)

cdef extern from "matrices.h" nogil:
    void lsh_combine(const float**, int, const int32_t*, int, const float*, int64_t, int, float**)

lsh_detect()

cdef enum:
    CHUNKS = 16                         # parts of a layer for every thread
    INPUT_PARTS = 2                     # of a layer stored by inputs, for each of several threads
    INPUTS_AHEAD = 3                    # whose weights are asked for: a step takes less than a miss


cdef int update_neuron(const LayerView* layer, int32_t j, int32_t coming, const RowsView* x,
                       const int32_t* examples, const double* deltas, int n_pairs,
                       const StepView* step, Gradient gradient, Scratch* scratch) noexcept nogil:
    """Step neuron j on the examples whose active set holds it; return the entries touched."""
    cdef int p
    cdef float g_bias
    cdef double bias = 0
    cdef Weights own = biases_of(layer, j, 1)
    if not layer.changed[j]:
        # Most have been: threads that do not wait for one another share this line in peace.
        layer.changed[j] = 1
    for p in range(n_pairs):
        bias += deltas[p]
    g_bias = <float> (bias * gradient.scale)
    step_entries(own.w, own.s0, own.s1, &g_bias, NULL, 0, 1, step, 0)
    return step_row(weights_of(layer, j), weights_of(layer, coming), x, examples, deltas, n_pairs,
                    step, gradient.scale, <float> gradient.decay, scratch)


cdef int list_inputs(const RowsView* x, const unsigned char* settled, Py_ssize_t first,
                     Py_ssize_t n, int part, int n_parts, Scratch* scratch) noexcept nogil:
    """Chain the entries of n rows by input, rows in order, for one part of the inputs.

    Returns how many inputs scratch.inputs lists.
    """
    cdef Py_ssize_t row
    cdef int32_t k, c, entry = 0
    cdef int n_inputs = 0
    cdef Row at
    for row in range(first + n - 1, first - 1, -1):
        if settled[row]:
            continue
        at = row_at(x, row)
        for k in range(n_stored(&at)):
            c = column_at(&at, k)
            if c & (n_parts - 1) != part:
                continue
            entry += 1
            if scratch.heads[c] == 0:
                scratch.inputs[n_inputs] = c
                n_inputs += 1
            scratch.nexts[entry] = scratch.heads[c]
            scratch.heads[c] = entry
            scratch.entry_rows[entry] = <int32_t> row
            scratch.entry_values[entry] = at.values[k]
    return n_inputs


cdef int64_t update_inputs(const LayerView* layer, const RowsView* deltas, const RowsView* x,
                           const unsigned char* settled, int part, int n_parts,
                           Py_ssize_t first, Py_ssize_t n, const double* weights,
                           const StepView* step, Gradient gradient,
                           Scratch* scratch) noexcept nogil:
    """As `update_neurons`, of a layer stored by inputs, for one part of these.

    Roles change: an input's weights are a row, along which the deltas are added up.
    """
    cdef int i, n_pairs, n_inputs = list_inputs(x, settled, first, n, part, n_parts, scratch)
    cdef int32_t c, entry, row
    cdef int64_t touched = 0
    cdef Weights biases
    for i in range(n_inputs):
        c = scratch.inputs[i]
        entry = scratch.heads[c]
        scratch.heads[c] = 0
        n_pairs = 0
        while entry:
            row = scratch.entry_rows[entry]
            scratch.examples[n_pairs] = row
            scratch.deltas[n_pairs] = weights[row - first] * scratch.entry_values[entry]
            n_pairs += 1
            entry = scratch.nexts[entry]
        touched += step_row(
            weights_of(layer, c),
            weights_of(layer, scratch.inputs[min(i + INPUTS_AHEAD, n_inputs - 1)]),
            deltas, scratch.examples, scratch.deltas, n_pairs, step, gradient.scale,
            <float> gradient.decay, scratch)
    if part == 0:
        biases = biases_of(layer, 0, layer.n_out)
        n_pairs = 0
        for i in range(<int> n):
            if not settled[first + i]:
                scratch.examples[n_pairs] = <int32_t> (first + i)
                scratch.deltas[n_pairs] = weights[i]
                n_pairs += 1
        if n_pairs:
            step_row(biases, biases, deltas, scratch.examples, scratch.deltas, n_pairs, step,
                     gradient.scale, 0, scratch)
    return touched


cdef int32_t next_neuron(const Pairs* pairs, Py_ssize_t block, Py_ssize_t n_blocks, int32_t end,
                         const int32_t* cursors) noexcept nogil:
    """The lowest neuron that any of the blocks comes to next."""
    cdef int32_t j = end
    cdef Py_ssize_t b
    for b in range(n_blocks):
        if cursors[b] < n_runs(pairs, block + b):
            j = min(j, neuron_at(pairs, block + b, cursors[b]))
    return j


cdef int64_t update_neurons(const LayerView* layer, int32_t begin, int32_t end,
                            const RowsView* deltas, const RowsView* x, const Pairs* pairs,
                            const unsigned char* settled, Py_ssize_t first, Py_ssize_t n,
                            const double* weights, const StepView* step, Gradient gradient,
                            Scratch* scratch) noexcept nogil:
    """Step the neurons [begin, end) on the rows [first, first + n), whole blocks.

    Returns the entries touched.
    """
    cdef Run run
    cdef Py_ssize_t block, b, row, n_blocks = (n + pairs.block - 1) // pairs.block
    cdef int64_t touched = 0
    cdef int32_t j, coming
    cdef int p, n_pairs, size
    block = first // pairs.block
    for b in range(n_blocks):
        scratch.cursors[b] = run_from(pairs, block + b, begin)
    coming = next_neuron(pairs, block, n_blocks, end, scratch.cursors)
    while coming < end:
        j = coming
        n_pairs = 0
        for b in range(n_blocks):
            if scratch.cursors[b] == n_runs(pairs, block + b):
                continue
            size = <int> min(<Py_ssize_t> pairs.block, n - b * pairs.block)
            run = run_at(pairs, block + b, size, scratch.cursors[b])
            if run.neuron != j:
                continue
            scratch.cursors[b] += 1
            for p in range(run.n):
                row = run.rows[p]
                if settled[row]:  # pairs of dense layers list every row
                    continue
                scratch.examples[n_pairs] = <int32_t> row
                scratch.deltas[n_pairs] = (
                    weights[row - first] * deltas.values[deltas.start[row] + slot(run, p)])
                n_pairs += 1
        coming = next_neuron(pairs, block, n_blocks, end, scratch.cursors)
        if n_pairs:
            touched += update_neuron(layer, j, coming if coming < end else j, x, scratch.examples,
                                     scratch.deltas, n_pairs, step, gradient, scratch)
    return touched


cdef int64_t update_shared(const LayerView* layer, int part, int n_parts, const RowsView* deltas,
                           const RowsView* x, const Pairs* pairs, const unsigned char* settled,
                           Py_ssize_t first, Py_ssize_t n, const double* weights,
                           const StepView* step, Gradient gradient,
                           Scratch* scratch) noexcept nogil:
    """As `update_neurons`, of one set of neurons that all rows hold, and dense rows below.

    Four neurons at a time; sums in single precision, rows in order.
    """
    cdef Py_ssize_t block = first // pairs.block, e
    cdef const int32_t* neurons = neurons_of(pairs, block)
    cdef int64_t size = n_runs(pairs, block)
    cdef int begin = <int> (size * part // n_parts), end = <int> (size * (part + 1) // n_parts)
    cdef int s, t, p, n_pairs = 0, n_in = layer.n_in, n_asks, share
    cdef int64_t stride = x.start[first + 1] - x.start[first] if n > 1 else 0
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
                    prefetch_share(weights_of(layer, neurons[min(s + t, end - 1)]), p // 4, share,
                                   n_in)
            e = scratch.examples[p]
            factor = <float> (gradient.scale * weights[e])
            of_row = deltas.values + deltas.start[first + e] + s
            if s + 4 > end:
                for t in range(4):  # beyond the last neuron: the last again
                    last[t] = of_row[min(t, end - 1 - s)]
                of_row = last
            lsh_four(factor, of_row, d + 4 * p, biases)
        lsh_combine(of_neuron, 4, scratch.examples, n_pairs, x.values + x.start[first], stride,
                    n_in, g)
        for t in range(min(4, end - s)):
            if not layer.changed[neurons[s + t]]:
                layer.changed[neurons[s + t]] = 1
            target = biases_of(layer, neurons[s + t], 1)
            step_entries(target.w, target.s0, target.s1, biases + t, NULL, 0, 1, step, 0)
            target = weights_of(layer, neurons[s + t])
            step_entries(target.w, target.s0, target.s1, g[t], NULL, n_in // LINE, n_in, step,
                         <float> gradient.decay)
    return (end - begin) * <int64_t> n_in


cdef int64_t update_part(const Net* net, int depth, int part, int n_parts, Py_ssize_t first,
                         Py_ssize_t n, const double* weights, const StepView* step,
                         Gradient gradient, Scratch* scratch) noexcept nogil:
    """Step one part of a layer on the rows [first, first + n); returns the entries touched."""
    cdef const LayerView* layer = &net.layers[depth]
    cdef const RowsView* x = &net.outputs[depth - 1] if depth else &net.inputs
    cdef int64_t n_out = layer.n_out, touched
    cdef unsigned mode = lsh_flush()
    if layer.by_input:
        touched = update_inputs(layer, &net.deltas[depth], x, net.settled, part, n_parts, first, n,
                                weights, step, gradient, scratch)
    elif is_shared(&net.pairs[depth]) and x.indices == NULL:
        touched = update_shared(layer, part, n_parts, &net.deltas[depth], x, &net.pairs[depth],
                                net.settled, first, n, weights, step, gradient, scratch)
    else:
        touched = update_neurons(layer, <int32_t> (n_out * part // n_parts),
                                 <int32_t> (n_out * (part + 1) // n_parts), &net.deltas[depth], x,
                                 &net.pairs[depth], net.settled, first, n, weights, step, gradient,
                                 scratch)
    lsh_unflush(mode)
    return touched


cdef inline int count_parts(const Net* net, int depth, int n_threads) noexcept nogil:
    cdef int n_parts = 1
    if not net.layers[depth].by_input:
        return min(net.layers[depth].n_out, CHUNKS * n_threads)
    if n_threads > 1:
        # A power of two, as inputs are shared out by a mask. Few: each part scans all entries.
        while n_parts < INPUT_PARTS * n_threads:
            n_parts *= 2
    return n_parts


cdef void update_batch(const Net* net, Py_ssize_t n, const double* weights, const StepView* step,
                       Gradient gradient, int n_threads, Scratch* scratch,
                       int64_t* touched) noexcept nogil:
    """One optimiser step of every layer on the batch of n that `pass_batch` has just seen.

    weights : of its examples. Adds to touched, MAX_LAYERS of every thread: entries touched.
    """
    cdef int depth, thread, part, number, total = 0
    for depth in range(net.n_layers):
        total += count_parts(net, depth, n_threads)
    for number in prange(total, schedule="dynamic", num_threads=n_threads):
        thread = threadid()
        depth = 0
        part = number
        while part >= count_parts(net, depth, n_threads):
            part = part - count_parts(net, depth, n_threads)
            depth = depth + 1
        touched[thread * MAX_LAYERS + depth] += update_part(
            net, depth, part, count_parts(net, depth, n_threads), 0, n, weights, step, gradient,
            &scratch[thread])
