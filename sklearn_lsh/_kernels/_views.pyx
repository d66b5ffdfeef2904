"""From the Python nouns to C structs: the one place where pointers are taken."""
cimport numpy as cnp
from libc.float cimport FLT_MIN
from libc.string cimport memset

import numpy as np

cnp.import_array()


cdef void* data(array, char kind, int size) except? NULL:
    """Where the values of a contiguous array are: floats 'f', signed 'i' or unsigned 'u' of a size.

    NULL for None, and where there are none. By NumPy's own interface: to ask a hundred arrays by
    the buffer protocol takes as long as the work on a row does.
    """
    cdef cnp.ndarray values
    if array is None:
        return NULL
    values = array
    if not cnp.PyArray_IS_C_CONTIGUOUS(values):
        raise ValueError("kernels take arrays that are C-contiguous")
    if (values.descr.kind != kind or cnp.PyArray_ITEMSIZE(values) != size
            or not cnp.PyArray_ISNOTSWAPPED(values)):
        raise TypeError(f"kernels take {size} bytes of {chr(kind)!r}, not {array.dtype}")
    return cnp.PyArray_DATA(values) if cnp.PyArray_SIZE(values) else NULL


cdef float* floats(array) except? NULL:
    return <float*> data(array, b"f", 4)


cdef int32_t* ints(array) except? NULL:
    return <int32_t*> data(array, b"i", 4)


cdef float* weights(cnp.ndarray stored) except NULL:
    """Where weights are, of which each row is contiguous."""
    if stored.ndim != 2 or stored.strides[1] != sizeof(float) or stored.strides[0] % sizeof(float):
        raise TypeError(f"kernels take weights in rows, not of strides {(<object> stored).strides}")
    if cnp.PyArray_TYPE(stored) != cnp.NPY_FLOAT32 or not cnp.PyArray_ISNOTSWAPPED(stored):
        raise TypeError(f"kernels take weights of single precision, not {(<object> stored).dtype}")
    return <float*> cnp.PyArray_DATA(stored)


cdef RowsView rows_view(rows) except *:
    cdef RowsView view
    view.n = len(rows.start)
    view.start = <int64_t*> data(rows.start, b"i", 8)
    view.length = ints(rows.length)
    view.indices = ints(rows.indices)
    view.values = floats(rows.values)
    view.lines = ints(rows.lines)
    view.n_lines = ints(rows.n_lines)
    return view


cdef SelectorView selector_view(selector) except *:
    cdef SelectorView view
    view.kind = selector.kind
    view.n_out = selector.n_out
    view.n_active = selector.n_active
    view.n_shortlisted = selector.n_shortlisted
    view.by_magnitude = selector.by_magnitude
    view.scores_all = selector.scores_all
    view.adaptive = selector.adaptive
    view.draw = selector.draw
    view.n_kept = selector.n_kept
    view.n_random = selector.n_random
    view.rank = selector.rank
    view.directions = floats(selector.directions)
    view.scales = floats(selector.scales) if selector.directions is None else NULL
    view.sketches = <signed char*> data(selector.sketches, b"i", 1)
    view.sketch_starts = ints(selector.sketch_starts)
    view.rows = floats(selector.rows)
    view.offsets = floats(selector.offsets)
    view.plane_start = ints(selector.plane_start)
    view.plane_columns = ints(selector.plane_columns)
    view.plane_values = floats(selector.plane_values)
    view.log_chance = floats(selector.log_chance)
    view.order = ints(selector.order)
    view.lengths = floats(selector.lengths)
    view.limits = floats(selector.limits)
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
    cdef cnp.ndarray stored = layer.stored
    view.W = weights(stored)
    view.b = floats(layer.b)
    view.stride = stored.strides[0] // sizeof(float)
    view.by_input = layer.by_input
    view.n_out, view.n_in = layer.W.shape
    view.activation = layer.activation
    view.changed = <unsigned char*> data(layer.changed, b"u", 1)
    view.slots[0] = view.slots[1] = NULL
    view.bias_slots[0] = view.bias_slots[1] = NULL
    for s, (slot, bias) in enumerate(layer.slots):
        view.slots[s] = weights(slot)
        view.bias_slots[s] = floats(bias)
    view.selector = selector_view(layer.selector)
    return view


