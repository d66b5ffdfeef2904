"""Selectors: one contract for all, and what each promises on its own."""

from copy import deepcopy

import numpy as np
import pytest
import reference as ref
import scipy.sparse as sp
from contracts import KINDS, inputs_like, make_layer, ready, select
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh._kernels import _sketch, _tables
from sklearn_lsh._layer import Layer
from sklearn_lsh._selection import MANY, cells, cheapest
from sklearn_lsh._selection import make_selector as by_name
from sklearn_lsh._selectors import SketchSelector, TopKSelector
from sklearn_lsh._table_selector import TableSelector
from sklearn_lsh._workspace import CHUNK, PANEL


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_magnitude", [False, True])
class TestContract:
    def test_active_sets_are_sorted_unique_and_within_budget(self, kind, by_magnitude):
        layer = make_layer(kind, by_magnitude=by_magnitude)
        X = inputs_like(layer)
        for active in select(ready(layer, X), X):
            assert np.all(np.diff(active) > 0)
            assert 0 < len(active) <= layer.selector.n_active
            assert active[0] >= 0 and active[-1] < layer.selector.n_out

    def test_an_active_set_depends_on_its_row_alone(self, kind, by_magnitude):
        layer = make_layer(kind, by_magnitude=by_magnitude)
        X = inputs_like(layer)
        together = select(ready(layer, X), X)
        order = np.random.default_rng(0).permutation(len(X))
        for i, active in zip(order, select(layer, X[order], n_threads=2), strict=True):
            np.testing.assert_array_equal(active, together[i])
        for i in range(5):
            np.testing.assert_array_equal(select(layer, X[i : i + 1])[0], together[i])

    def test_sparse_rows_select_what_dense_rows_do(self, kind, by_magnitude):
        layer = make_layer(kind, by_magnitude=by_magnitude)
        X = inputs_like(layer)
        pairs = zip(select(ready(layer, X), X), select(layer, sp.csr_array(X)), strict=True)
        assert np.mean([np.array_equal(a, b) for a, b in pairs]) > 0.95  # but for rounding

    def test_selection_beats_chance(self, kind, by_magnitude):
        layer = make_layer(kind, by_magnitude=by_magnitude)
        X = inputs_like(layer)
        scores = X @ layer.W.T + layer.b
        exact = ref.top_k(np.abs(scores) if by_magnitude else scores, layer.selector.n_active)
        found = [exact[i, a].sum() for i, a in enumerate(select(ready(layer, X), X))]
        recall = np.sum(found) / exact.sum()
        assert recall >= {"dense": 1, "topk": 1, "sketch": 0.9, "tables": 0.4}.get(kind, 0.2)


scores = st.lists(
    st.one_of(
        st.sampled_from([0.0, 1.0, -1.0, 1e-30, 3e38, -3e38]),
        st.floats(-10, 10, width=32, allow_subnormal=False),
    ),
    min_size=1,
    max_size=400,
)


@settings(max_examples=300, deadline=None)
@given(values=scores, share=st.floats(0, 1), repeat=st.integers(1, 4))
def test_top_k_of_any_scores(values, share, repeat):
    values = np.repeat(np.array(values, np.float32), repeat)
    k = max(1, round(share * len(values)))
    layer = Layer.glorot(
        1, len(values), "relu", TopKSelector(1, len(values), k), np.random.RandomState(0)
    )
    layer.W[:, 0], layer.b[:] = values, 0
    active = select(layer, np.ones((1, 1), np.float32))[0]
    assert len(active) == k and np.all(np.diff(active) > 0)
    # Scores that differ by less than a part in 1e30 of nothing count as equal.
    kept, lost = values[active], np.delete(values, active)
    assert len(lost) == 0 or kept.min() >= lost.max() - 1e-27


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.one_of(st.integers(2, 3000), st.integers(2 * CHUNK - 1, 5 * CHUNK)),
    levels=st.one_of(st.integers(1, 50), st.just(10**6)),
    share=st.floats(0, 1),
    order=st.sampled_from([0, 1, -1]),
)
def test_top_k_prefers_the_lower_of_equals(seed, n, levels, share, order):
    rng = np.random.default_rng(seed)
    values = rng.integers(levels, size=n).astype(np.float32)
    values = np.sort(order * values) if order else values
    k = int(rng.integers(1, max(2, share * n)))
    layer = Layer.glorot(1, n, "relu", TopKSelector(1, n, k), np.random.RandomState(0))
    layer.W[:, 0], layer.b[:] = values, 0
    expected = np.flatnonzero(ref.top_k(values[None], k)[0])
    np.testing.assert_array_equal(select(layer, np.ones((1, 1), np.float32))[0], expected)


