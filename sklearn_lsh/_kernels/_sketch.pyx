"""Sketches of all neurons: their weights in few coordinates."""
from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t, uint32_t

import numpy as np

from sklearn_lsh._kernels._views cimport LINE, PANEL


cdef extern from "products.h" nogil:
    void lsh_detect()
    uint32_t lsh_halves(float, float)
    void lsh_score(const float*, const float*, const float*, int, const float*, float*, float*)
    void lsh_dot(const float*, const float*, const int32_t*, int, int, float*)

lsh_detect()


cdef void transpose(const float* rows, int64_t stride, int n_rows, int n_in,
                    uint32_t* out) noexcept nogil:
    """Halves of up to PANEL rows by columns, as lsh_score_sparse reads them."""
    cdef int line, k, low, high, word
    for line in range((n_in + LINE - 1) // LINE):
        for word in range(PANEL // 2):
            low = word // 8 * 16 + word % 8
            high = low + 8
            for k in range(line * LINE, min(line * LINE + LINE, n_in)):
                out[k * (PANEL // 2) + word] = lsh_halves(
                    rows[low * stride + k] if low < n_rows else 0,
                    rows[high * stride + k] if high < n_rows else 0)


def lay_out(const float[:, :] W, uint32_t[:, :, ::1] out, int n_threads):
    """Copy W by inputs, in panels of neurons and in halves, to out: (n_panels, n_in, PANEL / 2)."""
    cdef Py_ssize_t n_out = W.shape[0], panel
    cdef int n_in = W.shape[1]
    cdef int64_t stride = W.strides[0] // sizeof(float)
    for panel in prange(out.shape[0], nogil=True, schedule="static", num_threads=n_threads):
        transpose(&W[panel * PANEL, 0], stride,
                  <int> min(n_out - panel * PANEL, <Py_ssize_t> PANEL), n_in, &out[panel, 0, 0])


def sketch(const float[:, :] W, const float[:, :, ::1] directions, const float[::1] rest,
           int n_threads):
    """W @ directions and W @ rest, bits independent of n_threads.

    W : float32 (n_out, n_in), rows contiguous. directions : float32 (n_blocks, n_in, PANEL).
    Returns float32 (n_out, n_blocks * PANEL) and (n_out,).
    """
    cdef Py_ssize_t n_out = W.shape[0], n_blocks = directions.shape[0], pair, block, j, k
    cdef int n_in = W.shape[1]
    cdef int64_t stride = W.strides[0] // sizeof(float)
    cdef const float* w = &W[0, 0]
    cdef float[:, ::1] out = np.empty((n_out, n_blocks * PANEL), dtype=np.float32)
    cdef float[::1] at_rest = np.empty(n_out, dtype=np.float32)
    cdef const float[::1] zeros = np.zeros(PANEL, dtype=np.float32)
    cdef const int32_t[::1] lines = np.arange(0, n_in + 1, LINE, dtype=np.int32)
    for pair in prange((n_out + 1) // 2, nogil=True, schedule="static", num_threads=n_threads):
        # Two neurons share what is read of the directions; a last one alone goes twice.
        j = 2 * pair
        k = min(j + 1, n_out - 1)
        for block in range(n_blocks):
            lsh_score(&directions[block, 0, 0], w + j * stride, w + k * stride, n_in, &zeros[0],
                      &out[j, block * PANEL], &out[k, block * PANEL])
        lsh_dot(w + j * stride, &rest[0], &lines[0], n_in // LINE, n_in, &at_rest[j])
        lsh_dot(w + k * stride, &rest[0], &lines[0], n_in // LINE, n_in, &at_rest[k])
    return np.asarray(out), np.asarray(at_rest)
