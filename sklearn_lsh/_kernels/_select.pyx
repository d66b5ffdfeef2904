"""The active sets of a block: score neurons (all, or those the tables return), keep the best."""
from libc.math cimport expf, fabsf, logf, sqrtf
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from sklearn_lsh._kernels._best cimport (
    CHUNK, Best, in_chunks, list_best, no_best, offer, top_k,
)
from sklearn_lsh._kernels._linear cimport preactivations
from sklearn_lsh._kernels._tables cimport candidates
from sklearn_lsh._kernels._views cimport (
    PANEL, SAMPLED, SKETCH, TABLES, TOGETHER, LayerView, Row, RowsView, Scratch,
    SelectorView, column_at, n_stored, row_at,
)


cdef extern from "matrices.h" nogil:
    void lsh_dot4(const float**, const float**, int, int, const float*, float*)

cdef extern from "products.h" nogil:
    void lsh_project(const float*, const int32_t*, const int32_t*, int, int, const float*, int,
                     float*, int32_t*, float*, int*)
    void lsh_prefetch(const float*, int, int, int, int)
    void lsh_score_codes(const signed char*, const unsigned char**, int, int, const int32_t*,
                         const float*, const float*, float**)
    float lsh_code(const float*, int, unsigned char*)

cdef extern from "selection.h" nogil:
    void lsh_detect()
    int lsh_list_bits(uint64_t*, int, int32_t*)

lsh_detect()


cdef void project_sparse(const SelectorView* selector, Row x, float* q, int* used) noexcept nogil:
    """The query where each input takes part in a few of its coordinates only."""
    cdef int32_t k, at, column
    memset(q, 0, selector.rank * sizeof(float))
    used[0] = 0
    for k in range(n_stored(&x)):
        if x.values[k] == 0:
            continue
        used[0] += 1
        column = column_at(&x, k)
        for at in range(selector.plane_start[column], selector.plane_start[column + 1]):
            q[selector.plane_columns[at]] += x.values[k] * selector.plane_values[at]


cdef void scale(const SelectorView* selector, Row x, float* q, int* used) noexcept nogil:
    """The query where coordinates are the inputs."""
    cdef int32_t k, column
    memset(q, 0, selector.rank * sizeof(float))
    used[0] = n_stored(&x)
    for k in range(n_stored(&x)):
        column = column_at(&x, k)
        q[column] = x.values[k] * selector.scales[column]


cdef void score_candidates(const LayerView* layer, Row x, const float* q, const int32_t* ids, int n,
                           float* scores) noexcept nogil:
    cdef const SelectorView* selector = &layer.selector
    cdef const float* w[4]
    cdef float start[4]
    cdef float z[4]
    cdef int s, t, j
    cdef int32_t r = selector.rank
    if selector.rows == NULL:
        preactivations(layer, x, ids, n, scores)
        return
    for s in range(0, n, 4):
        for t in range(4):
            j = ids[min(s + t, n - 1)]  # beyond the last: the last again
            w[t] = selector.rows + <int64_t> j * r
            start[t] = selector.offsets[j]
        lsh_dot4(w, &q, 1, r, start, z)
        for t in range(min(4, n - s)):
            scores[s + t] = z[t]


cdef inline uint64_t random_bits(uint64_t seed, uint64_t i) noexcept nogil:
    """Number i of a random sequence (splitmix64)."""
    cdef uint64_t z = seed + (i + 1) * <uint64_t> 0x9E3779B97F4A7C15
    z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EB
    return z ^ (z >> 31)


cdef inline float uniform(uint64_t seed, uint64_t i) noexcept nogil:
    """The same, in (0, 1)."""
    return <float> ((random_bits(seed, i) >> 41) + 0.5) / <float> (1 << 23)


