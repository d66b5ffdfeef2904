"""Inputs of all kinds, good and bad, to everything public: 10,000 and more of them.

A call either works, and what it returns is finite and of the right shape, or raises ValueError or
TypeError with a message; nothing else, no crash, and an end within a minute. After an error an
estimator is as it was, and predicts the same bits. Every target runs in a process of its own.
"""

import argparse
import faulthandler
import gzip
import inspect
import os
import pickle
import sys
import tempfile
import warnings
from collections import Counter
from io import BytesIO
from pathlib import Path

import joblib
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp
from common import Verdict, run
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from strategies import N_FEATURES, ODD, arrays, files, matrices, parameters, targets, weights

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor, datasets, inspection, metrics

warnings.simplefilter("ignore")
LIMIT = 60  # seconds a call may take
RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=(14, N_FEATURES)), 2)
SMALL = {
    "hidden_layer_sizes": (12, 8), "max_iter": 1, "batch_size": 5, "density": 0.4,
    "random_state": 0, "n_threads": 1,
}  # fmt: skip
FITTED = {
    "two classes": LSHMLPClassifier(**SMALL).fit(X, np.arange(14) % 2),
    "classes": LSHMLPClassifier(**SMALL, selector="lsh").fit(X, np.arange(14) % 3),
    "one class": LSHMLPClassifier(**SMALL).fit(X, np.zeros(14)),
    "names": LSHMLPClassifier(**SMALL, selector="sketch").fit(X, RNG.choice(["a", "b", "c"], 14)),
    "labels": LSHMLPClassifier(**SMALL).fit(X, RNG.integers(0, 2, (14, 4))),
    "sparse": LSHMLPClassifier(**SMALL, sampled_output=True, loss="softmax").fit(
        sp.csr_array(X), sp.csr_array(RNG.integers(0, 2, (14, 4)))
    ),
    "regression": LSHMLPRegressor(**SMALL, selector="topk").fit(X, X[:, 0]),
    "outputs": LSHMLPRegressor(**SMALL, warm_start=True).fit(X, X[:, :2]),
    "counts": LSHMLPRegressor(**SMALL, loss="poisson", warm_start=True).fit(X, X[:, 0] ** 2),
}
FITTED = {name: pickle.dumps(model) for name, model in FITTED.items()}
OUTCOMES = Counter()


def bits(model):
    return model.predict(X) if hasattr(model, "_trainer") else None


def same(a, b):
    if sp.issparse(a):
        return (a != b).nnz == 0
    return a is b or np.array_equal(a, b)


def attempt(call, model=None):
    """What the call returns; None after an error of the right kind that has changed nothing."""
    before = predicted = None
    if model is not None:
        before, predicted = joblib.hash(vars(model)), bits(model)
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    try:
        result = call()
    except (ValueError, TypeError) as error:
        assert str(error).strip(), f"{type(error).__name__} without a message"
        lost = "Training produced weights" in str(error) and predicted is not None
        OUTCOMES["weights lost, as documented" if lost else type(error).__name__] += 1
        if model is not None and not lost:
            assert joblib.hash(vars(model)) == before, "changed by an error"
            assert same(bits(model), predicted), "predicts otherwise after an error"
        return None
    finally:
        faulthandler.cancel_dump_traceback_later()
    OUTCOMES["worked"] += 1
    return result


def assert_finite(values):
    values = values.data if sp.issparse(values) else np.asarray(values)
    assert values.dtype.kind not in "fc" or np.isfinite(values).all(), values


def n_rows_of(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)


def check_predictions(model, X):
    """All kinds of prediction agree with one another on shape, and are finite."""
    n, width = n_rows_of(X), model.n_outputs_
    predicted = model.predict(X)
    assert predicted.shape[0] == n
    if isinstance(model, LSHMLPRegressor):
        if not overflows(X) and model.out_activation_ == "identity":
            assert_finite(predicted)
        return
    proba = model.predict_proba(X)
    assert proba.shape == (n, max(width, len(model.classes_))), proba.shape
    if overflows(X):
        return
    assert_finite(proba)
    assert proba.min() >= 0 and proba.max() <= 1
    scores = model.decision_function(X)
    assert scores.shape in ((n,), (n, width)) and not np.isnan(scores).any()
    assert not np.isnan(model.predict_log_proba(X)).any()
    labels, scores = model.predict_top_k(X, 1)
    assert labels.shape == scores.shape == (n, 1) and not np.isnan(scores).any()


def overflows(X):
    """Whether sums over entries may be more than single precision holds."""
    X = sp.csr_array(X).data if sp.issparse(X) else np.asarray(X, dtype=np.float64)
    return np.abs(X).max(initial=0) > 1e15


# ---- Estimators --------------------------------------------------------------------------------


def names_of(cls):
    return set(inspect.signature(cls).parameters) - {"verbose"}


