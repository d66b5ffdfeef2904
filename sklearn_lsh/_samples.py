"""Samples: rows with targets and weights, checked, as given and as a network takes them."""

from contextlib import contextmanager
from functools import cached_property

import numpy as np
from sklearn.base import is_regressor
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import _check_sample_weight, validate_data

from sklearn_lsh._rows import Rows, check_indices

# Of an array that is looked at without scikit-learn's help.
FEW_ENTRIES = 2**16


class Sample:
    """Rows to train on, or to watch.

    Parameters
    ----------
    source : tuple
        X, y and sample_weight as they were given.
    rows : ndarray of shape (n_rows,), int
        Which of them these are.
    inputs, targets : Rows
    weight : ndarray of shape (n_rows,), float64
        Times the classes' weights.
    """

    def __init__(self, source, rows, inputs, targets, weight):
        self.source = source
        self.rows = rows
        self.inputs = inputs
        self.targets = targets
        self.weight = weight

    def __len__(self):
        return len(self.rows)

    def take(self, rows):
        """Some of the rows: an index array."""
        return Sample(
            self.source, self.rows[rows], self.inputs.take(rows), self.targets.take(rows),
            self.weight[rows],
        )  # fmt: skip

    @cached_property
    def given(self):
        """X, y and sample_weight (or None) of these rows, of the types that were given."""
        return [
            a if a is None else _safe_indexing(a, self.rows) for a in indexable(*self.source)
        ]  # fmt: skip


def check_data(est, X, **others):
    """What scikit-learn's `validate_data` gives: float32, by rows, or CSR."""
    check_indices(X, "X")
    try:
        return validate_data(
            est, X, accept_sparse="csr", dtype=np.float32, order="C", **others
        )  # fmt: skip
    except OverflowError as error:
        raise ValueError(f"X or y holds a number that no float can hold: {error}") from error


def few_rows(est, X):
    """A small array that `check_data` would take as it is, or None.

    To validate takes several times as long as to predict a row.
    """
    if type(X) is not np.ndarray or X.dtype not in (np.float32, np.float64):
        return None
    if X.ndim != 2 or not 0 < X.size <= FEW_ENTRIES or X.shape[1] != est.n_features_in_:
        return None
    if hasattr(est, "feature_names_in_"):
        return None
    if X.dtype != np.float32:
        with np.errstate(over="ignore"):
            X = X.astype(np.float32)
    return X if np.isfinite(X).all() else None


def check_sample(est, X, y, sample_weight, cold, incremental=False, classes=None):
    """The loss, and the rows that have a weight; what a cold start learns of them is set."""
    X_given, y_given = X, y
    check_indices(y, "y")
    X, y = check_data(est, X, y=y, reset=cold, multi_output=True, y_numeric=is_regressor(est))
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if np.any(weight < 0):
        raise ValueError("Negative values in sample_weight.")
    source = X_given, y_given, None if sample_weight is None else weight
    loss, targets, weight = est._encode(y, weight, cold, incremental, classes)
    rows = np.flatnonzero(weight)
    if not len(rows):
        raise ValueError("sample_weight (with class_weight) is zero for every sample.")
    inputs = Rows.from_matrix(X).take(rows)
    return loss, Sample(source, rows, inputs, targets.take(rows), weight[rows])


def check_validation_sample(est, X_val, y_val, sample_weight_val, n_outputs):
    """The rows to watch, or None."""
    if X_val is None:
        if y_val is not None or sample_weight_val is not None:
            raise ValueError("y_val or sample_weight_val was passed, but X_val was not.")
        return None
    if y_val is None:
        raise ValueError("X_val was passed, but y_val was not.")
    with naming("X_val, y_val or sample_weight_val"):
        _, sample = check_sample(est, X_val, y_val, sample_weight_val, cold=False)
        if sample.targets.n_cols != n_outputs:
            raise ValueError(f"y has {sample.targets.n_cols} outputs, that of fit {n_outputs}.")
    return sample


@contextmanager
def naming(what):
    """Put what was checked before the message of an error."""
    try:
        yield
    except (AttributeError, TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what}: {error}") from error


def split(est, sample, rng):
    """Rows to train on and rows to watch."""
    train, validation = train_test_split(
        np.arange(len(sample)),
        random_state=rng,
        test_size=est.validation_fraction,
        stratify=est._strata(sample.targets),
    )
    if len(validation) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of "
            "your dataset."
        )
    return sample.take(train), sample.take(validation)
