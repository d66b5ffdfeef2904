from libc.stdint cimport int32_t, int64_t

from sklearn_lsh._kernels._loss cimport Loss
from sklearn_lsh._kernels._views cimport LayerView, Pairs, RowsView, Scratch, Whole
from sklearn_lsh._kernels._whole cimport Held

cdef enum:
    MAX_LAYERS = 64
    # Per layer: weights used, neurons ranked, entries projected, weights of neurons not kept,
    # weights used by rows that are learned from.
    COUNTS = 5


cdef struct Net:
    int n_layers
    Loss loss
    LayerView layers[MAX_LAYERS]
    RowsView outputs[MAX_LAYERS]
    RowsView deltas[MAX_LAYERS]
    Pairs pairs[MAX_LAYERS]
    Whole wholes[MAX_LAYERS]
    const int32_t* everyone             # (max n_out,) 0, 1, 2, ...
    bint few                            # batches of few rows
    RowsView x                          # all that is to be seen
    RowsView inputs                     # of the rows at hand, at the places of their outputs
    RowsView y
    float settled_below                 # in training: deltas that teach nothing
    unsigned char* settled              # (n_rows,) 1: no delta of the row is larger


cdef int net_view(Net* net, layers, inputs, workspace) except -1
cdef Held held_at(const Net* net, int depth, Py_ssize_t row) noexcept nogil
cdef int list_shared(const Net* net, Py_ssize_t i, Py_ssize_t n, Scratch* scratch) noexcept nogil
cdef void pass_block(const Net* net, Py_ssize_t i, Py_ssize_t first, int n, const int32_t* shared,
                     int n_shared, Scratch* scratch, int64_t* counts, double* losses) noexcept nogil
cdef void pass_batch(const Net* net, Py_ssize_t i, Py_ssize_t n, int n_threads, Scratch* scratch,
                     int64_t* counts, double* losses) noexcept nogil