@pytest.mark.parametrize("by_magnitude", [False, True])
@pytest.mark.parametrize("kind, n_out", [("sketch", 150), ("sketch", 9001), ("raw sketch", 9001)])
def test_a_sketch_of_enough_rank_is_exact(kind, n_out, by_magnitude):
    """However many neurons there are, and so whether they are looked at in chunks."""
    layer = make_layer(kind, n_in=60, n_out=n_out, by_magnitude=by_magnitude)
    X = inputs_like(layer, n_rows=300, rank=5)
    scores = X @ layer.W.T + layer.b
    exact = ref.top_k(np.abs(scores) if by_magnitude else scores, layer.selector.n_active)
    for i, active in enumerate(select(ready(layer, X), X)):
        assert exact[i, active].sum() >= layer.selector.n_active - 1  # a tie may be rounded away


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("by_magnitude", [False, True])
@pytest.mark.parametrize("kind", ["sketch", "raw sketch", "tables"])
def test_the_strongest_of_a_shortlist_are_kept(kind, by_magnitude, sparse):
    """More are found by their scores; which are kept, their pre-activations say."""
    layer = make_layer(kind, by_magnitude=by_magnitude)
    ready(layer, inputs_like(layer))
    X, k = inputs_like(layer, n_rows=300, seed=2), layer.selector.n_active
    given = sp.csr_array(X) if sparse else X
    kept = select(layer, given)
    layer.selector.shortlisted, layer.selector.n_active = 1.0, 3 * k // 2
    listed = select(layer, given)
    z = X.astype(np.float64) @ layer.W.T + layer.b
    z = np.abs(z) if by_magnitude else z
    n_exact = 0
    for i, (active, found) in enumerate(zip(kept, listed, strict=True)):
        assert len(active) == min(k, len(found)) and np.isin(active, found).all()
        best = found[np.argsort(-z[i, found], kind="stable")[:k]]
        n_exact += np.array_equal(np.sort(best), active)
    assert n_exact >= 0.98 * len(X)  # but for rounding


@pytest.mark.parametrize("kind", KINDS)
def test_degenerate_inputs_and_weights(kind):
    for X_value, W_value in ((0.0, None), (1.0, None), (None, 0.0), (0.0, 0.0)):
        layer = make_layer(kind)
        X = inputs_like(layer)
        if X_value is not None:
            X[:] = X_value
        if W_value is not None:
            layer.W[:] = W_value
        with np.errstate(all="raise", under="ignore"):
            ready(layer, X)
        for active in select(layer, X):
            assert len(active) <= layer.selector.n_active


