"""Network: layers in order; forward, backward and update of a batch, and what they cost."""

from copy import copy

import numpy as np

from sklearn_lsh._kernels import _asynchronous, _passes, _update
from sklearn_lsh._rows import Rows, stack

COSTS = ("forward", "backward", "update", "hashing", "ranking", "refresh", "output", "dense")


class Network:
    """A stack of layers, the last of which is dense and linear: its outputs are the raw scores.

    Attributes
    ----------
    layers : list of Layer
    loss : Loss
    """

    def __init__(self, layers, loss):
        self.layers = layers
        self.loss = loss

    def count(self, spent, counts, n_rows, touched=None, n_multiplications=0):
        """Add the work of a batch; with `touched`, weights stepped in every layer, of training."""
        for depth, layer in enumerate(self.layers):
            used, ranked, projected = counts[depth].tolist()
            hashing, ranking = layer.selector.costs(projected, n_rows, ranked)
            work = {"forward": used, "hashing": hashing, "ranking": ranking}
            if touched is not None:
                work["update"] = used + int(touched[depth]) * n_multiplications
                work["backward"] = used if depth else 0
            for kind, n in work.items():
                spent["output" if layer is self.layers[-1] else kind] += n

    def forward(self, inputs, workspace, spent):
        """Active sets and outputs of every layer: the inputs of every layer, then the scores."""
        _, counts = _passes.run(self.layers, inputs, workspace)
        self.count(spent, counts, len(inputs))
        return self.flow(len(inputs), workspace)

    def flow(self, n_rows, workspace):
        """Inputs of every layer, then the scores, of the batch that the workspace holds."""
        rows = slice(0, n_rows)
        return [rows_.take(rows) for rows_ in (workspace.inputs, *workspace.outputs)]

    def train_batch(self, inputs, targets, weight, optimizer, alpha, workspace, spent):
        """One optimiser step; returns the weighted sum of the losses."""
        losses, counts = _passes.run(self.layers, inputs, workspace, targets, self.loss.kind)
        optimizer.advance()
        for layer in self.layers:
            layer.selector.advance()
        flow = self.flow(len(inputs), workspace)
        deltas = [
            Rows(out.start, out.length, out.indices, room.values, out.n_cols)
            for out, room in zip(flow[1:], workspace.deltas, strict=True)
        ]
        touched = _update.update(
            self.layers, deltas, flow[:-1], weight, optimizer, alpha, workspace
        )
        self.count(spent, counts, len(inputs), touched, optimizer.n_multiplications)
        return float(weight @ losses)

    def train_asynchronously(
        self, inputs, targets, weight, optimizer, alpha, batch_size, workspace, spent
    ):
        """An optimiser step a batch, lock-free; returns the weighted sum of the losses."""
        loss, counts, touched = _asynchronous.train(
            self.layers, self.loss.kind, inputs, targets, weight, optimizer, optimizer.t, alpha,
            batch_size, workspace,
        )  # fmt: skip
        optimizer.advance(-(-len(inputs) // batch_size))
        self.count(spent, counts, len(inputs), touched, optimizer.n_multiplications)
        return loss

    def dense_cost(self, inputs, optimizer, batch_size):
        """Multiplications of an epoch over `inputs` with every neuron active."""
        n_steps = -(-len(inputs) // batch_size)
        n_columns, total = inputs.expected_columns(batch_size), 0
        for depth, layer in enumerate(self.layers):
            n_out, n_in = layer.W.shape
            used = n_out * (len(inputs) * n_in if depth else inputs.n_entries)
            touched = n_steps * n_out * (n_in if depth else n_columns)
            total += (3 if depth else 2) * used + touched * optimizer.n_multiplications
        return total

    def at_prediction(self):
        """The network that predicts: itself, but for selectors that only train."""
        if all(layer.selector.at_prediction() is layer.selector for layer in self.layers):
            return self
        layers = [copy(layer) for layer in self.layers]
        for layer in layers:
            layer.selector = layer.selector.at_prediction()
        return Network(layers, self.loss)

    def scores(self, inputs, workspace, spent):
        """Raw scores (n_rows, n_outputs) of all rows, in batches the size of the workspace."""
        result = np.empty((len(inputs), self.layers[-1].W.shape[0]), dtype=np.float32)
        for rows in self.batches(inputs, workspace):
            result[rows] = self.forward(inputs.take(rows), workspace, spent)[-1].to_matrix()
        return result

    @staticmethod
    def batches(inputs, workspace):
        step = workspace.n_rows
        return [slice(at, at + step) for at in range(0, len(inputs), step)]

    def prepare(self, inputs, weight, workspace, spent):
        """First look at the data: every selector learns the inputs its layer will see."""
        for depth, layer in enumerate(self.layers):
            if not layer.selector.learns:
                continue
            x = inputs.to_matrix() if depth == 0 else self.outputs(depth, inputs, workspace)
            spent["refresh"] += layer.selector.learn(layer, x, weight, n_iter=4)
            # The mean input favours no neuron: a few would win every example, and only they learn.
            layer.b -= layer.W @ layer.selector.mean.astype(np.float32)
            spent["refresh"] += layer.selector.refresh(layer, workspace.n_threads)

    def outputs(self, n_layers, inputs, workspace):
        """What the first n_layers give out, as one matrix."""
        below = self.layers[:n_layers]
        pieces = []
        for rows in self.batches(inputs, workspace):
            x = inputs.take(rows)
            _passes.run(below, x, workspace)
            pieces.append(workspace.outputs[n_layers - 1].take(slice(0, len(x))).to_matrix())
        return stack(pieces)

    def refresh(self, spent, n_threads):
        """Selectors follow the weights."""
        for layer in self.layers:
            spent["refresh"] += layer.selector.refresh(layer, n_threads)

    def learn(self, flow, weight, memory, spent, streaming):
        """Selectors follow their inputs; those of the first layer move in a stream only."""
        for depth, (layer, inputs) in enumerate(zip(self.layers, flow[:-1], strict=True)):
            if not layer.selector.learns:
                continue
            if depth == 0 and not streaming:
                spent["refresh"] += layer.selector.turn(layer)
            else:
                spent["refresh"] += layer.selector.learn(
                    layer, inputs.to_matrix(), weight, memory=memory
                )
