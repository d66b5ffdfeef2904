"""Output layers of many labels, sampled in training."""

import pickle

import numpy as np
import pytest
import reference as ref
import scipy.sparse as sp
from cases import assert_same_parameters, labelled, many
from scipy.special import log_softmax
from scipy.stats import hypergeom
from sklearn.utils.class_weight import compute_sample_weight

from sklearn_lsh._labels import balanced
from sklearn_lsh._output_selector import OutputSelector, log_chance_of_none
from sklearn_lsh._rows import Rows
from sklearn_lsh.metrics import precision_at_k


def sampled_step(W, b, hidden, Y, shared, chance, loss):
    """Gradients of the output layer and of the hidden outputs, in float64, averaged over rows."""
    scores = hidden @ W.T + b
    if loss == "squared_hinge":
        deltas = ref.LOSSES[loss](scores, Y)[1] * shared / len(Y)
        return deltas.T @ hidden, deltas.sum(axis=0), deltas @ W
    corrected = np.where(Y > 0, scores, scores - np.log(chance))[:, shared]
    p = np.exp(corrected - corrected.max(axis=1, keepdims=True))
    deltas = np.zeros_like(scores)
    deltas[:, shared] = p / p.sum(axis=1, keepdims=True)
    deltas -= Y / Y.sum(axis=1, keepdims=True)
    deltas /= len(Y)
    return deltas.T @ hidden, deltas.sum(axis=0), deltas @ W


@pytest.mark.parametrize("loss", ["softmax", "squared_hinge"])
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(("n_rows", "n_hidden"), [(20, 16), (19, 37), (1, 8)])
def test_a_step_on_sampled_labels_follows_the_oracle(asynchronous, n_rows, n_hidden, loss):
    X, Y = labelled(n_rows, 40, 200)
    settings = {
        "hidden_layer_sizes": (n_hidden,), "batch_size": n_rows,
        "solver": "sgd", "momentum": 0.0, "alpha": 0.0, "shuffle": False,
        "asynchronous": asynchronous, "loss": loss,
    }  # fmt: skip
    start = many(learning_rate_init=1e-30, **settings).fit(X, Y)
    stepped = many(learning_rate_init=0.5, **settings).fit(X, Y)
    (V, W), (a, b) = (
        [np.array(p, dtype=np.float64) for p in part] for part in (start.coefs_, start.intercepts_)
    )
    before = X @ V + a
    hidden = np.maximum(before, 0)
    counts = np.asarray(Y.sum(axis=0)).ravel()
    # The batch has all labels that there are, and random ones.
    labels, stepped_on = Y.toarray(), stepped.intercepts_[1] != start.intercepts_[1]
    n_random = start._network.layers[-1].selector.n_random
    fewest = 100 if loss == "softmax" else 0  # beyond the hinge's margin nothing steps
    assert n_random >= 200 - (counts > 0).sum() > 0 and fewest < stepped_on.sum() < 200
    assert stepped_on[counts > 0].all()
    chance = np.where(counts > 0, 1, 1 - (1 - 1 / 200) ** n_random)
    dW, db, below = sampled_step(W.T, b, hidden, labels, stepped_on, chance, loss)
    below *= before > 0
    np.testing.assert_allclose(stepped.coefs_[1], W - 0.5 * dW.T, atol=2e-6)
    np.testing.assert_allclose(stepped.intercepts_[1], b - 0.5 * db, atol=2e-6)
    np.testing.assert_allclose(stepped.coefs_[0], V - 0.5 * (X.T @ below), atol=2e-6)
    np.testing.assert_allclose(stepped.intercepts_[0], a - 0.5 * below.sum(axis=0), atol=2e-6)


def test_input_weights_of_sparse_rows_start_by_their_entries():
    X, Y = labelled(300, 5000, 200)
    model = many(learning_rate_init=1e-30).fit(X, Y)
    bound = np.sqrt(6 / (X.nnz / 300 + 16))
    assert 0.999 * bound < np.abs(model.coefs_[0]).max() <= bound
    assert np.abs(model.intercepts_[0]).max() < 1e-20 < np.abs(model.intercepts_[1]).max()


