"""The active set of one example: score neurons (all, or those the tables return) and keep the best."""
from cython.parallel cimport prange, threadid
from libc.math cimport fabsf
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from sklearn_lsh._kernels._linear cimport preactivations
from sklearn_lsh._kernels._tables cimport candidates
from sklearn_lsh._kernels._views cimport (
    PANEL, SKETCH, TABLES, TOPK, LayerView, Row, RowsView, Scratch, SelectorView,
    layer_view, row_at, rows_view, scratch_view,
)


cdef extern from "simd.h" nogil:
    void lsh_detect()
    void lsh_dot4(const float*, const float*, const float*, const float*, const float*, int, float*)
    void lsh_axpy(float*, float, const float*, int)
    void lsh_score64(const float*, const float*, int, const float*, float*)
    void lsh_range(const float*, int, float*)
    void lsh_bins(const float*, int, float, float, unsigned char*)
    int LSH_LOWEST_BIT(uint64_t)

lsh_detect()

cdef enum:
    N_BINS = 256
    FEW = 24            # this many are finished by plain selection


cdef int top_k(const float* scores, int n, int k, int32_t* ids, Scratch* scratch) noexcept nogil:
    """Positions of the k largest scores, in no order; ties go to the lower position.

    A histogram tells which scores are in, which are out and which are on the edge; only the edge is
    looked at again. Few passes, no branches that depend on the data. ids: room for n + 1.
    """
    cdef int counts[4][N_BINS]
    cdef float bounds[2]
    cdef float scale
    cdef int i, j, b, best, target, above, n_edge, count = 0
    cdef const float* values = scores
    cdef float* edge_scores = scratch.edge_scores
    cdef int32_t* edge = scratch.edge
    cdef int32_t id
    if k >= n:
        for i in range(n):
            ids[i] = i
        return n
    while True:
        lsh_range(values, n, bounds)
        scale = N_BINS / (bounds[1] - bounds[0])
        if not (scale > 0 and scale < 1e30):
            # All alike (or not finite): the first ones.
            for i in range(k - count):
                ids[count + i] = i if values == scores else edge[i]
            return k
        lsh_bins(values, n, bounds[0], scale, scratch.bins)
        memset(counts, 0, sizeof(counts))
        for i in range(0, n - 3, 4):
            # Four tables: equal bins in a row do not wait for each other.
            counts[0][scratch.bins[i]] += 1
            counts[1][scratch.bins[i + 1]] += 1
            counts[2][scratch.bins[i + 2]] += 1
            counts[3][scratch.bins[i + 3]] += 1
        for i in range(n & ~3, n):
            counts[0][scratch.bins[i]] += 1
        target = N_BINS
        above = count
        while True:
            target -= 1
            b = counts[0][target] + counts[1][target] + counts[2][target] + counts[3][target]
            if above + b >= k or target == 0:
                break
            above += b
        n_edge = 0
        for i in range(n):
            id = i if values == scores else edge[i]
            b = scratch.bins[i]
            ids[count] = id
            count += b > target
            edge[n_edge] = id
            edge_scores[n_edge] = values[i]
            n_edge += b == target
        if n_edge <= FEW:
            break
        values = edge_scores
        n = n_edge
    while count < k:
        best = 0
        for j in range(1, n_edge):
            # Not finite scores lose; positions ascend, so the first of equals is the lower.
            if edge_scores[j] > edge_scores[best]:
                best = j
        ids[count] = edge[best]
        count += 1
        n_edge -= 1
        for j in range(best, n_edge):
            edge[j] = edge[j + 1]
            edge_scores[j] = edge_scores[j + 1]
    return k


cdef int project_query(const SelectorView* selector, Row x, float* q) noexcept nogil:
    """q = directions' x; returns the number of entries of x that are not zero."""
    cdef int32_t k, used = 0, r = selector.rank
    memset(q, 0, r * sizeof(float))
    for k in range(x.length):
        if x.values[k] != 0:
            used += 1
            lsh_axpy(q, x.values[k],
                     selector.directions + <int64_t> (x.indices[k] if x.indices != NULL else k) * r, r)
    return used


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
        while word:
            ids[count] = (w << 6) + LSH_LOWEST_BIT(word)
            count += 1
            word &= word - 1


cdef int select_row(const LayerView* layer, Row x, Scratch* scratch, int32_t* active,
                    int* n_ranked, int* n_projected) noexcept nogil:
    """Write the sorted active set; return its size.

    n_ranked: neurons that were scored; n_projected: entries of x that went into the query.
    """
    cdef const SelectorView* selector = &layer.selector
    cdef int n = selector.n_out, k = selector.n_active, s, count
    cdef int32_t* chosen = scratch.positions
    cdef float* scores = scratch.scores
    if selector.kind == TOPK:
        preactivations(layer, x, NULL, n, scores)
        n_projected[0] = x.length
    else:
        n_projected[0] = project_query(selector, x, scratch.query)
    if selector.kind == SKETCH:
        for s in range((n + PANEL - 1) // PANEL):
            lsh_score64(selector.panels + <int64_t> s * PANEL * selector.rank, scratch.query,
                        selector.rank, selector.offsets + s * PANEL, scores + s * PANEL)
    elif selector.kind == TABLES:
        n = candidates(selector, scratch, scratch.ids)
        if n > k:
            score_candidates(layer, x, scratch.query, scratch.ids, n, scores)
    n_ranked[0] = n if n > k else 0
    if selector.by_magnitude and n > k:
        for s in range(n):
            scores[s] = fabsf(scores[s])
    count = top_k(scores, n, k, chosen, scratch)
    for s in range(count):
        active[s] = scratch.ids[chosen[s]] if selector.kind == TABLES else chosen[s]
    sort_ids(active, count, scratch.seen, (selector.n_out + 63) >> 6)
    return count


def select(layer, inputs, out, workspace):
    """Choose the active sets of a batch: fills the indices and lengths of `out`.

    Returns two sums over the batch: neurons scored, and entries of the inputs projected.
    """
    cdef LayerView view = layer_view(layer)
    cdef RowsView x = rows_view(inputs), y = rows_view(out)
    cdef int n_threads = workspace.n_threads, thread
    cdef Py_ssize_t i
    cdef int64_t ranked = 0, projected = 0
    cdef Scratch* scratch = <Scratch*> malloc(n_threads * sizeof(Scratch))
    cdef int* counts = <int*> malloc(n_threads * 32 * sizeof(int))   # 128 bytes a thread
    if scratch == NULL or counts == NULL:
        free(scratch)
        free(counts)
        raise MemoryError()
    try:
        for thread in range(n_threads):
            scratch[thread] = scratch_view(workspace, thread)
        for i in prange(x.n, nogil=True, schedule="static", num_threads=n_threads):
            thread = threadid()
            y.length[i] = select_row(&view, row_at(&x, i), &scratch[thread],
                                     y.indices + y.start[i], counts + 32 * thread,
                                     counts + 32 * thread + 1)
            ranked += counts[32 * thread]
            projected += counts[32 * thread + 1]
    finally:
        free(scratch)
        free(counts)
    return ranked, projected
