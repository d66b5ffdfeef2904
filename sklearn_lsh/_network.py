"""Network: layers in order; forward, backward and update of a batch, and what they cost."""

from contextlib import contextmanager
from copy import copy
from itertools import pairwise

import numpy as np

from sklearn_lsh._costs import CACHED, GATHER_FAR, MOVE, STREAM
from sklearn_lsh._kernels import _passes, _train
from sklearn_lsh._kernels._best import largest_of
from sklearn_lsh._kernels._renumber import renumber
from sklearn_lsh._ordering import cost_of_order, order_by_company
from sklearn_lsh._rows import stack

COSTS = ("forward", "backward", "update", "hashing", "ranking", "refresh", "output", "dense")
# Multiplications, as `Network.work` counts them, that occupy a thread.
WORK_PER_THREAD = 2**21


class Network:
    """A stack of layers, the last of which is dense and linear: its outputs are the raw scores.

    Attributes
    ----------
    layers : list of Layer
    loss : Loss
    version : int
        Grows with whatever changes weights or selectors.
    """

    version = 0

    @contextmanager
    def changing(self):
        """While this lasts, and after it, predictions go by nothing that was kept before."""
        self.version += 1
        try:
            yield
        finally:
            self.version += 1

    def __init__(self, layers, loss):
        self.layers = layers
        self.loss = loss

    def work(self, n_rows):
        """Multiplications of a forward pass by active neurons, in dense inputs of every layer."""
        return n_rows * sum(s.n_in * s.n_active for s in (layer.selector for layer in self.layers))

    def count(self, spent, counts, n_rows, touched=None, n_multiplications=0):
        """Add the work of a batch; with `touched`, weights stepped in every layer, of training.

        counts : of every thread, as the kernels leave them.
        """
        counts = counts.sum(axis=0).tolist()
        for depth, layer in enumerate(self.layers):
            used, ranked, projected, dropped, learned = counts[depth]
            hashing, ranking = layer.selector.costs(projected, n_rows, ranked)
            work = {"forward": used, "hashing": hashing, "ranking": ranking + dropped}
            if touched is not None:
                work["update"] = learned + int(touched[depth]) * n_multiplications
                work["backward"] = learned if depth else 0
            for kind, n in work.items():
                spent["output" if layer is self.layers[-1] else kind] += n

    def forward(self, inputs, workspace, spent):
        """Active sets and outputs of every layer: the inputs of every layer, then the scores.

        spent : None: nobody counts.
        """
        counts = _passes.run(self.layers, inputs, workspace)
        if spent is not None:
            self.count(spent, counts, len(inputs))
        rows = slice(0, len(inputs))
        return [rows_.take(rows) for rows_ in (workspace.inputs, *workspace.outputs)]

    def scores(self, inputs, workspace):
        """The output alone, a view of the workspace."""
        _passes.run(self.layers, inputs, workspace)
        return workspace.outputs[-1].take(slice(0, len(inputs)))

    def best(self, inputs, workspace, k):
        """Columns, ascending, and values of the k largest outputs of every row."""
        return largest_of(self.scores(inputs, workspace), k, workspace)

    def train(
        self, inputs, targets, weight, optimizer, alpha, batch_size, lock_free, settled_tol, due,
        workspace, spent,
    ):  # fmt: skip
        """An optimiser step a batch; due : share of all rows, of which the others rest.

        Returns the weighted loss and the share of the penalty in it, both summed over the rows; of
        every row its loss, and whether it was settled.
        """
        with self.changing():
            loss, share, counts, touched, losses, settled = _train.train(
                self.layers, self.loss, inputs, targets, weight, optimizer, alpha, batch_size,
                lock_free, settled_tol, due, workspace,
            )  # fmt: skip
        n_steps = -(-len(inputs) // batch_size)
        optimizer.t += n_steps
        for layer in self.layers:
            layer.selector.advance(n_steps)
        self.count(spent, counts, len(inputs), touched, optimizer.n_multiplications)
        return loss, share, losses, settled

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
        self.mend()
        if all(layer.selector.at_prediction() is layer.selector for layer in self.layers):
            return self
        layers = [copy(layer) for layer in self.layers]
        for layer in layers:
            layer.selector = layer.selector.at_prediction()
        return Network(layers, self.loss)

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
            with self.changing():
                spent["refresh"] += layer.selector.learn(layer, x, weight, n_iter=4)
                # The mean input favours no neuron: a few would win every example, and only they
                # learn.
                layer.b -= layer.W @ layer.selector.mean.astype(np.float32)
                spent["refresh"] += layer.selector.refresh(layer, workspace.n_threads)
            del x  # before there is another

    def outputs(self, n_layers, inputs, workspace):
        """What the first n_layers give out, as one matrix."""
        below = self.layers[:n_layers]
        pieces = []
        for rows in self.batches(inputs, workspace):
            x = inputs.take(rows)
            _passes.run(below, x, workspace)
            pieces.append(workspace.outputs[n_layers - 1].take(slice(0, len(x))).to_matrix())
        return stack(pieces)

    def mend(self):
        """Give neurons their own codes again, if something came between other numbers and those."""
        if any(layer.selector.stale for layer in self.layers):
            self.refresh(dict.fromkeys(COSTS, 0), 1)

    def refresh(self, spent, n_threads):
        """Selectors follow the weights."""
        with self.changing():
            for layer in self.layers:
                spent["refresh"] += layer.selector.refresh(layer, n_threads)

    def refresh_time(self, every_neuron=False):
        """Nanoseconds of a refresh like the last one, or of all neurons, on one core, roughly."""
        return sum(
            s.refresh_time(s.n_out if every_neuron else s.n_refreshed)
            for s in (layer.selector for layer in self.layers)
        )

    def to_renumber(self, workspace):
        """Layers whose neurons may gain by other numbers: weights above them are not cached."""
        return [
            depth
            for depth, (layer, above) in enumerate(pairwise(self.layers))
            if layer.selector.groups_alike
            and above.W.nbytes > CACHED
            and not workspace.through[depth + 1][0]
        ]

    def gather_time(self, depth):
        """Nanoseconds that a row's training spends on scattered weights of a layer, roughly."""
        below, selector = self.layers[depth - 1].selector, self.layers[depth].selector
        return GATHER_FAR * below.n_active * (2 * selector.n_active + selector.n_shortlisted)

    def renumber_time(self, depth):
        """Nanoseconds of giving a layer's neurons other numbers on one core, roughly."""
        layer, above = self.layers[depth : depth + 2]
        return (
            MOVE * (1 + len(layer.slots)) * (layer.W.size + above.W.size)
            + STREAM * cost_of_order(layer.selector.n_out)
            + sum(one.selector.refresh_time(one.selector.n_out) for one in (layer, above))
        )

    def renumber(self, depths, inputs, workspace, spent):
        """Number the neurons of these layers anew: those that rows keep together, side by side.

        Their selectors are stale afterwards, and those of the layers above them.
        """
        active = {depth: [] for depth in depths}
        for rows in self.batches(inputs, workspace):
            flow = self.forward(inputs.take(rows), workspace, spent)
            for depth in depths:
                active[depth].append(flow[depth + 1].to_matrix())
        orders = {depth: order_by_company(stack(active[depth])) for depth in depths}
        for depth, order in orders.items():
            spent["refresh"] += cost_of_order(len(order))
            self.move(depth, order, workspace.n_threads)

    def move(self, depth, order, n_threads):
        """Let neuron i of a hidden layer be what order[i] was."""
        layer, above = self.layers[depth : depth + 2]
        by_row, by_column = [layer.stored, layer.b], [above.stored]
        for matrix, biases in layer.slots:
            by_row += [matrix, biases]
        by_column += [matrix for matrix, _ in above.slots]
        with self.changing():
            layer.selector.stale = above.selector.stale = True
            renumber(order, by_row + above.selector.by_input(), by_column, n_threads)

    def learn(self, inputs, weight, memory, workspace, spent, streaming):
        """Selectors follow their inputs; those of the first layer move in a stream only."""
        if not any(layer.selector.learns for layer in self.layers):
            return
        flow = self.forward(inputs, workspace, spent)
        with self.changing():
            for depth, (layer, inputs) in enumerate(zip(self.layers, flow[:-1], strict=True)):
                if not layer.selector.learns:
                    continue
                if depth == 0 and not streaming:
                    spent["refresh"] += layer.selector.turn(layer)
                else:
                    spent["refresh"] += layer.selector.learn(
                        layer, inputs.to_matrix(), weight, memory=memory
                    )
