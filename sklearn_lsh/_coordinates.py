"""The coordinates that neurons are scored or hashed in: vector . (directions' x) + offset."""

import numpy as np

from sklearn_lsh._directions import Directions, weighted_mean
from sklearn_lsh._kernels import _sketch
from sklearn_lsh._workspace import PANEL


class Coordinates:
    """The best few of them, for these inputs and these weights.

    Pre-activations of inputs x = mean + rest are W.mean + b + W.rest. The last term is approximated
    at rank r in the least-squares sense over neurons and inputs (reduced-rank regression), within
    the leading 2 r principal directions of the inputs, and with what all neurons share left out,
    since no ranking notices it. Neurons and inputs end with the same spread in every coordinate,
    which leaves their inner products alone and makes both fit for hashing.

    Attributes
    ----------
    rank : int
    mean : ndarray of shape (n_in,), float64
        Of the inputs.
    directions : ndarray of shape (n_in, rank), float32
        Inputs to their coordinates.
    neuron_directions : ndarray of shape (n_blocks, n_in, PANEL), float32
        Weights to the neurons' coordinates, padded.
    rest : ndarray of shape (n_in,), float32
        Weights to the offset, but for the bias.
    """

    OVERSAMPLING = 2
    # Neurons that are looked at to choose the coordinates, if there are as many.
    SAMPLE = 500

    def __init__(self, n_in, rank, seed):
        self.n_in = n_in
        self.rank = rank
        self.seed = seed
        self.inputs = Directions(n_in, min(self.OVERSAMPLING * rank, n_in), seed)

    @property
    def mean(self):
        return self.inputs.mean

    def learn(self, layer, inputs, weight, *, memory=0.0, n_iter=1):
        """Follow the layer's inputs, then `turn`; returns multiplications."""
        spent = self.inputs.learn(inputs, weight, memory=memory, n_iter=n_iter)
        return spent + self.turn(layer)

    def turn(self, layer):
        """Choose the coordinates anew for the present weights; returns multiplications."""
        basis, mean = self.inputs.basis, self.inputs.mean
        spread = np.sqrt(self.inputs.variances)
        W = layer.W
        if len(W) > self.SAMPLE:
            # At random: in a layer that starts as a copy, a stride meets few of the inputs.
            rng = np.random.default_rng(self.seed)
            W = W[np.sort(rng.choice(len(W), self.SAMPLE, replace=False))]
        responses = (W @ basis) * spread
        responses -= responses.mean(axis=0)
        squares, rotation = np.linalg.eigh(responses.T @ responses / len(W))
        squares, rotation = squares[: -self.rank - 1 : -1], rotation[:, : -self.rank - 1 : -1]
        share = np.maximum(squares, 0) ** 0.25
        neurons = basis @ (spread[:, None] * rotation * reciprocal(share))
        directions = basis @ (reciprocal(spread)[:, None] * rotation * share)
        rest = mean - neurons @ (directions.T @ mean)
        self.directions = np.ascontiguousarray(directions, dtype=np.float32)
        n_blocks = -(-self.rank // PANEL)
        padded = np.zeros((self.n_in, n_blocks * PANEL), dtype=np.float32)
        padded[:, : self.rank] = neurons
        self.neuron_directions = np.ascontiguousarray(
            padded.reshape(self.n_in, n_blocks, PANEL).swapaxes(0, 1)
        )
        self.rest = rest.astype(np.float32)
        n_directions = basis.shape[1]
        return n_directions * (len(W) * (self.n_in + n_directions) + 2 * self.n_in * self.rank)

    def by_input(self):
        """Arrays that have a row for every input."""
        inputs = self.inputs
        return [inputs.mean, inputs.basis, self.directions, self.rest, *self.neuron_directions]

    def centre(self):
        """The mean input's coordinates."""
        return self.mean.astype(np.float32) @ self.directions

    def of(self, layer, ids, n_threads):
        """Vectors (n, rank) and offsets (n,) of the neurons `ids`."""
        vectors, rests = _sketch.sketch(layer.W, ids, self.neuron_directions, self.rest, n_threads)
        return np.ascontiguousarray(vectors[:, : self.rank]), rests + layer.b[ids]

    def cost(self, n_neurons):
        """Multiplications of `of`."""
        return n_neurons * self.n_in * (self.rank + 1)

    def query_cost(self, n_entries):
        """Multiplications for the coordinates of inputs that have so many entries."""
        return n_entries * self.rank


class RawCoordinates:
    """The weights themselves, as the paper hashes them."""

    directions = None

    def __init__(self, n_in):
        self.n_in = self.rank = n_in
        self.mean = np.zeros(n_in)

    def learn(self, layer, inputs, weight, *, memory=0.0, n_iter=1):
        self.mean = memory * self.mean + (1 - memory) * weighted_mean(inputs, weight)
        return inputs.shape[0] * inputs.shape[1]

    def turn(self, layer):
        return 0

    def by_input(self):
        return [self.mean]

    def centre(self):
        return self.mean.astype(np.float32)

    def of(self, layer, ids, n_threads):
        every = len(ids) == len(layer.b)
        return (layer.W if every else layer.W[ids]), layer.b[ids]

    def cost(self, n_neurons):
        return 0

    def query_cost(self, n_entries):
        return n_entries


class CentredCoordinates(RawCoordinates):
    """The weights less what all neurons share, which no ranking notices."""

    def __init__(self, W):
        super().__init__(W.shape[1])
        self.shared = W.mean(axis=0, dtype=np.float64).astype(np.float32)

    def of(self, layer, ids, n_threads):
        vectors, offsets = super().of(layer, ids, n_threads)
        return vectors - self.shared, offsets


def reciprocal(values):
    """1 / values, and 0 where there is nothing to divide by."""
    kept = values > 1e-9 * max(values.max(), 1e-300)
    return np.divide(1, values, out=np.zeros_like(values), where=kept)
