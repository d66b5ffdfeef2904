from libc.stdint cimport int32_t, int64_t

from sklearn_lsh._kernels._passes cimport Net
from sklearn_lsh._kernels._steps cimport Gradient
from sklearn_lsh._kernels._views cimport Scratch, StepView


cdef int64_t update_part(const Net* net, int depth, int part, int n_parts, Py_ssize_t first,
                         Py_ssize_t n, const double* weights, const StepView* step,
                         Gradient gradient, Scratch* scratch) noexcept nogil
cdef void update_batch(const Net* net, Py_ssize_t n, const double* weights, const StepView* step,
                       Gradient gradient, int n_threads, Scratch* scratch,
                       int64_t* touched) noexcept nogil
