"""From the Python nouns to C structs: the one place where pointers are taken."""
import numpy as np


cdef object borrowed(array):
    """The array, flat. A copy would be gone before it is used."""
    if not array.flags.c_contiguous:
        raise ValueError("kernels read contiguous arrays only")
    return array.reshape(-1)


cdef const float* floats(array) except? NULL:
    cdef const float[::1] flat
    if array is None or array.size == 0:
        return NULL
    flat = borrowed(array)
    return &flat[0]


cdef const int32_t* ints(array) except? NULL:
    cdef const int32_t[::1] flat
    if array is None or array.size == 0:
        return NULL
    flat = borrowed(array)
    return &flat[0]


cdef const uint32_t* halves(array) except? NULL:
    cdef const uint32_t[::1] flat
    if array is None:
        return NULL
    flat = borrowed(array)
    return &flat[0]


cdef RowsView rows_view(rows) except *:
    cdef RowsView view
    cdef const int64_t[::1] start = rows.start
    view.n = start.shape[0]
    view.start = <int64_t*> &start[0] if view.n else NULL
    view.length = <int32_t*> ints(rows.length)
    view.indices = <int32_t*> ints(rows.indices)
    view.values = <float*> floats(rows.values)
    view.lines = <int32_t*> ints(rows.lines)
    view.n_lines = <int32_t*> ints(rows.n_lines)
    return view


cdef SelectorView selector_view(selector) except *:
    cdef SelectorView view
    view.kind = selector.kind
    view.n_out = selector.n_out
    view.n_active = selector.n_active
    view.by_magnitude = selector.by_magnitude
    view.adaptive = selector.adaptive
    view.draw = selector.draw
    view.n_kept = selector.n_kept
    view.rank = selector.rank
    view.directions = floats(selector.directions)
    view.panels = floats(selector.panels)
    view.halves = halves(selector.halves)
    view.rows = floats(selector.rows)
    view.offsets = floats(selector.offsets)
    view.plane_start = ints(selector.plane_start)
    view.plane_columns = ints(selector.plane_columns)
    view.plane_values = floats(selector.plane_values)
    view.log_chance = floats(selector.log_chance)
    view.n_tables = selector.n_tables
    view.n_hashes = selector.n_hashes
    view.group = selector.group
    view.is_signed = selector.is_signed
    view.n_buckets = selector.n_buckets
    view.n_sets = 0 if selector.sets is None else len(selector.sets)
    view.sets = ints(selector.sets)
    view.n_probes = selector.n_probes
    view.n_candidates = selector.n_candidates
    view.hyperplanes = floats(selector.hyperplanes)
    view.shift = floats(selector.shift)
    view.bucket_start = ints(selector.bucket_start)
    view.neurons = ints(selector.neurons)
    return view


cdef LayerView layer_view(layer) except *:
    cdef LayerView view
    cdef const float[:, :] W = layer.stored
    cdef const unsigned char[::1] changed
    view.W = <float*> &W[0, 0]
    view.b = <float*> floats(layer.b)
    view.stride = W.strides[0] // sizeof(float)
    view.by_input = layer.by_input
    view.n_out, view.n_in = layer.W.shape
    view.activation = layer.activation
    changed = layer.changed
    view.changed = <unsigned char*> &changed[0]
    view.slots[0] = view.slots[1] = NULL
    view.bias_slots[0] = view.bias_slots[1] = NULL
    for s, (weights, bias) in enumerate(layer.slots):
        W = weights
        view.slots[s] = <float*> &W[0, 0]
        view.bias_slots[s] = <float*> floats(bias)
    view.selector = selector_view(layer.selector)
    return view


cdef StepView step_view(step) except *:
    cdef StepView view
    view.kind = step.kind
    view.rate = step.learning_rate
    view.beta1 = step.beta1
    view.beta2 = step.beta2
    view.epsilon = step.epsilon
    view.nesterov = step.nesterov
    return view


cdef Pairs pairs_view(pairs) except *:
    cdef Pairs view
    view.n_out = pairs.n_out
    view.block = pairs.block
    view.room = pairs.room
    view.runs_room = pairs.runs_room
    view.n_runs = <int32_t*> ints(pairs.n_runs)
    view.neurons = <int32_t*> ints(pairs.neurons)
    view.start = <int32_t*> ints(pairs.start)
    view.rows = <int32_t*> ints(pairs.rows)
    view.slots = <int32_t*> ints(pairs.slots)
    return view


cdef Scratch* scratch_views(workspace) except NULL:
    """One a thread; made once for a workspace, which keeps them."""
    cdef unsigned char[::1] memory
    cdef Scratch* views
    cdef int thread
    if workspace.scratch is None:
        memory = np.zeros(workspace.n_threads * sizeof(Scratch), dtype=np.uint8)
        views = <Scratch*> &memory[0]
        for thread in range(workspace.n_threads):
            views[thread] = scratch_view(workspace, thread)
        workspace.scratch = memory
    memory = workspace.scratch
    return <Scratch*> &memory[0]


cdef Scratch scratch_view(workspace, int thread) except *:
    cdef Scratch view
    cdef const double[::1] doubles
    cdef const signed char[::1] bytes_
    cdef const uint64_t[::1] bits = workspace.seen[thread]
    view.scores = <float*> floats(workspace.scores[thread])
    view.stride = workspace.stride
    view.edge_scores = <float*> floats(workspace.edge_scores[thread])
    view.queries = <float*> floats(workspace.queries[thread])
    view.kept = <int32_t*> ints(workspace.kept[thread])
    view.projections = <float*> floats(workspace.projections[thread])
    view.ids = <int32_t*> ints(workspace.ids[thread])
    view.positions = <int32_t*> ints(workspace.positions[thread])
    view.edge = <int32_t*> ints(workspace.edge[thread])
    view.probes = <int32_t*> ints(workspace.probes[thread])
    view.set_buckets = <int32_t*> ints(workspace.set_buckets[thread])
    view.set_owners = <int32_t*> ints(workspace.set_owners[thread])
    view.seen = <uint64_t*> &bits[0]
    bits = workspace.edge_bits[thread]
    view.edge_bits = <uint64_t*> &bits[0]
    bytes_ = workspace.bins[thread]
    view.bins = <unsigned char*> &bytes_[0]
    view.shared = <int32_t*> ints(workspace.shared[thread])
    view.cursors = <int32_t*> ints(workspace.cursors[thread])
    view.examples = <int32_t*> ints(workspace.examples[thread])
    doubles = workspace.weighted[thread]
    view.deltas = <double*> &doubles[0]
    doubles = workspace.sums[thread]
    view.sums = <double*> &doubles[0]
    view.heads = <int32_t*> ints(workspace.heads[thread])
    view.inputs = <int32_t*> ints(workspace.listed[thread])
    view.nexts = <int32_t*> ints(workspace.nexts[thread])
    view.entry_rows = <int32_t*> ints(workspace.entry_rows[thread])
    view.entry_values = <float*> floats(workspace.entry_values[thread])
    view.packed = <float*> floats(workspace.packed[thread])
    return view
