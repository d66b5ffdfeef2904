from libc.stdint cimport int64_t

from sklearn_lsh._kernels._views cimport LayerView, RowsView, Scratch

cdef enum:
    MAX_LAYERS = 64
    COUNTS = 3                          # per layer: weights used, neurons ranked, inputs projected


cdef struct Net:
    int n_layers
    int loss
    LayerView layers[MAX_LAYERS]
    RowsView outputs[MAX_LAYERS]
    RowsView deltas[MAX_LAYERS]
    RowsView x
    RowsView y


cdef int net_view(Net* net, layers, inputs, workspace) except -1
cdef void forward_block(const Net* net, Py_ssize_t first, int n, Py_ssize_t room, Scratch* scratch,
                        int64_t* counts) noexcept nogil
cdef double backward_example(const Net* net, Py_ssize_t i, Py_ssize_t room) noexcept nogil
