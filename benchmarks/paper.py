"""The experiments of Spring & Shrivastava (2017) on data of the same kind, and beyond them.

    python benchmarks/paper.py [--parts accuracy depth width recall] [--sets ...] [--methods ...]
                               [--levels ...] [--depths ...] [--layers ...] [--seeds N]
                               [--minutes M]
    python benchmarks/paper.py --report

Every run is stored in docs/results/paper.json when it ends, so that a call goes on where the last
one stopped; --report writes docs/paper.md and its pictures from what is stored. Pixels are divided
by 255 and centred by the training mean for every method. "dense" is scikit-learn's MLPClassifier,
"dense, falling rate" the same with the schedule of all other methods: a learning rate that falls
linearly to 0 over the epochs, or over the chunks of the stream. Learning rates are chosen per data
set and method at 5 % from one grid (RATES; one that stays constant is half a decade lower), on a
sixth of the training rows, drawn at random once or, of small sets, more often (SPLITS). "lsh" is
k-means cells, 12 candidates ranked for each active neuron. Calls that run at the same time, each
with OMP_NUM_THREADS=1, say, must differ in their sets or methods.
"""

import argparse
import time
import warnings
from functools import lru_cache
from itertools import islice, product
from pathlib import Path

import numpy as np
from datasets import mnist
from generated import convex, mnist8m_stream, rectangles_images
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from store import Store

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh.inspection import neuron_usage, selection_recall

RESULTS = Path(__file__).parent.parent / "docs" / "results" / "paper.json"
CANDIDATES = 12  # of "lsh", for each active neuron
KMEANS = {"hash_function": "kmeans", "n_hashes": 1, "n_tables": 4, "n_probes": 20}
METHODS = {
    "dense": None,
    "dense, falling rate": None,
    "auto": {},
    "sketch": {"selector": "sketch"},
    "lsh": {"selector": "lsh", **KMEANS},
    "simhash": {"selector": "lsh", "n_hashes": 8, "n_probes": 20},
    "topk": {"selector": "topk"},
    "adaptive_dropout": {"selector": "adaptive_dropout"},
    "dropout": {"selector": "dropout"},
}
FAMILIES = {
    "sketch": METHODS["sketch"],
    "k-means cells": METHODS["lsh"] | {"n_candidates": 50 * CANDIDATES},
    "SimHash": METHODS["simhash"],
    "SimHash, mips": METHODS["simhash"] | {"mips": True},
    "sparse SimHash": METHODS["simhash"] | {"hash_function": "sparse_simhash"},
    "cross-polytope": {"selector": "lsh", "hash_function": "cross_polytope", "n_hashes": 2,
                       "n_probes": 20},
    "winner take all": {"selector": "lsh", "hash_function": "wta", "n_hashes": 3, "n_probes": 20},
    "SimHash of raw weights, ranked": {"selector": "lsh", "sketch_size": None, "n_hashes": 6,
                                       "n_tables": 5},
}  # fmt: skip
RATES = [3e-4, 1e-3, 3e-3, 1e-2]
RATES_OF_DENSE = [1e-4, 3e-4, 1e-3, 3e-3]
EPOCHS = {"mnist": 10, "convex": 20, "rectangles_images": 20, "mnist8m": 1}
SPLITS = {"mnist": 1, "convex": 3, "rectangles_images": 2, "mnist8m": 1}
STREAM = 1_000_000
LOADERS = {"mnist": mnist, "convex": convex, "rectangles_images": rectangles_images}


@lru_cache(maxsize=1)
def load(name):
    """Training and test rows, centred; of the stream, the mean and MNIST's test rows."""
    X, y, X_test, y_test = LOADERS["mnist" if name == "mnist8m" else name]()
    mean = X.mean(axis=0, dtype=np.float64).astype(np.float32)
    return X - mean, y, X_test - mean, y_test, mean


def make(method, widths, density, rate, seed, epochs):
    common = {
        "learning_rate_init": rate, "random_state": seed, "max_iter": epochs,
        "batch_size": 200, "n_iter_no_change": 1000,
    }  # fmt: skip
    if METHODS[method] is None:
        return MLPClassifier(widths, **common)
    settings = dict(METHODS[method])
    if method == "lsh":
        settings["n_candidates"] = round(CANDIDATES * np.max(np.multiply(density, widths)))
    return LSHMLPClassifier(widths, density=density, learning_rate="linear", **settings, **common)


def go_on(model, rate, X, y, classes):
    """One pass at a learning rate."""
    if isinstance(model, LSHMLPClassifier):
        model.learning_rate_init = rate
    elif hasattr(model, "_optimizer"):
        model._optimizer.learning_rate_init = rate  # there is no public way
    model.partial_fit(X, y, classes=classes)