def test_names_and_fallbacks():
    rest = {
        "by_magnitude": False, "seed": 0, "hash_function": "simhash", "n_hashes": 6,
        "n_tables": 10, "n_probes": 10, "n_candidates": None,
    }  # fmt: skip

    def name(selector, n_in, n_out, n_active, n_entries=None):
        made = by_name(
            selector, n_in, n_out, n_active, n_entries or n_in, n_entries is not None,
            sketch_size=32, shortlisted=1.5, **rest,
        )  # fmt: skip
        return type(made).__name__

    assert name("sketch", 784, 1000, 50) == "SketchSelector"
    assert name("auto", 784, 1000, 50, n_entries=50) == "SketchSelector"
    # 32 directions of 64 inputs or neurons are not worth choosing.
    assert name("sketch", 64, 1000, 50) == name("sketch", 784, 64, 5) == "TopKSelector"
    assert name("sketch", 65, 1000, 50) == name("sketch", 784, 65, 5) == "SketchSelector"
    assert name("lsh", 784, 1000, 50) == name("lsh", 20, 1000, 50) == "TableSelector"
    assert name("lsh", 784, 1000, 1000) == "DenseSelector"
    assert name("auto", 784, 100, 5) == "DenseSelector"
    assert name("auto", 784, 1000, 50) == "SketchSelector"
    assert name("auto", 784, 100_000, 100) == "TableSelector"


def test_auto_ranks_twice_as_many_of_many_neurons():
    def n_ranked(name, n_out, n_candidates=None):
        return by_name(
            name, 784, n_out, 100, 150, False, by_magnitude=False, seed=0, shortlisted=1.5,
            sketch_size=8, hash_function="simhash", n_hashes=6, n_tables=10, n_probes=10,
            n_candidates=n_candidates,
        ).n_candidates  # fmt: skip

    assert [n_ranked("auto", n) for n in (MANY, MANY + 1)] == [800, 1600]
    assert n_ranked("auto", MANY + 1, 900) == 900
    assert n_ranked("lsh", MANY + 1) == 800


