"""The schedule: batches or asynchronous passes, and when the selectors catch up."""

from math import ceil

import numpy as np

from sklearn_lsh._costs import MATRIX, SCORE, is_matrix, per_entry
from sklearn_lsh._ordering import ROWS

# Time of refreshing, as a share of that of the steps between two refreshes.
REFRESH_SHARE = 0.02
# Time of refreshing every neuron, after looks at the inputs: nanoseconds at the start, and a share
# of that of all steps.
LOOK_ALLOWANCE = 3e7
LOOK_SHARE = 0.02
# Directions of hidden inputs move more slowly than weights: a look is due after half the steps so
# far, and after this many rows at the latest.
LOOK_GAP = 20_000
# Neurons that rows keep together come to stand side by side after so many rows, whenever these have
# doubled, and then after so many more: weights move, and numbers serve for some time.
FIRST_RENUMBERING = 8192
RENUMBERING_GAP = 20_000
# Time of that, as a share of what reading the moved weights takes up to the next time.
RENUMBERING_SHARE = 0.25
# What a look remembers of those before it.
MEMORY = 0.8
# Rows that the first look takes.
FIRST_LOOK = 4096
# Rows between two chances of an interrupt to be heard.
ROWS_A_CALL = 8192
# Batches between two refreshes that a thread takes on its own, after the beginning.
BATCHES_ALONE = 10