cdef uint64_t number_of(const Row* x) noexcept nogil:
    """A number by the row's entries (FNV-1a): batches of asynchronous threads share places."""
    cdef uint64_t number = <uint64_t> 0xCBF29CE484222325
    cdef uint32_t bits
    cdef int k
    for k in range(n_stored(x)):
        memcpy(&bits, x.values + k, sizeof(bits))
        number = (number ^ bits) * <uint64_t> 0x100000001B3
        if x.indices != NULL:
            number = (number ^ <uint32_t> x.indices[k]) * <uint64_t> 0x100000001B3
    return number ^ (number >> 32)


cdef void draw_keys(const LayerView* layer, Row x, uint64_t place, float* keys) noexcept nogil:
    """Keys whose largest are a random set: u^(1/p), or its logarithm.

    By the batch, the row and its place: equal rows of a batch have sets of their own.
    keys : pre-activations, where the selector is adaptive.
    """
    cdef const SelectorView* selector = &layer.selector
    cdef uint64_t seed = (selector.draw * <uint64_t> 0xD1342543DE82EF95 + number_of(&x)
                          + place * <uint64_t> 0xDB4F0B9175AE2165)
    cdef int j
    if not selector.adaptive:
        for j in range(selector.n_out):
            keys[j] = uniform(seed, j)
        return
    for j in range(selector.n_out):
        # Larger pre-activations would overflow, and their neurons are kept as it is.
        keys[j] = logf(uniform(seed, j)) * (1 + expf(min(-keys[j], <float> 60)))


cdef inline void mark(Scratch* scratch, int32_t j) noexcept nogil:
    scratch.seen[j >> 6] |= (<uint64_t> 1) << (j & 63)


cdef int list_labels(const SelectorView* selector, const RowsView* y, Py_ssize_t i, Py_ssize_t n,
                     Scratch* scratch) noexcept nogil:
    """List the labels of the examples [i, i + n), and random ones, in scratch.shared, ascending."""
    cdef uint64_t seed = selector.draw * <uint64_t> 0xD1342543DE82EF95 + <uint64_t> i
    cdef Py_ssize_t e
    cdef int k
    cdef Row row
    for e in range(i, i + n):
        row = row_at(y, e)
        for k in range(row.length):
            mark(scratch, row.indices[k])
    for k in range(selector.n_random):
        mark(scratch, <int32_t> ((random_bits(seed, k) >> 32) * <uint64_t> selector.n_out >> 32))
    return lsh_list_bits(scratch.seen, (selector.n_out + 63) >> 6, scratch.shared)


cdef void hold_shared(const RowsView* out, Py_ssize_t first, int n, const int32_t* shared,
                      int n_shared) noexcept nogil:
    """The active sets of a sampled output layer in training: one for all rows of a batch."""
    cdef Py_ssize_t row
    for row in range(first, first + n):
        out.length[row] = n_shared
        memcpy(out.indices + out.start[row], shared, n_shared * sizeof(int32_t))


cdef int keep_best(const LayerView* layer, Row x, const float* z, uint64_t place, float* query,
                   Scratch* scratch, int32_t* active, int64_t* counts) noexcept nogil:
    """Write one row's sorted shortlist, of other kinds than SKETCH; return its size.

    z : its pre-activations, if they are known.
    """
    cdef const SelectorView* selector = &layer.selector
    cdef int n = selector.n_out, k = selector.n_shortlisted, s, count
    cdef int32_t* chosen = scratch.positions
    cdef float* scores = scratch.scores
    if selector.scores_all:
        if z != NULL:
            memcpy(scores, z, n * sizeof(float))
        else:
            preactivations(layer, x, NULL, n, scores)
    if selector.kind == SAMPLED:
        draw_keys(layer, x, place, scores)
    elif selector.kind == TABLES:
        n = candidates(selector, query, scratch, scratch.ids)
        if n > k:
            score_candidates(layer, x, query, scratch.ids, n, scores)
    counts[0] += n if n > k else 0
    if selector.by_magnitude and n > k:
        make_absolute(scores, n)
    if selector.kind != TABLES:
        return top_k(scores, n, k, active, scratch)
    count = top_k(scores, n, k, chosen, scratch)
    for s in range(count):
        mark(scratch, scratch.ids[chosen[s]])
    return lsh_list_bits(scratch.seen, (selector.n_out + 63) >> 6, active)


