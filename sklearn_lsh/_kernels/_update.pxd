from libc.stdint cimport int32_t

from sklearn_lsh._kernels._views cimport LayerView, Row, RowsView, Scratch, StepView


cdef struct Gradient:
    double scale                        # 1 / sum of the batch's sample weights
    double decay                        # alpha * scale


cdef int update_neuron(const LayerView* layer, int32_t j, const RowsView* x,
                       const int32_t* examples, const double* deltas, int n_pairs,
                       const StepView* step, Gradient gradient, Scratch* scratch) noexcept nogil
