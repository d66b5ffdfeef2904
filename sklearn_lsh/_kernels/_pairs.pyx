"""A block's active sets turned over: for every neuron, the rows that hold it.

A neuron's weights are then in the cache once for the whole block, in every pass.
"""
from libc.stdint cimport int32_t
from libc.string cimport memset

from sklearn_lsh._kernels._views cimport Pairs, RowsView


cdef void group(const Pairs* pairs, const RowsView* out, Py_ssize_t first, int n) noexcept nogil:
    """List the pairs of the block's rows by neuron, rows in order (a counting sort)."""
    cdef int32_t* start
    cdef int32_t* rows = pairs.rows + first * pairs.room
    cdef int32_t* slots = pairs.slots + first * pairs.room
    cdef const int32_t* active
    cdef int32_t j, s
    cdef Py_ssize_t row
    if pairs.start == NULL:
        return
    if pairs.lone:
        for s in range(out.length[first]):
            rows[s] = <int32_t> first
            slots[s] = s
        return
    start = pairs.start + (first // pairs.block) * (pairs.n_out + <Py_ssize_t> 1)
    memset(start, 0, (pairs.n_out + <Py_ssize_t> 1) * sizeof(int32_t))
    for row in range(first, first + n):
        active = out.indices + out.start[row]
        for s in range(out.length[row]):
            start[active[s]] += 1
    for j in range(pairs.n_out):
        start[j + 1] += start[j]
    for row in range(first + n - 1, first - 1, -1):
        active = out.indices + out.start[row]
        for s in range(out.length[row]):
            j = active[s]
            start[j] -= 1
            rows[start[j]] = <int32_t> row
            slots[start[j]] = s
