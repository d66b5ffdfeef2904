"""The active set of one example: score neurons (all, or those the tables return) and keep the best."""
from cython.parallel cimport parallel, prange, threadid
from libc.math cimport fabsf
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

import numpy as np

from sklearn_lsh._kernels._linear cimport preactivations
from sklearn_lsh._kernels._tables cimport candidates
from sklearn_lsh._kernels._views cimport (
    DENSE, PANEL, SKETCH, TABLES, TOPK, LayerView, Row, RowsView, Scratch, SelectorView,
    layer_view, row_at, rows_view, scratch_view,
)


cdef extern from "simd.h" nogil:
    void lsh_detect()
    void lsh_dot4(const float*, const float*, const float*, const float*, const float*, int, float*)
    void lsh_axpy(float*, float, const float*, int)
    void lsh_score64(const float*, const float*, int, const float*, float*)
    void lsh_range(const float*, int, float*)

lsh_detect()

cdef enum:
    N_BINS = 256
    FEW = 16            # bins this small are finished by selection


cdef float kth_largest(const float* scores, int n, int k, float* buffer) noexcept nogil:
    """By refining a histogram around the answer: a few branch-free passes, no data movement."""
    cdef int counts[N_BINS]
    cdef float bounds[2]
    cdef float scale, position, best
    cdef int i, j, b, target, m, left = k
    cdef const float* values = scores
    while True:
        lsh_range(values, n, bounds)
        scale = N_BINS / (bounds[1] - bounds[0])
        if not (bounds[1] > bounds[0]) or not (scale > 0 and scale < 1e30):
            return bounds[0]
        memset(counts, 0, sizeof(counts))
        for i in range(n):
            position = (values[i] - bounds[0]) * scale
            b = <int> position if position < N_BINS else N_BINS - 1
            counts[b if b > 0 else 0] += 1
        target = N_BINS - 1
        while target > 0 and counts[target] < left:
            left -= counts[target]
            target -= 1
        m = 0
        for i in range(n):
            position = (values[i] - bounds[0]) * scale
            b = <int> position if position < N_BINS else N_BINS - 1
            buffer[m] = values[i]
            m += (b if b > 0 else 0) == target
        if m <= FEW:
            for i in range(left):
                j = i
                for b in range(i + 1, m):
                    if buffer[b] > buffer[j]:
                        j = b
                best = buffer[j]
                buffer[j] = buffer[i]
                buffer[i] = best
            return buffer[left - 1]
        if m == n:
            return bounds[0]
        values = buffer
        n = m


cdef int top_k(float* scores, int n, int k, int32_t* ids, float* buffer) noexcept nogil:
    """Positions of the k largest scores, ascending; ties go to the lower position.

    ids has room for n + 1 entries, buffer for n + 1 floats.
    """
    cdef int i, take, count = 0, ties = k
    cdef float threshold
    if k >= n:
        for i in range(n):
            ids[i] = i
        return n
    threshold = kth_largest(scores, n, k, buffer)
    for i in range(n):
        ties -= scores[i] > threshold
    for i in range(n):
        take = scores[i] > threshold
        if scores[i] == threshold and ties > 0:
            ties -= 1
            take = 1
        ids[count] = i
        count += take
    return count if count < k else k


cdef void project_query(const SelectorView* selector, Row x, float* q) noexcept nogil:
    """q = directions' x"""
    cdef int32_t k, r = selector.rank
    memset(q, 0, r * sizeof(float))
    for k in range(x.length):
        if x.values[k] != 0:
            lsh_axpy(q, x.values[k],
                     selector.directions + <int64_t> (x.indices[k] if x.indices != NULL else k) * r, r)


cdef void score_candidates(const LayerView* layer, Row x, const float* q, const int32_t* ids, int n,
                           float* scores) noexcept nogil:
    cdef const SelectorView* selector = &layer.selector
    cdef const float* w[4]
    cdef float z[4]
    cdef int s, t
    cdef int32_t r = selector.rank
    if selector.rows == NULL:
        preactivations(layer, x, ids, n, scores)
        return
    for s in range(0, n, 4):
        for t in range(4):
            w[t] = selector.rows + <int64_t> ids[s + t if s + t < n else n - 1] * r
        lsh_dot4(w[0], w[1], w[2], w[3], q, r, z)
        for t in range(4 if s + 4 <= n else n - s):
            scores[s + t] = z[t] + selector.offsets[ids[s + t]]


