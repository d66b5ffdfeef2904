"""The active sets of a block: score neurons (all, or those the tables return), keep the best."""
from libc.math cimport expf, fabsf, logf
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from sklearn_lsh._kernels._linear cimport preactivations
from sklearn_lsh._kernels._tables cimport candidates
from sklearn_lsh._kernels._views cimport (
    PANEL, SAMPLED, SKETCH, TABLES, TOGETHER, LayerView, Row, RowsView, Scratch,
    SelectorView, column_at, n_stored, row_at,
)


cdef extern from "products.h" nogil:
    void lsh_dot4(const float*, const float*, const float*, const float*, const float*, int, float*)
    void lsh_project(const float*, const int32_t*, const int32_t*, int, int, const float*, int,
                     float*, int32_t*, float*, int*)
    void lsh_score_codes(const signed char*, const unsigned char*, const unsigned char*, int,
                         const int32_t*, const float*, float, float, float*, float*)
    float lsh_code(const float*, int, unsigned char*)

cdef extern from "selection.h" nogil:
    void lsh_detect()
    void lsh_masks(const unsigned char*, int, int, uint64_t*, uint64_t*)
    void lsh_range(const float*, int, float*)
    int lsh_count(const unsigned char*, int, unsigned char)
    void lsh_bins(const float*, int, float, float, unsigned char*)
    int lsh_list_bits(uint64_t*, int, int32_t*)

lsh_detect()

cdef enum:
    N_BINS = 256
    FEW = 32            # this many are finished by plain selection


cdef int edge_bin(const float* scores, int n, int* left, Scratch* scratch) noexcept nogil:
    """Bin the scores; return the bin in which the left-th largest falls (-1: no bins to be had).

    left becomes the number still to be taken from that bin. Bisection: counting bytes at or above a
    bin takes a few instructions for dozens of them, and no branch depends on one.
    """
    cdef float bounds[2]
    cdef float scale
    cdef int low = 0, high = N_BINS, mid, count, above = 0
    lsh_range(scores, n, bounds)
    scale = <float> (N_BINS / (<double> bounds[1] - bounds[0]))
    if not (scale > 0 and scale < 1e30):
        return -1
    lsh_bins(scores, n, bounds[0], scale, scratch.bins)
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


cdef int top_k(float* scores, int n, int k, int32_t* ids, Scratch* scratch) noexcept nogil:
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
                   float* scores, Scratch* scratch, int32_t* active,
                   int64_t* counts) noexcept nogil:
    """Write one row's sorted shortlist from its scores, or its query; return its size.

    z : its pre-activations, if they are known.
    """
    cdef const SelectorView* selector = &layer.selector
    cdef int n = selector.n_out, k = selector.n_shortlisted, s, count
    cdef int32_t* chosen = scratch.positions
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
        for s in range(n):
            scores[s] = fabsf(scores[s])
    if selector.kind != TABLES:
        return top_k(scores, n, k, active, scratch)
    count = top_k(scores, n, k, chosen, scratch)
    for s in range(count):
        mark(scratch, scratch.ids[chosen[s]])
    return lsh_list_bits(scratch.seen, (selector.n_out + 63) >> 6, active)


cdef void select(const LayerView* layer, const RowsView* inputs, const RowsView* z,
                 const RowsView* out, Py_ssize_t first, int n, Scratch* scratch,
                 int64_t* counts) noexcept nogil:
    """Active sets of the rows [first, first + n), or what `keep_strongest` is to choose them from.

    z : pre-activations of all neurons; without values: not known.
    Adds to counts: neurons that were scored, entries of the inputs that went into queries.
    """
    cdef const SelectorView* selector = &layer.selector
    cdef int32_t r = selector.rank
    cdef int at, e, f, size, projected, fours = (r + 3) // 4
    cdef int64_t panel, group
    cdef float scales[TOGETHER]
    cdef Py_ssize_t row
    cdef Row x
    for group in range((n + TOGETHER - 1) // TOGETHER):
        at = <int> group * TOGETHER
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
            counts[1] += projected
        if selector.kind == SKETCH:
            for e in range(size):
                scales[e] = lsh_code(scratch.queries + e * r, r,
                                     scratch.query_codes + e * fours * 4)
            for panel in range((selector.n_out + PANEL - 1) // PANEL):
                for e in range(0, size, 2):
                    # Two rows at a time; a last one alone is scored twice over.
                    f = min(e + 1, size - 1)
                    lsh_score_codes(selector.sketches + panel * PANEL * fours * 4,
                                    scratch.query_codes + e * fours * 4,
                                    scratch.query_codes + f * fours * 4, fours,
                                    selector.sketch_starts + panel * PANEL,
                                    selector.offsets + panel * PANEL, scales[e], scales[f],
                                    scratch.scores + e * scratch.stride + panel * PANEL,
                                    scratch.scores + (e + 1) * scratch.stride + panel * PANEL)
        for e in range(size):
            row = first + at + e
            out.length[row] = keep_best(
                layer, row_at(inputs, row), z.values + z.start[row] if z.values != NULL else NULL,
                row, scratch.queries + e * r,
                scratch.scores + e * scratch.stride, scratch, out.indices + out.start[row], counts)


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