@pytest.mark.parametrize("selector", ["topk", "sketch", "lsh"])
def test_at_the_mean_input_neurons_start_by_their_biases(selector):
    rng = np.random.default_rng(0)
    X, weight = rng.uniform(1, 3, size=(60, 40)), rng.uniform(0.1, 2, size=60)
    chosen, dense = (
        LSHMLPClassifier(
            (150,), selector=name, density=0.1, sketch_size=8, solver="sgd", alpha=0,
            learning_rate_init=1e-30, random_state=0,
        ).partial_fit(X, np.arange(60) % 3, classes=range(3), sample_weight=weight)
        for name in (selector, "dense")
    )  # fmt: skip
    np.testing.assert_array_equal(chosen.coefs_[0], dense.coefs_[0])
    at_mean = np.average(X, 0, weight) @ chosen.coefs_[0] + chosen.intercepts_[0]
    np.testing.assert_allclose(at_mean, dense.intercepts_[0], atol=1e-5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("below", ["dropout", "dense", "sketch"])
def test_second_layers_follow_any_first(below):
    X, y = load_digits(return_X_y=True)
    est = LSHMLPClassifier((300, 300), selector=[below, "sketch"], density=0.2, random_state=0)
    est.set_params(max_iter=10, learning_rate_init=0.003)
    assert est.fit(X / 16, y).score(X / 16, y) > 0.9


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("selector", ["sketch", "lsh"])
def test_first_layers_over_csr_data_have_no_shortlist(selector):
    X, y = load_digits(return_X_y=True)
    for data, first in ((X, 45), (sp.csr_matrix(X), 30)):
        est = LSHMLPClassifier((300, 300), selector=selector, density=0.1, max_iter=1)
        layers = est.fit(data, y)._network.layers
        assert [layer.selector.n_shortlisted for layer in layers] == [first, 60, 10]


def test_auto_takes_tables_where_they_multiply_less_in_about_the_same_time():
    def choice(n, active):
        return cheapest(784, n, active, 150, False, 28, 1.5, n_candidates=8 * active, **cells(n))

    assert [choice(n, 100) for n in (1000, 10_000, 100_000)] == ["sketch", "lsh", "lsh"]
    assert [choice(n, n // 20) for n in (1000, 10_000)] == ["sketch", "sketch"]


def test_auto_takes_no_tables_that_find_too_few():
    for n_candidates, expected in ((10, "sketch"), (100, "sketch"), (800, "lsh")):
        shape = cells(10_000) | {"n_candidates": n_candidates}
        assert cheapest(784, 10_000, 100, 150, False, 28, 1.5, **shape) == expected


def test_auto_takes_more_than_it_gives_nowhere():
    order = ["dense", "topk", "sketch", "lsh"]
    choices = [
        order.index(cheapest(784, n, 100, 784, False, 32, 1.5, n_candidates=800, **cells(n)))
        for n in (64, 128, 500, 1000, 10_000, 100_000, 1_000_000)
    ]
    assert choices == sorted(choices) and choices[0] == 0 and choices[-1] == 3


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("selector", ["sketch", "lsh"])
@pytest.mark.parametrize("max_iter", [1, 2, 3, 4, 7])
def test_fit_ends_with_selectors_in_step(selector, max_iter, early_stopping):
    X, y = load_digits(return_X_y=True)
    est = LSHMLPClassifier(
        (300,), selector=selector, sketch_size=16, max_iter=max_iter, batch_size=37,
        early_stopping=early_stopping, random_state=0,
    ).fit(X / 16, y)  # fmt: skip
    before = est.predict_proba(X / 16)
    layer = est._network.layers[0]
    layer.changed[:] = 1
    layer.selector.refresh(layer, 1)
    assert layer.selector.n_refreshed == 300
    np.testing.assert_array_equal(est.predict_proba(X / 16), before)


@pytest.mark.parametrize("mips", [False, True])
@pytest.mark.parametrize("rank", [8, None])
@pytest.mark.parametrize("kind", ["sketch", "simhash", "kmeans", "sparse_simhash"])
def test_only_neurons_that_have_changed_are_refreshed(kind, rank, mips):
    """As they would be if all were; the others are not even looked at."""
    n_in, n_out, rng = 40, 150, np.random.default_rng(0)
    if kind == "sketch":
        selector = SketchSelector(n_in, n_out, 12, False, 8, 0)
    else:
        selector = TableSelector(
            n_in, n_out, 12, False, rank, 0, hash_function=kind, n_hashes=2, n_tables=3, n_probes=4,
            n_candidates=60, mips=mips,
        )  # fmt: skip
    layer = Layer.glorot(n_in, n_out, "relu", selector, np.random.RandomState(0))
    X = inputs_like(layer)
    ready(layer, X)
    assert not layer.changed.any()
    ids = rng.choice(n_out, 20, replace=False)
    before, W = deepcopy(selector), layer.W.copy()
    layer.W[ids] += rng.normal(size=(20, n_in)).astype(np.float32) / 10
    layer.b[ids] += 0.1
    layer.changed[ids] = 1
    changed = layer.W.copy()
    other = np.setdiff1d(np.arange(n_out), ids)
    layer.W[other] = np.nan
    spent = selector.refresh(layer, 2)
    assert selector.n_refreshed == 20 and not layer.changed.any()
    layer.W[...] = changed
    layer.changed[:] = 1
    everything = before.refresh(layer, 1)
    assert spent == everything * 20 // n_out
    for name in ("sketches", "sketch_starts", "rows", "offsets", "hyperplanes"):
        found, expected = getattr(selector, name), getattr(before, name)
        assert (found is None) == (expected is None)
        if found is not None:
            np.testing.assert_array_equal(found, expected, err_msg=name)
    if isinstance(selector, TableSelector):
        # A product of matrices may round otherwise for a part of the rows.
        assert np.mean(selector.codes != before.codes) < 0.01
        filed = _tables.file_neurons(selector.codes, selector.n_buckets, 1)
        np.testing.assert_array_equal(selector.bucket_start, filed[0])
        np.testing.assert_array_equal(selector.neurons, filed[1])
    layer.W[...] = W  # nothing has changed: nothing is done
    assert selector.refresh(layer, 1) == 0


@pytest.mark.parametrize("rank", [8, None])
def test_cells_are_fitted_again_when_those_that_moved_have_doubled(rank):
    layer = make_layer("tables", n_out=500, n_active=10)
    selector = layer.selector = TableSelector(
        40, 500, 10, False, rank, 0, hash_function="kmeans", n_hashes=1, n_tables=2, n_probes=2,
        n_candidates=60,
    )  # fmt: skip
    ready(layer, inputs_like(layer))
    n_fits, moved, rng = 0, [0], np.random.default_rng(0)
    for first in range(0, 400, 4):
        # Far from where they were: all four go to other cells, or nearly all.
        layer.W[first : first + 4] = rng.normal(size=(4, 40)) * 3
        layer.changed[first : first + 4] = 1
        before = selector.family.hyperplanes
        threshold = 2 * selector.n_moved_at_fit
        selector.refresh(layer, 1)
        fitted = selector.family.hyperplanes is not before
        assert fitted == (selector.n_moved >= threshold)
        n_fits += fitted
        if fitted:
            found = selector.codes
            layer.changed[:] = 1
            selector.refresh(layer, 1)  # all at once: filed by what was fitted
            assert np.mean(selector.codes != found) < 0.01
            moved.append(selector.n_moved)
    assert 3 <= n_fits <= 7 and moved == sorted(moved)


def test_tables_of_auto_are_its_own():
    X = np.random.default_rng(0).normal(size=(30, 40))
    made = [
        LSHMLPClassifier(
            (20_000,), density=0.001, sketch_size=8, max_iter=1, random_state=0, **params
        ).partial_fit(X, np.arange(30) % 3, classes=range(3))
        for params in ({}, {"hash_function": "wta", "n_hashes": 2, "n_tables": 3, "mips": True})
    ]
    for est in made:
        assert type(est._network.layers[0].selector).__name__ == "TableSelector"
    np.testing.assert_array_equal(made[0].predict_proba(X), made[1].predict_proba(X))


@pytest.mark.filterwarnings("error:One of the clusters is empty")
def test_fewer_neurons_than_cells_are_no_reason_to_warn():
    X, y = load_digits(return_X_y=True)
    LSHMLPClassifier(
        (20,), selector="lsh", hash_function="kmeans", sketch_size=8, n_hashes=1, random_state=0,
    ).partial_fit(X[:60] / 16, y[:60], classes=np.arange(10))  # fmt: skip


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("rank", [1, 6, 8])
def test_codes_are_whole_numbers_within_bounds(rank, n_threads):
    rng = np.random.default_rng(0)
    vectors = rng.normal(scale=60, size=(40, rank)).astype(np.float32)
    vectors[:5, 0] = np.nan, np.inf, -np.inf, 2.5, -3.5
    scales = np.ones(rank, dtype=np.float32)
    scales[1:] = rng.uniform(0.5, 2, rank - 1)
    ids = np.sort(rng.choice(70, 40, replace=False)).astype(np.int32)
    codes = np.full((3, -(-rank // 4), PANEL, 4), 9, dtype=np.int8)
    sums = np.zeros(3 * PANEL, dtype=np.int32)
    _sketch.encode(vectors, scales, ids, codes, sums, 127, -64, n_threads)
    # fmin, fmax: NaN becomes the largest.
    expected = np.fmax(np.fmin(np.rint(vectors / scales), 127), -127)
    by_neuron = codes.swapaxes(1, 2).reshape(3 * PANEL, -1)
    np.testing.assert_array_equal(by_neuron[ids, :rank], expected)
    np.testing.assert_array_equal(sums[ids], -64 * expected.sum(axis=1))
    assert not by_neuron[ids, rank:].any()
    others = np.setdiff1d(np.arange(3 * PANEL), ids)
    assert (by_neuron[others] == 9).all() and not sums[others].any()
