"""What a fitted network selects, how well, and what it costs, in numbers and in pictures.

>>> from sklearn.datasets import load_digits
>>> from sklearn_lsh import LSHMLPClassifier
>>> from sklearn_lsh.inspection import selection_recall
>>> X, y = load_digits(return_X_y=True)
>>> est = LSHMLPClassifier(selector="topk", max_iter=15, random_state=0).fit(X / 16, y)
>>> selection_recall(est, X / 16)["recall"]
array([1.])
"""

from sklearn_lsh._cost_display import MultiplicationsDisplay
from sklearn_lsh._displays import ActiveSetDisplay, SelectionRecallDisplay
from sklearn_lsh._inspection import active_sets, neuron_usage, prediction_cost, selection_recall

__all__ = [
    "ActiveSetDisplay",
    "MultiplicationsDisplay",
    "SelectionRecallDisplay",
    "active_sets",
    "neuron_usage",
    "prediction_cost",
    "selection_recall",
]
