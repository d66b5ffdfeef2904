"""The directions of the inputs, and the coordinates of neurons that are made of them."""

import numpy as np
import pytest
import reference as ref
from contracts import inputs_like, make_layer, ready, select
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh._directions import Directions
from sklearn_lsh._table_selector import TableSelector


def test_directions_follow_drifting_inputs():
    layer = make_layer("sketch", n_in=60)
    old, new = (inputs_like(layer, 400, seed=seed) for seed in (1, 2))
    ready(layer, old)

    def recall(X):
        exact = ref.top_k(X @ layer.W.T + layer.b, layer.selector.n_active)
        return np.mean([exact[i, a].mean() for i, a in enumerate(select(layer, X))])

    before = recall(new)
    for _ in range(8):
        layer.selector.learn(layer, new, np.ones(len(new)), memory=0.5)
    layer.selector.refresh(layer, 1)
    assert recall(new) > max(before, 0.9)


def test_what_is_remembered_of_inputs_is_as_if_all_were_seen():
    rng, memory = np.random.default_rng(0), 0.7
    old, new = (rng.normal(size=(50, 3)) @ rng.normal(size=(3, 20)) for _ in range(2))
    old, new = old.astype(np.float32), (new + 3 * rng.normal(size=20)).astype(np.float32)
    directions = Directions(20, 8, 0)
    directions.learn(old, np.ones(50), memory=0.0, n_iter=10)
    directions.learn(new, np.ones(50), memory=memory, n_iter=10)
    both, weight = np.vstack([old, new]), np.repeat([memory, 1 - memory], 50)
    np.testing.assert_allclose(directions.mean, np.average(both, 0, weight), atol=1e-5)
    found = directions.basis * directions.variances @ directions.basis.T
    np.testing.assert_allclose(found, np.cov(both.T, ddof=0, aweights=weight), atol=1e-3)


def test_neurons_and_inputs_have_one_spread_in_every_coordinate():
    layer = make_layer("sketch")
    X = inputs_like(layer)
    coordinates = ready(layer, X).selector.coordinates
    neurons, _ = coordinates.of(layer, np.arange(150, dtype=np.int32), 1)
    spread = neurons.std(axis=0)
    assert np.count_nonzero(spread > 0.01) == 5
    np.testing.assert_allclose((X @ coordinates.directions).std(axis=0), spread, atol=1e-5)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rank", [1, 3, 7, 8, 9, 12, 16, 17, 24, 25, 28, 31, 32, 33, 39])
def test_inputs_are_projected_into_all_of_any_number_of_coordinates(rank, sparse):
    # Every neuron is a candidate, and coordinates alone tell which are kept.
    tables = {"hash_function": "simhash", "n_hashes": 1, "n_tables": 1, "n_probes": 2}
    layer = make_layer("dense")
    layer.selector = TableSelector(
        40, 150, 12, False, rank, 0, n_candidates=150, shortlisted=1, **tables
    )
    X = np.random.default_rng(1).normal(size=(30, 40)).astype(np.float32)
    X[:, ::4] = 0
    X[::3, 1] = 0  # rows with odd and even numbers of entries
    selector = ready(layer, X).selector
    kept = select(layer, csr_matrix(X) if sparse else X)
    scores = X.astype(np.float64) @ selector.directions @ selector.rows.T + selector.offsets
    for row, active in zip(scores, kept, strict=True):
        assert len(active) == 12
        assert row[active].min() > np.delete(row, active).max() - 1e-5


def test_what_all_neurons_share_takes_no_coordinate():
    layer = make_layer("sketch")
    X = inputs_like(layer)
    coordinates = ready(layer, X).selector.coordinates
    before = coordinates.directions @ coordinates.directions.T
    layer.W[...] += np.random.default_rng(0).normal(size=40)
    coordinates.turn(layer)
    after = coordinates.directions @ coordinates.directions.T
    np.testing.assert_allclose(after, before, atol=1e-4 * np.abs(before).max())


@pytest.mark.parametrize("size", [1e-16, 1e-12, 1e12, 1e18])
def test_a_sketch_serves_inputs_of_any_size(size):
    shares = []
    for factor in (1, size):
        layer = make_layer("sketch", n_out=300, n_active=30)
        X = np.float32(factor) * inputs_like(layer)
        layer.b *= factor
        exact = np.argsort(-(X.astype(np.float64) @ layer.W.T + layer.b), axis=1)[:, :30]
        found = select(ready(layer, X), X)
        shares.append(np.mean([np.isin(a, b).mean() for a, b in zip(exact, found, strict=True)]))
    assert shares[0] > 0.95 and shares[1] == pytest.approx(shares[0], abs=0.01)


@pytest.mark.parametrize("size", [1e25, 1e35])
def test_inputs_whose_squares_overflow_are_no_error(size):
    layer = make_layer("sketch")
    X = np.float32(size) * inputs_like(layer)
    with np.errstate(all="ignore"):
        assert [len(active) for active in select(ready(layer, X), X)] == [12] * len(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_small_first_chunk_does_not_decide_the_directions():
    X, y = load_digits(return_X_y=True)
    scores = []
    for first in (2, 1000):
        est = LSHMLPClassifier((300,), selector="sketch", sketch_size=16, random_state=0)
        est.partial_fit(X[:first] / 16, y[:first], classes=np.arange(10))
        for _ in range(25):
            est.partial_fit(X / 16, y)
        scores.append(est.score(X / 16, y))
    assert scores[0] > scores[1] - 0.02
