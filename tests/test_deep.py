"""Deep networks: how layers above active sets start, and that they learn."""

import numpy as np
import pytest
from cases import X_TEST, X_TRAIN, Y_TEST, Y_TRAIN, X, Y, small

from sklearn_lsh.inspection import active_sets

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
CELLS = {"hash_function": "kmeans", "n_hashes": 1, "n_probes": 20}


def at_the_start(**params):
    return small(learning_rate_init=1e-12, max_iter=1, alpha=0, **params).fit(X, Y)


def starts_as_copy(W):
    return np.abs(W).max() > 0.8


@pytest.mark.parametrize("n_in, n_out", [(200, 200), (200, 300), (300, 140)])
def test_layers_above_active_sets_start_as_copies(n_in, n_out):
    model = at_the_start(hidden_layer_sizes=(150, n_in, n_out), density=0.1)
    W, n = model.coefs_[2], min(n_in, n_out)
    passed = np.arange(n_in)[:, None] % n == np.arange(n_out) % n
    random = W - passed
    bound = 0.3 * np.sqrt(6 / (n_in + n_out)) + 1e-6
    assert 0.95 * bound < random.max() < bound and -bound < random.min() < -0.95 * bound
    assert not any(starts_as_copy(W) for W in (model.coefs_[0], model.coefs_[-1]))


@pytest.mark.parametrize(
    "selectors, copies",
    [
        (["topk", "topk", "topk"], [False, True, True]),
        (["topk", "topk"], [False, False]),
        (["dense", "auto", "sketch"], [False, False, False]),
        (["topk", "topk", "dense", "topk", "lsh"], [False, True, False, False, True]),
        (["dropout", "sketch", "auto", "dropout", "auto"], [False] * 5),
        (["auto", "sketch", "lsh", "dropout"], [False, True, True, False]),
    ],
)
def test_only_layers_that_choose_above_active_sets_do_if_there_are_two(selectors, copies):
    model = at_the_start(
        hidden_layer_sizes=(150,) * len(selectors), selector=selectors, density=0.1
    )
    assert [starts_as_copy(W) for W in model.coefs_[:-1]] == copies


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("selector, bar", [("topk", 2), ("auto", 1.15), ("lsh", 1.15)])
def test_examples_of_a_class_start_with_active_sets_alike(selector, bar, activation):
    """Random layers leave 1.0; what a sketch misses is not passed on."""
    model = at_the_start(
        hidden_layer_sizes=(200,) * 6, density=0.05, selector=selector, activation=activation,
        **CELLS,
    )  # fmt: skip
    sets = active_sets(model, X)[-1]
    sets.data[:] = 1
    shared = (sets @ sets.T).toarray()
    same = Y[:, None] == Y
    np.fill_diagonal(shared, 0)
    assert shared[same].mean() > bar * shared[~same].mean()


def test_six_layers_learn():
    model = small(
        hidden_layer_sizes=(400,) * 6, density=0.05, max_iter=15, selector="auto",
        learning_rate_init=0.002,
    )  # fmt: skip
    assert model.fit(X_TRAIN, Y_TRAIN).score(X_TEST, Y_TEST) > 0.87
