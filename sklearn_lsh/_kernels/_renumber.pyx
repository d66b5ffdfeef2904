"""Neurons get other numbers: rows of some arrays and columns of others move, in place."""
cimport numpy as cnp
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

import numpy as np

cnp.import_array()

cdef enum:
    PART = 4096                         # bytes of every row that move together


cdef int64_t address(cnp.ndarray array, Py_ssize_t n, int axis) except -1:
    """Where an array begins whose rows or columns are to move."""
    cdef int size = cnp.PyArray_ITEMSIZE(array), k
    if array.ndim < axis + 1 or array.shape[axis] != n:
        raise ValueError(f"{n} neurons cannot be renumbered along axis {axis} of an array of shape "
                         f"{(<object> array).shape}")
    for k in range(array.ndim - 1, 0, -1):
        if array.strides[k] != size:
            raise ValueError("rows that move must be contiguous")
        size *= <int> array.shape[k]
    if not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError("rows that move must be writeable")
    return <int64_t> cnp.PyArray_DATA(array)


cdef void move_rows(char* first, int64_t stride, int64_t size, const int32_t* order,
                    const int32_t* leaders, Py_ssize_t n_leaders, char* kept) noexcept nogil:
    """Cycle by cycle; kept : room for a row."""
    cdef Py_ssize_t c
    cdef int32_t i
    for c in range(n_leaders):
        i = leaders[c]
        memcpy(kept, first + i * stride, size)
        while order[i] != leaders[c]:
            memcpy(first + i * stride, first + order[i] * stride, size)
            i = order[i]
        memcpy(first + i * stride, kept, size)


def renumber(const int32_t[::1] order, by_row, by_column, int n_threads):
    """Make row i of the arrays `by_row`, and column i of those `by_column`, what was order[i].

    by_column : matrices, float32. No interrupt comes in between: all have moved, or none.

    Raises
    ------
    ValueError
        Before anything moves: `order` is no permutation, or an array is of another length,
        read-only, or of rows that are not contiguous.
    """
    cdef Py_ssize_t n = order.shape[0], n_leaders = 0, n_parts, n_rows, t, k, i
    cdef int64_t at, end
    cdef float* row
    cdef float* moved
    cdef unsigned char[::1] seen = np.zeros(n + 1, dtype=np.uint8)
    cdef int32_t[::1] leaders = np.empty(n + 1, dtype=np.int32)
    for i in range(n):
        if not 0 <= order[i] < n or seen[order[i]]:
            raise ValueError("order must be a permutation")
        seen[order[i]] = 1
    for i in range(n):
        if seen[i] and order[i] != i:
            leaders[n_leaders] = <int32_t> i
            n_leaders += 1
        k = i
        while seen[k]:
            seen[k] = 0
            k = order[k]
    # Address, stride and bytes of every part of rows; addresses of rows whose columns move.
    found = []
    for array in by_row:
        at = address(array, n, 0)
        end = at + (array.itemsize if array.ndim == 1 else array[0].nbytes)
        found += [(k, array.strides[0], min(<int64_t> PART, end - k)) for k in range(at, end, PART)]
    cdef int64_t[:, ::1] parts = np.array(found, dtype=np.int64).reshape(-1, 3)
    found = [np.zeros(0, dtype=np.int64)]
    for array in by_column:
        if array.dtype != np.float32 or array.ndim != 2:
            raise ValueError("columns that move must be of a matrix of single precision")
        found.append(address(array, n, 1) + array.strides[0] * np.arange(len(array)))
    cdef int64_t[::1] rows = np.concatenate(found)
    cdef char[:, ::1] room = np.empty((n_threads, max(PART, 4 * n) + 64), dtype=np.int8)
    n_parts, n_rows = parts.shape[0], rows.shape[0]
    for t in prange(n_parts, nogil=True, schedule="dynamic", num_threads=n_threads):
        move_rows(<char*> parts[t, 0], parts[t, 1], parts[t, 2], &order[0], &leaders[0], n_leaders,
                  &room[threadid(), 0])
    for t in prange(n_rows, nogil=True, schedule="static", num_threads=n_threads):
        row = <float*> rows[t]
        moved = <float*> &room[threadid(), 0]
        for k in range(n):
            moved[k] = row[order[k]]
        memcpy(row, moved, n * sizeof(float))
