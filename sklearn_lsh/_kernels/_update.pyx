"""Weight updates: one owner per neuron, so the same bits at any number of threads.

Each neuron sums its gradient over the rows that hold it, in double precision (scikit-learn's checks
want weighted rows to equal repeated rows at 1e-7), and takes one optimiser step on the entries they
touch. A row of weights is in cache once and serves the whole batch.
"""
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t

from sklearn_lsh._kernels._pairs cimport Run, n_runs, neuron_at, run_at, run_from, slot
from sklearn_lsh._kernels._passes cimport MAX_LAYERS, Net
from sklearn_lsh._kernels._views cimport (
    ADAM, LINE, SGD, LayerView, Pairs, Row, RowsView, Scratch, StepView, n_stored, row_at,
)


cdef extern from "updates.h" nogil:
    void lsh_detect()
    void lsh_prefetch(const float*, int, int, int, int)
    void lsh_sum(double*, double, const float*, const int32_t*, int, int)
    void lsh_take_sums(double*, double, int, float*, int32_t*, int*)
    void lsh_scaled(double, double, const float*, int, float*)
    void lsh_scatter(double*, double, const int32_t*, const float*, int, int32_t*, int*)
    void lsh_adam(float*, float*, float*, const float*, const int32_t*, int, int, float, float,
                  float, float, float)
    void lsh_sgd(float*, float*, const float*, const int32_t*, int, int, float, float, float, int)
    void lsh_adagrad(float*, float*, const float*, const int32_t*, int, int, float, float, float)

lsh_detect()

cdef enum:
    CHUNKS = 16                         # of a layer for every thread


cdef void step_entries(float* w, float* s0, float* s1, const float* g, const int32_t* lines,
                       int n_lines, int n, const StepView* step, float decay) noexcept nogil:
    if step.kind == ADAM:
        lsh_adam(w, s0, s1, g, lines, n_lines, n, decay, step.rate, step.beta1, step.beta2,
                 step.epsilon)
    elif step.kind == SGD:
        lsh_sgd(w, s0, g, lines, n_lines, n, decay, step.rate, step.beta1, step.nesterov)
    else:
        lsh_adagrad(w, s0, g, lines, n_lines, n, decay, step.rate, step.epsilon)


cdef inline void prefetch_share(const LayerView* layer, int32_t j, int p, int n_shares,
                                int32_t n_reads) noexcept nogil:
    """Ask for share p of the weights and the state of neuron j, of which n_reads will be read."""
    cdef int64_t at = j * layer.stride
    lsh_prefetch(layer.W + at, layer.n_in, p, n_shares, n_reads)
    lsh_prefetch(layer.slots[0] + at, layer.n_in, p, n_shares, n_reads)
    if layer.slots[1] != NULL:
        lsh_prefetch(layer.slots[1] + at, layer.n_in, p, n_shares, n_reads)


cdef int update_neuron(const LayerView* layer, int32_t j, int32_t coming, const RowsView* x,
                       const int32_t* examples, const double* deltas, int n_pairs,
                       const StepView* step, Gradient gradient, Scratch* scratch) noexcept nogil:
    """Step neuron j on the examples whose active set holds it; return the entries touched.

    Touched are, of sparse inputs, the entries stored; of dense ones, the lines that are not left
    out. coming : the neuron after it, whose weights are asked for meanwhile.
    """
    cdef int64_t at = j * layer.stride
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
    if not layer.changed[j]:
        # Most have been: threads that do not wait for one another share this line in peace.
        layer.changed[j] = 1
    for p in range(n_pairs):
        bias += deltas[p]
    g_bias = <float> (bias * gradient.scale)
    step_entries(layer.b + j, layer.bias_slots[0] + j,
                 layer.bias_slots[1] + j if s1 != NULL else NULL, &g_bias, NULL, 0, 1, step, 0)
    row = row_at(x, examples[0])
    if n_pairs == 1:
        prefetch_share(layer, coming, 0, 1, row.length)
        lsh_scaled(deltas[0], gradient.scale, row.values, n_stored(&row), g)
    if x.indices == NULL:
        lines = row.lines
        n_lines = row.n_lines
        if n_pairs > 1:
            for p in range(n_pairs):
                row = row_at(x, examples[p])
                prefetch_share(layer, coming, p, n_pairs, row.length)
                lsh_sum(scratch.sums, deltas[p], row.values, row.lines, row.n_lines, n)
            lsh_take_sums(scratch.sums, gradient.scale, n, g, listed, &n_lines)
            lines = listed
        step_entries(w, s0, s1, g, lines, n_lines, n, step, decay)
        return LINE * n_lines + n % LINE
    # The touched entries are stepped side by side: a mask over the whole row costs more.
    if n_pairs == 1:
        n = row.length
        touched = row.indices
    else:
        n = 0
        for p in range(n_pairs):
            row = row_at(x, examples[p])
            prefetch_share(layer, coming, p, n_pairs, row.length)
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
                            Py_ssize_t first, Py_ssize_t n, const double* weights,
                            const StepView* step, Gradient gradient,
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
                scratch.examples[n_pairs] = <int32_t> row
                scratch.deltas[n_pairs] = (
                    weights[row - first] * deltas.values[deltas.start[row] + slot(run, p)])
                n_pairs += 1
        coming = next_neuron(pairs, block, n_blocks, end, scratch.cursors)
        touched += update_neuron(layer, j, coming if coming < end else j, x, scratch.examples,
                                 scratch.deltas, n_pairs, step, gradient, scratch)
    return touched


cdef inline int chunk_size(const Net* net, int depth, int n_threads) noexcept nogil:
    """Neurons of a layer that a thread takes at a time."""
    return max(1, net.layers[depth].n_out // (CHUNKS * n_threads))


cdef inline int n_chunks(const Net* net, int depth, int n_threads) noexcept nogil:
    return (net.layers[depth].n_out - 1) // chunk_size(net, depth, n_threads) + 1


cdef void update_batch(const Net* net, Py_ssize_t n, const double* weights, const StepView* step,
                       Gradient gradient, int n_threads, Scratch* scratch,
                       int64_t* touched) noexcept nogil:
    """One optimiser step of every layer on the batch of n that `pass_batch` has just seen.

    weights : of its examples. Adds to touched, MAX_LAYERS of every thread: entries touched.
    """
    cdef int depth, thread, at, size, chunk, total = 0
    for depth in range(net.n_layers):
        total += n_chunks(net, depth, n_threads)
    for chunk in prange(total, schedule="dynamic", num_threads=n_threads):
        thread = threadid()
        depth = 0
        at = chunk
        while at >= n_chunks(net, depth, n_threads):
            at = at - n_chunks(net, depth, n_threads)
            depth = depth + 1
        size = chunk_size(net, depth, n_threads)
        touched[thread * MAX_LAYERS + depth] += update_neurons(
            &net.layers[depth], at * size, min((at + 1) * size, net.layers[depth].n_out),
            &net.deltas[depth], &net.outputs[depth - 1] if depth else &net.inputs,
            &net.pairs[depth], 0, n, weights, step, gradient, &scratch[thread])
