"""Hash tables: buckets by counting sort, multi-probe queries by the distance of alternatives."""
from cython.parallel cimport prange
from libc.math cimport fabsf
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

import numpy as np

from sklearn_lsh._kernels._views cimport Scratch, SelectorView


cdef extern from "products.h" nogil:
    void lsh_detect()
    void lsh_axpy(float*, float, const float*, int)

lsh_detect()

cdef enum:
    MAX_ALTERNATIVES = 64               # as in _hashing.py


cdef struct Alternatives:               # to the hash values of a table, by squared distance
    int n
    float cost[MAX_ALTERNATIVES]
    int32_t change[MAX_ALTERNATIVES]    # of the bucket
    int32_t owner[MAX_ALTERNATIVES]     # which function: a bit


cdef inline int best_of(const float* h, int group, bint is_signed) noexcept nogil:
    cdef int g, best = 0
    for g in range(1, group):
        if (fabsf(h[g]) > fabsf(h[best])) if is_signed else (h[g] > h[best]):
            best = g
    return best


cdef inline int32_t value_of(const float* h, int g, bint is_signed) noexcept nogil:
    return 2 * g + (h[g] > 0) if is_signed else g


cdef inline int32_t bucket_of(const float* h, int n_hashes, int group,
                              bint is_signed) noexcept nogil:
    cdef int32_t bucket = 0
    cdef int k
    for k in range(n_hashes - 1, -1, -1):
        bucket = bucket * (2 * group if is_signed else group)
        bucket += value_of(h + k * group, best_of(h + k * group, group, is_signed), is_signed)
    return bucket


def codes(const float[:, ::1] scores, int n_tables, int group, bint is_signed, int n_threads):
    """The bucket of every neuron in every table, int32 (n_tables, n_neurons).

    scores : float32 (n_neurons, n_tables * n_hashes * group); the best of each group is a hash
    value (with its sign, if is_signed), and n_hashes values in a row are a bucket.
    """
    cdef Py_ssize_t n = scores.shape[0], i
    cdef int n_hashes = scores.shape[1] // (n_tables * group), t
    cdef int32_t[:, ::1] buckets = np.empty((n_tables, n), dtype=np.int32)
    for i in prange(n, nogil=True, schedule="static", num_threads=n_threads):
        for t in range(n_tables):
            buckets[t, i] = bucket_of(&scores[i, t * n_hashes * group], n_hashes, group, is_signed)
    return np.asarray(buckets)


def file_neurons(const int32_t[:, ::1] codes, int n_buckets, int n_threads):
    """Tables from the bucket of every neuron: a counting sort each.

    Returns bucket_start int32 (n_tables, n_buckets + 1), neurons int32 (n_tables, n_neurons).
    """
    cdef Py_ssize_t n_tables = codes.shape[0], n = codes.shape[1], i, t
    cdef int32_t b
    cdef int32_t[:, ::1] start = np.zeros((n_tables, n_buckets + 1), dtype=np.int32)
    cdef int32_t[:, ::1] neurons = np.empty((n_tables, n), dtype=np.int32)
    for t in prange(n_tables, nogil=True, schedule="static", num_threads=n_threads):
        for i in range(n):
            start[t, codes[t, i]] += 1
        for b in range(1, n_buckets + 1):
            start[t, b] += start[t, b - 1]
        for i in range(n - 1, -1, -1):
            b = codes[t, i]
            start[t, b] -= 1
            neurons[t, start[t, b]] = <int32_t> i
    return np.asarray(start), np.asarray(neurons)


cdef inline void consider(Alternatives* others, float cost, int32_t change,
                          int32_t owner) noexcept nogil:
    """Insert by cost; the dearest falls out when there is no room."""
    cdef int i = others.n
    if i == MAX_ALTERNATIVES:
        i -= 1
        if cost >= others.cost[i]:
            return
    else:
        others.n += 1
    while i > 0 and others.cost[i - 1] > cost:
        others.cost[i] = others.cost[i - 1]
        others.change[i] = others.change[i - 1]
        others.owner[i] = others.owner[i - 1]
        i -= 1
    others.cost[i] = cost
    others.change[i] = change
    others.owner[i] = owner


