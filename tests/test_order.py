"""Neurons of hidden layers get other numbers: those that rows keep together stand side by side."""

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from contracts import KINDS, inputs_like, make_layer, ready
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn_lsh._kernels._renumber import renumber

from sklearn_lsh import LSHMLPClassifier, _checkpoint, _network, _training
from sklearn_lsh._layer import aligned
from sklearn_lsh._network import Network
from sklearn_lsh._ordering import order_by_company
from sklearn_lsh._rows import CACHE_LINE, Rows
from sklearn_lsh._workspace import Workspace

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)


@pytest.fixture
def often(monkeypatch):
    """Small networks are ordered, too, from the first step on."""
    monkeypatch.setattr(_network, "CACHED", 0)
    for name in ("MOVE", "STREAM"):
        monkeypatch.setattr(_network, name, 1e-9)
    monkeypatch.setattr(_training, "RENUMBERING_SHARE", 100)
    monkeypatch.setattr(_training, "FIRST_RENUMBERING", 1)
    monkeypatch.setattr(_training, "RENUMBERING_GAP", 300)


@pytest.fixture
def moved(often, monkeypatch):
    """Orders by which neurons move, as they do."""
    orders = []

    def noted(order, *args):
        orders.append(order)
        renumber(order, *args)

    monkeypatch.setattr(_network, "renumber", noted)
    return orders


def small(**kw):
    kw = {"hidden_layer_sizes": (96, 80), "density": 0.2, "max_iter": 3, "random_state": 0} | kw
    return LSHMLPClassifier(**{"selector": "sketch", "sketch_size": 8} | kw)


