"""Forward and backward through the active neurons of one layer."""
from libc.math cimport expf, tanhf
from libc.stdint cimport int32_t

from sklearn_lsh._kernels._views cimport (
    IDENTITY, LEAKY_RELU, LOGISTIC, RELU, TANH, Activation, LayerView, Row,
)


cdef extern from "simd.h" nogil:
    void lsh_detect()
    void lsh_dot4(const float*, const float*, const float*, const float*, const float*, int, float*)
    void lsh_axpy(float*, float, const float*, int)

lsh_detect()

cdef float LEAK = 0.01


cdef inline float activate(Activation kind, float z) noexcept nogil:
    if kind == RELU:
        return z if z > 0 else 0
    if kind == LEAKY_RELU:
        return z if z > 0 else LEAK * z
    if kind == TANH:
        return tanhf(z)
    if kind == LOGISTIC:
        return 1 / (1 + expf(-z))
    return z


cdef inline float slope(Activation kind, float y) noexcept nogil:
    """The derivative, from the activation's own value."""
    if kind == RELU:
        return 1 if y > 0 else 0
    if kind == LEAKY_RELU:
        return 1 if y > 0 else LEAK
    if kind == TANH:
        return 1 - y * y
    if kind == LOGISTIC:
        return y * (1 - y)
    return 1


cdef inline float gather_dot(const float* w, Row x) noexcept nogil:
    # Four sums hide the latency of the additions; hardware gathers were not faster.
    cdef float s0 = 0, s1 = 0, s2 = 0, s3 = 0
    cdef int32_t k = 0
    while k + 4 <= x.length:
        s0 += w[x.indices[k]] * x.values[k]
        s1 += w[x.indices[k + 1]] * x.values[k + 1]
        s2 += w[x.indices[k + 2]] * x.values[k + 2]
        s3 += w[x.indices[k + 3]] * x.values[k + 3]
        k += 4
    while k < x.length:
        s0 += w[x.indices[k]] * x.values[k]
        k += 1
    return (s0 + s1) + (s2 + s3)


cdef void preactivations(const LayerView* layer, Row x, const int32_t* active, int n_active,
                         float* out) noexcept nogil:
    """out[s] = w_j . x + b_j for the neurons j = active[s] (NULL: all)."""
    cdef int s, t, j
    cdef const float* w[4]
    cdef float z[4]
    if x.indices != NULL:
        for s in range(n_active):
            j = active[s] if active != NULL else s
            out[s] = gather_dot(layer.W + j * layer.stride, x) + layer.b[j]
        return
    for s in range(0, n_active, 4):
        for t in range(4):
            j = s + t if s + t < n_active else n_active - 1
            w[t] = layer.W + (active[j] if active != NULL else j) * layer.stride
        lsh_dot4(w[0], w[1], w[2], w[3], x.values, x.length, z)
        for t in range(4 if s + 4 <= n_active else n_active - s):
            out[s + t] = z[t] + layer.b[active[s + t] if active != NULL else s + t]


cdef void forward_row(const LayerView* layer, Row x, const int32_t* active, int n_active,
                      float* out) noexcept nogil:
    cdef int s
    preactivations(layer, x, active, n_active, out)
    if layer.activation != IDENTITY:
        for s in range(n_active):
            out[s] = activate(layer.activation, out[s])


cdef void backward_row(const LayerView* layer, Row deltas, Row x, Activation below,
                       float* out) noexcept nogil:
    """out[k] = sum_j delta_j w_jk, times the slope of the layer below, over the entries k of x."""
    cdef int32_t s, k
    cdef float d
    cdef const float* w
    for k in range(x.length):
        out[k] = 0
    for s in range(deltas.length):
        d = deltas.values[s]
        if d == 0:
            continue
        w = layer.W + (deltas.indices[s] if deltas.indices != NULL else s) * layer.stride
        if x.indices == NULL:
            lsh_axpy(out, d, w, x.length)
        else:
            for k in range(x.length):
                out[k] += d * w[x.indices[k]]
    if below != IDENTITY:
        for k in range(x.length):
            out[k] *= slope(below, x.values[k])
