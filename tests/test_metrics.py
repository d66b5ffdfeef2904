"""Ranking metrics against their definitions, row by row."""

import doctest

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_lsh import datasets, metrics
from sklearn_lsh.metrics import (
    inverse_propensities,
    ndcg_at_k,
    precision_at_k,
    propensity_scored_precision_at_k,
)


def case(seed, n_rows=6, n_labels=9, n_predicted=4):
    rng = np.random.default_rng(seed)
    Y = (rng.random((n_rows, n_labels)) < 0.3).astype(int)
    top = np.array([rng.permutation(n_labels)[:n_predicted] for _ in range(n_rows)])
    return Y, top, rng


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.booleans())
def test_definitions(seed, k, sparse):
    Y, top, rng = case(seed)
    weight, label_weight = rng.random(6) + 0.1, rng.random(9) + 1
    hits = np.take_along_axis(Y, top[:, :k], axis=1)
    discount = 1 / np.log2(np.arange(k) + 2)
    ideal = [discount[: min(k, n)].sum() for n in Y.sum(axis=1)]
    gains = [h @ discount / i if i else 0 for h, i in zip(hits, ideal, strict=True)]
    scored = [(h * label_weight[t[:k]]).sum() for h, t in zip(hits, top, strict=True)]
    most = [np.sort(label_weight[y > 0])[::-1][:k].sum() for y in Y]
    truth = sp.csr_matrix(Y) if sparse else Y
    settings = {"sample_weight": weight}
    assert precision_at_k(truth, top, k, **settings) == pytest.approx(
        np.average(hits.mean(axis=1), weights=weight)
    )
    assert ndcg_at_k(truth, top, k, **settings) == pytest.approx(np.average(gains, weights=weight))
    expected = weight @ scored / (weight @ most) if any(most) else 0
    assert propensity_scored_precision_at_k(
        truth, top, label_weight, k, **settings
    ) == pytest.approx(expected)


def test_perfect_rankings_reach_one():
    Y = np.array([[1, 1, 0], [0, 1, 1]])
    top = [[0, 1], [2, 1]]
    assert precision_at_k(Y, top) == ndcg_at_k(Y, top) == 1
    assert propensity_scored_precision_at_k(Y, top, [1, 2, 3]) == 1


def test_rare_labels_weigh_more():
    Y = sp.csr_matrix(np.arange(200)[:, None] % np.array([1, 2, 10, 200]) == 0)
    weights = inverse_propensities(Y)
    assert np.all(np.diff(weights) > 0) and np.all(weights > 1)
    n, A, B = 200, 0.55, 1.5
    C = (np.log(n) - 1) * (B + 1) ** A
    np.testing.assert_allclose(weights, 1 + C * np.exp(-A * np.log([201.5, 101.5, 21.5, 2.5])))


@pytest.mark.parametrize(
    ("top", "k", "message"),
    [
        ([[0, 9]] * 6, None, "row 0"),
        ([[0, 1]] * 5 + [[-1, 2]], None, "row 5"),
        ([[0, 1]] * 5 + [[2, 2]], None, "row 5: a label stands twice"),
        ([[0, 1]] * 5, None, "rows"),
        ([[0.5, 1]] * 6, None, "numbers of labels"),
        ([[0, 1]] * 6, 3, "k=3"),
        ([[0, 1]] * 6, 0, "k == 0"),
    ],
)
def test_bad_input(top, k, message):
    Y, _, _ = case(0)
    for metric in (precision_at_k, ndcg_at_k):
        with pytest.raises(ValueError, match=message):
            metric(Y, top, k)


def test_bad_weights():
    Y, top, _ = case(0)
    with pytest.raises(ValueError, match="9 labels"):
        propensity_scored_precision_at_k(Y, top, [1, 2])


@pytest.mark.parametrize("module", [datasets, metrics])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0 and result.failed == 0


def test_the_callers_matrix_is_left_alone():
    Y = sp.csr_matrix(([1, 0, 1], ([0, 0, 1], [0, 1, 1])), shape=(2, 3))
    for array in (Y.data, Y.indices, Y.indptr):
        array.flags.writeable = False
    assert precision_at_k(Y, [[0], [1]]) == ndcg_at_k(Y, [[0], [1]]) == 1
    inverse_propensities(Y)
    assert Y.nnz == 3


def test_entries_that_cancel_are_no_label():
    Y = sp.csr_matrix(([1, -1, 1], [0, 0, 1], [0, 2, 3]), shape=(2, 2))
    assert precision_at_k(Y, [[0], [1]]) == 0.5
    np.testing.assert_array_equal(inverse_propensities(Y), inverse_propensities(Y.toarray()))


def test_few_rows_have_propensities_too():
    np.testing.assert_array_equal(inverse_propensities([[1, 0]]), [1, 1])


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match="sample_weight"):
        precision_at_k([[1, 0], [0, 1]], [[0], [1]], sample_weight=[1, -1])
    with pytest.raises(ValueError, match="inverse_propensities"):
        propensity_scored_precision_at_k([[1, 0], [0, 1]], [[0], [1]], [1, -1])


@pytest.mark.parametrize("constant", [{"A": -1.0}, {"A": 1e5}, {"B": np.nan}, {"A": 10**400}])
def test_propensities_that_are_not_finite_are_refused(constant):
    with pytest.raises(ValueError, match=next(iter(constant))):
        inverse_propensities([[1, 0], [0, 1]], **constant)
