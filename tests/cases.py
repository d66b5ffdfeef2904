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
