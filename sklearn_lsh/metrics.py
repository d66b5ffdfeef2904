"""Metrics of ranked labels: the k best predictions of every row against the true labels.

All take `y_top` as `predict_top_k` gives it: numbers of labels, best first. With every row's true
labels in a sparse indicator matrix, nothing is ever as large as the number of labels.
"""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array, check_scalar
from sklearn.utils.validation import _check_sample_weight

from sklearn_lsh._rows import canonical, check_indices

__all__ = [
    "inverse_propensities",
    "ndcg_at_k",
    "precision_at_k",
    "propensity_scored_precision_at_k",
]


def precision_at_k(y_true, y_top, k=None, *, sample_weight=None):
    """Share of true labels among the k best predictions.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        Indicator: non-zero entries are the true labels.
    y_top : array-like of shape (n_samples, n_predicted), int
        Different labels of a row, best first.
    k : int, default=None
        How many of them count; None: all.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    float
        In [0, 1]; a row of fewer than k true labels cannot reach 1.

    Raises
    ------
    ValueError
        Labels out of range or twice in a row, k larger than their number, rows that do not match,
        negative sample weights.

    Examples
    --------
    >>> from sklearn_lsh.metrics import precision_at_k
    >>> precision_at_k([[1, 0, 1], [0, 1, 0]], [[2, 0], [0, 1]])
    0.75
    """
    _, hits, weight = _hits(y_true, y_top, k, sample_weight)
    return float(np.average(hits.mean(axis=1), weights=weight))


def ndcg_at_k(y_true, y_top, k=None, *, sample_weight=None):
    """Normalised discounted cumulative gain of the k best predictions, gains 0 or 1.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        Indicator: non-zero entries are the true labels.
    y_top : array-like of shape (n_samples, n_predicted), int
        Different labels of a row, best first.
    k : int, default=None
        How many of them count; None: all.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    float
        In [0, 1]. Rows without true labels count 0.

    Raises
    ------
    ValueError
        As `precision_at_k`.

    Examples
    --------
    >>> from sklearn_lsh.metrics import ndcg_at_k
    >>> ndcg_at_k([[1, 0, 0], [0, 1, 0]], [[0, 2], [0, 1]]).__round__(3)
    0.815
    """
    truth, hits, weight = _hits(y_true, y_top, k, sample_weight)
    discount = 1 / np.log2(np.arange(hits.shape[1]) + 2)
    ideal = np.concatenate([[0], np.cumsum(discount)])
    best = ideal[np.minimum(np.diff(truth.indptr), hits.shape[1])]
    gain = np.divide(hits @ discount, best, out=np.zeros(len(hits)), where=best > 0)
    return float(np.average(gain, weights=weight))


def propensity_scored_precision_at_k(
    y_true, y_top, inverse_propensities, k=None, *, sample_weight=None
):
    """Precision among the k best predictions with rare labels weighted up [1]_.

    Parameters
    ----------
    y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        Indicator: non-zero entries are the true labels.
    y_top : array-like of shape (n_samples, n_predicted), int
        Different labels of a row, best first.
    inverse_propensities : array-like of shape (n_labels,)
        Weight of every label, as `inverse_propensities` makes them of the training labels.
    k : int, default=None
        How many of the predictions count; None: all.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    float
        The weight of the true labels found, as a share of the most that k predictions a row
        could have found; 0 if there is none.

    Raises
    ------
    ValueError
        As `precision_at_k`; also weights of labels that are negative or of another number.

    References
    ----------
    .. [1] H. Jain, Y. Prabhu, M. Varma. "Extreme Multi-label Loss Functions for Recommendation,
       Tagging, Ranking and Other Missing Label Applications". KDD 2016.

    Examples
    --------
    >>> from sklearn_lsh.metrics import propensity_scored_precision_at_k
    >>> propensity_scored_precision_at_k([[1, 0, 1], [0, 1, 0]], [[0], [1]], [1, 1, 3])
    0.5
    """
    truth, hits, weight = _hits(y_true, y_top, k, sample_weight)
    label_weight = check_array(inverse_propensities, ensure_2d=False, dtype=np.float64)
    if label_weight.shape != (truth.shape[1],):
        raise ValueError(
            f"inverse_propensities has shape {label_weight.shape}; y_true has {truth.shape[1]} "
            "labels."
        )
    if (label_weight < 0).any():
        raise ValueError("inverse_propensities must not be negative.")
    k = hits.shape[1]
    found = (hits * label_weight[np.asarray(y_top)[:, :k]]).sum(axis=1)
    row = np.repeat(np.arange(len(hits)), np.diff(truth.indptr))
    order = np.lexsort([-label_weight[truth.indices], row])
    rank = np.arange(truth.nnz) - np.repeat(truth.indptr[:-1], np.diff(truth.indptr))
    best = np.bincount(
        row[rank < k], label_weight[truth.indices[order][rank < k]], minlength=len(hits)
    )
    total = weight @ best
    return float(weight @ found / total) if total else 0.0


