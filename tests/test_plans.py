"""Few rows: plans of predictions, and what they keep."""

import gc
import pickle
import weakref

import numpy as np
import pytest
import scipy.sparse as sp
from cases import X, Y, small

from sklearn_lsh._plans import KEPT
from sklearn_lsh._workspace import Workspace

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("selector", ["dense", "sketch", "lsh", "topk"])
def test_a_row_is_predicted_as_in_a_batch_whatever_came_before(selector):
    """Few rows go by scratch that is kept from call to call, between models too."""
    models = [
        small(selector=selector, hidden_layer_sizes=sizes).fit(data, Y)
        for sizes in [(64,), (64, 40)]
        for data in (X, sp.csr_array(X))
    ]
    expected = [model.decision_function(X) for model in models]
    for i in range(5):
        for model, scores in zip(models, expected, strict=True):
            for row in (X[i : i + 1], sp.csr_array(X[i : i + 1]), X[i : i + 1].astype(np.float32)):
                found = model.decision_function(row)
                np.testing.assert_allclose(found, scores[i : i + 1], atol=1e-5)
    # One prediction within another.
    outputs = models[0]._outputs(models[0]._rows(X[:1]))
    _, out = next(outputs)
    models[0].predict(X[1:2])
    np.testing.assert_allclose(out.to_matrix(), expected[0][:1], atol=1e-5)


@pytest.mark.parametrize("n_rows", [1, 32, 33])
@pytest.mark.parametrize("n_features", [64, 40_000])
def test_few_plans_are_kept(n_rows, n_features):
    wide = np.tile(X, (1, n_features // 64))
    model = small(hidden_layer_sizes=(8,), selector="dense", max_iter=1).fit(wide[:50], Y[:50])
    vars(KEPT).clear()
    for i in (*range(1, 9), n_rows):
        model.predict(wide[:i])
    ((_, by_rows),) = KEPT.plans.values()
    kept = [n for n, plan in by_rows.items() if plan is not None]
    few = n_rows == 1 or (n_rows == 32 and n_features == 64)
    assert kept == ([6, 7, 8, n_rows] if few else [5, 6, 7, 8])
    del model, by_rows
    assert not KEPT.plans


def test_an_interrupted_plan_forgets_the_rows(monkeypatch):
    model = small(hidden_layer_sizes=(64,)).fit(X, Y)
    expected = model.decision_function(X[:1])
    for rows in (sp.csr_array(X[:1]), X[:1]):
        vars(KEPT).clear()

        def interrupt(self):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Workspace, "let_go", interrupt)
            model.decision_function(rows)
        for other in (X[:1], sp.csr_array(X[:1])):
            np.testing.assert_allclose(model.decision_function(other), expected, atol=1e-5)


def test_plans_keep_no_state_of_the_solver():
    found = []

    def score(model, X, y):
        model.predict(X[:1])
        found.extend(weakref.ref(slot) for slot, _ in model._network.layers[0].slots)
        return 0.0

    model = small(scoring=score, max_iter=2).fit(X, Y, X_val=X, y_val=Y)
    gc.collect()
    assert len(found) == 4 and not any(slot() is not None for slot in found)
    assert model.predict(X[:1]).shape == (1,)


def test_plans_follow_training():
    model = small(hidden_layer_sizes=(64, 40), selector="sketch", max_iter=1, warm_start=True)
    for n_rows in (1, 3):
        for _ in range(3):
            few = model.fit(X, Y).decision_function(X[:n_rows])
            np.testing.assert_allclose(few, model.decision_function(X)[:n_rows], atol=1e-5)
            few = model.partial_fit(X[:100], Y[:100]).decision_function(X[:n_rows])
            np.testing.assert_allclose(few, model.decision_function(X)[:n_rows], atol=1e-5)
            copied = pickle.loads(pickle.dumps(model))
            np.testing.assert_array_equal(few, copied.decision_function(X[:n_rows]))