@pytest.mark.parametrize("loss", ["softmax", "log_loss", "squared_hinge"])
def test_a_chunk_without_labels(loss):
    X, Y = labelled(600, 20, 1000)
    model = many(loss=loss, batch_size=200)
    # So many labels that few would be drawn for the second chunk.
    rows, columns = np.repeat(np.arange(600), 15), np.arange(9000) % 1000
    every = sp.csr_matrix((np.ones(9000, dtype=int), (rows, columns)))
    model.partial_fit(X, every, classes=np.arange(1000))
    model.partial_fit(X[:200], Y[:200] * 0)
    assert np.isfinite(model.loss_)


def test_without_hidden_layers_blank_parts_of_rows_are_left_out():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 64)).astype(np.float32)
    X[::2, 16:32] = 0
    y = rng.integers(0, 200, 200)
    fits = [many(hidden_layer_sizes=(), solver="sgd").fit(rows, y) for rows in (X, sp.csr_array(X))]
    np.testing.assert_allclose(fits[0].coefs_[0], fits[1].coefs_[0], atol=1e-6)
    assert fits[0].loss_ == pytest.approx(fits[1].loss_, rel=1e-6)


@pytest.mark.parametrize("selector", ["dense", "topk"])
@pytest.mark.parametrize("multilabel", [True, False])
def test_same_bits_at_any_number_of_threads(multilabel, selector):
    X, Y = labelled(300, 500, 6000)
    y = Y if multilabel else np.asarray(Y.argmax(axis=1)).ravel()
    fits = [
        many(selector=selector, density=0.5, n_threads=n, batch_size=64, max_iter=2).fit(X, y)
        for n in (1, 2, 3)
    ]
    for other in fits[1:]:
        assert_same_parameters(fits[0], other)


def test_sampled_labels_train_as_well_as_all():
    X, Y = labelled(3000, 1000, 1000)
    found = []
    for sampled in (True, False):
        model = many(sampled_output=sampled, max_iter=6, hidden_layer_sizes=(64,), n_threads=None,
                     learning_rate_init=4e-3)  # fmt: skip
        best, _ = model.fit(X[:2500], Y[:2500]).predict_top_k(X[2500:], 3)
        found.append(precision_at_k(Y[2500:], best, 1))
    assert found[0] > max(0.5, found[1] - 0.05)


def test_auto_samples_wide_outputs_only():
    for n_labels, sampled in ((1000, False), (5000, True)):
        X, Y = labelled(30, 50, n_labels)
        model = many(sampled_output="auto").fit(X, Y)
        assert model._network.layers[-1].selector.is_dense != sampled


def test_chances_of_labels_are_those_of_drawing_rows():
    n, size = 60, 20
    counts = np.repeat(np.arange(n + 1), 10)  # of 610 labels, as many rows as their number
    Y = sp.csr_array(np.arange(n)[:, None] < counts, dtype=np.float32)
    for batch_size in (size, n, 2 * n):
        selector = OutputSelector(8, len(counts))
        selector.expect(Rows.from_matrix(Y), batch_size, more=False)
        absent = hypergeom.pmf(0, n, counts, min(batch_size, n))
        absent *= (1 - 1 / len(counts)) ** selector.n_random
        expected = np.log(np.maximum(1 - absent, 1e-6))
        np.testing.assert_allclose(selector.log_chance, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [10**6, 10**9])
