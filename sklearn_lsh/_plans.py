"""Prediction of few rows: what does not depend on them is looked up once.

To find a hundred arrays, and to make room to compute in, takes several times as long as a row does.
"""

import threading
from copy import copy
from weakref import WeakKeyDictionary

from sklearn_lsh._kernels._passes import Plan
from sklearn_lsh._network import WORK_PER_THREAD
from sklearn_lsh._workspace import Sizes, Workspace, room_to_score, widest

# Of a thread and a network, plans for so many numbers of rows are kept; a plan is for so many rows
# and bytes at most, and has one thread.
MOST_KEPT = 4
MOST_ROWS = 32
MOST_BYTES = 2**22
KEPT = threading.local()


def plan_for(network, inputs):
    """This thread's plan for as many rows of a network, or None where they are no few.

    A plan does as the network did when it was made: training makes it void (`Network.changing`).
    """
    n_rows = len(inputs)
    if n_rows > MOST_ROWS:
        return None
    plans = vars(KEPT).setdefault("plans", WeakKeyDictionary())
    version, by_rows = plans.get(network, (None, None))
    if version != network.version:
        version, by_rows = network.version, {}
        plans[network] = version, by_rows
    if n_rows not in by_rows:
        by_rows[n_rows] = make_plan(network.at_prediction(), inputs)
        made = [n for n, plan in by_rows.items() if plan is not None]
        if len(made) > MOST_KEPT:
            del by_rows[made[0]]
    return by_rows[n_rows]


def make_plan(network, inputs):
    n_rows, selectors = len(inputs), [layer.selector for layer in network.layers]
    of_row = 8 * (sum(s.n_in + s.most_active for s in selectors) + widest(network.layers))
    _, n_scores, n_best = room_to_score([Sizes.of(layer) for layer in network.layers])
    of_thread = 4 * n_scores + 8 * n_best + 20 * max(s.n_out for s in selectors)
    if n_rows * of_row + of_thread > MOST_BYTES or network.work(n_rows) >= 2 * WORK_PER_THREAD:
        return None
    layers = [copy(layer) for layer in network.layers]
    for layer in layers:
        layer.selector, layer.slots = copy(layer.selector), []
    return Plan(layers, inputs, Workspace(layers, n_rows, 1, training=False))