def fuzz_fit(data):
    """Constructor, then fit or partial_fit of a new estimator or of a fitted one."""
    cls = data.draw(st.sampled_from([LSHMLPClassifier, LSHMLPRegressor]))
    fitted = [name for name, model in FITTED.items() if isinstance(pickle.loads(model), cls)]
    start = data.draw(st.sampled_from([*fitted, None, None, None, None]))
    model = cls(**SMALL) if start is None else pickle.loads(FITTED[start])
    attempt_fit(model, data)


def attempt_fit(model, data):
    cls = type(model)
    own = data.draw(st.sampled_from(["fit", "partial_fit"]))
    inputs = data.draw(st.one_of(st.just(X), matrices(14, N_FEATURES)))
    n_rows = inputs.shape[0] if getattr(inputs, "ndim", 0) == 2 else 14
    y, weight = data.draw(targets(n_rows)), data.draw(weights(n_rows))
    arguments = {"sample_weight": weight}
    if own == "fit" and data.draw(st.booleans()):
        arguments["X_val"] = data.draw(st.one_of(st.just(X), matrices(14, N_FEATURES)))
        n_rows = arguments["X_val"].shape[0] if getattr(arguments["X_val"], "ndim", 0) == 2 else 14
        arguments["y_val"] = data.draw(targets(n_rows))
        arguments["sample_weight_val"] = data.draw(weights(n_rows))
    if own == "partial_fit" and cls is LSHMLPClassifier:
        arguments["classes"] = data.draw(
            st.one_of(st.none(), st.just([0, 1, 2]), st.just(["a", "b", "c"]), ODD)
        )
    changes = data.draw(parameters(names_of(cls)))
    predicted = bits(model)
    model.set_params(**changes)
    if predicted is not None and attempt(lambda: bits(model)) is None:
        return  # n_threads, which predicting goes by as well
    if attempt(lambda: getattr(model, own)(inputs, y, **arguments), model) is not None:
        check_predictions(model, inputs)
        assert_finite(np.concatenate([W.ravel() for W in model.coefs_]))
        assert np.isfinite(model.loss_)
        check_copies(model, inputs)


def check_copies(model, X):
    """Files and conversions, of what they take."""
    path = Path("model")
    attempt(lambda: model.to_sklearn().predict(X))
    if attempt(lambda: model.save(path) or path) is not None:
        assert same(type(model).load(path).predict(X), model.predict(X)), "another model comes back"


def fuzz_parameters(data):
    """A parameter or two, and data that are in order."""
    cls = data.draw(st.sampled_from([LSHMLPClassifier, LSHMLPRegressor]))
    model = cls(**{**SMALL, **data.draw(parameters(names_of(cls), most=2))})
    y = np.arange(14) % 3
    if attempt(lambda: model.fit(X, y), model) is not None:
        check_predictions(model, X)


def fuzz_predict(data):
    """Methods of fitted models, and of one that is not."""
    start = data.draw(st.sampled_from([*FITTED, None]))
    model = LSHMLPClassifier() if start is None else pickle.loads(FITTED[start])
    inputs = data.draw(matrices(None, N_FEATURES))
    wanted = ["predict", "predict_proba", "predict_log_proba", "decision_function", "score",
              "predict_top_k"]  # fmt: skip
    name = data.draw(st.sampled_from([name for name in wanted if hasattr(model, name)]))
    method = getattr(model, name)
    if name == "score":
        n_rows = inputs.shape[0] if getattr(inputs, "ndim", 0) == 2 else 14
        y, weight = data.draw(targets(n_rows)), data.draw(weights(n_rows))
        # scikit-learn's metrics, which score y as it is, do not know what this format is.
        y = y.tocsr() if sp.issparse(y) and y.format == "dok" else y
        score = attempt(lambda: method(inputs, y, sample_weight=weight), model)
        assert score is None or isinstance(score, float)
        return
    if name == "predict_top_k":
        k = data.draw(st.one_of(st.integers(1, 5), ODD))
        exact = data.draw(st.sampled_from([True, False, None, "no"]))
        result = attempt(lambda: method(inputs, k, exact=exact), model)
        if result is not None:
            assert result[0].shape == result[1].shape == (n_rows_of(inputs), k)
            assert_finite(result[1])
        return
    if attempt(lambda: method(inputs), model) is not None:
        check_predictions(model, inputs)


# ---- Everything else ---------------------------------------------------------------------------


def fuzz_inspection(data):
    start = data.draw(st.sampled_from([*FITTED, None, "odd"]))
    model = LSHMLPClassifier() if start is None else data.draw(ODD) if start == "odd" else (
        pickle.loads(FITTED[start]))  # fmt: skip
    inputs = data.draw(matrices(None, N_FEATURES))
    name = data.draw(st.sampled_from(inspection.__all__))
    look = getattr(inspection, name)
    owned = model if isinstance(model, LSHMLPClassifier | LSHMLPRegressor) else None
    if "Display" not in name:
        result = attempt(lambda: look(model, inputs), owned)
        for part in result.values() if isinstance(result, dict) else result or ():
            assert_finite(part)
        return
    if not data.draw(st.integers(0, 3)):
        # A picture takes as long as fifty numbers.
        plt.close("all")
        attempt(lambda: look.from_estimator(model, inputs), owned)


