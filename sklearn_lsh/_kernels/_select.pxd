from libc.stdint cimport int64_t

from sklearn_lsh._kernels._views cimport LayerView, RowsView, Scratch


cdef void select(const LayerView* layer, const RowsView* inputs, const RowsView* out,
                 Py_ssize_t first, int n, Scratch* scratch, int64_t* counts) noexcept nogil