def train(job):
    """One run of a job; returns its record."""
    X, y, X_test, y_test, mean = load(job["data"])
    if not job.get("centred", True):
        X, X_test = X + mean, X_test + mean
    if job["validate"]:
        X, X_test, y, y_test = train_test_split(X, y, test_size=1 / 6, random_state=job["seed"])
    density = job.get("density") or [job["n_active"] / n for n in job["widths"]]
    model = make(
        job["method"], tuple(job["widths"]), density, job["rate"], job["seed"], job["epochs"]
    )
    start = time.perf_counter()
    classes, falls = np.unique(y), job["method"] != "dense"
    if job["data"] == "mnist8m":
        n_batches = STREAM // 1000 // (5 if job["validate"] else 1)
        stream = islice(mnist8m_stream(seed=1 + job["seed"]), n_batches)
        for i, (rows, labels) in enumerate(stream):
            go_on(model, job["rate"] * (1 - falls * i / n_batches), rows - mean, labels, classes)
    elif falls and isinstance(model, MLPClassifier):
        for i in range(job["epochs"]):
            go_on(model, job["rate"] * (1 - i / job["epochs"]), X, y, classes)
    else:
        model.fit(X, y)
    record = {"seconds": time.perf_counter() - start, "accuracy": model.score(X_test, y_test)}
    start = time.perf_counter()
    model.predict(X_test)
    record["prediction_us"] = 1e6 * (time.perf_counter() - start) / len(X_test)
    if isinstance(model, LSHMLPClassifier):
        report = selection_recall(model, X_test[:2000])
        record["recall"] = report["recall"].tolist()
        record["dead"] = [float(np.mean(u == 0)) for u in neuron_usage(model, X_test[:5000])]
        record["multiplications"] = {k: int(n) for k, n in model.n_multiplications_.items()}
    return record


def schedule(method):
    return {} if method == "dense" else {"schedule": "linear"}


def tuned(store, data, method):
    """Learning rate of a method on a data set, at two layers of 1000 and 5 %."""
    found = {}
    for rate in RATES_OF_DENSE if method == "dense" else RATES:
        scores = [
            store.get(
                part="tune", data=data, widths=[1000, 1000], method=method, density=0.05,
                rate=rate, seed=split, epochs=EPOCHS[data], validate=True, **schedule(method),
            )["accuracy"]
            for split in range(SPLITS[data])
        ]  # fmt: skip
        found[rate] = np.mean(scores)
    return max(found, key=found.get)


def accuracy(store, sets, levels, depths, methods, n_seeds):
    """Accuracy against the share of active neurons."""
    for level, depth, data, method in product(levels, depths, sets, methods):
        if method in ("dense", "dense, falling rate", "auto") and level != 0.05:
            continue
        rate = tuned(store, data, method)
        for seed in range(min(n_seeds, 5 if level == 0.05 else 3)):
            store.get(
                part="accuracy", data=data, widths=[1000] * depth, method=method, density=level,
                rate=rate, seed=seed, epochs=EPOCHS[data], validate=False, **schedule(method),
            )  # fmt: skip


def depth(store, layers, methods):
    """1 to 7 hidden layers of 1000."""
    for seed, n_layers, method in product(range(3), layers, methods):
        store.get(
            part="depth", data="mnist", widths=[1000] * n_layers, method=method, density=0.05,
            rate=tuned(store, "mnist", method), seed=seed, epochs=10, validate=False,
            **schedule(method),
        )  # fmt: skip


def width(store):
    """One hidden layer of growing width, 100 neurons active; pixels are not centred."""
    for seed, n, method in product(range(3), (1000, 10_000, 100_000), ("auto", "sketch")):
        store.get(
            part="width", data="mnist", widths=[n], method=method, n_active=100, rate=1e-3,
            seed=seed, epochs=5, validate=False, centred=False, **schedule(method),
        )  # fmt: skip


def recall(store):
    """What every family finds in the network that it has trained, and at what cost."""

    def compute(job):
        X, y, X_test, y_test, _ = load("mnist")
        model = LSHMLPClassifier(
            (1000, 1000),
            **FAMILIES[job["family"]],
            max_iter=3,
            random_state=0,
            batch_size=200,
            learning_rate="linear",
            learning_rate_init=0.003,
        ).fit(X, y)
        cost = model.n_multiplications_
        return {
            "recall": selection_recall(model, X_test[:2000])["recall"].tolist(),
            "accuracy": model.score(X_test, y_test),
            "multiplications": {k: int(n) for k, n in cost.items()},
        }

    for family in FAMILIES:
        store.get(compute, part="recall", family=family, schedule="linear")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ["accuracy", "depth", "width", "recall"]
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--sets", nargs="+", default=list(EPOCHS), choices=list(EPOCHS))
    parser.add_argument(
        "--levels", nargs="+", type=float, default=[0.05, 0.1, 0.25, 0.5, 0.75, 0.9]
    )
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--depths", nargs="+", type=int, default=[2, 3])
    parser.add_argument("--layers", nargs="+", type=int, default=[1, 3, 5, 7], help="of depth")
    parser.add_argument("--seeds", type=int, default=5, help="of accuracy, at most")
    parser.add_argument("--minutes", type=float, default=np.inf)
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    store = Store(RESULTS, train, options.minutes)
    if options.report:
        from paper_report import write

        write(store)
        return
    if "accuracy" in options.parts:
        accuracy(
            store, options.sets, options.levels, options.depths, options.methods, options.seeds
        )
    if "depth" in options.parts:
        deep = ("dense", "dense, falling rate", "auto", "lsh", "topk")
        depth(store, options.layers, [method for method in deep if method in options.methods])
    for part in (width, recall):
        if part.__name__ in options.parts:
            part(store)


if __name__ == "__main__":
    main()