def fuzz_metrics(data):
    n = data.draw(st.integers(0, 5))
    y = (np.random.default_rng(n).random((n, 4)) < 0.4).astype(int)
    y = data.draw(st.one_of(
        st.just(y), st.just(sp.csr_array(y)), st.just(sp.coo_matrix(y)), matrices(n, 4), targets(n),
        arrays(),
    ))  # fmt: skip
    good = st.permutations(range(4)).map(lambda row: np.tile(row, (n, 1)))
    top = data.draw(st.one_of(good, good, good, arrays(), ODD))
    name = data.draw(st.sampled_from(metrics.__all__))
    metric = getattr(metrics, name)
    if name == "inverse_propensities":
        constants = data.draw(st.fixed_dictionaries({}, optional={"A": ODD, "B": ODD}))
        result = attempt(lambda: metric(y, **constants))
        if result is not None:
            assert result.ndim == 1
            assert_finite(result)
        return
    arguments = {
        "k": data.draw(st.one_of(st.none(), st.integers(1, 4), st.integers(1, 4), ODD)),
        "sample_weight": data.draw(weights(n)),
    }
    if name.startswith("propensity"):
        arguments["inverse_propensities"] = data.draw(st.one_of(
            st.just([1.0, 2.0, 3.0, 1.0]), arrays(), ODD, st.lists(st.floats(), max_size=5)
        ))  # fmt: skip
    result = attempt(lambda: metric(y, top, **arguments))
    assert result is None or (isinstance(result, float) and 0 <= result <= 1 + 1e-12), result


def fuzz_reading(data):
    text = data.draw(files())
    dtype = data.draw(st.sampled_from([np.float32] * 5 + [np.float64, int, "text", complex, None]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, data.draw(st.sampled_from(["rows.txt", "rows.txt.gz"])))
        if path.suffix == ".gz":
            packed = bytearray(gzip.compress(text))
            if not data.draw(st.integers(0, 2)):
                del packed[data.draw(st.integers(0, len(packed))) :]
            elif not data.draw(st.integers(0, 2)):
                packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 + data.draw(
                    st.integers(0, 254)
                )
            path.write_bytes(packed)
        else:
            path.write_bytes(text)
        file = path if data.draw(st.booleans()) or path.suffix == ".gz" else BytesIO(text)
        if data.draw(st.booleans()):
            chunks = attempt(lambda: [datasets.load_multilabel(file, dtype=dtype)])
        else:
            size = data.draw(st.one_of(st.integers(1, 4), ODD))
            chunks = attempt(lambda: list(datasets.iter_multilabel(file, size, dtype=dtype)))
    for features, labels in chunks or ():
        assert features.shape[0] == labels.shape[0] and features.dtype == np.dtype(dtype)
        assert_finite(features)
        assert set(labels.data) <= {1}


def fuzz_writing(data):
    n = data.draw(st.integers(0, 4))
    rows, labels = data.draw(matrices(n)), data.draw(st.one_of(matrices(n), targets(n)))
    file = BytesIO()
    if attempt(lambda: datasets.dump_multilabel(rows, labels, file) or 1) is not None:
        file.seek(0)
        written = datasets.load_multilabel(file, dtype=np.float64)
        assert written[0].shape == np.shape(rows) and written[1].shape == np.shape(labels)


TARGETS = {  # share of all inputs
    "fit": (fuzz_fit, 0.3), "parameters": (fuzz_parameters, 0.2), "predict": (fuzz_predict, 0.15),
    "inspection": (fuzz_inspection, 0.05), "metrics": (fuzz_metrics, 0.12),
    "reading": (fuzz_reading, 0.12), "writing": (fuzz_writing, 0.06),
}  # fmt: skip


def fuzz(name, n_examples, number):
    """One target, in this process; what came of its inputs is the last line."""
    np.seterr(all="ignore")
    matplotlib.use("agg")
    faulthandler.enable()

    @seed(number)
    @settings(
        max_examples=n_examples, deadline=None, database=None, print_blob=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def one(data):
        TARGETS[name][0](data)

    one()
    n = sum(OUTCOMES.values())
    print(f"{n} inputs: " + ", ".join(f"{v} {k}" for k, v in OUTCOMES.most_common()))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--here", action="store_true", help="in this process; of one target")
    options = parser.parse_args()
    if options.here:
        n = round(options.examples * TARGETS[options.only[0]][1])
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # names of files are drawn, too
            return fuzz(options.only[0], n, options.seed)
    verdict, total = Verdict("fuzz"), 0
    for name in options.only:
        command = [sys.executable, Path(__file__).resolve(), "--here", "--only", name,
                   "--seed", options.seed, "--examples", options.examples]  # fmt: skip
        status, output = run(command)
        last = ([*output.strip().splitlines()] or [""])[-1]
        if not verdict.add(name, status == 0, last):
            print(output[-6000:])
        elif "inputs" in last:
            total += int(last.split()[0])
    if len(options.only) == len(TARGETS):
        verdict.add(f"{options.examples} inputs", total >= options.examples, f"{total} inputs")
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
