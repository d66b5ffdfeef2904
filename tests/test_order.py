"""Neurons of hidden layers get other numbers: those that rows keep together stand side by side."""

import numpy as np
import pytest
import scipy.sparse as sp
from contracts import KINDS, inputs_like, make_layer, ready
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn_lsh._kernels._renumber import renumber

from sklearn_lsh import LSHMLPClassifier, _costs, _network, _training
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
    monkeypatch.setattr(_network, "MOVE", 1e-9)
    monkeypatch.setattr(_training, "FIRST_ORDER", 1)
    monkeypatch.setattr(_training, "ORDER_GAP", 300)


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
    return (
        len(np.unique(np.stack([active.row, active.col // CACHE_LINE]), axis=1).T)
        / (active.shape[0])
    )


def test_neurons_of_a_kind_come_to_stand_side_by_side():
    rng = np.random.default_rng(0)
    kinds = rng.permutation(np.repeat(np.arange(20), CACHE_LINE))
    own = rng.integers(0, 20, size=256)
    active = sp.csr_matrix((own[:, None] == kinds) & (rng.random((256, 320)) < 0.9), dtype="f")
    order, _ = order_by_company(active)
    np.testing.assert_array_equal(np.sort(order), np.arange(320))
    assert lines_of(active) > 10
    assert lines_of(active[:, order]) < 1.5


@pytest.mark.parametrize("n", [1, 15, 16, 17, 33, 100, 257])
@pytest.mark.parametrize("density", [0, 0.1, 1])
def test_any_company_gives_an_order(n, density):
    active = sp.random(40, n, density, format="csr", random_state=0, dtype=np.float32)
    order, _ = order_by_company(active)
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_outputs_of_zero_are_no_company():
    active = sp.csr_matrix(np.eye(64, dtype=np.float32))
    with_zeros = sp.csr_matrix((64, 64), dtype=np.float32)
    with_zeros.data = np.tile(np.eye(64, dtype=np.float32), 1).reshape(-1)
    with_zeros.indices = np.tile(np.arange(64), 64)
    with_zeros.indptr = np.arange(0, 64 * 64 + 1, 64)
    np.testing.assert_array_equal(order_by_company(active)[0], order_by_company(with_zeros)[0])


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
    network.renumber(0, order, 2)
    for layer in layers:
        for s, (matrix, b) in enumerate(layer.slots):
            np.testing.assert_array_equal(matrix, layer.stored + np.float32(s + 1))
            np.testing.assert_array_equal(b, layer.b + np.float32(s + 1))
    network.refresh({"refresh": 0}, 1)
    after = network.scores(inputs, room(network)).to_matrix()
    if above != "raw tables" and "tables" not in kind:
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    # Tables are filed anew, by other functions, and some rows keep others: what they are is right.
    hidden = network.outputs(1, inputs, room(network))
    hidden = hidden.toarray() if sp.issparse(hidden) else hidden
    assert (hidden != 0).sum() > 0.9 * n_kept
    every = np.maximum(inputs.to_matrix() @ layers[0].W.T + layers[0].b, 0)
    np.testing.assert_allclose(hidden, every * (hidden != 0), rtol=1e-4, atol=1e-5)


def room(network):
    return Workspace(network.layers, 64, 1)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "adagrad"])
def test_networks_learn_while_numbers_change(often, monkeypatch, solver, asynchronous):
    orders = []

    def moved(order, *args):
        orders.append(order)
        renumber(order, *args)

    monkeypatch.setattr(_network, "renumber", moved)
    rate = {"adam": 0.003, "sgd": 0.1, "adagrad": 0.03}[solver]
    model = small(solver=solver, learning_rate_init=rate, asynchronous=asynchronous, batch_size=50)
    reached = model.set_params(max_iter=12).fit(X[:1400], Y[:1400]).score(X[1400:], Y[1400:])
    assert len(orders) > 10
    assert any((order != np.arange(len(order))).any() for order in orders)
    orders.clear()
    monkeypatch.setattr(_network, "CACHED", 2**40)
    assert reached > model.fit(X[:1400], Y[:1400]).score(X[1400:], Y[1400:]) - 0.04
    assert not orders


@pytest.mark.parametrize("selector", ["sketch", "lsh"])
def test_bits_do_not_depend_on_threads(often, selector):
    one, three = (small(selector=selector, n_threads=n).fit(X, Y) for n in (1, 3))
    for a, b in zip(one.coefs_, three.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_stream_goes_on_from_a_file_as_it_would_have(often, tmp_path):
    model = small().partial_fit(X[:900], Y[:900], classes=range(10))
    model.save(tmp_path / "model")
    other = LSHMLPClassifier.load(tmp_path / "model")
    for m in (model, other):
        m.partial_fit(X[900:], Y[900:])
    np.testing.assert_array_equal(model.decision_function(X), other.decision_function(X))


def test_the_best_weights_have_the_numbers_that_they_had(often):
    model = small(early_stopping=True, warm_start=True, max_iter=6, learning_rate_init=0.02)
    model.fit(X, Y)
    assert all(not layer.slots for layer in model._network.layers)
    before = model.score(X, Y)
    model.set_params(learning_rate_init=1e-5, max_iter=1).fit(X, Y)
    assert model.score(X, Y) > before - 0.01


def test_an_interrupt_leaves_no_codes_of_other_numbers(often, monkeypatch):
    model = small().partial_fit(X, Y, classes=range(10))
    order = Network.order

    def interrupted(*args):
        order(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(Network, "order", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        model.partial_fit(X, Y)
    network = model._network
    assert not network.is_stale
    kept = model.decision_function(X)
    for layer in network.layers:
        layer.selector.stale = True
    with network.changing():
        network.refresh({"refresh": 0}, 1)
    np.testing.assert_allclose(model.decision_function(X), kept, rtol=1e-4, atol=1e-4)


def test_only_wide_networks_are_ordered():
    def to_order(n):
        model = LSHMLPClassifier((n, n), density=0.02, selector="sketch", max_iter=1)
        model.fit(X[:50], Y[:50])
        network = model._network
        return network.to_order(20_000, Workspace(network.layers, 200, 1))

    assert _costs.CACHED == 2**25
    assert to_order(1000) == []
    assert to_order(4000) == [0]
