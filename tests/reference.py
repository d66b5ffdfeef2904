"""The oracle: a naive multilayer perceptron in float64 NumPy.

Nothing here is fast, and nothing here knows how neurons are found: the active sets come in as
boolean masks. ``W[l]`` has shape (n_out, n_in), one row per neuron; the last layer is the output
layer, always dense and linear ("raw scores"). An inactive neuron outputs exactly 0 and passes no
gradient.
"""

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, logsumexp, softmax, xlogy

# name -> (f(z), f'(z)); the kink of relu and leaky_relu at z = 0 takes the slope of its left side.
ACTIVATIONS = {
    "relu": (lambda z: np.maximum(z, 0.0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1.0, 0.01)),
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "logistic": (expit, lambda z: expit(z) * expit(-z)),
    "identity": (lambda z: z.copy(), np.ones_like),
}


def _softmax_loss(scores, Y):
    """Multiclass log loss; Y is one-hot."""
    return logsumexp(scores, axis=1) - (Y * scores).sum(axis=1), softmax(scores, axis=1) - Y


def _logistic_loss(scores, Y):
    """Binary log loss, summed over the outputs; Y in {0, 1}."""
    return (np.logaddexp(0.0, scores) - Y * scores).sum(axis=1), expit(scores) - Y


def _squared_loss(scores, Y):
    """Half the squared error, summed over the outputs.

    The delta (score - y) is that of scikit-learn's MLPRegressor. The loss that MLPRegressor
    reports is the mean over the outputs instead, so that with several outputs its reported data
    term is this one divided by n_outputs, and is not the function whose gradient it follows.
    """
    return 0.5 * ((scores - Y) ** 2).sum(axis=1), scores - Y


def _poisson_loss(scores, Y):
    """Half the Poisson deviance with mean exp(score), summed over the outputs; Y >= 0.

    As in scikit-learn, with the terms in y alone: 0 where exp(score) == y.
    """
    mean = np.exp(scores)
    return (xlogy(Y, Y) - Y * scores - Y + mean).sum(axis=1), mean - Y


def _absolute_loss(scores, Y):
    """The absolute error, summed over the outputs; its slope at 0 is 0."""
    return np.abs(scores - Y).sum(axis=1), np.sign(scores - Y)


DELTA = 0.7


def _huber_loss(scores, Y):
    """Half the squared error up to DELTA, and its tangent beyond; summed over the outputs."""
    error = scores - Y
    square, line = 0.5 * error**2, DELTA * (np.abs(error) - 0.5 * DELTA)
    return np.where(np.abs(error) < DELTA, square, line).sum(axis=1), np.clip(error, -DELTA, DELTA)


def _squared_hinge_loss(scores, Y):
    """The squared hinge loss, summed over the outputs; Y in {0, 1}."""
    sign = 2 * Y - 1
    lack = np.maximum(1 - sign * scores, 0)
    return (lack**2).sum(axis=1), -2 * sign * lack


# name -> function of (scores, Y), both (n, n_outputs), returning the loss of each example (n,) and
# its derivative by the raw scores (n, n_outputs).
LOSSES = {
    "softmax": _softmax_loss,
    "logistic": _logistic_loss,
    "squared_error": _squared_loss,
    "poisson": _poisson_loss,
    "absolute_error": _absolute_loss,
    "huber": _huber_loss,
    "squared_hinge": _squared_hinge_loss,
}


def _dense(X):
    return np.asarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)


def _per_layer(value, n_hidden):
    """A single activation name, or mask None, stands for every hidden layer."""
    return [value] * n_hidden if value is None or isinstance(value, str) else list(value)


