"""The best neurons by a sketch of all: codes of 8 bits, scored by panels."""
from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int32_t, int64_t, uint64_t

from sklearn_lsh._kernels._best cimport (
    CHUNK, Best, in_chunks, list_best, make_absolute, mark, no_best, offer, top_k,
)
from sklearn_lsh._kernels._views cimport PANEL, TOGETHER, RowsView, Scratch, SelectorView


cdef extern from "products.h" nogil:
    enum:
        LSH_CODE_ZERO
    void lsh_prefetch(const float*, int, int, int, int)
    void lsh_score_codes(const signed char*, const unsigned char**, int, int, const int32_t*,
                         const float*, const float*, float**)
    float lsh_code(const float*, int, unsigned char*)

cdef extern from "selection.h" nogil:
    void lsh_detect()
    int lsh_list_bits(uint64_t*, int, int32_t*)

lsh_detect()

# Of neurons not scored yet, cosines with an input are at most so large, or so many times the
# largest of those listed.
cdef float COSINE = 0.7
cdef float CLOSER = 1.5


cdef struct Query:
    float scale
    float length                        # what its codes tell of the input's
    float sure                          # by which
    float cosine                        # was found


cdef void score_panels(const SelectorView* selector, int64_t begin, int64_t end, const int* rows,
                       int n, const Query* queries, Scratch* scratch) noexcept nogil:
    """Scores of the neurons of the panels [begin, end) for n rows, whose queries are coded."""
    cdef int s, e, part, n_parts = (n + 3) // 4, fours = (selector.rank + 3) // 4
    cdef int64_t panel, size = PANEL * fours * 4
    cdef int share = <int> (size // 4 + n_parts - 1) // n_parts
    cdef const signed char* coming
    cdef const unsigned char* codes[4]
    cdef float scales[4]
    cdef float* scores[4]
    for panel in range(begin, end):
        # Asked for a part at a time: often a page of its own, which no processor asks for itself.
        coming = selector.sketches + min(panel + 1, (selector.n_out - 1) // PANEL) * size
        for part in range(n_parts):
            for s in range(4):
                e = rows[min(4 * part + s, n - 1)]  # beyond the last row: the last again
                codes[s] = scratch.query_codes + e * fours * 4
                scales[s] = queries[e].scale
                scores[s] = scratch.scores + e * scratch.stride + (panel - begin) * PANEL
            lsh_prefetch(<const float*> coming, <int> size // 4, part, share, <int> size // 4)
            lsh_score_codes(selector.sketches + panel * size, codes,
                            min(n - 4 * part, 4), fours,
                            selector.sketch_starts + panel * PANEL,
                            selector.offsets + panel * PANEL, scales, scores)


cdef float length_of(const SelectorView* selector, const Query* query,
                     const unsigned char* codes) noexcept nogil:
    cdef double x, squares = 0
    cdef int k
    for k in range(selector.rank):
        x = (codes[k] - <int> LSH_CODE_ZERO) / <double> selector.scales[k]
        squares += x * x
    return query.scale * <float> sqrt(squares)


cdef float largest_cosine(const SelectorView* selector, const Query* query,
                          const Best* best) noexcept nogil:
    """Of the neurons listed."""
    cdef float cosine = 0, product
    cdef int s
    for s in range(best.n):
        product = query.length * selector.lengths[best.ids[s]]
        if product > 0:
            cosine = max(cosine, (best.scores[s] - selector.offsets[best.ids[s]]) / product)
    return cosine


cdef bint in_reach(const SelectorView* selector, int part, int n_parts, Query* query,
                   const Best* best) noexcept nogil:
    """Whether a neuron of this part, or after it, may be among the active."""
    cdef float highest
    if best.sure > query.sure:
        query.sure = best.sure
        query.cosine = min(1, max(COSINE, CLOSER * largest_cosine(selector, query, best)))
    highest = (query.cosine * query.length * selector.limits[part]
               + selector.limits[n_parts + part])
    return not highest < query.sure


cdef int neurons_at(const SelectorView* selector, int32_t* places, int n,
                    Scratch* scratch) noexcept nogil:
    """The neurons filed at n places, ascending."""
    cdef int s
    for s in range(n):
        mark(scratch, selector.order[places[s]])
    return lsh_list_bits(scratch.seen, (selector.n_out + 63) >> 6, places)


cdef void shortlist(const SelectorView* selector, const RowsView* out, Py_ssize_t first, int n,
                    Scratch* scratch, int64_t* counts) noexcept nogil:
    """Shortlists of the rows [first, first + n), TOGETHER at most, by their queries.

    Adds to counts: neurons that were scored.
    """
    cdef int r = selector.rank, k = selector.n_shortlisted, n_out = selector.n_out
    cdef int fours = (r + 3) // 4, s, e, size, n_rows, left
    cdef bint by_chunks = in_chunks(n_out, k)
    cdef bint limited = by_chunks and selector.limits != NULL
    cdef int step = CHUNK if by_chunks else n_out
    cdef int part, n_parts = (n_out + step - 1) // step
    cdef int64_t at
    cdef Query queries[TOGETHER]
    cdef Best best[TOGETHER]
    cdef int rows[TOGETHER]
    cdef unsigned char* codes
    cdef float* scores
    cdef int32_t* active
    for e in range(n):
        rows[e] = e
        codes = scratch.query_codes + e * fours * 4
        queries[e].scale = lsh_code(scratch.queries + e * r, r, codes)
        if by_chunks:
            best[e] = no_best(scratch, e, k, selector.n_active if limited else 0)
        if limited:
            queries[e].length = length_of(selector, &queries[e], codes)
            queries[e].cosine = 1
            queries[e].sure = -INFINITY
    left = n
    for part in range(n_parts):
        at = <int64_t> part * step
        size = <int> min(step, n_out - at)
        if limited:
            n_rows = left
            left = 0
            for s in range(n_rows):
                e = rows[s]
                if in_reach(selector, part, n_parts, &queries[e], &best[e]):
                    rows[left] = e
                    left += 1
            if left == 0:
                break
        counts[0] += <int64_t> left * size if n_out > k else 0
        score_panels(selector, at // PANEL, (at + size + PANEL - 1) // PANEL, rows, left, queries,
                     scratch)
        for s in range(left):
            e = rows[s]
            scores = scratch.scores + e * scratch.stride
            if selector.by_magnitude:
                make_absolute(scores, size)
            if by_chunks:
                offer(&best[e], scores, size, <int> at, scratch)
            else:
                active = out.indices + out.start[first + e]
                out.length[first + e] = top_k(scores, size, k, active, scratch)
    for e in range(n):
        active = out.indices + out.start[first + e]
        if by_chunks:
            out.length[first + e] = list_best(&best[e], active, scratch)
        if selector.order != NULL:
            out.length[first + e] = neurons_at(selector, active, out.length[first + e], scratch)