cdef int32_t read_table(const float* h, const SelectorView* selector,
                        Alternatives* others) noexcept nogil:
    """The bucket of a query in one table, and its alternatives."""
    cdef int group = selector.group, k, g, best
    cdef bint is_signed = selector.is_signed
    cdef int32_t bucket = 0, power = 1, value
    cdef float gap
    others.n = 0
    for k in range(selector.n_hashes):
        best = best_of(h, group, is_signed)
        value = value_of(h, best, is_signed)
        bucket += value * power
        if group == 1:
            consider(others, h[0] * h[0], power if value == 0 else -power, 1 << k)
        else:
            for g in range(group):
                if g != best:
                    gap = fabsf(h[best]) - fabsf(h[g]) if is_signed else h[best] - h[g]
                    consider(others, gap * gap, (value_of(h, g, is_signed) - value) * power, 1 << k)
                if is_signed:
                    gap = fabsf(h[best]) + fabsf(h[g])
                    consider(others, gap * gap, ((value_of(h, g, True) ^ 1) - value) * power,
                             1 << k)
        power *= 2 * group if is_signed else group
        h += group
    return bucket


cdef void probe_buckets(const float* h, const SelectorView* selector, int32_t* probes, int stride,
                        Scratch* scratch) noexcept nogil:
    """The n_probes likeliest buckets, by the sets of `_hashing.probe_sets`; -1 past the last."""
    cdef Alternatives others
    cdef int32_t* buckets = scratch.set_buckets
    cdef int32_t* owners = scratch.set_owners
    cdef int32_t parent, rank
    cdef int s, n_found = 1
    buckets[0] = read_table(h, selector, &others)
    owners[0] = 0
    probes[0] = buckets[0]
    for s in range(1, selector.n_sets):
        if n_found == selector.n_probes:
            return
        parent = selector.sets[2 * s]
        rank = selector.sets[2 * s + 1]
        if owners[parent] < 0 or rank >= others.n or owners[parent] & others.owner[rank]:
            owners[s] = -1
            continue
        buckets[s] = buckets[parent] + others.change[rank]
        owners[s] = owners[parent] | others.owner[rank]
        probes[n_found * stride] = buckets[s]
        n_found += 1
    for s in range(n_found, selector.n_probes):
        probes[s * stride] = -1


cdef int candidates(const SelectorView* selector, const float* query, Scratch* scratch,
                    int32_t* ids) noexcept nogil:
    """Unique neurons from the probed buckets, likeliest buckets of every table first.

    Writes at most n_candidates ids and returns their number.
    """
    cdef int stride = selector.n_hashes * selector.group
    cdef int n_projections = selector.n_tables * stride
    cdef int t, p, i, count = 0, n_tables = selector.n_tables, n_probes = selector.n_probes
    cdef int32_t j
    cdef const int32_t* bounds
    cdef const int32_t* neurons
    cdef uint64_t word
    cdef float* h = scratch.projections
    memcpy(h, selector.shift, n_projections * sizeof(float))
    if selector.hyperplanes == NULL:
        lsh_axpy(h, 1, query, n_projections)
    else:
        for i in range(selector.rank):
            lsh_axpy(h, query[i],
                     selector.hyperplanes + <int64_t> i * n_projections, n_projections)
    for t in range(n_tables):
        probe_buckets(h + t * stride, selector, scratch.probes + t, n_tables, scratch)
    for p in range(n_probes * n_tables):
        if scratch.probes[p] < 0:
            continue
        t = p % n_tables
        bounds = (selector.bucket_start + t * (selector.n_buckets + <int64_t> 1)
                  + scratch.probes[p])
        neurons = selector.neurons + <int64_t> t * selector.n_out
        for i in range(bounds[0], bounds[1]):
            # No branch: whether a neuron is new cannot be foreseen.
            j = neurons[i]
            word = scratch.seen[j >> 6]
            ids[count] = j
            count += 1 - <int> (word >> (j & 63) & 1)
            scratch.seen[j >> 6] = word | (<uint64_t> 1) << (j & 63)
        if count >= selector.n_candidates:
            break
    for i in range(count):
        scratch.seen[ids[i] >> 6] = 0
    return min(count, selector.n_candidates)
