from libc.stdint cimport int32_t, int64_t

from sklearn_lsh._kernels._views cimport LayerView, RowsView, Scratch, StepView


cdef extern from "updates.h" nogil:
    void lsh_prefetch_to_write(const float*, int, int, int, int)


cdef struct Gradient:
    double scale                        # 1 / sum of the batch's sample weights
    double decay                        # alpha * scale


cdef struct Weights:                    # a row of them, and of their state
    float* w
    float* s0
    float* s1
    int n


cdef void step_entries(float* w, float* s0, float* s1, const float* g, const int32_t* lines,
                       int n_lines, int n, const StepView* step, float decay) noexcept nogil
cdef int step_row(Weights target, Weights coming, const RowsView* x, const int32_t* examples,
                  const double* factors, int n_pairs, const StepView* step, double scale,
                  float decay, Scratch* scratch) noexcept nogil


cdef inline Weights weights_of(const LayerView* layer, int32_t j) noexcept nogil:
    """Those of neuron j, or of input j."""
    cdef Weights row
    cdef int64_t at = j * layer.stride
    row.w = layer.W + at
    row.s0 = layer.slots[0] + at if layer.slots[0] != NULL else NULL
    row.s1 = layer.slots[1] + at if layer.slots[1] != NULL else NULL
    row.n = layer.n_out if layer.by_input else layer.n_in
    return row


cdef inline Weights biases_of(const LayerView* layer, int32_t j, int n) noexcept nogil:
    """Those of n neurons from j on."""
    cdef Weights row
    row.w = layer.b + j
    row.s0 = layer.bias_slots[0] + j if layer.slots[0] != NULL else NULL
    row.s1 = layer.bias_slots[1] + j if layer.slots[1] != NULL else NULL
    row.n = n
    return row


cdef inline void prefetch_share(Weights row, int p, int share, int32_t n_reads) noexcept nogil:
    """Ask for part p of a row, `share` entries, of all of which n_reads will be read."""
    lsh_prefetch_to_write(row.w, row.n, p, share, n_reads)
    if row.s0 != NULL:
        lsh_prefetch_to_write(row.s0, row.n, p, share, n_reads)
    if row.s1 != NULL:
        lsh_prefetch_to_write(row.s1, row.n, p, share, n_reads)
