from libc.stdint cimport int32_t

from sklearn_lsh._kernels._views cimport Pairs, RowsView


cdef struct Run:                        # the pairs of one neuron in one block
    int32_t neuron
    int32_t n
    const int32_t* rows
    const int32_t* slots                # NULL: the neuron's own number in every row


cdef void group(const Pairs* pairs, const RowsView* out, Py_ssize_t first, int n) noexcept nogil


cdef inline int n_runs(const Pairs* pairs, const RowsView* out, Py_ssize_t first) noexcept nogil:
    return out.length[first] if pairs.lone and pairs.start != NULL else pairs.n_out


cdef inline Run run_at(const Pairs* pairs, const RowsView* out, Py_ssize_t first, int n,
                       int32_t r) noexcept nogil:
    """Run r of the block of n rows that begins at row `first`."""
    cdef Run run
    cdef const int32_t* start
    run.neuron = r
    run.n = n
    run.slots = NULL
    run.rows = pairs.rows + first
    if pairs.start == NULL:
        return run
    run.rows = pairs.rows + first * pairs.room
    run.slots = pairs.slots + first * pairs.room
    if pairs.lone:
        run.neuron = (out.indices + out.start[first])[r]
        run.rows += r
        run.slots += r
        return run
    start = pairs.start + (first // pairs.block) * (pairs.n_out + <Py_ssize_t> 1)
    run.n = start[r + 1] - start[r]
    run.rows += start[r]
    run.slots += start[r]
    return run


cdef inline Py_ssize_t slot(Run run, int p) noexcept nogil:
    return run.slots[p] if run.slots != NULL else run.neuron