cdef void sort_ids(int32_t* ids, int n, uint64_t* seen, int n_words) noexcept nogil:
    """Ascending order through a bitmap: no comparisons, no mispredicted branches."""
    cdef int i, w, count = 0
    cdef uint64_t word
    for i in range(n):
        seen[ids[i] >> 6] |= (<uint64_t> 1) << (ids[i] & 63)
    for w in range(n_words):
        word = seen[w]
        seen[w] = 0
        i = w << 6
        while word:
            if word & 1:
                ids[count] = i
                count += 1
            word >>= 1
            i += 1


cdef int select_row(const LayerView* layer, Row x, Scratch* scratch, int32_t* active,
                    int* n_ranked) noexcept nogil:
    """Write the sorted active set; return its size. n_ranked: neurons that were scored."""
    cdef const SelectorView* selector = &layer.selector
    cdef int n = selector.n_out, k = selector.n_active, s, count
    cdef int32_t* ids = scratch.ids
    cdef float* buffer = scratch.scores + n + PANEL
    if selector.kind == TABLES:
        project_query(selector, x, scratch.query)
        n = candidates(selector, scratch, ids)
        if n > k:
            score_candidates(layer, x, scratch.query, ids, n, scratch.scores)
    elif selector.kind == SKETCH:
        project_query(selector, x, scratch.query)
        for s in range((n + PANEL - 1) // PANEL):
            lsh_score64(selector.panels + <int64_t> s * PANEL * selector.rank, scratch.query,
                        selector.rank, selector.offsets + s * PANEL, scratch.scores + s * PANEL)
    else:
        preactivations(layer, x, NULL, n, scratch.scores)
    n_ranked[0] = n
    if selector.kind == TABLES and n <= k:
        n_ranked[0] = 0
        memcpy(active, ids, n * sizeof(int32_t))
        sort_ids(active, n, scratch.seen, (selector.n_out + 63) >> 6)
        return n
    if selector.by_magnitude:
        for s in range(n):
            scratch.scores[s] = fabsf(scratch.scores[s])
    if selector.kind != TABLES:
        count = top_k(scratch.scores, n, k, ids, buffer)
        memcpy(active, ids, count * sizeof(int32_t))
        return count
    # The positions found index the candidates, which stand in ids itself.
    count = top_k(scratch.scores, n, k, scratch.positions, buffer)
    for s in range(count):
        active[s] = ids[scratch.positions[s]]
    sort_ids(active, count, scratch.seen, (selector.n_out + 63) >> 6)
    return count


def select(layer, inputs, out, workspace):
    """Choose the active sets of a batch: fills the indices and lengths of `out`.

    Returns the number of neurons that were scored, summed over the batch.
    """
    cdef LayerView view = layer_view(layer)
    cdef RowsView x = rows_view(inputs), y = rows_view(out)
    cdef int n_threads = workspace.n_threads, thread, ranked
    cdef Py_ssize_t i
    cdef int64_t total = 0
    cdef Scratch* scratch = <Scratch*> malloc(n_threads * sizeof(Scratch))
    cdef int* n_ranked = <int*> malloc(n_threads * sizeof(int))
    if scratch == NULL or n_ranked == NULL:
        free(scratch)
        free(n_ranked)
        raise MemoryError()
    try:
        for thread in range(n_threads):
            scratch[thread] = scratch_view(workspace, thread)
        for i in prange(x.n, nogil=True, schedule="static", num_threads=n_threads):
            thread = threadid()
            y.length[i] = select_row(&view, row_at(&x, i), &scratch[thread],
                                     y.indices + y.start[i], &n_ranked[thread])
            total += n_ranked[thread]
    finally:
        free(scratch)
        free(n_ranked)
    return total
