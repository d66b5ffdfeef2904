"""Prediction of few rows: what does not depend on them is looked up once.

To find a hundred arrays, and to make room to compute in, takes several times as long as a row does.
"""

import threading
from copy import copy
from weakref import WeakKeyDictionary

from sklearn_lsh._kernels._passes import Plan
from sklearn_lsh._workspace import Workspace

# Of a thread and a network: plans for so many numbers of rows, of so many rows, and so many bytes
# of inputs and activations, at most.
MOST_KEPT = 4
MOST_ROWS = 32
LARGEST = 2**22
KEPT = threading.local()


def plan_for(network, inputs):
    """This thread's plan for as many rows of a network, or None where there are too many.

    A plan does as the network did when it was made: training makes it void (`Network.version`).
    """
    plans = vars(KEPT).setdefault("plans", WeakKeyDictionary())
    version, by_rows = plans.get(network, (None, None))
    if version != network.version:
        by_rows = {}
        plans[network] = network.version, by_rows
    n_rows = len(inputs)
    if n_rows not in by_rows:
        by_rows[n_rows] = make_plan(network.at_prediction().layers, inputs)
        if len(by_rows) > MOST_KEPT:
            del by_rows[next(iter(by_rows))]
    return by_rows[n_rows]


def make_plan(layers, inputs):
    n_rows, layers = len(inputs), [copy(layer) for layer in layers]
    for layer in layers:
        layer.selector = copy(layer.selector)
    room = sum(layer.selector.n_in + layer.selector.most_active for layer in layers)
    if n_rows > MOST_ROWS or 8 * n_rows * room > LARGEST:
        return None
    return Plan(layers, inputs, Workspace(layers, n_rows, 1, training=False))
