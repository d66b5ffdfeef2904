from libc.stdint cimport int32_t

from sklearn_lsh._kernels._views cimport LayerView, Row, Scratch


cdef int select_row(const LayerView* layer, Row x, Scratch* scratch, int32_t* active,
                    int* n_ranked, int* n_projected) noexcept nogil
