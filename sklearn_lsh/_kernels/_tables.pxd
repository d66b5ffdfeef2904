from libc.stdint cimport int32_t

from sklearn_lsh._kernels._views cimport Scratch, SelectorView


cdef int candidates(const SelectorView* selector, const float* query, Scratch* scratch,
                    int32_t* ids) noexcept nogil