cdef void make_absolute(float* scores, int n) noexcept nogil:
    cdef int s
    for s in range(n):
        scores[s] = fabsf(scores[s])


cdef void score_panels(const SelectorView* selector, int64_t begin, int64_t end, const int* rows,
                       int n, const float* scales, Scratch* scratch) noexcept nogil:
    """Scores of the neurons of the panels [begin, end) for n rows, whose queries are coded."""
    cdef int s, e, part, n_parts = (n + 3) // 4, fours = (selector.rank + 3) // 4
    cdef int64_t panel, size = PANEL * fours * 4
    cdef int share = <int> (size // 4 + n_parts - 1) // n_parts
    cdef const signed char* coming
    cdef const unsigned char* queries[4]
    cdef float of_query[4]
    cdef float* scores[4]
    for panel in range(begin, end):
        # Asked for a part at a time: often a page of its own, which no processor asks for itself.
        coming = selector.sketches + min(panel + 1, (selector.n_out - 1) // PANEL) * size
        for part in range(n_parts):
            for s in range(4):
                e = rows[min(4 * part + s, n - 1)]  # beyond the last row: the last again
                queries[s] = scratch.query_codes + e * fours * 4
                of_query[s] = scales[e]
                scores[s] = scratch.scores + e * scratch.stride + (panel - begin) * PANEL
            lsh_prefetch(<const float*> coming, <int> size // 4, part, share, <int> size // 4)
            lsh_score_codes(selector.sketches + panel * size, queries,
                            min(n - 4 * part, 4), fours,
                            selector.sketch_starts + panel * PANEL,
                            selector.offsets + panel * PANEL, of_query, scores)


cdef float length_of(Row x) noexcept nogil:
    cdef float squares = 0
    cdef int k
    for k in range(n_stored(&x)):
        squares += x.values[k] * x.values[k]
    return sqrtf(squares)


cdef int may_go_on(const SelectorView* selector, int part, int n_parts, const Best* best,
                   const float* lengths, int* rows, int n) noexcept nogil:
    """Leave of n rows those for which neurons of this part may be among the active; how many."""
    cdef float slope = selector.limits[part], level = selector.limits[n_parts + part]
    cdef int s, left = 0
    for s in range(n):
        if not slope * lengths[rows[s]] + level < best[rows[s]].sure:
            rows[left] = rows[s]
            left += 1
    return left


cdef int name(const SelectorView* selector, int32_t* places, int n,
              Scratch* scratch) noexcept nogil:
    """The neurons filed at n places, ascending."""
    cdef int s
    for s in range(n):
        mark(scratch, selector.order[places[s]])
    return lsh_list_bits(scratch.seen, (selector.n_out + 63) >> 6, places)


cdef void keep_best_of_sketch(const SelectorView* selector, const RowsView* inputs,
                              const RowsView* out, Py_ssize_t first, int n, Scratch* scratch,
                              int64_t* counts) noexcept nogil:
    """Shortlists of the rows [first, first + n), TOGETHER at most, by their queries."""
    cdef int r = selector.rank, k = selector.n_shortlisted, n_out = selector.n_out
    cdef int fours = (r + 3) // 4, s, e, size, left = n
    cdef bint by_chunks = in_chunks(n_out, k)
    cdef bint limited = by_chunks and selector.limits != NULL
    cdef int step = CHUNK if by_chunks else n_out
    cdef int part, n_parts = (n_out + step - 1) // step
    cdef int64_t at
    cdef float scales[TOGETHER]
    cdef float lengths[TOGETHER]
    cdef int rows[TOGETHER]
    cdef Best best[TOGETHER]
    cdef float* scores
    cdef int32_t* active
    for e in range(n):
        rows[e] = e
        scales[e] = lsh_code(scratch.queries + e * r, r, scratch.query_codes + e * fours * 4)
        if by_chunks:
            best[e] = no_best(scratch, e, k, selector.n_active if limited else 0)
        if limited:
            lengths[e] = length_of(row_at(inputs, first + e))
    for part in range(n_parts):
        at = <int64_t> part * step
        size = <int> min(step, n_out - at)
        if limited:
            left = may_go_on(selector, part, n_parts, best, lengths, rows, left)
            if left == 0:
                break
        counts[0] += left * size if n_out > k else 0
        score_panels(selector, at // PANEL, (at + size + PANEL - 1) // PANEL, rows, left, scales,
                     scratch)
        for s in range(left):
            e = rows[s]
            scores = scratch.scores + e * scratch.stride
            active = out.indices + out.start[first + e]
            if selector.by_magnitude:
                make_absolute(scores, size)
            if by_chunks:
                offer(&best[e], scores, size, <int> at, scratch)
            else:
                out.length[first + e] = top_k(scores, size, k, active, scratch)
    for e in range(n):
        active = out.indices + out.start[first + e]
        if by_chunks:
            out.length[first + e] = list_best(&best[e], active, scratch)
        if selector.order != NULL:
            out.length[first + e] = name(selector, active, out.length[first + e], scratch)


cdef void select(const LayerView* layer, const RowsView* inputs, const RowsView* z,
                 const RowsView* out, Py_ssize_t first, int n, Scratch* scratch,
                 int64_t* counts) noexcept nogil:
    """Active sets of the rows [first, first + n), or what `keep_strongest` is to choose them from.

    z : pre-activations of all neurons; without values: not known.
    Adds to counts: neurons that were scored, entries of the inputs that went into queries.
    """
    cdef const SelectorView* selector = &layer.selector
    cdef int32_t r = selector.rank
    cdef int group, at, e, size, projected
    cdef Py_ssize_t row
    cdef Row x
    for group in range((n + TOGETHER - 1) // TOGETHER):
        at = group * TOGETHER
        size = min(n - at, <int> TOGETHER)
        for e in range(size):
            x = row_at(inputs, first + at + e)
            projected = n_stored(&x) if z.values == NULL or not selector.scores_all else 0
            if selector.plane_start != NULL:
                project_sparse(selector, x, scratch.queries + e * r, &projected)
            elif selector.directions != NULL:
                lsh_project(x.values, x.indices, x.lines, x.n_lines, x.length,
                            selector.directions, r, scratch.queries + e * r, scratch.kept,
                            scratch.packed, &projected)
            elif selector.scales != NULL:
                scale(selector, x, scratch.queries + e * r, &projected)
            counts[1] += projected
        if selector.kind == SKETCH:
            keep_best_of_sketch(selector, inputs, out, first + at, size, scratch, counts)
            continue
        for e in range(size):
            row = first + at + e
            out.length[row] = keep_best(
                layer, row_at(inputs, row), z.values + z.start[row] if z.values != NULL else NULL,
                row, scratch.queries + e * r, scratch, out.indices + out.start[row], counts)


cdef void keep_strongest(const SelectorView* selector, const RowsView* out, Py_ssize_t first, int n,
                         Scratch* scratch) noexcept nogil:
    """Leave of the shortlists of the rows [first, first + n) the active sets.

    out : pre-activations.
    """
    cdef Py_ssize_t row
    cdef int s, t, size, count
    cdef int32_t* ids
    cdef float* z
    for row in range(first, first + n):
        size = out.length[row]
        if size <= selector.n_active:
            continue
        ids = out.indices + out.start[row]
        z = out.values + out.start[row]
        for s in range(size):
            scratch.scores[s] = fabsf(z[s]) if selector.by_magnitude else z[s]
        count = top_k(scratch.scores, size, selector.n_active, scratch.positions, scratch)
        for s in range(count):
            t = scratch.positions[s]
            ids[s] = ids[t]
            z[s] = z[t]
        out.length[row] = count
