"""Losses of raw scores: the loss of one example and its derivative by every score."""
from libc.math cimport exp, fabs, log, log1p

from sklearn_lsh._kernels._views cimport Row, place_of


cdef extern from "losses.h" nogil:
    void lsh_detect()
    void lsh_softmax(const float*, int, float*, double*, double*)

lsh_detect()


cdef double loss_row(const Loss* function, Row out, Row target, float* deltas) noexcept nogil:
    """out: scores of the outputs that take part, among them every target.

    target: the non-zero targets of the example (or all of them, when dense).
    """
    cdef const float* scores = out.values
    cdef int kind = function.kind, n = out.length, k, j = -1
    cdef double loss = 0, total = 0, mass = 0, top = 0, s, y
    if kind == SOFTMAX:
        lsh_softmax(scores, n, deltas, &top, &total)
        for k in range(target.length):
            mass += target.values[k]
        for k in range(n):
            deltas[k] = <float> (deltas[k] * (mass / total))
    elif kind == LOGISTIC_LOSS:
        for k in range(n):
            s = exp(-fabs(scores[k]))
            loss += log1p(s) + max(scores[k], 0)
            deltas[k] = <float> ((1 if scores[k] >= 0 else s) / (1 + s))
    elif kind == POISSON:
        for k in range(n):
            s = exp(scores[k])
            loss += s
            deltas[k] = <float> s
    elif kind == SQUARED_HINGE:
        for k in range(n):
            deltas[k] = 2 * max(scores[k] + 1, 0)
    else:
        for k in range(n):
            deltas[k] = scores[k]
    for k in range(target.length):
        if out.indices == NULL:
            j = target.indices[k] if target.indices != NULL else k
        else:
            # Both ascend, and no target is named twice.
            j = place_of(out.indices, j + 1, out.length, target.indices[k])
        y = target.values[k]
        if kind == SQUARED_HINGE:
            if y != 0:
                deltas[j] = -2 * max(1 - scores[j], 0)
            continue
        deltas[j] -= <float> y
        if kind == SOFTMAX:
            loss += y * (top - scores[j] + log(total))
        elif kind == LOGISTIC_LOSS:
            loss -= y * scores[j]
        elif kind == POISSON:
            loss += (y * log(y) if y > 0 else 0) - y - y * scores[j]
    if kind == SQUARED_ERROR:
        for k in range(n):
            loss += 0.5 * (<double> deltas[k] * deltas[k])
        loss /= n
    elif kind == SQUARED_HINGE:
        for k in range(n):
            loss += 0.25 * (<double> deltas[k] * deltas[k])
    elif kind == HUBER:
        for k in range(n):
            s = fabs(deltas[k])
            y = min(s, function.delta)
            loss += y * (s - 0.5 * y)
            deltas[k] = <float> (y if deltas[k] > 0 else -y)
    elif kind == ABSOLUTE_ERROR:
        for k in range(n):
            loss += fabs(deltas[k])
            # At the kink the slope is 0.
            deltas[k] = (deltas[k] > 0) - (deltas[k] < 0)
    return loss
