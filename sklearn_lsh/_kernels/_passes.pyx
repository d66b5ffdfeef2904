"""Examples' way up and down the network, a block at a time: one parallel region a batch.

Prediction (`run`) and both schedules of training go through the same `pass_block`.
"""
from cython.parallel cimport prange, threadid
from libc.math cimport fabsf, isfinite
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

import numpy as np

from sklearn_lsh._kernels._linear cimport activate_block, apply_slope, backward, forward
from sklearn_lsh._kernels._loss cimport SOFTMAX, loss_row
from sklearn_lsh._kernels._pairs cimport group, n_runs, neurons_of
from sklearn_lsh._kernels._select cimport hold_shared, keep_strongest, list_labels, select
from sklearn_lsh._kernels._views cimport (
    LINE, SHARED, LayerView, Row, RowsView, Scratch, Whole, data, floats, layer_view, n_stored,
    pairs_view, place_of, row_at, rows_view, scratch_views, whole_view,
)
from sklearn_lsh._kernels._whole cimport backward_whole, forward_own, forward_whole, gather, spread


cdef extern from "products.h" nogil:
    int lsh_avx2, lsh_avx512
    void lsh_detect()
    unsigned lsh_flush()
    void lsh_unflush(unsigned)
    void lsh_copy(const float*, int, float*, int32_t*, int32_t*)

lsh_detect()

cdef enum:
    FEW = 16                            # rows for which all neurons are more work than their own


cdef enum Extent:                       # of the weights that a row is multiplied with
    LISTS                               # its active neurons and its entries
    OWN                                 # its active neurons and all inputs
    ALL                                 # all neurons that it may hold, and all inputs


def simd():
    """Which of the kernels' versions run: 'avx512', 'avx2' or 'baseline'."""
    return "avx512" if lsh_avx512 else "avx2" if lsh_avx2 else "baseline"


cdef int take(Net* net, inputs, workspace) except -1:
    """Have the network look at other rows."""
    net.x = rows_view(inputs)
    net.inputs = rows_view(workspace.hold(inputs))
    net.wholes[0] = whole_view(workspace.wholes[0])
    return 0


cdef int net_view(Net* net, layers, inputs, workspace) except -1:
    cdef int depth
    net.n_layers = len(layers)
    if net.n_layers > MAX_LAYERS:
        raise ValueError(f"hidden_layer_sizes: at most {MAX_LAYERS - 1} hidden layers")
    take(net, inputs, workspace)
    net.few = workspace.batch_size < FEW
    net.settled_below = 0
    net.settled = <unsigned char*> data(workspace.settled, b"u", 1)
    net.everyone = <int32_t*> data(workspace.everyone, b"i", 4)
    for depth in range(net.n_layers):
        net.layers[depth] = layer_view(layers[depth])
        net.outputs[depth] = rows_view(workspace.outputs[depth])
        net.pairs[depth] = pairs_view(workspace.pairs[depth])
        net.wholes[depth] = whole_view(workspace.wholes[depth])
        if workspace.deltas:
            net.deltas[depth] = rows_view(workspace.deltas[depth])
    return 0


cdef void load(const Net* net, Py_ssize_t i, Py_ssize_t room) noexcept nogil:
    """Make example i of x row `room` of the inputs."""
    cdef const RowsView* x = &net.x
    cdef const RowsView* inputs = &net.inputs
    cdef float* values = inputs.values + inputs.start[room]
    cdef int32_t* lines = inputs.lines + inputs.start[room] // LINE
    cdef Row row
    if x.indices != NULL:
        inputs.start[room] = x.start[i]
        inputs.length[room] = x.length[i]
    elif x.lines == NULL:
        # A copy: aligned, its lines side by side, its blank ones left out.
        lsh_copy(x.values + x.start[i], x.length[i], values, lines, inputs.n_lines + room)
    else:
        row = row_at(x, i)
        memcpy(values, row.values, n_stored(&row) * sizeof(float))
        memcpy(lines, row.lines, row.n_lines * sizeof(int32_t))
        inputs.n_lines[room] = row.n_lines


