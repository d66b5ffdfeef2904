"""Every kernel once, small: what the sanitizers watch. Imports nothing but the package.

`--plant` breaks something first, which a sanitizer that is to be believed reports: too little room
for a layer's outputs (`overflow`), biases at an odd address (`address`), one scratch for all
threads (`race`).
"""

import argparse
import itertools
import warnings

import numpy as np
import scipy.sparse as sp

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor, _layer, _rows, _workspace
from sklearn_lsh.inspection import active_sets, neuron_usage, prediction_cost, selection_recall

HASHES = ["simhash", "sparse_simhash", "wta", "cross_polytope", "kmeans"]
SOLVERS = ["adam", "sgd", "adagrad"]
ACTIVATIONS = ["relu", "leaky_relu", "tanh", "logistic", "identity"]


def plant(fault):
    if fault == "overflow":
        allocate = _rows.Rows.allocate

        def too_small(n_rows, capacity, n_cols, sparse):
            rows = allocate(n_rows, capacity, n_cols, sparse)
            rows.values = rows.values[: len(rows.values) // 8].copy()
            return rows

        _rows.Rows.allocate = too_small
    if fault == "address":
        glorot = _layer.Layer.glorot

        def odd(*args, **kwargs):
            layer = glorot(*args, **kwargs)
            memory = np.zeros(layer.b.nbytes + 1, dtype=np.uint8)
            layer.b = memory[1:].view(np.float32)
            return layer

        _layer.Layer.glorot = odd
    if fault == "race":

        def shared(self, size, dtype):
            one = np.zeros(size + 64, dtype=dtype)
            strides = 0, one.itemsize
            return np.lib.stride_tricks.as_strided(one, (self.n_threads, size + 64), strides)

        _workspace.Workspace.per_thread = shared


def data(n_rows=150, n_features=37):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_features)).astype(np.float32)
    X[::3, :16] = 0
    sparse = sp.random(n_rows, n_features, density=0.2, format="csr", random_state=rng)
    return X, sparse.astype(np.float32), rng


def models(n_threads):
    """Estimator and how many columns its target has; 0: classes."""
    base = {"max_iter": 2, "batch_size": 40, "n_threads": n_threads, "random_state": 0}
    wide = {**base, "hidden_layer_sizes": (70, 50), "density": 0.2}
    for selector, solver in itertools.product(
        ["dense", "topk", "sketch", "lsh", "auto", "dropout", "adaptive_dropout"], SOLVERS
    ):
        yield LSHMLPClassifier(**wide, selector=selector, solver=solver), 0
    for hashing, mips, size in itertools.product(HASHES, [False, True], [8, None]):
        few = {"n_hashes": 1 if hashing == "kmeans" else 2, "n_tables": 3}
        yield LSHMLPClassifier(
            **wide, selector="lsh", hash_function=hashing, mips=mips, sketch_size=size, **few
        ), 0  # fmt: skip
    for activation in ACTIVATIONS:
        yield LSHMLPRegressor(**wide, selector="sketch", sketch_size=6, activation=activation), 2
    for loss in ("poisson", "huber", "absolute_error"):
        yield LSHMLPRegressor(**wide, loss=loss), 1
    yield LSHMLPClassifier(**wide, early_stopping=True, validation_fraction=0.3), 0
    for loss in ("log_loss", "softmax"):
        yield (
            LSHMLPClassifier(
                **{**base, "hidden_layer_sizes": (30,)}, loss=loss, sampled_output=True
            ),
            500,
        )


def exercise(n_threads):
    X, sparse, rng = data()
    for model, n_outputs in models(n_threads):
        if n_outputs == 0:
            y = rng.integers(0, 4, size=len(X))
        elif n_outputs == 500:
            y = sp.csr_matrix((rng.random((len(X), 500)) < 0.006).astype(int))
        else:
            y = rng.random((len(X), n_outputs)) if n_outputs > 1 else rng.random(len(X))
        for inputs in (X, sparse):
            model.fit(inputs, y)
            if not model.early_stopping:
                model.partial_fit(inputs, y)
            model.predict(inputs)
            if n_outputs == 500:
                model.predict_top_k(inputs, 3)
                model.predict_top_k(inputs, 3, exact=False)
            for look in (active_sets, neuron_usage, prediction_cost, selection_recall):
                look(model, inputs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plant", choices=["overflow", "address", "race"])
    parser.add_argument("--threads", type=int, default=4)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    plant(options.plant)
    exercise(options.threads)
    print("exercise: to the end")
