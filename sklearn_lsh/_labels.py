"""Classes and labels as the targets of a network."""

import sys

import numpy as np
import scipy.sparse as sp
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from sklearn_lsh._losses import Loss, classifier_loss
from sklearn_lsh._rows import Rows, canonical


def encode(est, y, weight, cold, incremental, classes):
    """Loss, target Rows and sample weights times classes' weights; classes_ on a cold start."""
    kind = type_of_target(y, input_name="y")
    multilabel = kind == "multilabel-indicator"
    if not multilabel:  # which would look at all labels once more
        check_classification_targets(y)
    if kind == "multiclass-multioutput":
        raise ValueError("y of several multiclass outputs is not supported (unknown label type).")
    if not multilabel:
        y = column_or_1d(y, warn=True)
    if cold:
        if incremental and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        found = np.arange(y.shape[1]) if multilabel else np.unique(y)
        est.classes_ = unique_labels(classes) if incremental else found
        if multilabel and not np.array_equal(est.classes_, found):
            raise ValueError(
                f"classes={classes!r} must be the numbers of y's columns, 0 to {len(found) - 1}."
            )
        if not multilabel and len(est.classes_) == 0:
            raise ValueError("classes is empty.")
        est._multilabel = multilabel
        est._sparse_labels = sp.issparse(y)
    else:
        if classes is not None and not np.array_equal(est.classes_, unique_labels(classes)):
            raise ValueError(
                f"classes={classes!r} is not the same as on the last call: {est.classes_!r}"
            )
        if multilabel != est._multilabel:
            raise ValueError("y changed between classes and an indicator matrix of labels.")
    loss = Loss(classifier_loss(est.loss, len(est.classes_), multilabel))
    if multilabel:
        if y.shape[1] != len(est.classes_):
            raise ValueError(f"y has {y.shape[1]} labels (classes), not {len(est.classes_)}.")
        labels = canonical(y, np.float32)  # a label that is stored twice counts as 2
        if np.any(labels.data != 1):
            raise ValueError("y of several labels must hold 0 and 1 only.")
        weight = weigh(est, labels, weight, incremental)
        if est.loss == "softmax":
            labels = sp.csr_array(labels / np.maximum(labels.sum(axis=1), 1)[:, None])
        return loss, Rows.from_matrix(labels), weight
    codes = np.searchsorted(est.classes_, y)
    codes[codes == len(est.classes_)] = 0
    if np.any(est.classes_[codes] != y):
        unseen = np.setdiff1d(y, est.classes_)
        raise ValueError(f"y has classes {unseen} that are not in classes_ {est.classes_}.")
    weight = weigh(est, y, weight, incremental)
    if len(est.classes_) > 2:
        return loss, Rows.one_hot(codes, len(est.classes_)), weight
    return loss, Rows.from_matrix(codes[:, None]), weight


def weigh(est, y, weight, incremental):
    """Sample weights times class weights; y : classes, or labels as CSR of 1."""
    if est.class_weight is None:
        return weight
    if isinstance(est.class_weight, dict):
        if not all(0 <= v <= sys.float_info.max for v in est.class_weight.values()):
            raise ValueError(
                f"class_weight must be finite and not negative, got {est.class_weight!r}."
            )
        if est._multilabel:
            raise ValueError("class_weight of several labels must be 'balanced' or None.")
        # Of all classes: some may be missing in these rows.
        weights = compute_class_weight(est.class_weight, classes=est.classes_, y=y)
        return weight * weights[np.searchsorted(est.classes_, y)]
    if incremental:
        raise ValueError(
            "class_weight='balanced' is not supported by partial_fit, which sees no more than "
            "a part of the classes' counts; pass a dict."
        )
    if not est._multilabel:
        return weight * compute_sample_weight(est.class_weight, y)
    return weight * balanced(y)


def balanced(y):
    """Weights of rows: over the columns, the product of n / (2 x rows that are alike in it)."""
    n, counts = y.shape[0], np.bincount(y.indices, minlength=y.shape[1])
    differ = (counts > 0) & (counts < n)  # a column of one value tells nothing
    on, off = np.log(n / 2 / np.where(differ, np.stack([counts, n - counts]), n / 2))
    with np.errstate(over="ignore"):
        weight = np.exp(off.sum() + y @ (on - off))
    if not (weight.min() > 1e-9 and weight.max() < 1e9):
        raise ValueError(
            f"class_weight='balanced' multiplies the weights of {y.shape[1]} labels, which comes "
            f"to {weight.min():.1g} to {weight.max():.1g}; pass sample_weight instead."
        )
    return weight
