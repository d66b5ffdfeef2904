cdef enum:
    SOFTMAX, LOGISTIC_LOSS, SQUARED_ERROR, POISSON

from sklearn_lsh._kernels._views cimport Row


cdef double loss_row(int kind, Row out, Row target, float* deltas) noexcept nogil