@given(st.data(), st.integers(1, 40), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_rows_and_columns_move_like_numpys(data, n, n_threads):
    order = np.array(data.draw(st.permutations(range(n))), dtype=np.int32)
    rng = np.random.default_rng(n)
    wide = aligned((n, 2100))  # more than one part
    wide[...] = rng.normal(size=wide.shape)
    by_row = [wide, rng.normal(size=n), rng.normal(size=(n, 3, 2)).astype(np.float32),
              rng.integers(0, 9, size=(n, 1)).astype(np.int8)]  # fmt: skip
    by_column = [aligned((5, n)), rng.normal(size=(3, n)).astype(np.float32)]
    by_column[0][...] = rng.normal(size=(5, n))
    expected = [a[order] for a in by_row], [a[:, order] for a in by_column]
    renumber(order, by_row, by_column, n_threads)
    for found, wanted in zip(by_row + by_column, expected[0] + expected[1], strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("order", [[0, 0, 1], [0, 1, 3], [0, -1, 1]])
def test_no_permutation_moves_nothing(order):
    rows = np.arange(3.0)
    with pytest.raises(ValueError, match=r"permutation|renumbered"):
        renumber(np.array(order, dtype=np.int32), [rows], [], 1)
    np.testing.assert_array_equal(rows, np.arange(3))


@pytest.mark.parametrize("part", ["row", "column"])
def test_what_cannot_move_moves_nothing(part):
    order, good = np.array([1, 2, 0], dtype=np.int32), np.arange(3.0)
    read_only = np.zeros((3, 3), dtype=np.float32)
    read_only.flags.writeable = False
    wrong = [read_only, np.zeros((3, 6), dtype=np.float32)[:, ::2], np.zeros((4, 4), np.float32)]
    wrong += [np.zeros((3, 3))] if part == "column" else []
    for array in wrong:
        with pytest.raises(ValueError):
            renumber(order, [good, *([array] * (part == "row"))], [array] * (part == "column"), 1)
    np.testing.assert_array_equal(good, np.arange(3))


def lines_of(active):
    """Cache lines that a row touches, on average."""
    active = active.tocoo()
    lines = np.unique(np.stack([active.row, active.col // CACHE_LINE]), axis=1)
    return lines.shape[1] / active.shape[0]


def test_neurons_of_a_kind_come_to_stand_side_by_side():
    rng = np.random.default_rng(0)
    kinds = rng.permutation(np.repeat(np.arange(20), CACHE_LINE))
    own = rng.integers(0, 20, size=256)
    active = sp.csr_matrix((own[:, None] == kinds) & (rng.random((256, 320)) < 0.9), dtype="f")
    order = order_by_company(active)
    np.testing.assert_array_equal(np.sort(order), np.arange(320))
    assert lines_of(active) > 10
    assert lines_of(active[:, order]) < 1.5


@pytest.mark.parametrize("n", [1, 15, 16, 17, 33, 100, 257])
@pytest.mark.parametrize("density", [0, 0.1, 1])
def test_any_company_gives_an_order(n, density):
    active = sp.random(40, n, density, format="csr", random_state=0, dtype=np.float32)
    order = order_by_company(active)
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_outputs_of_zero_are_no_company():
    active = sp.csr_matrix(np.eye(64, dtype=np.float32))
    every = active.toarray().ravel(), np.tile(np.arange(64), 64), np.arange(0, 64 * 64 + 1, 64)
    with_zeros = sp.csr_matrix(every, shape=(64, 64))
    assert with_zeros.nnz == 64 * 64
    np.testing.assert_array_equal(order_by_company(active), order_by_company(with_zeros))


@pytest.mark.parametrize("above", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_other_numbers_change_no_output(kind, above):
    layers = [make_layer(kind), make_layer(above, 150, 100, 20), make_layer("dense", 100, 3)]
    inputs = Rows.from_matrix(inputs_like(layers[0]))
    network = Network(layers, None)
    for depth, layer in enumerate(layers):
        layer.slots = [(layer.stored + np.float32(s), layer.b + np.float32(s)) for s in (1, 2)]
        x = inputs.to_matrix() if depth == 0 else network.outputs(depth, inputs, room(network))
        x = x.toarray() if sp.issparse(x) else x
        ready(layer, x)
    before = network.scores(inputs, room(network)).to_matrix().copy()
    n_kept = network.outputs(1, inputs, room(network)).astype(bool).sum()
    order = np.random.RandomState(1).permutation(150).astype(np.int32)
    network.move(0, order, 2)
    for layer in layers:
        for s, (matrix, b) in enumerate(layer.slots):
            np.testing.assert_array_equal(matrix, layer.stored + np.float32(s + 1))
            np.testing.assert_array_equal(b, layer.b + np.float32(s + 1))
    network.refresh({"refresh": 0}, 1)
    after = network.scores(inputs, room(network)).to_matrix()
    if "tables" not in kind:
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    # Equals among candidates of tables are kept by their numbers; what is kept is right.
    hidden = network.outputs(1, inputs, room(network))
    hidden = hidden.toarray() if sp.issparse(hidden) else hidden
    assert (hidden != 0).sum() > 0.9 * n_kept
    every = np.maximum(inputs.to_matrix() @ layers[0].W.T + layers[0].b, 0)
    np.testing.assert_allclose(hidden, every * (hidden != 0), rtol=1e-4, atol=1e-5)


def room(network):
    return Workspace(network.layers, 64, 1)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "adagrad"])
def test_networks_learn_while_numbers_change(moved, monkeypatch, solver, asynchronous):
    rate = {"adam": 0.003, "sgd": 0.1, "adagrad": 0.03}[solver]
    kw = {"solver": solver, "learning_rate_init": rate, "asynchronous": asynchronous}
    kw |= {"batch_size": 50, "max_iter": 12, "n_threads": 1}  # which does not race

    def score():
        models = [small(**kw, random_state=seed).fit(X[:1400], Y[:1400]) for seed in range(3)]
        return np.mean([model.score(X[1400:], Y[1400:]) for model in models])

    reached = score()
    assert len(moved) > 10
    assert any((order != np.arange(len(order))).any() for order in moved)
    moved.clear()
    monkeypatch.setattr(_network, "CACHED", 2**40)
    assert reached > score() - 0.04
    assert not moved


def test_asynchronous_threads_learn_while_numbers_change(moved):
    model = small(asynchronous=True, n_threads=2, batch_size=50, max_iter=12).fit(X, Y)
    assert len(moved) > 10
    assert model.score(X, Y) > 0.9


def assert_same(model, other):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(model, name), getattr(other, name), strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.decision_function(X), other.decision_function(X))


@pytest.mark.parametrize("selector", ["topk", "sketch", "lsh"])
def test_bits_do_not_depend_on_threads(moved, selector):
    one, three = (small(selector=selector, n_threads=n, density=0.1).fit(X, Y) for n in (1, 3))
    assert_same(one, three)
    assert len(moved) > 4


@pytest.mark.parametrize("selector", ["sketch", "lsh"])
def test_a_stream_goes_on_from_a_file_as_it_would_have(moved, tmp_path, selector):
    model = small(selector=selector).partial_fit(X[:900], Y[:900], classes=range(10))
    assert moved
    model.save(tmp_path / "model")
    joblib.dump(model, tmp_path / "pickled")
    saved = LSHMLPClassifier.load(tmp_path / "model")
    mapped = joblib.load(tmp_path / "pickled", mmap_mode="r")
    for m in (model, saved, mapped):
        moved.clear()
        m.partial_fit(X[900:], Y[900:])
        assert moved
        assert_same(m, model)


def test_a_killed_fit_goes_on_as_it_would_have(moved, tmp_path):
    """With early stopping: the best weights in the file have the numbers that they had."""
    kw = {"early_stopping": True, "learning_rate_init": 0.02, "max_iter": 5}
    expected = small(**kw).fit(X, Y)

    class Killed(Exception):
        pass

    model = small(**kw, checkpoint=str(tmp_path / "file"))
    write, calls = _checkpoint.Checkpoint.write, []
    with pytest.MonkeyPatch.context() as patch:

        def writes(self, *args):
            write(self, *args)
            calls.append(0)
            if len(calls) == 4:  # before the first epoch, and after three
                raise Killed

        patch.setattr(_checkpoint.Checkpoint, "write", writes)
        with pytest.raises(Killed):
            model.fit(X, Y)
    moved.clear()
    assert_same(model.fit(X, Y), expected)
    assert len(moved) > 2  # more than at the end


def test_the_best_weights_are_those_of_their_epoch(moved):
    seen = []

    def score(model, *_):
        seen.append((model.decision_function(X), len(moved)))
        return -len(seen) if len(seen) > 2 else len(seen)  # the second epoch is the best

    model = small(early_stopping=True, warm_start=True, max_iter=6, scoring=score)
    model.fit(X, Y)
    assert len(seen) == 6
    assert len(moved) > seen[1][1]
    np.testing.assert_allclose(model.decision_function(X), seen[1][0], rtol=1e-4, atol=1e-4)
    assert not any(layer.slots for layer in model._network.layers)
    assert model._trainer.optimizer.t == 0


@pytest.mark.parametrize("family", ["simhash", "sparse_simhash", "wta", "cross_polytope"])
@pytest.mark.parametrize("mips", [False, True])
def test_functions_that_hash_weights_move_with_them(family, mips):
    """Of k-means cells, which are fitted to the neurons, there are others afterwards."""
    model = small(
        selector=["sketch", "lsh"], sketch_size=None, hash_function=family, mips=mips, n_hashes=2,
        n_tables=4,
    ).fit(X, Y)  # fmt: skip
    network = model._network
    network.layers[1].selector.stale = True
    network.mend()
    before = model.decision_function(X)
    network.move(0, np.random.RandomState(0).permutation(96).astype(np.int32), 1)
    same = np.isclose(model.decision_function(X), before, rtol=1e-3, atol=1e-3).all(axis=1)
    assert same.mean() > 0.95


def test_a_best_epoch_that_is_the_last_keeps_the_state_of_the_solver(often):
    scores = iter(range(9))
    model = small(early_stopping=True, warm_start=True, scoring=lambda *_: next(scores))
    model.fit(X, Y)
    assert all(len(layer.slots) == 2 for layer in model._network.layers)
    assert model._trainer.optimizer.t > 0


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("incremental", [False, True])
def test_what_stops_training_leaves_no_codes_of_other_numbers(
    moved, monkeypatch, stop, incremental
):
    model = small(warm_start=True).partial_fit(X, Y, classes=range(10))
    method, steps = Network.renumber, model._trainer.optimizer.t

    def stopped(*args):
        method(*args)
        monkeypatch.setattr(Network, "renumber", method)
        raise stop

    monkeypatch.setattr(Network, "renumber", stopped)
    moved.clear()
    train = model.partial_fit if incremental else model.fit
    is_interrupt = stop is KeyboardInterrupt
    with pytest.warns(match="interrupted") if is_interrupt else pytest.raises(stop):
        train(X, Y)
    assert moved
    network = model._network
    assert all(len(layer.slots) == 2 for layer in network.layers)
    assert model._trainer.optimizer.t >= steps
    assert not any(layer.selector.stale for layer in network.layers)
    kept = model.decision_function(X)
    for layer in network.layers:
        layer.selector.stale = True
    with network.changing():
        network.refresh({"refresh": 0}, 1)
    np.testing.assert_allclose(model.decision_function(X), kept, rtol=1e-4, atol=1e-4)


def test_too_few_rows_tell_nothing(moved):
    model = small()
    for at in range(0, 1700, 100):
        model.partial_fit(X[at : at + 100], Y[at : at + 100], classes=range(10))
    assert not moved
    model.partial_fit(X, Y)
    assert moved


def test_the_end_of_an_epoch_tells_as_well(moved, monkeypatch):
    """Its last batch is of one row."""
    monkeypatch.setattr(_training, "ROWS_A_CALL", 1600)
    monkeypatch.setattr(_training, "FIRST_RENUMBERING", 1601)
    model = small(batch_size=400).partial_fit(X[:1601], Y[:1601], classes=range(10))
    assert model._trainer.rows >= 1601
    assert moved


def test_an_interrupt_after_the_best_epoch_puts_its_weights_back(monkeypatch):
    seen = []

    def score(model, *_):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append([W.copy() for W in model.coefs_])
        return len(seen)

    model = small(early_stopping=True, max_iter=5, scoring=score)
    with pytest.warns(match="interrupted"):
        model.fit(X, Y)
    for found, expected in zip(model.coefs_, seen[1], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_predictions_never_go_by_codes_of_other_numbers():
    """Not even where what mends them has failed."""
    model = small().partial_fit(X, Y, classes=range(10))
    network = model._network
    for layer in network.layers:
        layer.selector.stale = True
    network.mend()
    expected = model.decision_function(X)
    for rows in (slice(None), slice(3)):  # by a workspace, and by a plan
        network.move(0, np.random.RandomState(0).permutation(96).astype(np.int32), 1)
        found = model.decision_function(X[rows])
        np.testing.assert_allclose(found, expected[rows], rtol=1e-4, atol=1e-4)


def test_only_wide_networks_are_renumbered():
    def worth(n, density):
        model = LSHMLPClassifier((n, n), density=density, selector="sketch", max_iter=1)
        trainer = model.fit(X[:50], Y[:50])._trainer
        workspace = Workspace(trainer.network.layers, 200, 1)
        return trainer.worth_renumbering(20_000, workspace)

    assert worth(1000, 0.05) == []
    assert worth(4000, 0.05) == worth(4000, 0.02) == [0]
    assert worth(4000, 0.002) == []
    assert worth(4000, 0.5) == []  # whole matrices


def test_a_fit_ends_with_neurons_side_by_side(often, monkeypatch):
    renumber_, last = _training.Trainer.renumber, 10**6
    monkeypatch.setattr(_training, "RENUMBERING_GAP", last)

    def only_at_the_end(self, n_rows, *args):
        if n_rows == last:
            renumber_(self, n_rows, *args)

    monkeypatch.setattr(_training.Trainer, "renumber", only_at_the_end)

    def fitted(cached):
        monkeypatch.setattr(_network, "CACHED", cached)
        model = small(hidden_layer_sizes=(640, 600), density=0.05, max_iter=2).fit(X, Y)
        network = model._network
        assert not any(layer.selector.stale for layer in network.layers)
        active = network.outputs(1, Rows.from_matrix(X[:256]), Workspace(network.layers, 256, 1))
        return lines_of(active), model.score(X, Y)

    (plain, expected), (ordered, found) = fitted(2**40), fitted(0)
    assert ordered < 0.8 * plain
    assert abs(found - expected) < 0.01
