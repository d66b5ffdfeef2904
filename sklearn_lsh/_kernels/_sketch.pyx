"""Sketches of all neurons: their weights in few coordinates."""
from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t, uint32_t

import numpy as np

from sklearn_lsh._kernels._views cimport LINE, PANEL


cdef extern from "products.h" nogil:
    void lsh_detect()
    uint32_t lsh_halves(float, float)
    void lsh_halve_columns(const float*, int64_t, int, uint32_t*)
    void lsh_score(const float*, const float*, const float*, int, const float*, float*, float*)
    void lsh_dot(const float*, const float*, const int32_t*, int, int, float*)

lsh_detect()


cdef void transpose(const float* rows, int64_t stride, int n_rows, int n_in,
                    uint32_t* out) noexcept nogil:
    """Halves of up to PANEL rows by columns, as lsh_score_sparse reads them."""
    cdef int line, k, low, high, word
    for line in range(n_in // LINE):
        lsh_halve_columns(rows + LINE * line, stride, n_rows, out + LINE * line * (PANEL // 2))
    for k in range(n_in - n_in % LINE, n_in):
        for word in range(PANEL // 2):
            low = word // 8 * 16 + word % 8
            high = low + 8
            out[k * (PANEL // 2) + word] = lsh_halves(
                rows[low * stride + k] if low < n_rows else 0,
                rows[high * stride + k] if high < n_rows else 0)


def lay_out(const float[:, :] W, const int32_t[::1] panels, uint32_t[:, :, ::1] out,
            int n_threads):
    """Copy W by inputs, in panels of neurons and in halves, to out: (n_panels, n_in, PANEL / 2).

    panels : those to copy.
    """
    cdef Py_ssize_t n_out = W.shape[0], panel, i
    cdef int n_in = W.shape[1]
    cdef int64_t stride = W.strides[0] // sizeof(float)
    for i in prange(panels.shape[0], nogil=True, schedule="static", num_threads=n_threads):
        panel = panels[i]
        transpose(&W[panel * PANEL, 0], stride,
                  <int> min(n_out - panel * PANEL, <Py_ssize_t> PANEL), n_in, &out[panel, 0, 0])


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
