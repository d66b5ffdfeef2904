cdef enum:
    SOFTMAX, LOGISTIC_LOSS, SQUARED_ERROR, POISSON, HUBER, ABSOLUTE_ERROR, SQUARED_HINGE

from sklearn_lsh._kernels._views cimport Row


cdef struct Loss:
    int kind
    double delta                        # error from which on Huber's loss is linear


cdef double loss_row(const Loss* function, Row out, Row target, float* deltas) noexcept nogil