def forward(Ws, bs, X, activations, active=None):
    """Return (pre, outputs, scores).

    ``pre[l]`` and ``outputs[l]`` belong to hidden layer l; ``pre`` holds the pre-activations of
    every neuron, active or not. ``active`` is None (everything), or one mask (n, n_out) or None
    per hidden layer.
    """
    n_hidden = len(Ws) - 1
    activations, active = _per_layer(activations, n_hidden), _per_layer(active, n_hidden)
    pre, outputs, x = [], [], _dense(X)
    for W, b, name, mask in zip(Ws[:-1], bs[:-1], activations, active, strict=True):
        z = x @ W.T + b
        x = ACTIVATIONS[name][0](z)
        if mask is not None:
            x = np.where(mask, x, 0.0)
        pre.append(z)
        outputs.append(x)
    return pre, outputs, x @ Ws[-1].T + bs[-1]


def objective(Ws, bs, X, Y, loss, activations, active=None, sample_weight=None, alpha=0.0):
    """(sum_i s_i loss_i + alpha / 2 * sum |W|^2) / sum_i s_i; biases are not penalised."""
    scores = forward(Ws, bs, X, activations, active)[2]
    s = np.ones(len(scores)) if sample_weight is None else np.asarray(sample_weight, float)
    penalty = 0.5 * alpha * sum((W**2).sum() for W in Ws)
    return (s @ LOSSES[loss](scores, Y)[0] + penalty) / s.sum()


def gradients(Ws, bs, X, Y, loss, activations, active=None, sample_weight=None, alpha=0.0):
    """Return (objective, dWs, dbs), the masks of ``active`` held fixed."""
    n_hidden = len(Ws) - 1
    pre, outputs, scores = forward(Ws, bs, X, activations, active)
    activations, active = _per_layer(activations, n_hidden), _per_layer(active, n_hidden)
    s = np.ones(len(scores)) if sample_weight is None else np.asarray(sample_weight, float)

    inputs = [_dense(X), *outputs]
    delta = s[:, None] * LOSSES[loss](scores, Y)[1]
    dWs, dbs = [None] * len(Ws), [None] * len(Ws)
    for layer in reversed(range(len(Ws))):
        dWs[layer] = (delta.T @ inputs[layer] + alpha * Ws[layer]) / s.sum()
        dbs[layer] = delta.sum(axis=0) / s.sum()
        if layer > 0:
            below = layer - 1
            delta = (delta @ Ws[layer]) * ACTIVATIONS[activations[below]][1](pre[below])
            if active[below] is not None:
                delta = np.where(active[below], delta, 0.0)
    value = objective(Ws, bs, X, Y, loss, activations, active, sample_weight, alpha)
    return value, dWs, dbs


# Optimiser steps return new arrays: the parameters first, then the state. Entries that are not
# ``touched`` keep their parameter and their state (lazy updates); None touches everything.


def _lazy(touched, *new_old):
    if touched is None:
        return tuple(new for new, _ in new_old)
    return tuple(np.where(touched, new, old) for new, old in new_old)


def adam(w, g, m, v, t, lr=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, touched=None):
    """Return (w, m, v). ``t`` counts the optimiser's steps, from 1, not those of the entry."""
    new_m = beta_1 * m + (1 - beta_1) * g
    new_v = beta_2 * v + (1 - beta_2) * g**2
    rate = lr * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    new_w = w - rate * new_m / (np.sqrt(new_v) + epsilon)
    return _lazy(touched, (new_w, w), (new_m, m), (new_v, v))


def sgd(w, g, velocity, lr=1e-3, momentum=0.9, nesterov=True, touched=None):
    """Return (w, velocity)."""
    new_velocity = momentum * velocity - lr * g
    step = momentum * new_velocity - lr * g if nesterov else new_velocity
    return _lazy(touched, (w + step, w), (new_velocity, velocity))


def adagrad(w, g, acc, lr=1e-3, epsilon=1e-8, touched=None):
    """Return (w, acc)."""
    new_acc = acc + g**2
    return _lazy(touched, (w - lr * g / (np.sqrt(new_acc) + epsilon), w), (new_acc, acc))


def top_k(scores, k):
    """Boolean mask of the k largest scores of each row; ties go to the lower index."""
    scores = np.asarray(scores)
    mask = np.zeros(scores.shape, dtype=bool)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.put_along_axis(mask, best, True, axis=1)
    return mask
