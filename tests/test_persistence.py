"""Files: a model comes back to the bit and goes on; what is damaged or hostile is refused."""

import io
import json
import pickle
import zipfile
from numbers import Integral

import numpy as np
import pytest
import scipy.sparse as sp
from cases import SELECTORS, TARGET, X_TEST, X, Y, small
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import NotFittedError

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor, _archive
from sklearn_lsh._hashing import HASH_FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LABELS = make_multilabel_classification(len(X), 20, n_classes=4, random_state=0)[1]
MANY = sp.csr_array((np.ones(len(X)), (np.arange(len(X)), 7 * Y + np.arange(len(X)) % 50)))
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
        assert_same(vars(a), vars(b), name)
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


@pytest.mark.parametrize("loss", ["log_loss", "softmax"])
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
        np.testing.assert_array_equal(arrays["trainer/layers/0/stored"].T, model.coefs_[0])


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


def test_probes_beyond_counting_are_not_saved(tmp_path):
    probes = {"n_hashes": 17, "n_tables": 1, "n_probes": 2**16 + 1}
    model = small(selector="lsh", max_iter=1, **probes).fit(X[:20], Y[:20])
    with pytest.raises(ValueError, match="n_probes"):
        model.save(tmp_path / "model")


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


# ---- Hostile files ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A file with something of everything."""
    path = tmp_path_factory.mktemp("saved") / "model"
    sizes = (50, 40, 36, 32, 30, 28)
    selectors = ["dense", "sketch", "lsh", "sketch", "topk", "dropout"]
    rng = np.random.RandomState(1)
    model = small(
        hidden_layer_sizes=sizes, selector=selectors, sketch_size=6, max_iter=2, warm_start=True,
        sampled_output=True, hash_function="kmeans", n_hashes=1, random_state=rng,
    )  # fmt: skip
    model.fit(sp.csr_array(X), MANY)
    model.save(path)
    return path


def refused(path, match):
    with pytest.raises(ValueError, match=match):
        LSHMLPClassifier.load(path)


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)


def npy(array, **kw):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **kw)
    return file.getvalue()


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a file was executed",)


