"""Rows that are settled teach nothing, and rest."""

import numpy as np
import pytest
from cases import (
    TARGET,
    X_TEST,
    X_TRAIN,
    Y_TEST,
    Y_TRAIN,
    X,
    Y,
    assert_same_parameters,
    small,
)

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor
from sklearn_lsh._rests import LONGEST, Rests

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_rests_grow_longer():
    rests, order = Rests(3), np.array([2, 0, 1])
    met = []
    for _ in range(15):
        due = rests.due(order)
        assert list(due) == [row for row in order if row in due]
        met.append(set(due.tolist()))
        # Row 0 is always settled, row 1 never, row 2 at every other meeting.
        settled = [row == 0 or (row == 2 and len(met) % 4 == 1) for row in due]
        rests.note(due, np.array(settled), 0.1 * due)
    of_0 = np.flatnonzero([0 in rows for rows in met])
    np.testing.assert_array_equal(np.diff(of_0), [2, 3, *[LONGEST + 1] * (len(of_0) - 3)])
    assert all(1 in rows for rows in met)
    assert [2 in rows for rows in met[:6]] == [True, False, True, True, True, False]
    np.testing.assert_allclose(rests.losses, [0, 0.1, 0.2])


@pytest.mark.parametrize("asynchronous", [False, True])
def test_settled_rows_are_left_out_of_epochs(asynchronous):
    # A large tolerance settles nearly all.
    params = {"selector": "topk", "max_iter": 20, "asynchronous": asynchronous}
    every, few = (small(**params, settled_tol=tol).fit(X, Y) for tol in (0, 0.9))
    assert few.n_multiplications_["forward"] < 0.7 * every.n_multiplications_["forward"]
    assert few.n_multiplications_["dense"] == every.n_multiplications_["dense"]
    assert few.n_iter_ == every.n_iter_ and few.t_ == every.t_
    assert np.isfinite(few.loss_curve_).all()
    assert few._trainer.rests is None  # fitted models do not keep it


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("tol, alpha", [(0.95, 0.0), (0.9999, 10.0)])
def test_loss_counts_rows_at_rest_and_the_penalty(tol, alpha, asynchronous):
    """As it would be of all rows: weights hardly move at so small a rate."""
    params = {
        "selector": "topk", "max_iter": 6, "learning_rate_init": 1e-9, "alpha": alpha,
        "batch_size": len(X), "asynchronous": asynchronous,
    }  # fmt: skip
    probability = small(**params).fit(X, Y).predict_proba(X)
    # Those that rest count more than the others.
    weight = np.where(probability[np.arange(len(X)), Y] > 0.1, 20.0, 0.5)
    every, few = (small(**params, settled_tol=tol_) for tol_ in (0, tol))
    for model in (every, few):
        model.fit(X, Y, sample_weight=weight)
    assert few.n_multiplications_["forward"] < every.n_multiplications_["forward"]
    np.testing.assert_allclose(few.loss_curve_, every.loss_curve_, rtol=1e-3)


def test_who_learns_from_all_rows():
    def tol_of(model, y=Y):
        seen = []

        class Watched(type(model)):
            def _score(self, *args, **kwargs):
                seen.append((self._trainer.settled_tol, self._trainer.rests is not None))
                return super()._score(*args, **kwargs)

        watched = Watched(**model.get_params())
        watched.fit(X, y, X_val=X, y_val=y)
        return seen[0]

    assert tol_of(small(selector="dense", max_iter=1)) == (0.0, False)
    assert tol_of(small(selector="topk", max_iter=1)) == (0.01, True)
    assert tol_of(small(selector="dense", max_iter=1, settled_tol=0.2)) == (0.2, True)
    assert tol_of(small(selector="topk", max_iter=1, settled_tol=0)) == (0.0, False)
    assert tol_of(small(LSHMLPRegressor, selector="topk", max_iter=1), TARGET) == (0.0, False)


def test_rows_of_a_stream_do_not_rest():
    streams = [small(selector="topk", settled_tol=tol) for tol in (0, 0.95)]
    for model in streams:
        for _ in range(4):
            model.partial_fit(X, Y, classes=range(10))
    one, other = streams
    assert one.n_multiplications_["forward"] == other.n_multiplications_["forward"]
    assert one.n_multiplications_["update"] > other.n_multiplications_["update"]


def test_a_fit_that_fails_leaves_no_row_at_rest():
    calls = []

    def fails(*_):
        calls.append(1)
        if len(calls) == 5:
            raise ZeroDivisionError
        return 0.0

    params = {"selector": "topk", "warm_start": True, "max_iter": 6}
    model = small(**params, settled_tol=0.9).fit(X, Y)
    model.set_params(scoring=fails)
    with pytest.raises(ZeroDivisionError):
        model.fit(X, Y, X_val=X, y_val=Y)
    before = model.n_multiplications_["forward"]
    model.partial_fit(X[:100], Y[:100])
    spent = model.n_multiplications_["forward"] - before
    assert spent > 0
    model.set_params(scoring=None, settled_tol=0, max_iter=1).fit(X, Y)
    assert model.n_multiplications_["forward"] - before > 4 * spent


def test_same_bits_at_any_thread_count():
    models = [
        small(selector="topk", max_iter=12, settled_tol=0.5, n_threads=n).fit(X, Y) for n in (1, 2)
    ]
    assert_same_parameters(*models)
    assert models[0].loss_curve_ == models[1].loss_curve_


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("solver, rate", [("adagrad", 0.02), ("sgd", 0.03), ("adam", 0.002)])
def test_few_rows_that_are_left_do_not_take_over(solver, rate, seed):
    """Taken for a whole batch, they would undo what Adagrad has learned."""
    model = small(
        hidden_layer_sizes=(500,), density=0.1, max_iter=15, batch_size="auto", selector="sketch",
        solver=solver, learning_rate_init=rate, random_state=seed,
    )  # fmt: skip
    assert model.fit(X_TRAIN, Y_TRAIN).score(X_TEST, Y_TEST) >= 0.9


@pytest.mark.parametrize("value", [-0.1, 1, "none", None])
def test_tolerances_that_are_none(value):
    with pytest.raises(ValueError, match="settled_tol"):
        LSHMLPClassifier(settled_tol=value).fit(X, Y)
