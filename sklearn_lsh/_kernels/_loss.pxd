from sklearn_lsh._kernels._views cimport Row


cdef double loss_row(int kind, const float* scores, int n, Row target, float* deltas) noexcept nogil
