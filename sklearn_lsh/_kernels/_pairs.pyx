"""A block's active sets turned over: for every neuron in them, the rows that hold it.

A neuron's weights are then in the cache once for the whole block, in every pass.
"""
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy, memset

from sklearn_lsh._kernels._views cimport Pairs, RowsView, Scratch


cdef extern from "selection.h" nogil:
    int lsh_list_bits(uint64_t*, int, int32_t*)


cdef void group(const Pairs* pairs, const RowsView* out, const unsigned char* left_out,
                Py_ssize_t first, int n, Scratch* scratch) noexcept nogil:
    """List the pairs of the block's rows by neuron, rows in order (a counting sort).

    left_out : rows whose pairs are not listed, unless every row holds the same neurons; NULL: none.
    """
    cdef Py_ssize_t block = first // pairs.block, row
    cdef int32_t* start
    cdef int32_t* neurons
    cdef int32_t* place = scratch.ids
    cdef int32_t* rows = pairs.rows + first * pairs.room
    cdef int32_t* slots = pairs.slots + first * pairs.room
    cdef const int32_t* active
    cdef int32_t j, s, r, size
    if pairs.neurons == NULL:
        return
    if is_shared(pairs):
        pairs.n_runs[block] = out.length[first]
        memcpy(neurons_of(pairs, block), out.indices + out.start[first],
               out.length[first] * sizeof(int32_t))
        return
    start = pairs.start + <int64_t> block * (pairs.runs_room + 1)
    neurons = pairs.neurons + <int64_t> block * pairs.runs_room
    for row in range(first, first + n):
        if left_out != NULL and left_out[row]:
            continue
        active = out.indices + out.start[row]
        for s in range(out.length[row]):
            scratch.seen[active[s] >> 6] |= (<uint64_t> 1) << (active[s] & 63)
    size = lsh_list_bits(scratch.seen, (pairs.n_out + 63) >> 6, neurons)
    pairs.n_runs[block] = size
    for r in range(size):
        place[neurons[r]] = r
    memset(start, 0, (size + 1) * sizeof(int32_t))
    for row in range(first, first + n):
        if left_out != NULL and left_out[row]:
            continue
        active = out.indices + out.start[row]
        for s in range(out.length[row]):
            start[place[active[s]]] += 1
    for r in range(size):
        start[r + 1] += start[r]
    for row in range(first + n - 1, first - 1, -1):
        if left_out != NULL and left_out[row]:
            continue
        active = out.indices + out.start[row]
        for s in range(out.length[row]):
            j = place[active[s]]
            start[j] -= 1
            rows[start[j]] = <int32_t> row
            slots[start[j]] = s


cdef int32_t run_from(const Pairs* pairs, Py_ssize_t block, int32_t neuron) noexcept nogil:
    """The first run of the block whose neuron is `neuron` or a later one."""
    cdef const int32_t* neurons
    cdef int32_t low = 0, high = n_runs(pairs, block), mid
    if pairs.neurons == NULL:
        return min(neuron, high)
    neurons = neurons_of(pairs, block)
    while low < high:
        mid = (low + high) >> 1
        if neurons[mid] < neuron:
            low = mid + 1
        else:
            high = mid
    return low