cdef Held held_at(const Net* net, int depth, Py_ssize_t row) noexcept nogil:
    """The neurons that a row holds, of layers as whole matrices."""
    cdef Held held
    cdef const Pairs* pairs = &net.pairs[depth]
    held.neurons = net.everyone
    held.n = net.layers[depth].n_out
    if net.layers[depth].selector.kind == SHARED:
        held.neurons = neurons_of(pairs, row // pairs.block)
        held.n = n_runs(pairs, row // pairs.block)
    return held


cdef int list_shared(const Net* net, Py_ssize_t i, Py_ssize_t n,
                     Scratch* scratch) noexcept nogil:
    """The labels that a batch shares in training; returns their number."""
    cdef const LayerView* layer = &net.layers[net.n_layers - 1]
    if layer.selector.kind != SHARED:
        return 0
    return list_labels(&layer.selector, &net.y, i, n, scratch)


cdef void pass_block(const Net* net, Py_ssize_t i, Py_ssize_t first, int n, const int32_t* shared,
                     int n_shared, Scratch* scratch, int64_t* counts,
                     double* losses) noexcept nogil:
    """Take the examples [i, i + n) through the network in the rows from `first` on.

    shared : what `list_shared` has listed for the batch that they are of.
    Outputs, and where losses are wanted (not NULL) those and the deltas; adds to counts.
    """
    cdef int e
    cdef unsigned mode = lsh_flush()
    for e in range(n):
        load(net, i + e, first + e)
    if net.layers[net.n_layers - 1].selector.kind == SHARED:
        hold_shared(&net.outputs[net.n_layers - 1], first, n, shared, n_shared)
    forward_block(net, first, n, scratch, counts)
    if losses != NULL:
        backward_block(net, i, first, n, scratch, counts, losses)
    lsh_unflush(mode)


cdef int64_t n_used(const Net* net, int depth, Py_ssize_t first, int n, Extent extent,
                    const unsigned char* left_out) noexcept nogil:
    """Weights of a layer that rows are multiplied with.

    left_out : rows that are not, or NULL.
    """
    cdef const LayerView* layer = &net.layers[depth]
    cdef const RowsView* out = &net.outputs[depth]
    cdef Py_ssize_t row
    cdef Row x
    cdef int64_t used = 0
    for row in range(first, first + n):
        if left_out != NULL and left_out[row]:
            continue
        x = row_at(&net.outputs[depth - 1] if depth else &net.inputs, row)
        used += (<int64_t> (n_stored(&x) if extent == LISTS else layer.n_in)
                 * (held_at(net, depth, row).n if extent == ALL else out.length[row]))
    return used


cdef void forward_block(const Net* net, Py_ssize_t first, int n, Scratch* scratch,
                        int64_t* counts) noexcept nogil:
    """Outputs of the rows [first, first + n) of every layer; adds to counts.

    Layer by layer, so that what scores a layer stays in the cache for all rows.
    """
    cdef int depth
    cdef int64_t used
    cdef const LayerView* layer
    cdef const Whole* whole
    cdef const RowsView* out
    cdef const RowsView* inputs = &net.inputs
    cdef bint chooses
    cdef Extent extent
    for depth in range(net.n_layers):
        layer = &net.layers[depth]
        whole = &net.wholes[depth]
        out = &net.outputs[depth]
        chooses = out.indices != NULL and layer.selector.kind != SHARED
        extent = LISTS
        if whole.z.values != NULL:
            # Where the selector need not know all pre-activations, few rows take their own.
            extent = OWN if chooses and net.few and not layer.selector.scores_all else ALL
            if whole.x.values != inputs.values:
                spread(inputs, &whole.x, first, n)
            if not chooses:
                group(&net.pairs[depth], out, NULL, first, n, scratch)
            if extent == ALL:
                forward_whole(layer, whole, held_at(net, depth, first), first, n)
        if chooses:
            select(layer, inputs, &whole.z, out, first, n, scratch, counts + COUNTS * depth + 1)
        if extent == OWN:
            forward_own(layer, whole, out, first, n)
        elif extent == LISTS:
            group(&net.pairs[depth], out, NULL, first, n, scratch)
            forward(layer, inputs, out, &net.pairs[depth], first, n, scratch)
        elif chooses:
            gather(&whole.z, out, first, n)
        used = n_used(net, depth, first, n, extent, NULL)
        counts[COUNTS * depth] += used
        if layer.selector.n_shortlisted > layer.selector.n_active:
            keep_strongest(&layer.selector, out, first, n, scratch)
            used -= n_used(net, depth, first, n, extent, NULL)
            counts[COUNTS * depth] -= used
            counts[COUNTS * depth + 3] += used
        activate_block(layer, out, first, n)
        inputs = out


cdef bint is_settled(const float* deltas, int n, float below) noexcept nogil:
    cdef int k
    for k in range(n):
        if not fabsf(deltas[k]) < below:
            return False
    return True


cdef void backward_block(const Net* net, Py_ssize_t i, Py_ssize_t first, int n, Scratch* scratch,
                         int64_t* counts, double* losses) noexcept nogil:
    """Losses of n examples of y from i on, and the deltas of every layer, in rows from first on.

    Of rows that are settled, the losses. Adds to counts: weights used by the others.
    """
    cdef int depth = net.n_layers - 1, e, s
    cdef const RowsView* out = &net.outputs[depth]
    cdef const RowsView* below
    cdef const Whole* whole
    cdef Row labels = row_at(out, first)
    cdef int64_t at
    cdef bint is_whole
    cdef bint corrects = net.layers[depth].selector.kind == SHARED and net.loss.kind == SOFTMAX
    if corrects:
        for s in range(labels.length):  # those of every row
            scratch.scores[s] = net.layers[depth].selector.log_chance[labels.indices[s]]
    for e in range(n):
        at = out.start[first + e]
        if corrects:
            correct(out.values + at, row_at(out, first + e), row_at(&net.y, i + e), scratch.scores)
        losses[e] = loss_row(&net.loss, row_at(out, first + e), row_at(&net.y, i + e),
                             net.deltas[depth].values + at)
        # Outputs that have overflowed tell nothing.
        net.settled[first + e] = isfinite(losses[e]) and is_settled(
            net.deltas[depth].values + at, out.length[first + e], net.settled_below)
    for depth in range(net.n_layers - 1, -1, -1):
        below = &net.outputs[depth - 1] if depth else &net.inputs
        whole = &net.wholes[depth]
        is_whole = whole.d.values != NULL
        counts[COUNTS * depth + 4] += n_used(net, depth, first, n, ALL if is_whole else LISTS,
                                             net.settled)
        if not is_whole:
            # Active sets, of rows to learn from: not what `forward` took.
            group(&net.pairs[depth], &net.outputs[depth], net.settled, first, n, scratch)
        elif whole.d.values != net.deltas[depth].values:
            spread(&net.deltas[depth], &whole.d, first, n)
        if depth == 0:
            break
        if is_whole:
            backward_whole(&net.layers[depth], whole, held_at(net, depth, first), below,
                           net.deltas[depth - 1].values, net.settled, first, n, scratch)
        else:
            backward(&net.layers[depth], &net.deltas[depth], &net.pairs[depth], below,
                     net.deltas[depth - 1].values, net.settled, first, n)
        apply_slope(below, net.deltas[depth - 1].values, net.layers[depth - 1].activation,
                    net.settled, first, n)


cdef void correct(float* scores, Row shared, Row own, const float* log_chances) noexcept nogil:
    """Let the labels of other examples stand for those of their kind that are not there.

    Raised by -log of their chance, the sum over the sample estimates that over all labels.
    """
    cdef int s = 0, o, end
    for o in range(own.length + 1):
        end = shared.length
        if o < own.length:
            end = place_of(shared.indices, s, shared.length, own.indices[o])
        for s in range(s, end):
            scores[s] -= log_chances[s]
        s = end + 1


cdef void pass_batch(const Net* net, Py_ssize_t i, Py_ssize_t n, int n_threads, Scratch* scratch,
                     int64_t* counts, double* losses) noexcept nogil:
    """Take the examples [i, i + n) through the network in the rows from 0 on, on all threads.

    counts : COUNTS * MAX_LAYERS of every thread. losses : NULL, or of the n examples.
    """
    cdef Py_ssize_t block, size = net.pairs[0].block
    cdef int thread, n_shared = list_shared(net, i, n, scratch) if losses != NULL else 0
    cdef const int32_t* shared = scratch.shared
    for block in prange((n + size - 1) // size, schedule="dynamic", num_threads=n_threads):
        thread = threadid()
        pass_block(net, i + block * size, block * size, <int> min(size, n - block * size),
                   shared, n_shared, &scratch[thread], counts + thread * COUNTS * MAX_LAYERS,
                   losses + block * size if losses != NULL else NULL)


cdef class Plan:
    """All that `run` looks up, for few rows on one thread, looked up once.

    Parameters
    ----------
    layers : list of Layer
        The last of which is dense. The plan's own, as is the workspace: what they hold stays.
    inputs : Rows
        Any.
    workspace : Workspace
    """
    cdef Net net
    cdef Scratch* scratch
    cdef object layers, workspace
    cdef int32_t n_outputs

    def __init__(self, layers, inputs, workspace):
        self.layers = layers
        self.workspace = workspace
        net_view(&self.net, layers, inputs, workspace)
        self.scratch = scratch_views(workspace)
        self.n_outputs = layers[len(layers) - 1].selector.n_out

    def scores(self, inputs):
        """Outputs of as many rows as the workspace holds: array (n_rows, n_outputs)."""
        cdef int64_t counts[COUNTS * MAX_LAYERS]
        cdef const RowsView* out = &self.net.outputs[self.net.n_layers - 1]
        cdef Py_ssize_t i
        cdef float* values
        memset(counts, 0, sizeof(counts))
        if len(inputs) > self.workspace.n_rows:
            raise ValueError(f"a plan for {self.workspace.n_rows} rows got {len(inputs)}")
        result = np.empty((len(inputs), self.n_outputs), dtype=np.float32)
        values = floats(result)
        try:
            take(&self.net, inputs, self.workspace)
            with nogil:
                pass_batch(&self.net, 0, self.net.x.n, 1, self.scratch, counts, NULL)
                for i in range(self.net.x.n):
                    memcpy(values + i * self.n_outputs, out.values + out.start[i],
                           self.n_outputs * sizeof(float))
        finally:
            self.workspace.let_go()
        return result


def run(layers, inputs, workspace):
    """Outputs of a batch: fills the first rows of workspace.inputs and outputs.

    Returns counts, int64 (n_threads, MAX_LAYERS, COUNTS): weights used (entries of a row times its
    active neurons), neurons ranked, entries of the inputs projected, weights used of shortlisted
    neurons that were not kept, and in training those used by rows that are learned from.
    """
    cdef Net net
    cdef int n_threads = workspace.n_threads
    counts = np.zeros((n_threads, MAX_LAYERS, COUNTS), dtype=np.int64)
    cdef int64_t* counted = <int64_t*> data(counts, b"i", 8)
    cdef Scratch* scratch
    net_view(&net, layers, inputs, workspace)
    scratch = scratch_views(workspace)
    with nogil:
        pass_batch(&net, 0, net.x.n, n_threads, scratch, counted, NULL)
    return counts
