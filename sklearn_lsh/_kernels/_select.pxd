from libc.stdint cimport int32_t

from sklearn_lsh._kernels._views cimport LayerView, Row, Scratch, SelectorView


cdef int top_k(float* scores, int n, int k, int32_t* ids, float* buffer) noexcept nogil
cdef void project_query(const SelectorView* selector, Row x, float* q) noexcept nogil
cdef int select_row(const LayerView* layer, Row x, Scratch* scratch, int32_t* active,
                    int* n_ranked) noexcept nogil