WEIGHTS = "trainer/layers/0/stored.npy"
PICKLED = npy(np.array([Bomb()], dtype=object), allow_pickle=True)
HOSTILE_MEMBERS = {  # changes of members, and what the message says
    "missing": (lambda m: m.pop(WEIGHTS), "no member"),
    "no document": (lambda m: m.pop("state.json"), "state.json"),
    "unknown": (lambda m: m.update({"more.npy": m[WEIGHTS]}), "unknown members"),
    "traversal": (lambda m: m.update({"../../evil.npy": m[WEIGHTS]}), "unknown members"),
    "absolute": (lambda m: m.update({"/tmp/evil.npy": m[WEIGHTS]}), "unknown members"),
    "pickled array": (lambda m: m.update({WEIGHTS: PICKLED}), "no array of numbers"),
    "pickle": (lambda m: m.update({WEIGHTS: pickle.dumps(Bomb())}), "no array of numbers"),
    "pickled document": (
        lambda m: m.update({"state.json": pickle.dumps(Bomb())}), "holds no model",
    ),
    "expression": (
        lambda m: m.update({WEIGHTS: m[WEIGHTS].replace(b"False", b"1<<99")}),
        "no array of numbers",
    ),
    "short": (lambda m: m.update({WEIGHTS: m[WEIGHTS][:-4]}), "size that its header"),
    "long": (lambda m: m.update({WEIGHTS: m[WEIGHTS] + b"1234"}), "size that its header"),
    "by columns": (
        lambda m: m.update({WEIGHTS: npy(np.asfortranarray(np.ones((4, 5))))}),
        "no array of numbers",
    ),
    "not a number": (
        lambda m: m.update({"state.json": m["state.json"].replace(b'"alpha": 0', b'"alpha": NaN')}),
        "holds no model",
    ),
    "deep": (lambda m: m.update({"state.json": b"[" * 10**6}), "holds no model"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_MEMBERS)
def test_hostile_members(saved, tmp_path, name):
    members = members_of(saved)
    change, match = HOSTILE_MEMBERS[name]
    change(members)
    pack(tmp_path / "model", members.items())
    refused(tmp_path / "model", match)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_twice_and_members_that_blow_up(saved, tmp_path):
    members = members_of(saved)
    pack(tmp_path / "model", [*members.items(), (WEIGHTS, members[WEIGHTS])])
    refused(tmp_path / "model", "twice")
    pack(tmp_path / "model", members.items(), zipfile.ZIP_DEFLATED)
    refused(tmp_path / "model", "compressed")
    # Entries of the directory that share one member's bytes.
    pack(tmp_path / "model", members.items())
    content = (tmp_path / "model").read_bytes()
    with zipfile.ZipFile(tmp_path / "model") as archive:
        size = archive.getinfo(WEIGHTS).file_size.to_bytes(4, "little")
    assert content.count(size) >= 2
    large = (2**31 - 1).to_bytes(4, "little")
    (tmp_path / "model").write_bytes(content.replace(size, large))
    refused(tmp_path / "model", "larger than the file")


def at(state, path):
    for key in path[:-1]:
        state = state[key]
    return state


def place(path):
    return [int(part) if part.isdigit() else part for part in path.split("/")]


def entry(index, value):
    def change(array):
        array = np.array(array)
        array.reshape(-1)[index] = value
        return array

    return change


SKETCH, TABLES = "trainer/layers/1/", "trainer/layers/2/"
HOSTILE_STATES = {  # where, the new value or a function of the old one, and what the message says
    "format": ("format", 2, "format"),
    "other class": ("estimator", "os.system", "os.system"),
    "unknown parameter": ("parameters", lambda old: old | {"callbacks": []}, "callbacks"),
    "bad parameter": ("parameters/density", -1.0, "density"),
    "parameter of a type of its own": ("parameters/density", {"eval": ["1"]}, "eval"),
    "bad parameter of the network": ("built_with/solver", "lbfgs", "lbfgs"),
    "another solver": ("built_with/solver", "sgd", "slots"),
    "another loss": ("built_with/loss", "softmax", "loss"),
    "threads without end": ("parameters/n_threads", 10**7, "n_threads"),
    "attribute": ("fitted/__class__", "evil", "fitted"),
    "negative count": ("fitted/t_", -1, "t_"),
    "text": ("fitted/loss_curve_", ["a"], "loss_curve_"),
    "classes that do not ascend": ("fitted/classes_", lambda c: c[::-1].copy(), "ascend"),
    "fewer classes": ("fitted/classes_", lambda c: c[:-1].copy(), "outputs"),
    "names": ("feature_names", ["a", "b"], "feature_names"),
    "random numbers": ("random_state/pos", 625, "pos"),
    "all zeros": ("random_state/key", np.zeros(624, np.uint32), "key"),
    "layers": ("trainer/layers", lambda old: [], "layers"),
    "layers turned round": ("trainer/layers", lambda old: old[::-1], "stored|kind"),
    "narrower weights": (SKETCH + "stored", lambda W: W[:, :-1].copy(), "inputs"),
    "fewer neurons": (SKETCH + "stored", lambda W: W[:-1].copy(), "b must be|rank"),
    "transposed weights": (SKETCH + "stored", lambda W: W.T.copy(), "inputs"),
    "double weights": (SKETCH + "stored", lambda W: W.astype(float), "float32"),
    "weights of three dimensions": (SKETCH + "stored", lambda W: W[None], "matrix"),
    "infinite weight": (SKETCH + "stored", entry(3, np.inf), "finite"),
    "kept by inputs": (SKETCH + "by_input", True, "inputs"),
    "bias": (SKETCH + "b", entry(0, np.nan), "finite"),
    "activation": (SKETCH + "activation", "exec", "activation"),
    "output activation": ("trainer/layers/6/activation", "relu", "activation"),
    "class of another module": (SKETCH + "kind", "subprocess.Popen", "kind"),
    "output selector below": (SKETCH + "kind", "OutputSelector", "kind"),
    "copy above dense rows": (SKETCH + "kind", "CopySelector", "kind"),
    "more active than there are": (SKETCH + "arguments/n_active", 40, "n_active"),
    "no active": (SKETCH + "arguments/n_active", 0, "n_active"),
    "rank": (SKETCH + "arguments/rank", 7, "shape"),
    "rank beyond": (SKETCH + "arguments/rank", 10**9, "rank"),
    "no rank": (SKETCH + "arguments/rank", None, "rank"),
    "panels": (SKETCH + "selector/panels", lambda a: a[:1].copy(), "panels"),
    "directions": (SKETCH + "selector/directions", lambda a: a[:5].copy(), "directions"),
    "refreshed": (SKETCH + "selector/n_refreshed", 41, "n_refreshed"),
    "neuron's bucket too high": (TABLES + "selector/codes", entry(0, 32), "codes"),
    "neuron's bucket below": (TABLES + "selector/codes", entry(0, -1), "codes"),
    "fewer tables": (TABLES + "selector/codes", lambda a: a[:-1].copy(), "codes"),
    "hash functions": (TABLES + "arguments/n_hashes", 6, "shape"),
    "tables beyond": (TABLES + "arguments/n_tables", 2**28, "shape"),
    "probes beyond": (TABLES + "arguments/n_probes", 10**9, "n_probes"),
    "candidates": (TABLES + "arguments/n_candidates", 37, "n_candidates"),
    "hash family": (TABLES + "arguments/hash_function", "md5", "hash_function"),
    "planes": (TABLES + "selector/family/hyperplanes", lambda a: a[:-1].copy(), "shape"),
    "changed": (SKETCH + "changed", entry(0, 2), "changed"),
    "moments": (SKETCH + "slots", lambda old: old[:1], "slots"),
    "shape of moments": (SKETCH + "slots/0/0", lambda a: a[:, 1:].copy(), "slots"),
    "labels": ("trainer/layers/6/selector/n_labels", 10**6, "n_labels"),
    "shared labels": ("trainer/layers/6/selector/most_shared", 2000, "most_shared"),
    "step size": ("trainer/schedule/optimizer/learning_rate", entry(0, np.nan), "learning_rate"),
    "steps": ("trainer/schedule/optimizer/t", 10**400, "optimizer.t|holds no model"),
    "refresh in the past": ("trainer/schedule/next_refresh", 0.0, "next_refresh"),
    "draw": ("trainer/layers/5/selector/draw", -1, "draw"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_STATES)
def test_hostile_states(saved, tmp_path, name):
    where, new, match = HOSTILE_STATES[name]
    state = _archive.read_archive(saved)
    path = place(where)
    old = at(state, path).get(path[-1]) if isinstance(path[-1], str) else at(state, path)[path[-1]]
    at(state, path)[path[-1]] = new(old) if callable(new) else new
    _archive.write_archive(tmp_path / "model", state)
    refused(tmp_path / "model", match)


def test_parameters_that_a_file_lacks_have_their_defaults(saved, tmp_path):
    state = _archive.read_archive(saved)
    del state["parameters"]["tol"]
    _archive.write_archive(tmp_path / "model", state)
    assert LSHMLPClassifier.load(tmp_path / "model").tol == 1e-4


def runs_or_is_refused(path):
    """Whatever is loaded predicts and learns, or says why not."""
    try:
        model = LSHMLPClassifier.load(path)
    except ValueError:
        return
    for data in (X_TEST[:30], sp.csr_array(X_TEST[:30])):
        try:
            model.predict_top_k(data, 2)
            model.predict_top_k(data, 2, exact=False)
            model.partial_fit(data, MANY[:30])
        except (ValueError, ArithmeticError, np.linalg.LinAlgError):
            continue


FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(st.data())
def test_damaged_files(saved, tmp_path, data):
    content = bytearray(saved.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 3))):
        # The directory at the end as often as the members.
        start = data.draw(st.sampled_from([0, max(0, len(content) - 8000)]))
        if start < len(content):
            content[data.draw(st.integers(start, len(content) - 1))] ^= data.draw(
                st.integers(1, 255)
            )
    (tmp_path / "model").write_bytes(content)
    runs_or_is_refused(tmp_path / "model")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 100),
    st.sampled_from([2**31, 2**63, -(2**40), 1e300]),
    st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["", "dense", "log_loss"]),
    st.just([]), st.just({}),
)  # fmt: skip
EXTREMES = [0, 1, -1, 3e38, -3e38, 1e-38, np.nan, np.inf, 2**31 - 1, -(2**31), 255]


