"""to_sklearn: the same network as MLPClassifier or MLPRegressor."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from cases import TARGET, X_TEST, X, Y, small
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LABELS = make_multilabel_classification(len(X), 20, n_classes=4, random_state=0)[1]
DENSE = {"hidden_layer_sizes": (40, 30), "selector": "dense", "max_iter": 10}
CASES = {
    "classes": (LSHMLPClassifier, Y, {}),
    "strings": (LSHMLPClassifier, np.array(list("abcdefghij"))[Y], {"activation": "tanh"}),
    "linear": (LSHMLPClassifier, Y, {"hidden_layer_sizes": ()}),
    "two": (LSHMLPClassifier, np.array(["no", "yes"])[Y % 2], {"activation": ["logistic"] * 2}),
    "one": (LSHMLPClassifier, np.full(len(Y), 7), {}),
    "labels": (LSHMLPClassifier, LABELS, {"solver": "sgd", "learning_rate_init": 0.1}),
    "held out": (LSHMLPClassifier, Y, {"early_stopping": True}),
    "sparse labels": (LSHMLPClassifier, sp.csr_array(LABELS), {}),
    "one output": (LSHMLPRegressor, TARGET[:, 0], {"activation": "identity"}),
    "outputs": (LSHMLPRegressor, TARGET, {"early_stopping": True}),
    "counts": (LSHMLPRegressor, np.round(np.abs(TARGET[:, 0])), {"loss": "poisson"}),
}


def dense(answers):
    return answers.toarray() if sp.issparse(answers) else answers


def fitted(name):
    cls, y, params = CASES[name]
    if params.get("loss") and "loss" not in MLPRegressor().get_params():
        pytest.skip("this scikit-learn has no loss='poisson'")
    return small(cls, **DENSE | params).fit(X, y), y


@pytest.mark.parametrize("name", CASES)
def test_a_dense_network_answers_alike(name):
    ours, y = fitted(name)
    theirs, cls = ours.to_sklearn(), type(ours)
    assert type(theirs) is (MLPClassifier if cls is LSHMLPClassifier else MLPRegressor)
    if cls is LSHMLPClassifier:
        np.testing.assert_array_equal(dense(theirs.predict(X)), dense(ours.predict(X)))
        assert sp.issparse(theirs.predict(X)) == sp.issparse(y)
        if name != "one":  # theirs has a second column for a class that is not there
            np.testing.assert_allclose(theirs.predict_proba(X), ours.predict_proba(X), atol=1e-5)
        np.testing.assert_array_equal(theirs.classes_, ours.classes_)
    else:
        np.testing.assert_allclose(theirs.predict(X), ours.predict(X), rtol=1e-5, atol=1e-5)
    assert theirs.score(X, y) == pytest.approx(ours.score(X, y))
    for coef, weights in zip(theirs.coefs_, ours.coefs_, strict=True):
        assert coef.dtype == np.float32 and not np.shares_memory(coef, weights)
    restored = pickle.loads(pickle.dumps(theirs))
    np.testing.assert_array_equal(dense(restored.predict(X)), dense(theirs.predict(X)))


@pytest.mark.parametrize("name", CASES)
def test_it_has_all_that_their_fit_sets_and_goes_on(name):
    ours, y = fitted(name)
    theirs = ours.to_sklearn()
    model = type(theirs)(**theirs.get_params()).fit(X, y)
    # Made anew by every call that trains.
    assert set(vars(model)) - set(vars(theirs)) == {"_optimizer", "_random_state"}
    for attribute in set(vars(model)) & set(vars(theirs)):
        old, new = getattr(model, attribute), getattr(theirs, attribute)
        assert type(old) is type(new) or np.isscalar(old), attribute
        if attribute in ("coefs_", "intercepts_", "_best_coefs", "_best_intercepts"):
            assert [part.shape for part in old] == [part.shape for part in new]
    before, n_epochs = theirs.coefs_[0].copy(), len(ours.loss_curve_)
    if not theirs.early_stopping:  # which their partial_fit has not, nor after it
        theirs.partial_fit(X, y)
        n_epochs += 1
    theirs.set_params(warm_start=True, max_iter=2).fit(X, y)
    assert theirs.n_iter_ == 2 and len(theirs.loss_curve_) == n_epochs + 2
    assert 0 < np.abs(theirs.coefs_[0] - before).max() < 0.3 or theirs.early_stopping


@pytest.mark.parametrize("selector", ["sketch", "lsh"])
def test_every_neuron_of_a_selecting_network_answers(selector):
    ours = small(**DENSE | {"selector": selector}).fit(sp.csr_array(X), Y)
    everything = small(**DENSE | {"selector": selector, "density": 1.0}).fit(X, Y)
    theirs = ours.to_sklearn()
    assert np.abs(theirs.predict_proba(X) - ours.predict_proba(X)).max() > 0.05
    for network, layer in zip(everything._network.layers, ours._network.layers, strict=True):
        network.W[...], network.b[...] = layer.W, layer.b
    np.testing.assert_allclose(theirs.predict_proba(X), everything.predict_proba(X), atol=1e-5)


def test_dropout_is_scaled_into_the_weights():
    ours = small(**DENSE | {"selector": ["dropout", "dense"], "density": 0.5}).fit(X, Y)
    theirs = ours.to_sklearn()
    np.testing.assert_allclose(theirs.predict_proba(X_TEST), ours.predict_proba(X_TEST), atol=1e-5)
    with pytest.raises(ValueError, match="adaptive_dropout"):
        small(selector="adaptive_dropout").fit(X, Y).to_sklearn()


def test_parameters_follow_the_network():
    ours = small(solver="adagrad", random_state=np.random.RandomState(0)).fit(X, Y)
    ours.set_params(hidden_layer_sizes=(5,), activation="tanh", alpha=0.5)
    theirs = ours.to_sklearn()
    assert theirs.hidden_layer_sizes == (64,) and theirs.activation == "relu"
    assert theirs.solver == "adam" and theirs.alpha == 0.5
    assert theirs.random_state is not ours.random_state
    ours = small().fit(X, Y).set_params(solver="adagrad")
    assert ours.to_sklearn().solver == "adam"


@pytest.mark.parametrize(
    "params, y, match",
    [
        ({"activation": "leaky_relu"}, Y, "leaky_relu"),
        ({"activation": ["relu", "tanh"]}, Y, "one activation"),
        ({"loss": "softmax"}, LABELS, "softmax"),
        ({"loss": "squared_hinge"}, Y, "squared_hinge"),
    ],
)
def test_what_scikit_learn_has_not(params, y, match):
    with pytest.raises(ValueError, match=match):
        small(hidden_layer_sizes=(20, 20), **params).fit(X, y).to_sklearn()


def test_not_fitted():
    with pytest.raises(NotFittedError):
        small().to_sklearn()


def test_names_of_features():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    ours = small(**DENSE).fit(frame, Y)
    np.testing.assert_array_equal(ours.to_sklearn().predict(frame), ours.predict(frame))


def test_onnx():
    skl2onnx = pytest.importorskip("skl2onnx")
    runtime = pytest.importorskip("onnxruntime")
    ours = small(**DENSE).fit(X, Y)
    onnx = skl2onnx.to_onnx(ours.to_sklearn(), X[:1].astype(np.float32), options={"zipmap": False})
    session = runtime.InferenceSession(onnx.SerializeToString())
    labels, proba = session.run(None, {"X": X_TEST.astype(np.float32)})
    np.testing.assert_array_equal(labels, ours.predict(X_TEST))
    np.testing.assert_allclose(proba, ours.predict_proba(X_TEST), atol=1e-5)
