"""The best of very many labels, without a matrix of all scores."""

import os
from copy import copy
from weakref import WeakKeyDictionary

import numpy as np
from numpy.linalg import norm

from sklearn_lsh._coordinates import CentredCoordinates
from sklearn_lsh._network import Network
from sklearn_lsh._parameters import thread_count
from sklearn_lsh._selectors import CODED_AT_ONCE, SketchSelector
from sklearn_lsh._workspace import CHUNK, widest

# Labels that scores by rounded weights leave, besides twice as many as are wanted.
SPARE = 20
# Of fewer labels for each of those, all are scored in no more time.
LEAST_PER_FOUND = 8
ROUNDED = WeakKeyDictionary()  # output layers, by network


class LabelSelector(SketchSelector):
    """Labels by the length of their centred weights: where these are too short, scoring stops.

    A score is at most the lengths of input and weights, times their cosine, and the offset (LEMP,
    Teflioudi, Gemulla & Mykytiuk 2015): where that is less than the k best that are known. Lengths
    are those that codes have, so that this holds of scores by codes.

    Attributes
    ----------
    order, places : ndarray of shape (n_out,), int32
        The label of each place, and the other way round.
    lengths : ndarray of shape (n_out,), float32
        By place.
    limits : ndarray of shape (2, n_chunks), float32
        Length and offset that no label of a chunk, or after it, exceeds.
    """

    room_to_grow = 1.0

    def __init__(self, layer):
        n_out, n_in = layer.W.shape
        super().__init__(n_in, n_out, 1, False, None, 0)
        self.coordinates = CentredCoordinates(layer.W)
        parts = np.array_split(np.arange(n_out), -(-n_out // CODED_AT_ONCE))
        with np.errstate(over="ignore", invalid="ignore"):  # infinite lengths stop nothing
            lengths = [norm(self.coordinates.of(layer, ids, 1)[0], axis=1) for ids in parts]
        self.order = np.argsort(-np.concatenate(lengths), kind="stable").astype(np.int32)
        self.places = np.argsort(self.order).astype(np.int32)

    @property
    def n_shortlisted(self):
        return min(2 * self.n_active + SPARE, self.n_out)

    def update(self, layer, ids, n_threads):
        spent = super().update(layer, ids, n_threads)
        scales = np.zeros(4 * self.sketches.shape[1], dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            scales[: self.rank] = self.scales**2
            squares = np.concatenate([
                np.einsum("pflk,fk->pl", np.square(codes, dtype=np.float32), scales.reshape(-1, 4))
                for codes in np.array_split(self.sketches, -(-self.n_out // CODED_AT_ONCE))
            ])  # fmt: skip
        self.lengths = np.sqrt(squares.ravel()[: self.n_out])
        starts = np.arange(0, self.n_out, CHUNK)
        most = [np.maximum.reduceat(a[: self.n_out], starts) for a in (self.lengths, self.offsets)]
        self.limits = np.maximum.accumulate(np.stack(most)[:, ::-1], axis=1)[:, ::-1].copy()
        return spent

    def code(self, ids, vectors, offsets, n_threads):
        super().code(self.places[ids], vectors, offsets, n_threads)


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


def rounded(network, n_threads):
    """The output layer of a network with its weights rounded to 8 bits, kept for the next call."""
    version, layer = ROUNDED.get(network, (None, None))
    if version != network.version:
        version, layer = network.version, copy(network.layers[-1])
        layer.slots, layer.selector = [], LabelSelector(layer)
        layer.selector.refresh(layer, n_threads)
        ROUNDED[network] = version, layer
    return layer


def retrieving(network, k, n_threads):
    """The network whose output is the k best of the few labels that rounded weights tell.

    Where that is no less work, the one that scores every label.
    """
    below, n_out = network.at_prediction().layers[:-1], network.layers[-1].selector.n_out
    if not below or LEAST_PER_FOUND * (2 * k + SPARE) > n_out:
        # Of sparse inputs only what is stored is multiplied.
        return network.at_prediction()
    layer = copy(rounded(network, n_threads))
    layer.selector = copy(layer.selector)
    layer.selector.n_active = k
    return Network([*below, layer], network.loss)


def top_k(est, inputs, k, exact):
    """Columns (int64) and raw scores (float32) of the k best outputs, (n_rows, k) both.

    exact : whether every output is scored.
    """
    columns = np.empty((len(inputs), k), dtype=np.int64)
    values = np.empty((len(inputs), k), dtype=np.float32)
    network = est._network
    network = network.at_prediction() if exact else retrieving(network, k, thread_count(est))
    for rows, x, workspace in est._slices(inputs, network, widest(network.layers)):
        columns[rows], values[rows] = network.best(x, workspace, k)
    # Columns ascend: of equals the lower stays first.
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)
