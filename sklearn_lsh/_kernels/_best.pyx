"""The largest of many scores."""
from cython.parallel cimport prange, threadid
from libc.float cimport FLT_MAX
from libc.math cimport INFINITY, fabsf
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from sklearn_lsh._kernels._views cimport (
    Row, RowsView, Scratch, data, floats, row_at, rows_view, scratch_views,
)


cdef extern from "selection.h" nogil:
    void lsh_detect()
    void lsh_masks(const unsigned char*, int, int, uint64_t*, uint64_t*)
    void lsh_range(const float*, int, float*)
    int lsh_count(const unsigned char*, int, unsigned char)
    void lsh_bins(const float*, int, float, float, unsigned char*)
    int lsh_list_bits(uint64_t*, int, int32_t*)
    int lsh_above(const float*, int, float, int, int32_t*, float*)

lsh_detect()

cdef enum:
    N_BINS = 256
    FEW = 32            # this many are finished by plain selection
    MANY = 4096


cdef int edge_bin(const float* scores, int n, int* left, Scratch* scratch) noexcept nogil:
    """Bin the scores; return the bin in which the left-th largest falls (-1: no bins to be had).

    left becomes the number still to be taken from that bin. Bisection: counting bytes at or above a
    bin takes a few instructions for dozens of them, and no branch depends on one.
    """
    cdef float bounds[2]
    cdef float least, scale
    cdef int low = 0, high = N_BINS, mid, count, above = 0
    lsh_range(scores, n, bounds)
    # Scores that have overflowed are in the bins at the ends.
    least = max(bounds[0], -FLT_MAX)
    scale = <float> (N_BINS / (<double> min(bounds[1], FLT_MAX) - least))
    if not (scale > 0 and scale < 1e30):
        return -1
    lsh_bins(scores, n, least, scale, scratch.bins)
    while high - low > 1:
        mid = (low + high) >> 1
        count = lsh_count(scratch.bins, n, <unsigned char> mid)
        if count >= left[0]:
            low = mid
        else:
            high = mid
            above = count
    left[0] -= above
    return low


cdef int largest(const float* scores, int n, int k, int32_t* ids, Scratch* scratch) noexcept nogil:
    """Positions of the k largest scores, ascending; ties go to the lower position.

    Bins tell which scores are in, which are out and which are on the edge; only the edge is looked
    at again. No branch depends on a single score. Room for whole words of 64 in
    scratch.bins; scratch.seen and scratch.edge_bits are zero before and after.
    """
    cdef int i, target, n_edge, best, left = k, n_words = (n + 63) >> 6
    cdef int32_t* edge = scratch.edge
    cdef float* values = scratch.edge_scores
    if k >= n:
        for i in range(n):
            ids[i] = i
        return n
    target = edge_bin(scores, n, &left, scratch)
    if target < 0:
        for i in range(k):
            ids[i] = i
        return k
    memset(scratch.bins + n, 0, (n_words << 6) - n)
    lsh_masks(scratch.bins, n_words, target, scratch.seen, scratch.edge_bits)
    if n & 63:
        scratch.edge_bits[n_words - 1] &= ((<uint64_t> 1) << (n & 63)) - 1
    n_edge = lsh_list_bits(scratch.edge_bits, n_words, edge)
    for i in range(n_edge):
        values[i] = scores[edge[i]]
    while n_edge > FEW:
        target = edge_bin(values, n_edge, &left, scratch)
        if target < 0:
            n_edge = left
            break
        best = 0
        for i in range(n_edge):
            if scratch.bins[i] > target:
                scratch.seen[edge[i] >> 6] |= (<uint64_t> 1) << (edge[i] & 63)
            elif scratch.bins[i] == target:
                edge[best] = edge[i]
                values[best] = values[i]
                best += 1
        n_edge = best
    while left > 0:
        best = 0
        for i in range(1, n_edge):
            # Positions ascend, so the first of equals is the lower.
            if values[i] > values[best]:
                best = i
        scratch.seen[edge[best] >> 6] |= (<uint64_t> 1) << (edge[best] & 63)
        left -= 1
        n_edge -= 1
        for i in range(best, n_edge):
            edge[i] = edge[i + 1]
            values[i] = values[i + 1]
    return lsh_list_bits(scratch.seen, n_words, ids)


cdef void make_absolute(float* scores, int n) noexcept nogil:
    cdef int s
    for s in range(n):
        scores[s] = fabsf(scores[s])


cpdef bint in_chunks(int n, int k) noexcept nogil:
    """Whether scores are better offered a chunk at a time: few of many are wanted."""
    return n >= MANY and 4 * k <= n


