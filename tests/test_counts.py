"""Multiplications, counted and by hand."""

import numpy as np
import pytest
from cases import X_TRAIN, Y_TRAIN, Y, small

from sklearn_lsh.inspection import prediction_cost

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

COSTS = {"forward", "backward", "update", "hashing", "ranking", "refresh", "output", "dense"}


def spent(model):
    cost = model.n_multiplications_
    assert set(cost) == COSTS and all(value >= 0 for value in cost.values())
    return sum(value for name, value in cost.items() if name != "dense") / cost["dense"]


def test_multiplications():
    wide = {
        "hidden_layer_sizes": (1000, 1000), "density": 0.05, "batch_size": 200, "max_iter": 5,
    }  # fmt: skip
    dense = small(**wide | {"max_iter": 1}, selector="dense").fit(X_TRAIN, Y_TRAIN)
    assert 0.9 < spent(dense) <= 1.01
    assert all(dense.n_multiplications_[part] == 0 for part in ("hashing", "ranking", "refresh"))
    for selector in ("topk", "lsh", "sketch"):
        model = small(**wide, selector=selector).fit(X_TRAIN, Y_TRAIN)
        cost = model.n_multiplications_
        # "topk" multiplies whole matrices on the way up.
        assert spent(model) < (0.3 if selector == "topk" else 0.15)
        assert cost["dense"] == 5 * dense.n_multiplications_["dense"]
        assert (cost["hashing"] > 0) == (selector == "lsh")
        assert (cost["ranking"] > 0) == (selector != "topk")  # which takes all that forward gives
        assert (cost["refresh"] > 0) == (selector != "topk")


@pytest.mark.parametrize("n_blank", [0, 3])
def test_multiplications_by_hand(n_blank):
    n, n_in, hidden, active, n_out = 400, 64, 60, 15, 10
    X = np.random.default_rng(0).uniform(1, 2, (n, n_in))
    X[:, : 8 * n_blank] = 0  # as if these columns were not there
    model = small(hidden_layer_sizes=(hidden, hidden), selector="topk", max_iter=1).fit(X, Y)
    cost = model.n_multiplications_
    stored = n_in - 8 * n_blank
    assert cost["forward"] == n * (stored * active + active * active)
    assert cost["backward"] == n * active * active
    assert cost["ranking"] == n * (stored * hidden + active * hidden)
    used, steps = n * active * n_out, n // 50
    touched = cost["output"] - 3 * used
    assert touched % 10 == 0 and 0 < touched <= 10 * steps * hidden * n_out


def test_multiplications_of_whole_matrices_by_hand():
    n, n_in, hidden = 400, 64, 96
    X = np.random.default_rng(0).uniform(1, 2, (n, n_in))
    X[:, :24] = 0
    for active in (15, 48):
        model = small(
            hidden_layer_sizes=(hidden, hidden), density=active / hidden, selector="topk",
            max_iter=1, batch_size=100,
        ).fit(X, Y)  # fmt: skip
        cost = model.n_multiplications_
        # Zeros are multiplied too; on the way down, where a row uses much of the weights.
        assert cost["forward"] == n * (n_in * hidden + hidden * hidden)
        assert cost["backward"] == n * (active**2 if active == 15 else hidden**2)
        assert cost["ranking"] == 0


def test_multiplications_of_a_shortlist_by_hand():
    n, n_in, hidden, active, rank = 400, 64, 200, 20, 8
    X = np.random.default_rng(0).uniform(1, 2, (n, n_in))
    model = small(
        hidden_layer_sizes=(hidden, hidden), density=0.1, selector="sketch", sketch_size=rank
    ).fit(X, Y)
    cost = prediction_cost(model, X)
    assert cost["forward"] == n * (n_in * active + active * active)
    scored = n * rank * (n_in + hidden + active + hidden)
    # Half as many again are scored exactly and left out, as many again above an active set. Inputs
    # of the second layer may be zero.
    left_out = n * (n_in * active // 2 + active * active)
    assert scored - n * rank * active <= cost["ranking"] - left_out <= scored


@pytest.mark.parametrize("rank", [8, None])
def test_multiplications_of_tables_by_hand(rank):
    n, n_in, hidden, active, found, n_scores = 400, 64, 200, 20, 60, 6
    X = np.random.default_rng(0).uniform(1, 2, (n, n_in))
    model = small(
        hidden_layer_sizes=(hidden,), density=0.1, selector="lsh", sketch_size=rank, n_hashes=2,
        n_tables=3, n_probes=4, n_candidates=found, max_iter=1,
    ).fit(X, Y)  # fmt: skip
    cost = prediction_cost(model, X)
    assert cost["forward"] == n * n_in * active
    if rank is None:
        assert cost["hashing"] == n * n_in * n_scores
        assert cost["ranking"] == n * n_in * found
    else:
        assert cost["hashing"] == n * (n_in + n_scores) * rank
        # Half as many again are scored exactly and left out.
        assert cost["ranking"] == n * (found * rank + n_in * active // 2)
