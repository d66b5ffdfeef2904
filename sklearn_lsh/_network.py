"""Network: layers in order; forward, backward and update of a batch, and what they cost."""

import numpy as np

from sklearn_lsh._kernels import _asynchronous, _linear, _update
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

    def count(self, spent, kind, layer, n):
        spent["output" if layer is self.layers[-1] else kind] += int(n)

    def forward(self, inputs, workspace, spent):
        """Active sets and outputs of every layer.

        Returns the inputs of every layer and the scores, and the weights used in every layer.
        """
        flow, used = [inputs], []
        for layer, room in zip(self.layers, workspace.outputs, strict=True):
            out = room.take(slice(0, len(inputs)))
            hashing, ranking = layer.selector.select(layer, flow[-1], out, workspace)
            used.append(_linear.forward(layer, flow[-1], out, workspace.n_threads))
            self.count(spent, "hashing", layer, hashing)
            self.count(spent, "ranking", layer, ranking)
            self.count(spent, "forward", layer, used[-1])
            flow.append(out)
        return flow, used

    def train_batch(self, inputs, targets, weight, optimizer, alpha, workspace, spent):
        """One optimiser step; returns the weighted sum of the losses and the layers' inputs."""
        n_threads = workspace.n_threads
        (*flow, scores), used = self.forward(inputs, workspace, spent)
        deltas = view_like(workspace.deltas[-1], scores)
        losses = self.loss.losses(scores, targets, deltas, n_threads)
        optimizer.advance()
        for depth in range(len(self.layers) - 1, -1, -1):
            layer, x = self.layers[depth], flow[depth]
            if depth:
                below = view_like(workspace.deltas[depth - 1], x)
                _linear.backward(layer, deltas, x, self.layers[depth - 1].activation, below, n_threads)
                self.count(spent, "backward", layer, used[depth])
            touched = _update.update(layer, deltas, x, weight, optimizer, alpha, workspace)
            self.count(
                spent, "update", layer, used[depth] + touched * optimizer.n_multiplications
            )
            if depth:
                deltas = below
        return float(weight @ losses), flow

    def train_asynchronously(self, inputs, targets, weight, optimizer, decay, workspace, spent):
        """An optimiser step an example, lock-free; returns the weighted sum of the losses."""
        loss, counts = _asynchronous.train(
            self.layers, self.loss.kind, inputs, targets, weight, optimizer, optimizer.t, decay,
            workspace,
        )
        optimizer.advance(len(inputs))
        for layer, count in zip(self.layers, counts.tolist(), strict=True):
            used, touched, n_ranked, n_projected = count
            hashing, ranking = layer.selector.costs(n_projected, len(inputs), n_ranked)
            self.count(spent, "hashing", layer, hashing)
            self.count(spent, "ranking", layer, ranking)
            self.count(spent, "forward", layer, used)
            self.count(spent, "update", layer, used + touched * optimizer.n_multiplications)
            if layer is not self.layers[0]:
                self.count(spent, "backward", layer, used)
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

    def scores(self, inputs, workspace, spent):
        """Raw scores (n_rows, n_outputs) of all rows, in batches the size of the workspace."""
        result = np.empty((len(inputs), self.layers[-1].W.shape[0]), dtype=np.float32)
        for rows in self.batches(inputs, workspace):
            result[rows] = self.forward(inputs.take(rows), workspace, spent)[0][-1].to_matrix()
        return result

    @staticmethod
    def batches(inputs, workspace):
        step = len(workspace.outputs[0])
        return [slice(at, at + step) for at in range(0, len(inputs), step)]

    def prepare(self, inputs, weight, workspace, spent):
        """First look at the data: every selector learns the inputs its layer will see."""
        for depth, layer in enumerate(self.layers):
            if not layer.selector.is_dense:
                matrix = inputs.to_matrix()
                spent["refresh"] += layer.selector.learn(layer, matrix, weight, n_iter=4)
                spent["refresh"] += layer.selector.refresh(layer, workspace.n_threads)
            if all(above.selector.is_dense for above in self.layers[depth + 1 :]):
                return
            room, outputs = workspace.outputs[depth], []
            for rows in self.batches(inputs, workspace):
                x = inputs.take(rows)
                out = room.take(slice(0, len(x)))
                layer.selector.select(layer, x, out, workspace)
                _linear.forward(layer, x, out, workspace.n_threads)
                outputs.append(out.to_matrix())
            inputs = Rows.from_matrix(stack(outputs))

    def refresh(self, spent, n_threads):
        """Selectors follow the weights."""
        for layer in self.layers:
            spent["refresh"] += layer.selector.refresh(layer, n_threads)

    def learn(self, flow, weight, memory, spent):
        """Selectors follow their inputs; those of the first layer, the data, do not move."""
        for depth, (layer, inputs) in enumerate(zip(self.layers, flow, strict=True)):
            if layer.selector.is_dense:
                continue
            if depth == 0:
                spent["refresh"] += layer.selector.turn(layer)
            else:
                spent["refresh"] += layer.selector.learn(
                    layer, inputs.to_matrix(), weight, memory=memory
                )


def view_like(room, rows):
    """The first rows of `room`, with the active sets of `rows`."""
    view = room.take(slice(0, len(rows)))
    view.length, view.indices = rows.length, rows.indices
    return view
