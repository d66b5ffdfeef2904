from libc.stdint cimport int32_t, int64_t

from sklearn_lsh._kernels._views cimport LayerView, RowsView, Scratch, SelectorView


cdef void select(const LayerView* layer, const RowsView* inputs, const RowsView* z,
                 const RowsView* out, Py_ssize_t first, int n, Scratch* scratch,
                 int64_t* counts) noexcept nogil
cdef void keep_strongest(const SelectorView* selector, const RowsView* out, Py_ssize_t first, int n,
                         Scratch* scratch) noexcept nogil
cdef int list_labels(const SelectorView* selector, const RowsView* y, Py_ssize_t i, Py_ssize_t n,
                     Scratch* scratch) noexcept nogil
cdef void hold_shared(const RowsView* out, Py_ssize_t first, int n, const int32_t* shared,
                      int n_shared) noexcept nogil
