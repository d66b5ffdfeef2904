"""The best of very many labels, without a matrix of all scores."""

import os
from copy import copy

import numpy as np

from sklearn_lsh._network import Network


def check_fits(n_rows, n_outputs, itemsize):
    """Refuse a matrix of scores that is larger than the machine's memory."""
    size = n_rows * n_outputs * itemsize
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return
    if size > memory:
        raise ValueError(
            f"{n_rows} rows of {n_outputs} scores take {size / 2**30:.0f} GiB, more than the "
            f"{memory / 2**30:.0f} GiB of this machine; predict_top_k gives the best labels."
        )


def retrieving(network, k):
    """The network whose output is the k best labels among those that a sketch of it finds."""
    layers = list(network.at_prediction().layers)
    layers[-1] = copy(layers[-1])
    layers[-1].selector = network.layers[-1].selector.retrieving(k)
    return Network(layers, network.loss)


def best_of(out, k):
    """Columns and values of the k largest entries of every row, largest first.

    Values are -inf, and columns 0, where a sparse row has fewer.
    """
    if out.indices is None:
        values, columns = out.to_matrix(), None
    else:
        matrix = out.to_csr()
        within = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], out.length)
        row = np.repeat(np.arange(len(out)), out.length)
        shape = len(out), max(k, out.length.max(initial=0))
        values, columns = np.full(shape, -np.inf, dtype=np.float32), np.zeros(shape, dtype=np.intp)
        values[row, within], columns[row, within] = matrix.data, matrix.indices
    edge = values.shape[1] - k
    best = np.sort(np.argpartition(values, edge, axis=1)[:, edge:], axis=1)
    # Of equals at the edge a partition takes any; a stable sort of all, the lower.
    least = np.take_along_axis(values, best, axis=1).min(axis=1, keepdims=True)
    tied = np.flatnonzero((values >= least).sum(axis=1) > k)
    best[tied] = np.sort(np.argsort(-values[tied], axis=1, kind="stable")[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(values, best, axis=1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    values = np.take_along_axis(values, best, axis=1)
    return best if columns is None else np.take_along_axis(columns, best, axis=1), values


def top_k(est, inputs, k, exact):
    """Columns (intp) and raw scores (float32) of the k best outputs, (n_rows, k) both.

    exact : whether every output is scored.
    """
    columns = np.empty((len(inputs), k), dtype=np.intp)
    values = np.empty((len(inputs), k), dtype=np.float32)
    network = None if exact else retrieving(est._network, k)
    for rows, out in est._outputs(inputs, network):
        columns[rows], values[rows] = best_of(out, k)
    return columns, values
