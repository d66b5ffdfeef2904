"""What the kernels reach: bytes moved, bandwidth and FLOP/s at 784-1000-1000-10, 50 active.

    python benchmarks/kernels.py

One thread, a batch of 200 rows of MNIST, after one epoch. The yardsticks are measured in the same
run: a float32 matrix product that stays in the cache (FLOP/s), and a dot product of two vectors of
9.4 MB together, the size of layer 1 with its optimiser state (bytes/s). Bytes counted are those
needed from beyond the first-level cache; a kernel over 100 % found part of them nearer.
"""

import time
import warnings

import numpy as np
from datasets import mnist
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh._kernels import _passes, _train
from sklearn_lsh._network import COSTS
from sklearn_lsh._rows import Rows
from sklearn_lsh._workspace import Workspace

BATCH = 200


def median_seconds(*functions, rounds=100):
    """Median time of every function, run in turn."""
    times = np.empty((rounds, len(functions)))
    for i in range(-2, rounds):
        for j, function in enumerate(functions):
            start = time.perf_counter()
            function()
            times[i, j] = time.perf_counter() - start
    return np.median(times, axis=0)


def yardsticks():
    a = np.random.default_rng(0).random((512, 512), dtype=np.float32)
    x, y = np.ones((2, 784 * 1500), dtype=np.float32)
    product, dot = median_seconds(lambda: a @ a, lambda: x @ y)
    return 2 * 512**3 / product, 2 * x.nbytes / dot


def measure(model, X, y):
    """Rows of the table: name, seconds a batch, bytes a batch, floating-point operations."""
    network, optimizer = model._trainer.network, model._trainer.optimizer
    layers, loss = network.layers, network.loss
    workspace = Workspace(network.layers, BATCH, 1)
    inputs, targets = Rows.from_matrix(X[:BATCH]), Rows.one_hot(y[:BATCH], 10)
    # Every row is learned from, as in the first epoch.
    settings = targets, np.ones(BATCH), optimizer, 1e-4, BATCH, False, 0.0, 1.0, workspace
    _, _, counts, touched, _, _ = _train.train(layers, loss, inputs, *settings)
    counts = counts.sum(axis=0)  # of the threads
    flow = network.forward(inputs, workspace, dict.fromkeys(COSTS, 0))
    passes = [lambda n=n: _passes.run(layers[:n], inputs, workspace) for n in range(1, 4)]
    passes.append(lambda: _train.train(layers, loss, inputs, *settings))
    seconds = np.diff(median_seconds(*passes), prepend=0)
    for depth, layer in enumerate(layers):
        used, ranked, projected, dropped, _ = counts[depth].tolist()
        scored = sum(layer.selector.costs(projected, BATCH, ranked))
        # Dense rows are read whole; sparse ones a cache line for nearly every entry.
        line = 4 if flow[depth].indices is None else 64
        name = f"select, forward {shape(layer)}"
        met = used + dropped
        # Sketches of neurons are of one byte a coordinate.
        n_bytes = 4 * scored - 3 * layer.selector.rank * ranked + line * met
        yield name, seconds[depth], n_bytes, 2 * (met + scored)
    used, touched = counts[:, 0], touched.sum()
    print(contents(X[:BATCH], layers, used, touched, workspace))
    # Down, the weights of each pair; in the update, its inputs, and weights and two moments, read
    # and written.
    n_bytes = 64 * used[1:].sum() + 4 * used[0] + 8 * used[1:].sum() + 24 * touched
    n_flop = 2 * used[1:].sum() + 2 * used.sum() + 14 * touched
    yield "loss, backward, update, all layers", seconds[-1], n_bytes, n_flop


def contents(X, layers, used, touched, workspace):
    """What the bytes of a row go by."""
    pairs = workspace.pairs[: len(layers) - 1]
    held = " and ".join(f"{p.n_runs.mean():.0f}" for p in pairs)
    return (
        f"of a row, {np.count_nonzero(X) / BATCH:.0f} pixels are not zero and "
        f"{used[0] / BATCH / layers[0].selector.n_active:.0f} lie on lines that are not blank; a "
        f"block of {pairs[0].block} rows holds {held} neurons; a batch touches {touched} weights\n"
    )


def shape(layer):
    return f"{layer.W.shape[1]}-{layer.W.shape[0]}"


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y, *_ = mnist()
    X, y = X[:6000].astype(np.float32), y[:6000]
    settings = {"max_iter": 1, "warm_start": True, "random_state": 0, "batch_size": BATCH}
    with threadpool_limits(1):
        peak, bandwidth = yardsticks()
        model = LSHMLPClassifier((1000, 1000), selector="sketch", n_threads=1, **settings)
        rows = list(measure(model.fit(X, y), X, y))
        dense = MLPClassifier((1000, 1000), **settings).fit(X, y)
        dense_seconds = median_seconds(lambda: dense.fit(X, y), rounds=3)[0] * BATCH / len(X)
        dense_flop = 2 * model.n_multiplications_["dense"] * BATCH / len(X)
    rows.append(("all", sum(r[1] for r in rows), sum(r[2] for r in rows), sum(r[3] for r in rows)))
    rows.append(("MLPClassifier", dense_seconds, None, dense_flop))
    print(f"yardsticks, one thread: {peak / 1e9:.0f} GFLOP/s, {bandwidth / 1e9:.1f} GB/s\n")
    print("| kernel | us / example | MB / batch | GB/s | share | GFLOP/s | share |")
    print("|---|---|---|---|---|---|---|")
    for name, seconds, n_bytes, flop in rows:
        moved = "| | | "
        if n_bytes:
            rate = n_bytes / seconds
            moved = f"| {n_bytes / 1e6:.1f} | {rate / 1e9:.1f} | {100 * rate / bandwidth:.0f} % "
        print(
            f"| {name} | {seconds / BATCH * 1e6:.2f} {moved}| {flop / seconds / 1e9:.2f} | "
            f"{100 * flop / seconds / peak:.1f} % |"
        )


if __name__ == "__main__":
    main()
