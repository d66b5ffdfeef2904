"""Hash tables: buckets by counting sort, multi-probe queries in order of the signs' margins."""
from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

import numpy as np

from sklearn_lsh._kernels._views cimport Scratch, SelectorView


cdef extern from "simd.h" nogil:
    void lsh_detect()
    void lsh_axpy(float*, float, const float*, int)

lsh_detect()

cdef enum:
    MAX_HASHES = 30


cdef inline int32_t bucket_of(const float* h, int n_hashes) noexcept nogil:
    cdef int32_t bucket = 0
    cdef int k
    for k in range(n_hashes):
        bucket |= <int32_t> (h[k] > 0) << k
    return bucket


def file_neurons(const float[:, ::1] projections, int n_tables, int n_hashes, int n_threads):
    """Buckets of all tables.

    projections : float32 (n_neurons, n_tables * n_hashes); signs of n_hashes in a row are a bucket.
    Returns bucket_start int32 (n_tables, 2^n_hashes + 1), neurons int32 (n_tables, n_neurons).
    """
    cdef Py_ssize_t n = projections.shape[0], i
    cdef int n_buckets = 1 << n_hashes, t, b
    cdef int32_t[:, ::1] codes = np.empty((n_tables, n), dtype=np.int32)
    cdef int32_t[:, ::1] start = np.zeros((n_tables, n_buckets + 1), dtype=np.int32)
    cdef int32_t[:, ::1] neurons = np.empty((n_tables, n), dtype=np.int32)
    for t in prange(n_tables, nogil=True, schedule="static", num_threads=n_threads):
        for i in range(n):
            codes[t, i] = bucket_of(&projections[i, t * n_hashes], n_hashes)
            start[t, codes[t, i]] += 1
        for b in range(1, n_buckets + 1):
            start[t, b] += start[t, b - 1]
        for i in range(n - 1, -1, -1):
            b = codes[t, i]
            start[t, b] -= 1
            neurons[t, start[t, b]] = <int32_t> i
    return np.asarray(start), np.asarray(neurons)


cdef inline void heap_push(float* keys, int32_t* sets, int size, float key,
                           int32_t item) noexcept nogil:
    cdef int child = size, parent
    while child > 0:
        parent = (child - 1) >> 1
        if keys[parent] <= key:
            break
        keys[child] = keys[parent]
        sets[child] = sets[parent]
        child = parent
    keys[child] = key
    sets[child] = item


cdef inline void heap_pop(float* keys, int32_t* sets, int size) noexcept nogil:
    """Remove the root of a heap of `size` entries."""
    cdef float key = keys[size - 1]
    cdef int32_t item = sets[size - 1]
    cdef int parent = 0, child
    size -= 1
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if key <= keys[child]:
            break
        keys[parent] = keys[child]
        sets[parent] = sets[child]
        parent = child
    keys[parent] = key
    sets[parent] = item


cdef void probe_buckets(const float* h, int n_hashes, int n_probes, int32_t* probes, int stride,
                        Scratch* scratch) noexcept nogil:
    """The n_probes likeliest buckets: sets of sign flips in order of their squared margins.

    Lv et al., "Multi-Probe LSH" (VLDB 2007), section 4.3: sets over the sorted margins grow by
    "shift" and "expand" from a heap. n_probes is at most 2^n_hashes.
    """
    cdef float margins[MAX_HASHES]
    cdef int order[MAX_HASHES]
    cdef int32_t bucket = bucket_of(h, n_hashes), flips, top
    cdef float key
    cdef int i, j, p, size = 0
    probes[0] = bucket
    if n_probes == 1:
        return
    for i in range(n_hashes):
        key = h[i] * h[i]
        j = i
        while j > 0 and margins[j - 1] > key:
            margins[j] = margins[j - 1]
            order[j] = order[j - 1]
            j -= 1
        margins[j] = key
        order[j] = i
    heap_push(scratch.heap_keys, scratch.heap_sets, 0, margins[0], 1)
    size = 1
    for p in range(1, n_probes):
        key = scratch.heap_keys[0]
        flips = scratch.heap_sets[0]
        heap_pop(scratch.heap_keys, scratch.heap_sets, size)
        size -= 1
        top = 0
        probes[p * stride] = bucket
        for i in range(n_hashes):
            if flips >> i & 1:
                probes[p * stride] ^= 1 << order[i]
                top = i
        if top + 1 < n_hashes:
            heap_push(scratch.heap_keys, scratch.heap_sets, size,
                      key - margins[top] + margins[top + 1], flips ^ (3 << top))
            heap_push(scratch.heap_keys, scratch.heap_sets, size + 1,
                      key + margins[top + 1], flips | (2 << top))
            size += 2


cdef int candidates(const SelectorView* selector, const float* query, Scratch* scratch,
                    int32_t* ids) noexcept nogil:
    """Unique neurons from the probed buckets, likeliest buckets of every table first.

    Writes at most n_candidates ids and returns their number.
    """
    cdef int n_projections = selector.n_tables * selector.n_hashes
    cdef int t, p, i, count = 0, n_tables = selector.n_tables, n_probes = selector.n_probes
    cdef int32_t j
    cdef int64_t table
    cdef const int32_t* bounds
    cdef const int32_t* neurons
    cdef uint64_t bit
    cdef float* h = scratch.projections
    memcpy(h, selector.shift, n_projections * sizeof(float))
    if selector.hyperplanes == NULL:
        lsh_axpy(h, 1, query, n_projections)
    else:
        for i in range(selector.rank):
            lsh_axpy(h, query[i],
                     selector.hyperplanes + <int64_t> i * n_projections, n_projections)
    for t in range(n_tables):
        probe_buckets(h + t * selector.n_hashes, selector.n_hashes, n_probes, scratch.probes + t,
                      n_tables, scratch)
    for p in range(n_probes):
        for t in range(n_tables):
            table = <int64_t> t * ((1 << selector.n_hashes) + 1)
            bounds = selector.bucket_start + table + scratch.probes[p * n_tables + t]
            neurons = selector.neurons + <int64_t> t * selector.n_out
            for i in range(bounds[0], bounds[1]):
                j = neurons[i]
                bit = (<uint64_t> 1) << (j & 63)
                if scratch.seen[j >> 6] & bit == 0:
                    scratch.seen[j >> 6] |= bit
                    ids[count] = j
                    count += 1
                    if count == selector.n_candidates:
                        break
            if count == selector.n_candidates:
                break
        if count == selector.n_candidates:
            break
    for i in range(count):
        scratch.seen[ids[i] >> 6] = 0
    return count
