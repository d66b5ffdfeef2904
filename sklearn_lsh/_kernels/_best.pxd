from libc.stdint cimport int32_t, uint64_t

from sklearn_lsh._kernels._views cimport Scratch


cdef enum:
    CHUNK = 2048        # scores offered at a time, as in _workspace.py


cdef struct Best:       # what may be among the k best of the scores that have been offered
    int32_t* ids        # ascending; room for 2 k + CHUNK
    float* scores
    int32_t n
    int32_t k
    float least         # others have to be above
    int32_t n_sure
    float sure          # so many are at least as large


cpdef bint in_chunks(int n, int k) noexcept nogil
cdef Best no_best(Scratch* scratch, int place, int k, int n_sure) noexcept nogil
cdef void offer(Best* best, const float* scores, int n, int first, Scratch* scratch) noexcept nogil
cdef int list_best(Best* best, int32_t* ids, Scratch* scratch) noexcept nogil
cdef int top_k(const float* scores, int n, int k, int32_t* ids, Scratch* scratch) noexcept nogil
cdef void make_absolute(float* scores, int n) noexcept nogil


cdef inline void mark(Scratch* scratch, int32_t j) noexcept nogil:
    scratch.seen[j >> 6] |= (<uint64_t> 1) << (j & 63)
