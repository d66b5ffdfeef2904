"""The active sets of a block: score neurons (all, or those the tables return), keep the best."""
from libc.math cimport expf, fabsf, logf
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from sklearn_lsh._kernels._best cimport make_absolute, mark, top_k
from sklearn_lsh._kernels._linear cimport preactivations
from sklearn_lsh._kernels._shortlist cimport shortlist
from sklearn_lsh._kernels._tables cimport candidates
from sklearn_lsh._kernels._views cimport (
    SAMPLED, SKETCH, TABLES, TOGETHER, LayerView, Row, RowsView, Scratch,
    SelectorView, column_at, n_stored, row_at,
)


cdef extern from "matrices.h" nogil:
    void lsh_dot4(const float**, const float**, int, int, const float*, float*)

cdef extern from "products.h" nogil:
    void lsh_project(const float*, const int32_t*, const int32_t*, int, int, const float*, int,
                     float*, int32_t*, float*, int*)

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
            shortlist(selector, out, first + at, size, scratch, counts)
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