cdef Best no_best(Scratch* scratch, int place, int k, int n_sure) noexcept nogil:
    """None yet of so many, at one of the places that there is room for.

    n_sure : below k; of so many of the largest a lower bound is kept. 0: it is not.
    """
    cdef Best best
    cdef int64_t room = 2 * k + CHUNK
    best.ids = scratch.best_ids + place * room
    best.scores = scratch.best_scores + place * room
    best.n = 0
    best.k = k
    best.least = -INFINITY
    best.n_sure = n_sure
    best.sure = -INFINITY
    return best


cdef void keep(Best* best, const float* scores, const int32_t* ids, int n, int first,
               Scratch* scratch) noexcept nogil:
    """Make it the k best of n scores, more than k; ids : their numbers, or NULL: from first on."""
    cdef int s, t
    best.n = largest(scores, n, best.k, scratch.positions, scratch)
    best.least = INFINITY
    for s in range(best.n):
        t = scratch.positions[s]
        best.ids[s] = ids[t] if ids != NULL else first + t
        best.scores[s] = scores[t]
        best.least = min(best.least, best.scores[s])
    if best.n_sure > 0:
        n = largest(best.scores, best.n, best.n_sure, scratch.positions, scratch)
        best.sure = INFINITY if n == best.n_sure else -INFINITY
        for s in range(n):
            best.sure = min(best.sure, best.scores[scratch.positions[s]])


cdef void narrow(Best* best, Scratch* scratch) noexcept nogil:
    """Leave the k best."""
    if best.n > best.k:
        keep(best, best.scores, best.ids, best.n, 0, scratch)


cdef void offer(Best* best, const float* scores, int n, int first, Scratch* scratch) noexcept nogil:
    """Look at n more scores, CHUNK at most, numbered from `first` on: in ascending order.

    Later ones that equal the least of the k best are out: ties go to the lower.
    """
    if best.n == 0 and n > best.k:
        keep(best, scores, NULL, n, first, scratch)
        return
    best.n += lsh_above(scores, n, best.least, first, best.ids + best.n, best.scores + best.n)
    if best.n >= 2 * best.k:
        narrow(best, scratch)


cdef int list_best(Best* best, int32_t* ids, Scratch* scratch) noexcept nogil:
    """The numbers of the k best, ascending; fewer if fewer scores are numbers above -inf."""
    narrow(best, scratch)
    memcpy(ids, best.ids, best.n * sizeof(int32_t))
    return best.n


cdef int top_k(const float* scores, int n, int k, int32_t* ids, Scratch* scratch) noexcept nogil:
    """Positions of the k largest scores, ascending; ties go to the lower position."""
    cdef Best best
    cdef int part, first
    if not in_chunks(n, k):
        return largest(scores, n, k, ids, scratch)
    best = no_best(scratch, 0, k, 0)
    for part in range((n + CHUNK - 1) // CHUNK):
        first = part * CHUNK
        offer(&best, scores + first, min(n - first, <int> CHUNK), first, scratch)
    return list_best(&best, ids, scratch)


cdef void best_of_row(const RowsView* out, Py_ssize_t i, int k, int64_t* columns, float* values,
                      Scratch* scratch) noexcept nogil:
    cdef Row row = row_at(out, i)
    cdef int s, t, spare = 0, taken = 0
    cdef int count = top_k(row.values, row.length, k, scratch.positions, scratch)
    for s in range(k):
        if s < count:
            t = scratch.positions[s]
        else:  # scores that are no numbers: the first that are left
            while taken < count and spare == scratch.positions[taken]:
                spare += 1
                taken += 1
            t = spare
            spare += 1
        values[s] = row.values[t] if t < row.length else -INFINITY
        columns[s] = 0 if t >= row.length else t if row.indices == NULL else row.indices[t]


def largest_of(out, k, workspace):
    """Columns (int64) and values of the k largest entries of every row, columns ascending.

    out : of the workspace. Columns are 0 and values -inf where a row has fewer.
    """
    cdef RowsView view = rows_view(out)
    cdef Scratch* scratch = scratch_views(workspace)
    cdef int n_best = k, n_threads = workspace.n_threads
    cdef Py_ssize_t i
    columns = np.empty((len(out), k), dtype=np.int64)
    values = np.empty((len(out), k), dtype=np.float32)
    cdef int64_t* columns_at = <int64_t*> data(columns, b"i", 8)
    cdef float* values_at = floats(values)
    for i in prange(view.n, schedule="static", num_threads=n_threads, nogil=True):
        best_of_row(&view, i, n_best, columns_at + i * n_best, values_at + i * n_best,
                    &scratch[threadid()])
    return columns, values
