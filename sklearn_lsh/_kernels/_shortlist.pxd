from libc.stdint cimport int64_t

from sklearn_lsh._kernels._views cimport RowsView, Scratch, SelectorView


cdef void shortlist(const SelectorView* selector, const RowsView* out, Py_ssize_t first, int n,
                    Scratch* scratch, int64_t* counts) noexcept nogil
