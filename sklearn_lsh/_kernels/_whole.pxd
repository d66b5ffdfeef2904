from libc.stdint cimport int32_t, int64_t

from sklearn_lsh._kernels._steps cimport Gradient
from sklearn_lsh._kernels._views cimport LayerView, RowsView, Scratch, StepView, Whole


cdef struct Held:                       # the neurons that all rows of a block hold
    const int32_t* neurons
    int n


cdef void spread(const RowsView* rows, const RowsView* whole, Py_ssize_t first,
                 int n) noexcept nogil
cdef void gather(const RowsView* whole, const RowsView* rows, Py_ssize_t first,
                 int n) noexcept nogil
cdef void forward_whole(const LayerView* layer, const Whole* whole, Held held, Py_ssize_t first,
                        int n) noexcept nogil
cdef void forward_own(const LayerView* layer, const Whole* whole, const RowsView* out,
                      Py_ssize_t first, int n) noexcept nogil
cdef void backward_whole(const LayerView* layer, const Whole* whole, Held held,
                         const RowsView* below, float* out, const unsigned char* settled,
                         Py_ssize_t first, int n, Scratch* scratch) noexcept nogil
cdef int64_t update_whole(const LayerView* layer, const Whole* whole, Held held, int part,
                          int n_parts, const unsigned char* settled, Py_ssize_t first,
                          Py_ssize_t n, const double* weights, const StepView* step,
                          Gradient gradient, Scratch* scratch) noexcept nogil