def leaves(state, path=()):
    pairs = state.items() if isinstance(state, dict) else enumerate(state)
    for key, value in pairs:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))


def mutated(old, data):
    if not isinstance(old, np.ndarray) or data.draw(st.integers(0, 4)) == 0:
        return data.draw(VALUES)
    array, how = old.copy(), data.draw(st.sampled_from(["entry", "all", "shape", "type"]))
    if how == "shape":
        return data.draw(
            st.sampled_from([array[:-1], array.T, array[None]] if array.ndim else [array])
        )
    if how == "type":
        return array.astype(data.draw(st.sampled_from(["f4", "f8", "i4", "u1", "u4", "U3"])))
    value = data.draw(st.sampled_from(EXTREMES))
    index = slice(None) if how == "all" or not array.ndim else data.draw(
        st.integers(0, array.size - 1)
    )  # fmt: skip
    with np.errstate(all="ignore"):
        array.reshape(-1)[index] = np.array(value, dtype=float).astype(array.dtype)
    return array


@FUZZ
@given(st.data())
@pytest.mark.filterwarnings("ignore")
def test_mutated_states(saved, tmp_path, data):
    state = _archive.read_archive(saved)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(leaves(state))))
        at(state, path)[path[-1]] = mutated(at(state, path)[path[-1]], data)
    _archive.write_archive(tmp_path / "model", state)
    runs_or_is_refused(tmp_path / "model")


def test_the_document_is_plain_json(saved):
    document = members_of(saved)["state.json"]
    assert json.loads(document)["estimator"] == "classifier" and b"NaN" not in document


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


def test_outputs_of_regressors_are_not_sampled(tmp_path):
    labels = (Y[:, None] == np.arange(150)).astype(int)
    labels[:, 140] = 1
    paths = tmp_path / "labels", tmp_path / "values"
    small(sampled_output=True).fit(X, labels).save(paths[0])
    small(LSHMLPRegressor).fit(X, labels.astype(float)).save(paths[1])
    sampled, state = (_archive.read_archive(path) for path in paths)
    state["trainer"]["layers"][-1] = sampled["trainer"]["layers"][-1]
    _archive.write_archive(paths[1], state)
    with pytest.raises(ValueError, match="sampled"):
        LSHMLPRegressor.load(paths[1])
