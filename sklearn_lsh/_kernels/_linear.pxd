from libc.stdint cimport int32_t

from sklearn_lsh._kernels._views cimport Activation, LayerView, Pairs, Row, RowsView, Scratch


cdef void preactivations(const LayerView* layer, Row x, const int32_t* active, int n_active,
                         float* out) noexcept nogil
cdef void forward(const LayerView* layer, const RowsView* inputs, const RowsView* out,
                  const Pairs* pairs, Py_ssize_t first, int n, Scratch* scratch) noexcept nogil
cdef void activate_block(const LayerView* layer, const RowsView* out, Py_ssize_t first,
                         int n) noexcept nogil
cdef void backward(const LayerView* layer, const RowsView* deltas, const Pairs* pairs,
                   const RowsView* below, float* out, const unsigned char* settled,
                   Py_ssize_t first, int n) noexcept nogil
cdef void apply_slope(const RowsView* below, float* out, Activation activation,
                      const unsigned char* settled, Py_ssize_t first, int n) noexcept nogil
