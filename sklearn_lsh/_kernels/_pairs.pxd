from libc.stdint cimport int32_t, int64_t

from sklearn_lsh._kernels._views cimport Pairs, RowsView, Scratch


cdef struct Run:                        # the pairs of one neuron in one block
    int32_t neuron
    int32_t n
    const int32_t* rows
    const int32_t* slots                # NULL: `place` in every row
    int32_t place


cdef void group(const Pairs* pairs, const RowsView* out, const unsigned char* left_out,
                Py_ssize_t first, int n, Scratch* scratch) noexcept nogil
cdef int32_t run_from(const Pairs* pairs, Py_ssize_t block, int32_t neuron) noexcept nogil


cdef inline int32_t n_runs(const Pairs* pairs, Py_ssize_t block) noexcept nogil:
    return pairs.n_out if pairs.n_runs == NULL else pairs.n_runs[block]


cdef inline int32_t* neurons_of(const Pairs* pairs, Py_ssize_t block) noexcept nogil:
    """The neurons of a block's runs, ascending; not of dense layers."""
    return pairs.neurons + <int64_t> block * pairs.runs_room


cdef inline int32_t neuron_at(const Pairs* pairs, Py_ssize_t block, int32_t r) noexcept nogil:
    """The neuron of run r."""
    return r if pairs.neurons == NULL else neurons_of(pairs, block)[r]


cdef inline Run run_at(const Pairs* pairs, Py_ssize_t block, int n, int32_t r) noexcept nogil:
    """Run r of a block of n rows."""
    cdef Run run
    cdef const int32_t* start
    cdef Py_ssize_t first = block * pairs.block
    run.neuron = neuron_at(pairs, block, r)
    run.n = n
    run.slots = NULL
    run.place = r
    run.rows = pairs.rows + first
    if pairs.start == NULL:
        return run
    start = pairs.start + <int64_t> block * (pairs.runs_room + 1)
    run.n = start[r + 1] - start[r]
    run.rows = pairs.rows + first * pairs.room + start[r]
    run.slots = pairs.slots + first * pairs.room + start[r]
    return run


cdef inline Py_ssize_t slot(Run run, int p) noexcept nogil:
    return run.slots[p] if run.slots != NULL else run.place


cdef inline bint is_shared(const Pairs* pairs) noexcept nogil:
    """Whether all rows of a batch hold the same neurons, but not all neurons."""
    return pairs.start == NULL and pairs.neurons != NULL
