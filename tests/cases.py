"""Data and small estimators that the tests share."""

import numpy as np
import scipy.sparse as sp
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor

SELECTORS = ["dense", "topk", "lsh", "sketch", "auto"]

DIGITS, DIGIT = load_digits(return_X_y=True)
DIGITS /= 16  # multiples of 1/16: the same numbers in float32 and float64
DIGITS[::4, :8] = 0  # whole lines of dense rows are left out
X_TRAIN, X_TEST, Y_TRAIN, Y_TEST = train_test_split(
    DIGITS, DIGIT, test_size=0.2, random_state=0, stratify=DIGIT
)
X, Y = X_TRAIN[:400], Y_TRAIN[:400]
# Labels, one a row of some hundred.
MANY = sp.csr_array((np.ones(len(X)), (np.arange(len(X)), 7 * Y + np.arange(len(X)) % 50)))
TARGET = np.column_stack([X[:, 20:40].sum(axis=1) / 5, X[:, 10] - X[:, 50]])


def small(cls=LSHMLPClassifier, **params):
    defaults = {
        "hidden_layer_sizes": (64,), "density": 0.25, "max_iter": 5, "batch_size": 50,
        "learning_rate_init": 0.005, "n_threads": 1, "random_state": 0,
    }  # fmt: skip
    return cls(**defaults | params)


def ten_classes():
    return small(), Y


def multi_output():
    return small(LSHMLPRegressor), TARGET


def assert_same_parameters(a, b):
    for p, q in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_array_equal(p, q)


def labelled(n_rows, n_features, n_labels, seed=0):
    """Rows of the features of their labels, up to three each."""
    rng = np.random.default_rng(seed)
    own = sp.random(n_labels, n_features, 8 / n_features, format="csr", random_state=rng)
    labels = rng.integers(0, n_labels, size=(n_rows, 3))
    Y = np.zeros((n_rows, n_labels), dtype=int)
    np.put_along_axis(Y, labels, 1, axis=1)
    return sp.csr_matrix(Y @ own, dtype=np.float32), sp.csr_matrix(Y)


def many(**params):
    defaults = {
        "hidden_layer_sizes": (16,), "selector": "dense", "loss": "softmax", "batch_size": 20,
        "sampled_output": True, "random_state": 0, "n_threads": 1, "max_iter": 1,
    }  # fmt: skip
    return LSHMLPClassifier(**defaults | params)
