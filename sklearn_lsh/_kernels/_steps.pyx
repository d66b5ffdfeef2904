"""One optimiser step of one row of weights: its gradient summed, in double precision, and applied.

scikit-learn's checks want weighted rows to equal repeated rows at 1e-7.
"""
from libc.stdint cimport int32_t

from sklearn_lsh._kernels._views cimport (
    ADAM, LINE, SGD, Row, RowsView, Scratch, StepView, n_stored, row_at,
)


cdef extern from "updates.h" nogil:
    void lsh_detect()
    void lsh_sum(double*, double, const float*, const int32_t*, int, int)
    void lsh_take_sums(double*, double, int, float*, int32_t*, int*)
    void lsh_scaled(double, double, const float*, int, float*)
    void lsh_scatter(double*, double, const int32_t*, const float*, int, int32_t*, int*)
    void lsh_adam(float*, float*, float*, const float*, const int32_t*, int, int, float, float,
                  float, float, float)
    void lsh_sgd(float*, float*, const float*, const int32_t*, int, int, float, float, float, int)
    void lsh_adagrad(float*, float*, const float*, const int32_t*, int, int, float, float, float)

lsh_detect()


cdef void step_entries(float* w, float* s0, float* s1, const float* g, const int32_t* lines,
                       int n_lines, int n, const StepView* step, float decay) noexcept nogil:
    if step.kind == ADAM:
        lsh_adam(w, s0, s1, g, lines, n_lines, n, decay, step.rate, step.beta1, step.beta2,
                 step.epsilon)
    elif step.kind == SGD:
        lsh_sgd(w, s0, g, lines, n_lines, n, decay, step.rate, step.beta1, step.nesterov)
    else:
        lsh_adagrad(w, s0, g, lines, n_lines, n, decay, step.rate, step.epsilon)


cdef int step_row(Weights target, Weights coming, const RowsView* x, const int32_t* examples,
                  const double* factors, int n_pairs, const StepView* step, double scale,
                  float decay, Scratch* scratch) noexcept nogil:
    """Step along the sum of some rows of x, each times its factor; return the entries touched.

    Touched are, of sparse rows, the entries stored; of dense ones, the lines that are not left out.
    coming : the weights after these, which are asked for meanwhile.
    """
    cdef int n = target.n, n_lines = 0, share = (n + n_pairs - 1) // n_pairs, p, k
    cdef int32_t c
    cdef const int32_t* lines
    cdef float* g = scratch.packed
    cdef float* packed = scratch.packed + n
    cdef int32_t* listed = scratch.kept
    cdef const int32_t* touched = listed
    cdef Row row = row_at(x, examples[0])
    if n_pairs == 1:
        prefetch_share(coming, 0, n, row.length)
        lsh_scaled(factors[0], scale, row.values, n_stored(&row), g)
    if x.indices == NULL:
        lines = row.lines
        n_lines = row.n_lines
        if n_pairs > 1:
            for p in range(n_pairs):
                row = row_at(x, examples[p])
                prefetch_share(coming, p, share, row.length)
                lsh_sum(scratch.sums, factors[p], row.values, row.lines, row.n_lines, n)
            lsh_take_sums(scratch.sums, scale, n, g, listed, &n_lines)
            lines = listed
        step_entries(target.w, target.s0, target.s1, g, lines, n_lines, n, step, decay)
        return LINE * n_lines + n % LINE
    # The touched entries are stepped side by side: a mask over the whole row costs more.
    if n_pairs == 1:
        n = row.length
        touched = row.indices
    else:
        n = 0
        for p in range(n_pairs):
            row = row_at(x, examples[p])
            prefetch_share(coming, p, share, row.length)
            lsh_scatter(scratch.sums, factors[p], row.indices, row.values, row.length, listed, &n)
        for k in range(n):
            c = listed[k]
            g[k] = <float> (scratch.sums[c] * scale)
            scratch.sums[c] = -0.0
    for k in range(n):
        c = touched[k]
        packed[k] = target.w[c]
        if target.s0 != NULL:
            packed[n + k] = target.s0[c]
        if target.s1 != NULL:
            packed[2 * n + k] = target.s1[c]
    step_entries(packed, packed + n if target.s0 != NULL else NULL, packed + 2 * n, g, NULL,
                 n // LINE, n, step, decay)
    for k in range(n):
        c = touched[k]
        target.w[c] = packed[k]
        if target.s0 != NULL:
            target.s0[c] = packed[n + k]
        if target.s1 != NULL:
            target.s1[c] = packed[2 * n + k]
    return n