def test_chances_hold_after_any_number_of_rows(n):
    counts = np.array([0, 1, 3, n // 1000, n])
    found = log_chance_of_none(counts, n, 128)
    expected = [0, np.log1p(-128 / n), 3 * -128 / n, 128 * np.log1p(-1e-3), -np.inf]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_where_a_batch_is_all_rows_sampled_labels_have_the_loss_of_all():
    X, Y = labelled(150, 50, 300)
    Y[np.arange(300) % 150, np.arange(300)] = 1
    model = many(solver="sgd", learning_rate_init=1e-30, alpha=0, batch_size=150).fit(X, Y)
    scores = log_softmax(model.decision_function(X).astype(np.float64), axis=1)
    shares = Y.toarray() / Y.toarray().sum(axis=1, keepdims=True)
    assert model.loss_ == pytest.approx(-np.sum(shares * scores, axis=1).mean(), rel=1e-6)


@pytest.mark.parametrize("classes", [np.arange(10), [0], ["a", "b"], np.arange(400)])
def test_classes_are_the_columns_of_an_indicator(classes):
    X, Y = labelled(30, 50, 300)
    model = many()
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, Y, classes=classes)
    model.partial_fit(X, Y, classes=np.arange(300))


def test_balanced_labels_weigh_as_in_scikit_learn():
    X, Y = labelled(80, 50, 12)
    Y = Y.toarray()
    Y[:, 3], Y[:, 4] = 1, 0
    expected = compute_sample_weight("balanced", Y)
    np.testing.assert_allclose(balanced(sp.csr_array(Y)), expected, rtol=1e-6)
    for y in (sp.csr_matrix(Y), Y):
        ours = many(class_weight="balanced", max_iter=2).fit(X, y)
        plain = many(max_iter=2).fit(X, y, sample_weight=expected)
        assert ours.loss_ == pytest.approx(plain.loss_, rel=1e-5)
        assert ours.loss_ != pytest.approx(many(max_iter=2).fit(X, y).loss_, rel=1e-3)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0}])
def test_weights_of_very_many_labels_are_refused(class_weight):
    X, Y = labelled(80, 50, 3000)
    with pytest.raises(ValueError, match="class_weight"):
        many(class_weight=class_weight).fit(X, Y)


@pytest.mark.parametrize("loss", ["log_loss", "softmax", "squared_hinge"])
def test_predicted_labels_are_stored_as_they_came(loss):
    X, Y = labelled(200, 60, 30)
    model = many(loss=loss, sampled_output=False, max_iter=60, learning_rate_init=0.01)
    sparse = model.fit(X, Y).predict(X)
    dense = model.fit(X, Y.toarray()).predict(X)
    assert sp.issparse(sparse) and not sp.issparse(dense)
    np.testing.assert_array_equal(sparse.toarray(), dense)
    assert np.mean(dense == Y.toarray()) > 0.95 and dense.any()


def test_softmax_shares_the_target():
    X, Y = labelled(200, 60, 30)
    model = many(loss="softmax", sampled_output=False, max_iter=40, learning_rate_init=0.01)
    proba = model.fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert model.out_activation_ == "softmax"


def test_rows_without_labels_train():
    X, Y = labelled(40, 50, 300)
    Y = Y.tolil()
    Y[:10] = 0
    model = many(max_iter=2).fit(X, Y.tocsr())
    assert np.isfinite(model.loss_)
    assert model.predict_top_k(X, 2)[0].shape == (40, 2)


def test_early_stopping_watches_the_best_label():
    X, Y = labelled(300, 200, 300)
    model = many(early_stopping=True, max_iter=15, n_threads=None, learning_rate_init=0.01)
    model.fit(X, Y)
    assert model.best_validation_score_ > 0.2


def test_partial_fit_counts_labels_of_all_chunks():
    X, Y = labelled(200, 100, 300)
    model = many()
    for part in (slice(0, 100), slice(100, 200)):
        model.partial_fit(X[part], Y[part], classes=np.arange(300))
    selector = model._network.layers[-1].selector
    np.testing.assert_array_equal(selector.counts, np.asarray(Y.sum(axis=0)).ravel())
    assert selector.n_seen == 200