class Trainer:
    """Trains a network; keeps what has to last from one call to the next.

    Refreshes come after 1, 2, 3, ... steps at first (a quarter of the steps so far), and as far
    apart as their cost allows later on.

    Parameters
    ----------
    network : Network
    optimizer : Optimizer
    alpha : float
        L2 penalty of the touched weights.
    work : float
        Nanoseconds that a row takes on one core, roughly.

    Attributes
    ----------
    rows_per_step : int
        Rows that a step is taken to have: not as many as there are, or repeating a row would
        differ from doubling its weight. Set, as `streaming` is, by every call that trains.
    streaming : bool
        Whether rows come in chunks: the first few may not be like the rest.
    settled_tol : float
        Rows whose deltas at the output are all smaller are settled. Set by every call, too.
    order : ndarray of int, or None
        Order of the rows in the last epoch, on which a shuffle builds; None when not training.
    rests : Rests or None
        None when not training, and in streams, which meet a row once.
    """

    def __init__(self, network, optimizer, alpha, work):
        self.network = network
        self.optimizer = optimizer
        self.alpha = alpha
        self.work = work
        self.rows_per_step = None
        self.rows = 0  # by rows_per_step
        self.next_refresh = self.next_look = 1
        self.renumbered = 0  # the rows when neurons last got other numbers, or might have
        self.looking = 0.0  # nanoseconds
        self.streaming = False
        self.order = self.rests = None
        self.settled_tol = 0.0

    def begin(self, inputs, weight, workspace, spent):
        """Show the selectors the data, before the first step."""
        if len(inputs) > FIRST_LOOK:
            rows = np.linspace(0, len(inputs) - 1, FIRST_LOOK).astype(np.intp)
            inputs, weight = inputs.take(rows), weight[rows]
        self.network.prepare(inputs, weight, workspace, spent)

    def shuffle(self, rng):
        """Another order of the rows."""
        order = np.arange(len(self.order))
        rng.shuffle(order)
        self.order = self.order[order]

    def epoch(self, inputs, targets, weight, batch_size, asynchronous, workspace, spent):
        """Train on the rows that are due, in `order`; returns the mean loss, penalty included.

        The losses of rows at rest are those they had when last met.

        Raises
        ------
        ValueError
            When the weights have become infinite or NaN.
        """
        alpha, every_weight = self.alpha, weight
        if asynchronous:
            # Relative to their mean, the penalty too.
            alpha, weight = alpha / weight.mean(), weight / weight.mean()
        order, due = self.order, 1.0
        if self.rests is not None:
            order = self.rests.due(order)
            due = float(weight[order].sum() / weight.sum())
        # What a row has of the penalty, if there is none to ask.
        share_of_row = 1 / (batch_size * weight.mean())
        inputs, targets, weight = inputs.take(order), targets.take(order), weight[order]
        for layer in self.network.layers:
            layer.prepare_to_train(self.optimizer.n_slots)
        penalty = squared_norm(self.network)
        total = shares = 0.0
        at = 0
        while at < len(inputs):
            # One at least: sums of very many rows round, and a gap may vanish.
            n_steps = max(1, ceil((self.next_refresh - self.rows) / self.rows_per_step))
            if asynchronous:
                # As many for every thread, and enough for the wait at the end to be short.
                least = min(BATCHES_ALONE, 2 + int(self.rows / self.rows_per_step / 16))
                n_steps = workspace.n_threads * max(least, -(-n_steps // workspace.n_threads))
            left = -(-(len(inputs) - at) // batch_size)
            n_steps = min(n_steps, max(1, ROWS_A_CALL // batch_size), left)
            rows = slice(at, at + n_steps * batch_size)
            loss, share, losses, settled = self.network.train(
                inputs.take(rows),
                targets.take(rows),
                weight[rows],
                self.optimizer,
                alpha,
                batch_size,
                asynchronous,
                self.settled_tol,
                due,
                workspace,
                spent,
            )
            if self.rests is not None:
                self.rests.note(order[rows], settled, losses)
            total, shares, at = total + loss, shares + share, rows.stop
            last = slice(at - batch_size, at)
            recent = slice(max(0, min(at, len(inputs)) - ROWS), at)
            self.catch_up(
                n_steps, inputs.take(last), weight[last], inputs.take(recent), workspace, spent
            )
        if not np.isfinite(squared_norm(self.network)):
            raise ValueError(
                "Training produced weights that are not finite; a smaller learning_rate_init or "
                "scaled inputs may help."
            )
        if len(inputs):
            share_of_row = shares / len(inputs)
        if self.rests is None:
            loss = total / len(inputs)
        else:
            loss = float(np.average(self.rests.losses, weights=every_weight))
        return loss + 0.5 * alpha * penalty * share_of_row

    def catch_up(self, n_steps, inputs, weight, recent, workspace, spent):
        """Count steps; let the selectors follow inputs and weights when it is time.

        inputs, weight : the last batch. recent : the last ROWS rows.
        """
        self.rows += n_steps * self.rows_per_step
        if self.rows < self.next_refresh:
            return
        if self.rows >= self.next_look:
            self.network.learn(inputs, weight, MEMORY, workspace, spent, self.streaming)
            cost = self.network.refresh_time(every_neuron=True)
            self.looking += cost
            # Rows by which one look more is paid for.
            paid = (self.looking + cost - LOOK_ALLOWANCE) / (LOOK_SHARE * self.work)
            gap = min(LOOK_GAP, self.rows_per_step + self.rows / 2)
            self.next_look = max(self.rows + gap, paid)
        gap = min(max(FIRST_RENUMBERING, self.renumbered), RENUMBERING_GAP)
        if self.rows - self.renumbered >= gap:
            if self.streaming:  # a chunk may be less than a step counts for
                gap *= min(1, max(len(inputs), len(recent)) / self.rows_per_step)
            self.renumber(gap, recent, workspace, spent)
        self.network.refresh(spent, workspace.n_threads)
        cost = self.network.refresh_time()
        gap = cost / (REFRESH_SHARE * self.work) if cost else np.inf
        self.next_refresh = self.rows + min(gap, self.rows_per_step + self.rows / 4)

    def renumber(self, n_rows, inputs, workspace, spent):
        """Give neurons other numbers where it pays within n_rows rows of training.

        inputs : rows that tell which neurons are kept together, if there are enough.
        """
        if 2 * len(inputs) <= ROWS:
            return
        depths = self.worth_renumbering(n_rows, workspace)
        if depths:
            self.network.renumber(depths, inputs, workspace, spent)
        self.renumbered = self.rows

    def worth_renumbering(self, n_rows, workspace):
        """Layers where that pays."""
        network = self.network
        return [
            depth
            for depth in network.to_renumber(workspace)
            if network.renumber_time(depth)
            < RENUMBERING_SHARE * n_rows * network.gather_time(depth + 1)
        ]

    def adjust(self, optimizer):
        """Go on with other hyperparameters."""
        optimizer.t = self.optimizer.t
        self.optimizer = optimizer

    def finish(self, inputs, workspace, spent, keep_slots):
        """After the last epoch: selectors follow the weights, but in a stream.

        inputs : what was trained on, to go by for other numbers; None: neurons keep theirs.
        keep_slots : or drop the optimiser's state, twice the size of the weights under Adam.
        """
        self.order = self.rests = None
        if self.streaming:
            self.network.mend()
            return
        if not keep_slots:
            self.optimizer.t = 0
            for layer in self.network.layers:
                layer.slots = []
        # Predictions, too, gain by numbers of late.
        if inputs is not None and self.rows - self.renumbered >= FIRST_RENUMBERING:
            rows = np.linspace(0, len(inputs) - 1, min(len(inputs), ROWS)).astype(np.intp)
            self.renumber(RENUMBERING_GAP, inputs.take(rows), workspace, spent)
        self.network.refresh(spent, workspace.n_threads)


def work_of_row(network, n_entries, sparse):
    """Nanoseconds that training on a row takes on one core, refreshes left out, roughly.

    n_entries : mean number of entries of an input row. sparse : whether rows are stored so.
    """
    work, from_csr = 0.0, sparse
    for layer in network.layers:
        selector = layer.selector
        n_out, n_in = layer.W.shape
        reached = n_entries / n_in if sparse else 1
        if not from_csr and is_matrix(n_in, n_out, reached, selector.n_active / n_out):
            work += MATRIX * 3 * n_in * n_out
        else:
            dropped = selector.n_shortlisted - selector.n_active
            work += per_entry(sparse) * n_entries * (3 * selector.n_active + dropped)
        work += SCORE * sum(selector.costs(n_entries, 1, selector.n_ranked))
        n_entries, sparse, from_csr = selector.n_active, not selector.is_dense, False
    return work


def squared_norm(network):
    """Sum of the squared weights, biases left out.

    Of a stored row in single precision, which is much faster, unless that overflows.
    """
    total = 0.0
    for layer in network.layers:
        with np.errstate(over="ignore"):
            squares = np.einsum("ij,ij->i", layer.stored, layer.stored)
        if not np.isfinite(squares).all():
            squares = np.einsum("ij,ij->i", layer.stored, layer.stored, dtype=np.float64)
        total += float(squares.sum(dtype=np.float64))
    return total
