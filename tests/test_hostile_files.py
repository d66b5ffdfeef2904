"""Files that are damaged or hostile are refused; nothing in them is executed."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
from cases import MANY, X_TEST, X, Y, small
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor, _archive

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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


WEIGHTS = "model/trainer/layers/0/stored.npy"
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


SCHEDULE = "model/trainer/schedule/"
SKETCH, TABLES = "model/trainer/layers/1/", "model/trainer/layers/2/"
HOSTILE_STATES = {  # where, the new value or a function of the old one, and what the message says
    "format": ("format", 1, "format"),
    "other class": ("estimator", "os.system", "os.system"),
    "unknown parameter": ("parameters", lambda old: old | {"callbacks": []}, "callbacks"),
    "bad parameter": ("parameters/density", -1.0, "density"),
    "parameter of a type of its own": ("parameters/density", {"eval": ["1"]}, "eval"),
    "bad parameter of the network": ("model/built_with/solver", "lbfgs", "lbfgs"),
    "another solver": ("model/built_with/solver", "sgd", "optimizer"),
    "another loss": ("model/built_with/loss", "softmax", "loss"),
    "threads without end": ("parameters/n_threads", 10**7, "n_threads"),
    "attribute": ("model/fitted/__class__", "evil", "fitted"),
    "negative count": ("model/fitted/t_", -1, "t_"),
    "text": ("model/fitted/loss_curve_", ["a"], "loss_curve_"),
    "classes that do not ascend": ("model/fitted/classes_", lambda c: c[::-1].copy(), "ascend"),
    "fewer classes": ("model/fitted/classes_", lambda c: c[:-1].copy(), "outputs"),
    "names": ("model/feature_names", ["a", "b"], "feature_names"),
    "random numbers": ("model/random_state/pos", 625, "pos"),
    "all zeros": ("model/random_state/key", np.zeros(624, np.uint32), "key"),
    "layers": ("model/trainer/layers", lambda old: [], "layers"),
    "layers turned round": ("model/trainer/layers", lambda old: old[::-1], "stored|kind"),
    "narrower weights": (SKETCH + "stored", lambda W: W[:, :-1].copy(), "inputs"),
    "fewer neurons": (SKETCH + "stored", lambda W: W[:-1].copy(), "b must be|rank"),
    "transposed weights": (SKETCH + "stored", lambda W: W.T.copy(), "inputs"),
    "double weights": (SKETCH + "stored", lambda W: W.astype(float), "float32"),
    "weights of three dimensions": (SKETCH + "stored", lambda W: W[None], "matrix"),
    "infinite weight": (SKETCH + "stored", entry(3, np.inf), "finite"),
    "kept by inputs": (SKETCH + "by_input", True, "inputs"),
    "bias": (SKETCH + "b", entry(0, np.nan), "finite"),
    "activation": (SKETCH + "activation", "exec", "activation"),
    "output activation": ("model/trainer/layers/6/activation", "relu", "activation"),
    "class of another module": (SKETCH + "kind", "subprocess.Popen", "kind"),
    "output selector below": (SKETCH + "kind", "OutputSelector", "kind"),
    "more active than there are": (SKETCH + "arguments/n_active", 40, "n_active"),
    "no active": (SKETCH + "arguments/n_active", 0, "n_active"),
    "rank": (SKETCH + "arguments/rank", 7, "shape"),
    "rank beyond": (SKETCH + "arguments/rank", 10**9, "rank"),
    "no rank": (SKETCH + "arguments/rank", None, "rank"),
    "sketches": (SKETCH + "selector/sketches", lambda a: a[:1].copy(), "sketches"),
    "sketch starts": (SKETCH + "selector/sketch_starts", entry(0, 2**30), "sketch_starts"),
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
    "shared labels": ("model/trainer/layers/6/selector/most_shared", 10**6, "most_shared"),
    "step size": (SCHEDULE + "optimizer/learning_rate", entry(0, np.nan), "learning_rate"),
    "steps": (SCHEDULE + "optimizer/t", 10**400, "optimizer.t|holds no model"),
    "refresh in the past": (SCHEDULE + "next_refresh", 0.0, "next_refresh"),
    "draw": ("model/trainer/layers/5/selector/draw", -1, "draw"),
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
    if how == "type" and array.dtype.kind != "U":  # texts may be no numbers
        return array.astype(data.draw(st.sampled_from(["f4", "f8", "i4", "u1", "u4", "U3"])))
    value = data.draw(st.sampled_from(EXTREMES))
    index = slice(None) if how == "all" or not array.ndim else data.draw(
        st.integers(0, array.size - 1)
    )  # fmt: skip
    if array.dtype.kind == "U":
        value = str(value)
    with np.errstate(all="ignore"):
        array.reshape(-1)[index] = np.array(value).astype(array.dtype)
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


def test_outputs_of_regressors_are_not_sampled(tmp_path):
    labels = (Y[:, None] == np.arange(150)).astype(int)
    labels[:, 140] = 1
    paths = tmp_path / "labels", tmp_path / "values"
    small(sampled_output=True).fit(X, labels).save(paths[0])
    small(LSHMLPRegressor).fit(X, labels.astype(float)).save(paths[1])
    sampled, state = (_archive.read_archive(path) for path in paths)
    state["model"]["trainer"]["layers"][-1] = sampled["model"]["trainer"]["layers"][-1]
    _archive.write_archive(paths[1], state)
    with pytest.raises(ValueError, match="sampled"):
        LSHMLPRegressor.load(paths[1])
