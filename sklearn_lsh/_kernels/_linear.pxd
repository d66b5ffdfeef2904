from libc.stdint cimport int32_t

from sklearn_lsh._kernels._views cimport Activation, LayerView, Row


cdef void preactivations(const LayerView* layer, Row x, const int32_t* active, int n_active,
                         float* out) noexcept nogil
cdef void forward_row(const LayerView* layer, Row x, const int32_t* active, int n_active,
                      float* out) noexcept nogil
cdef void backward_row(const LayerView* layer, Row deltas, Row x, Activation below,
                       float* out) noexcept nogil