@pytest.mark.parametrize("solver", ["adam", "sgd", "adagrad"])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_weights_stored_by_inputs_step_as_by_neurons(solver, batch_size, asynchronous):
    X, Y = labelled(60, 80, 6)
    y = np.asarray(Y.argmax(axis=1)).ravel()
    fits = []
    for by_input in (True, False):
        model = many(
            sampled_output=False, solver=solver, hidden_layer_sizes=(21,), alpha=0.1,
            batch_size=batch_size, asynchronous=asynchronous, warm_start=True,
        )  # fmt: skip
        model.fit(X, y)
        layer = model._network.layers[0]
        assert layer.by_input
        if not by_input:
            layer.stored = layer.writeable(np.ascontiguousarray(layer.W))
            layer.slots = [(layer.writeable(np.ascontiguousarray(s.T)), b) for s, b in layer.slots]
            layer.by_input = False
        for _ in range(3):
            model.fit(X, y)
        fits.append(model)
    for a, b in zip(*(m.coefs_ + m.intercepts_ for m in fits), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    for model in fits:
        dense, sparse = (model.decision_function(part) for part in (X.toarray(), X))
        np.testing.assert_allclose(dense, sparse, atol=1e-5)


def test_weights_stored_by_inputs_survive_pickling_and_dense_chunks():
    X, Y = labelled(100, 300, 20)
    y = np.asarray(Y.argmax(axis=1)).ravel()
    model = many(sampled_output=False, n_threads=2).partial_fit(X, y, classes=np.arange(20))
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.decision_function(X), copy.decision_function(X))
    for each in (model, copy):
        each.partial_fit(X.toarray(), y).partial_fit(X, y)
    assert_same_parameters(model, copy)


def test_labels_given_are_left_alone():
    X, Y = labelled(30, 50, 300)
    Y.data[::2] = 0
    before = Y.copy()
    for array in (Y.data, Y.indices, Y.indptr):
        array.flags.writeable = False
    many().fit(X, Y)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(Y, name), getattr(before, name))


@pytest.mark.parametrize("value", [2, -1])
def test_labels_are_0_and_1(value):
    X, Y = labelled(30, 50, 300)
    with pytest.raises(ValueError, match="0 and 1"):
        many().fit(X, Y * value)


def test_a_parameter_refused_changes_nothing():
    X, Y = labelled(30, 50, 300)
    model = many().partial_fit(X, Y, classes=np.arange(300))
    with pytest.raises(ValueError, match="n_threads"):
        model.set_params(n_threads=0).partial_fit(X, Y)
    assert model._network.layers[-1].selector.n_seen == 30


@pytest.mark.parametrize("scale", [1e-3, 1, 30, 3000])
@pytest.mark.parametrize("n_classes", [3, 101])
def test_the_softmax_of_near_and_far_scores(n_classes, scale):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(303, 17)).astype(np.float32) * scale, np.arange(303) % n_classes
    model = many(hidden_layer_sizes=(), sampled_output=False, solver="sgd", momentum=0.0, alpha=0,
                 learning_rate_init=1e-30, batch_size=303).fit(X, y)  # fmt: skip
    expected = -log_softmax(model.decision_function(X).astype(float), axis=1)
    # Where a class is out of reach its chance is taken for e^-700, and its loss is not.
    assert model.loss_ == pytest.approx(expected[np.arange(303), y].mean(), rel=1e-6)


def test_a_label_stored_twice_is_none_of_an_indicator():
    X, Y = np.eye(4), sp.csr_array((np.ones(5), [1, 1, 0, 2, 1], [0, 2, 3, 4, 5]), shape=(4, 3))
    with pytest.raises(ValueError, match="0 and 1 only"):
        many().fit(X, Y)
    Y = sp.csr_array((np.array([1, 0, 1, 1, 1.0]), [1, 1, 0, 2, 1], [0, 2, 3, 4, 5]), shape=(4, 3))
    many().fit(X, Y)
