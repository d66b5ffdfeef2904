"""Sketches of all neurons: their weights in few coordinates."""
from cython.parallel cimport prange
from libc.math cimport lrintf
from libc.stdint cimport int8_t, int32_t, int64_t

import numpy as np

from sklearn_lsh._kernels._views cimport LINE, PANEL


cdef extern from "products.h" nogil:
    void lsh_detect()
    void lsh_score(const float*, const float*, const float*, int, const float*, float*, float*)
    void lsh_dot(const float*, const float*, const int32_t*, int, int, float*)

lsh_detect()


def sketch(const float[:, :] W, const int32_t[::1] ids, const float[:, :, ::1] directions,
           const float[::1] rest, int n_threads):
    """W[ids] @ directions and W[ids] @ rest; a neuron's bits depend on nothing else.

    W : float32 (n_out, n_in), rows contiguous. directions : float32 (n_blocks, n_in, PANEL).
    Returns float32 (n, n_blocks * PANEL) and (n,).
    """
    cdef Py_ssize_t n = ids.shape[0], n_blocks = directions.shape[0], pair, block, j, k
    cdef int n_in = W.shape[1]
    cdef int64_t stride = W.strides[0] // sizeof(float)
    cdef const float* w
    cdef const float* other
    cdef float[:, ::1] out = np.empty((n, n_blocks * PANEL), dtype=np.float32)
    cdef float[::1] at_rest = np.empty(n, dtype=np.float32)
    cdef const float[::1] zeros = np.zeros(PANEL, dtype=np.float32)
    cdef const int32_t[::1] lines = np.arange(0, n_in + 1, LINE, dtype=np.int32)
    for pair in prange((n + 1) // 2, nogil=True, schedule="static", num_threads=n_threads):
        # Two neurons share what is read of the directions; a last one alone goes twice.
        j = 2 * pair
        k = min(j + 1, n - 1)
        w = &W[0, 0] + ids[j] * stride
        other = &W[0, 0] + ids[k] * stride
        for block in range(n_blocks):
            lsh_score(&directions[block, 0, 0], w, other, n_in, &zeros[0],
                      &out[j, block * PANEL], &out[k, block * PANEL])
        lsh_dot(w, &rest[0], &lines[0], n_in // LINE, n_in, &at_rest[j])
        lsh_dot(other, &rest[0], &lines[0], n_in // LINE, n_in, &at_rest[k])
    return np.asarray(out), np.asarray(at_rest)


def encode(const float[:, :] vectors, const float[::1] scales, const int32_t[::1] ids,
           int8_t[:, :, :, ::1] codes, int32_t[::1] sums, int largest, int factor, int n_threads):
    """The neurons' coordinates over their scales, as whole numbers up to `largest` either way.

    vectors : float32 (n, rank). Writes, of neurons `ids`, `codes`, int8 (n_panels, ceil(rank / 4),
    PANEL, 4), and `sums`, int32: those of their codes, times `factor`. NaN becomes `largest`.
    """
    cdef Py_ssize_t i
    cdef int k, rank = vectors.shape[1]
    cdef int32_t total, panel, lane
    cdef float scaled
    cdef long code
    for i in prange(ids.shape[0], nogil=True, schedule="static", num_threads=n_threads):
        panel = ids[i] // PANEL
        lane = ids[i] % PANEL
        total = 0
        for k in range(4 * codes.shape[1]):
            code = 0
            if k < rank:
                scaled = vectors[i, k] / scales[k]
                scaled = scaled if scaled < largest else largest
                code = lrintf(scaled if scaled > -largest else -largest)
            codes[panel, k // 4, lane, k % 4] = <int8_t> code
            total = total + <int32_t> code
        sums[ids[i]] = factor * total