def inverse_propensities(y, *, A=0.55, B=1.5):
    """Weights of labels that make up for true labels that nobody noted down [1]_.

    Labels that are rare in the training data are missed more often; the chance that a true label
    of frequency n_l is noted is modelled as 1 / (1 + C (n_l + B)^-A), C = (log n - 1) (B + 1)^A,
    or 0 for n < 3.

    Parameters
    ----------
    y : {array-like, sparse matrix} of shape (n_samples, n_labels)
        Indicator of the training labels.
    A, B : float, default=0.55, 1.5
        The values of [1]_; .5 and .4 for Wikipedia, .6 and 2.6 for Amazon.

    Returns
    -------
    ndarray of shape (n_labels,), float64
        1 or more.

    Raises
    ------
    ValueError
        A or B negative or so large that weights are not finite.

    References
    ----------
    .. [1] H. Jain, Y. Prabhu, M. Varma. "Extreme Multi-label Loss Functions for Recommendation,
       Tagging, Ranking and Other Missing Label Applications". KDD 2016, section 4.
    """
    y = canonical(check_array(check_indices(y, "y"), accept_sparse="csr"))
    for value, name in ((A, "A"), (B, "B")):
        check_scalar(value, name, Real, min_val=0, max_val=1e6)
    A, B, n = np.float64(A), np.float64(B), y.shape[0]
    counts = np.bincount(y.indices, minlength=y.shape[1])
    with np.errstate(all="ignore"):
        weight = 1 + max(np.log(n) - 1, 0) * (B + 1) ** A * (counts + B) ** -A
    if not np.isfinite(weight).all():
        raise ValueError(f"A={A} and B={B} give weights that are not finite.")
    return weight


def _hits(y_true, y_top, k, sample_weight):
    """True labels (CSR, sorted), which predictions are among them (n, k), and weights."""
    truth = canonical(check_array(check_indices(y_true, "y_true"), accept_sparse="csr"))
    top = check_array(y_top, dtype=None)
    if not np.issubdtype(top.dtype, np.integer):
        raise ValueError(f"y_top must hold numbers of labels, got {top.dtype}.")
    if len(top) != truth.shape[0]:
        raise ValueError(f"y_true has {truth.shape[0]} rows, y_top {len(top)}.")
    k = top.shape[1] if k is None else check_scalar(k, "k", Integral, min_val=1)
    if k > top.shape[1]:
        raise ValueError(f"k={k} is more than the {top.shape[1]} predictions of y_top.")
    top = top[:, :k].astype(np.int64)
    wrong = np.flatnonzero(((top < 0) | (top >= truth.shape[1])).any(axis=1))
    if len(wrong):
        raise ValueError(
            f"y_top, row {wrong[0]}: labels are 0 to {truth.shape[1] - 1}, got {top[wrong[0]]}."
        )
    ordered = np.sort(top, axis=1)
    twice = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if len(twice):
        raise ValueError(f"y_top, row {twice[0]}: a label stands twice in {top[twice[0]]}.")
    # A label is found by its place in one ascending list of (row, label).
    n_labels = truth.shape[1]
    row = np.repeat(np.arange(len(top)), np.diff(truth.indptr))
    keys, wanted = row * n_labels + truth.indices, np.arange(len(top))[:, None] * n_labels + top
    place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    hits = keys[place] == wanted if len(keys) else np.zeros(top.shape, dtype=bool)
    weight = _check_sample_weight(sample_weight, top, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError("Negative values in sample_weight.")
    return truth, hits, weight