cdef StepView step_view(step) except *:
    cdef StepView view
    view.kind = step.kind
    view.rate = step.learning_rate
    view.beta1 = step.beta1
    view.beta2 = step.beta2
    view.epsilon = max(<float> step.epsilon, FLT_MIN)  # what is less counts as 0, see simd.h
    view.nesterov = step.nesterov
    return view


cdef Pairs pairs_view(pairs) except *:
    cdef Pairs view
    view.n_out = pairs.n_out
    view.block = pairs.block
    view.room = pairs.room
    view.runs_room = pairs.runs_room
    view.n_runs = ints(pairs.n_runs)
    view.neurons = ints(pairs.neurons)
    view.start = ints(pairs.start)
    view.rows = ints(pairs.rows)
    view.slots = ints(pairs.slots)
    return view


cdef Whole whole_view(whole) except *:
    cdef Whole view
    memset(&view, 0, sizeof(view))
    if whole.x is not None:
        view.x = rows_view(whole.x)
        view.z = rows_view(whole.z)
        if whole.d is not None:
            view.d = rows_view(whole.d)
    return view


cdef Scratch* scratch_views(workspace) except NULL:
    """One a thread; made once for a workspace, which keeps them."""
    cdef Scratch* views
    cdef int thread
    if workspace.scratch is None:
        memory = np.zeros(workspace.n_threads * sizeof(Scratch), dtype=np.uint8)
        views = <Scratch*> data(memory, b"u", 1)
        for thread in range(workspace.n_threads):
            views[thread] = scratch_view(workspace, thread)
        workspace.scratch = memory
    return <Scratch*> data(workspace.scratch, b"u", 1)


cdef Scratch scratch_view(workspace, int thread) except *:
    cdef Scratch view
    view.scores = floats(workspace.scores[thread])
    view.stride = workspace.stride
    view.best_ids = ints(workspace.best_ids[thread])
    view.best_scores = floats(workspace.best_scores[thread])
    view.edge_scores = floats(workspace.edge_scores[thread])
    view.queries = floats(workspace.queries[thread])
    view.query_codes = <unsigned char*> data(workspace.query_codes[thread], b"u", 1)
    view.kept = ints(workspace.kept[thread])
    view.projections = floats(workspace.projections[thread])
    view.ids = ints(workspace.ids[thread])
    view.positions = ints(workspace.positions[thread])
    view.edge = ints(workspace.edge[thread])
    view.probes = ints(workspace.probes[thread])
    view.set_buckets = ints(workspace.set_buckets[thread])
    view.set_owners = ints(workspace.set_owners[thread])
    view.seen = <uint64_t*> data(workspace.seen[thread], b"u", 8)
    view.edge_bits = <uint64_t*> data(workspace.edge_bits[thread], b"u", 8)
    view.bins = <unsigned char*> data(workspace.bins[thread], b"i", 1)
    view.products = floats(workspace.products[thread])
    view.shared = ints(workspace.shared[thread])
    view.cursors = ints(workspace.cursors[thread])
    view.examples = ints(workspace.examples[thread])
    view.deltas = <double*> data(workspace.weighted[thread], b"f", 8)
    view.sums = <double*> data(workspace.sums[thread], b"f", 8)
    view.heads = ints(workspace.heads[thread])
    view.inputs = ints(workspace.listed[thread])
    view.nexts = ints(workspace.nexts[thread])
    view.entry_rows = ints(workspace.entry_rows[thread])
    view.entry_values = floats(workspace.entry_values[thread])
    view.packed = floats(workspace.packed[thread])
    view.tile = floats(workspace.tile[thread])
    view.wide = floats(workspace.wide[thread])
    return view
