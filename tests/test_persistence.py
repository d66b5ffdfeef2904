"""Files: a model comes back to the bit and goes on; what is damaged or hostile is refused."""

from numbers import Integral

import numpy as np
import pytest
import scipy.sparse as sp
from cases import MANY, SELECTORS, TARGET, X, Y, small
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import NotFittedError

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor, _archive
from sklearn_lsh._hashing import HASH_FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LABELS = make_multilabel_classification(len(X), 20, n_classes=4, random_state=0)[1]
STEP = {"hidden_layer_sizes": (48, 40), "sketch_size": 8, "max_iter": 2}

MODELS = {
    **{name: {"selector": name} for name in [*SELECTORS, "dropout", "adaptive_dropout"]},
    **{
        f"{family} {rank} {mips}": {
            "selector": "lsh", "hash_function": family, "n_hashes": 2, "sketch_size": rank,
            "mips": mips,
        }
        for family in HASH_FAMILIES for rank, mips in [(8, False), (None, True)]
    },
    **{
        f"{solver} {warm}": {"solver": solver, "warm_start": warm, "selector": ["sketch", "lsh"]}
        for solver in ["adam", "sgd", "adagrad"] for warm in [False, True]
    },
    "no hidden layers": {"hidden_layer_sizes": ()},
    "stops early": {"early_stopping": True},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 1e9, "n_iter_no_change": 1},
    "inverse": {"solver": "sgd", "learning_rate": "invscaling"},
    "activations": {"activation": ["tanh", "leaky_relu"], "selector": ["topk", "sketch"]},
}  # fmt: skip
TARGETS = {
    "classes": Y, "two": Y > 4, "one": 0 * Y, "strings": np.array(list("abcdefghij"))[Y],
    "objects": np.array(["no", "yes"], dtype=object)[Y % 2], "floats": Y / 1.0,
    "int8": Y.astype(np.int8) - 5, "labels": LABELS, "sparse labels": sp.csr_array(LABELS),
    "one output": TARGET[:, 0], "outputs": TARGET,
}  # fmt: skip


def assert_same(a, b, name=""):
    """Equal attributes all the way down; numbers and arrays to the bit."""
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray) and a.dtype == b.dtype, name
        assert a.flags.c_contiguous == b.flags.c_contiguous and b.flags.writeable, name
        np.testing.assert_array_equal(a, b, err_msg=name)
    elif isinstance(a, np.random.RandomState):
        assert_same(a.get_state(legacy=False), b.get_state(legacy=False), name)
    elif isinstance(a, list | tuple):
        assert type(a) is type(b) and len(a) == len(b), name
        for i, (p, q) in enumerate(zip(a, b, strict=True)):
            assert_same(p, q, f"{name}[{i}]")
    elif isinstance(a, dict):
        assert set(a) == set(b), f"{name}: {set(a) ^ set(b)}"
        for key in a:
            assert_same(a[key], b[key], f"{name}.{key}")
    elif hasattr(a, "__dict__"):
        assert type(a) is type(b), name
        a, b = ({k: v for k, v in vars(o).items() if k != "version"} for o in (a, b))
        assert_same(a, b, name)
    else:
        number = isinstance(a, Integral | float) and isinstance(b, Integral | float)
        assert type(a) is type(b) or number, name
        assert a == b or (a != a and b != b), name


def through_a_file(model, path):
    model.save(path)
    return type(model).load(path)


def assert_goes_on_alike(model, data, y, path):
    loaded = through_a_file(model, path)
    assert_same(model, loaded)
    methods = {"predict", "predict_proba", "decision_function"} & set(dir(model))
    for method in methods:
        ours, theirs = (getattr(est, method)(data) for est in (model, loaded))
        if sp.issparse(ours):
            ours, theirs = ours.toarray(), theirs.toarray()
        assert_same(ours, theirs)
    for est in (model, loaded):
        est.set_params(early_stopping=False).partial_fit(data, y)
        est.fit(data, y)  # on from there, or anew
    assert_same(model, loaded)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("cls, y", [(LSHMLPClassifier, Y), (LSHMLPRegressor, TARGET)])
def test_a_model_comes_back_and_goes_on(tmp_path, cls, y, name):
    model = small(cls, **STEP | MODELS[name]).fit(X, y)
    assert_goes_on_alike(model, X, y, tmp_path / "model")


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("to_input", [np.asarray, sp.csr_array], ids=["dense", "csr"])
def test_targets_of_every_kind(tmp_path, name, to_input):
    cls = LSHMLPRegressor if "output" in name else LSHMLPClassifier
    model = small(cls, **STEP, selector=["dense", "sketch"]).fit(to_input(X), TARGETS[name])
    assert_goes_on_alike(model, to_input(X), TARGETS[name], tmp_path / "model")


