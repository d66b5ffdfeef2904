"""Weight updates: one owner per neuron, so the same bits at any number of threads.

Each neuron sums its gradient over the rows that hold it, and takes one optimiser step on the
entries they touch (`_steps`). A row of weights is in cache once and serves the whole batch. Rows
that are settled, whose deltas are all next to nothing, take no part.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t

from sklearn_lsh._kernels._pairs cimport Run, n_runs, neuron_at, run_at, run_from, slot
from sklearn_lsh._kernels._passes cimport MAX_LAYERS, Net, held_at
from sklearn_lsh._kernels._steps cimport (
    Gradient, Weights, biases_of, step_entries, step_row, weights_of,
)
from sklearn_lsh._kernels._views cimport (
    LayerView, Pairs, Row, RowsView, Scratch, StepView, column_at, n_stored, row_at,
)
from sklearn_lsh._kernels._whole cimport update_whole


cdef extern from "updates.h" nogil:
    void lsh_detect()
    unsigned lsh_flush()
    void lsh_unflush(unsigned)

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
    elif net.wholes[depth].d.values != NULL:
        touched = update_whole(layer, &net.wholes[depth], held_at(net, depth, first), part,
                               n_parts, net.settled, first, n, weights, step, gradient, scratch)
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