@pytest.mark.parametrize("loss", ["log_loss", "softmax", "squared_hinge"])
def test_sampled_outputs(tmp_path, loss):
    model = small(sampled_output=True, loss=loss, **STEP).fit(sp.csr_array(X), MANY)
    found = through_a_file(model, tmp_path / "model").predict_top_k(X, 3, exact=False)
    for ours, theirs in zip(model.predict_top_k(X, 3, exact=False), found, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert_goes_on_alike(model, sp.csr_array(X), MANY, tmp_path / "model")


def test_a_model_that_is_still_learning_keeps_its_schedule(tmp_path):
    model = small(**STEP, selector="sketch")
    for at in range(0, len(X), 50):
        model.partial_fit(X[at : at + 50], Y[at : at + 50], classes=range(10))
        loaded = through_a_file(model, tmp_path / "model")
        assert_same(model, loaded)
        model = loaded
    straight = small(**STEP, selector="sketch")
    for at in range(0, len(X), 50):
        straight.partial_fit(X[at : at + 50], Y[at : at + 50], classes=range(10))
    assert_same(straight, model)


PARAMETERS = {
    "hidden_layer_sizes": np.array([48, 40]), "alpha": np.float32(1e-3), "batch_size": np.int64(40),
    "density": (0.25, np.float64(0.5)), "selector": ["lsh", "sketch"], "shuffle": np.bool_(False),
    "n_iter_no_change": np.inf, "class_weight": {0: 2.0, np.int64(3): 0.5}, "verbose": 0,
    "activation": ("relu", "tanh"), "solver": np.str_("adam"), "random_state": np.int64(3),
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_keep_value_and_type(tmp_path, name):
    model = small(**STEP | {name: PARAMETERS[name]}).fit(X, Y)
    loaded = through_a_file(model, tmp_path / "model")
    assert_same(model.get_params(), loaded.get_params())
    assert_same(model.fit(X, Y), loaded.fit(X, Y))


def test_a_random_state_is_still_the_one_of_the_parameters(tmp_path):
    model = small(**STEP, random_state=np.random.RandomState(5)).fit(X, Y)
    loaded = through_a_file(model, tmp_path / "model")
    assert loaded.random_state is loaded._random_state
    assert_goes_on_alike(model, X, Y, tmp_path / "model")
    model.set_params(random_state=np.random.RandomState(6))
    assert_same(model, through_a_file(model, tmp_path / "model"))
    pcg = np.random.RandomState(np.random.PCG64(0))
    with pytest.raises(ValueError, match="PCG64"):
        small(random_state=pcg).fit(X, Y).save(tmp_path / "other")


def test_names_of_features(tmp_path):
    model = small(**STEP).fit(X, Y)
    model.feature_names_in_ = np.array([f"pixel {i}" for i in range(64)], dtype=object)
    assert_same(model, through_a_file(model, tmp_path / "model"))


def test_parameters_set_after_fit_may_differ_from_the_network(tmp_path):
    model = small(**STEP, selector="sketch").fit(X, Y)
    model.set_params(selector="topk", hidden_layer_sizes=(10,), n_tables=3)
    loaded = through_a_file(model, tmp_path / "model")
    assert_same(model, loaded)
    with pytest.raises(ValueError, match="hidden_layer_sizes cannot change"):
        loaded.partial_fit(X, Y)


# ---- Files ------------------------------------------------------------------------------------


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "model"
    model = small(**STEP).fit(X, Y)
    model.save(path)
    before = path.read_bytes()
    model.save(str(path))
    assert path.read_bytes() == before  # no dates, no random names

    def fails(descriptor):
        raise OSError("no space left")

    model.partial_fit(X, Y)
    monkeypatch.setattr(_archive.os, "fsync", fails)
    with pytest.raises(OSError, match="no space"):
        model.save(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["model"]


def test_arrays_are_there_for_numpy(tmp_path):
    model = small(**STEP).fit(X, Y)
    model.save(tmp_path / "model")
    with np.load(tmp_path / "model") as arrays:
        np.testing.assert_array_equal(arrays["model/trainer/layers/0/stored"].T, model.coefs_[0])


@pytest.mark.parametrize(
    "change, match",
    [
        ({"random_state": -1}, "random_state"), ({"density": 7.0}, "density"),
        ({"class_weight": {0: object()}}, "class_weight"), ({"n_threads": 5000}, "n_threads"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_not_saved(tmp_path, change, match):
    model = small(**STEP).fit(X, Y).set_params(**change)
    with pytest.raises(ValueError, match=match):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    model = small(**STEP).fit(X, Y)
    model.intercepts_[0][3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        model.save(tmp_path / "model")


def test_wrong_files(tmp_path):
    with pytest.raises(NotFittedError):
        small().save(tmp_path / "model")
    with pytest.raises(FileNotFoundError):
        LSHMLPClassifier.load(tmp_path / "model")
    small(LSHMLPRegressor, **STEP).fit(X, TARGET).save(tmp_path / "model")
    with pytest.raises(ValueError, match="LSHMLPClassifier is no 'regressor'"):
        LSHMLPClassifier.load(tmp_path / "model")
    np.savez(tmp_path / "arrays.npz", X)
    with pytest.raises(ValueError, match="arrays"):
        LSHMLPClassifier.load(tmp_path / "arrays.npz")


@pytest.mark.parametrize("selector", ["dense", "sketch", "lsh"])
def test_skops(selector):
    skops = pytest.importorskip("skops.io")
    model = small(**STEP, selector=selector).fit(X, Y)
    dumped = skops.dumps(model)
    types = skops.get_untrusted_types(data=dumped)
    assert types and all(name.startswith("sklearn_lsh.") for name in types)
    loaded = skops.loads(dumped, trusted=types)
    for est in (model, loaded):
        est.partial_fit(X, Y)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
