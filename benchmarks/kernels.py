"""What the kernels reach: bytes moved, bandwidth and FLOP/s at 784-1000-1000-10, 50 active.

    python benchmarks/kernels.py

One thread. The yardsticks are measured in the same run: a float32 matrix product that fits the cache
(FLOP/s) and a sum over 12 MB, the size of what training touches (bandwidth of the last-level cache).
Bytes are those a kernel must move from beyond the first-level cache: weight rows and optimiser state once
for every use that finds them evicted.
"""

import time

import numpy as np
from sklearn.datasets import make_classification
from threadpoolctl import threadpool_limits

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh._kernels import _linear, _update
from sklearn_lsh._network import COSTS
from sklearn_lsh._network import view_like
from sklearn_lsh._rows import Rows

BATCH = 200


def median_seconds(function, rounds=200):
    function()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def yardsticks():
    a = np.random.default_rng(0).random((512, 512), dtype=np.float32)
    flops = 2 * 512**3 / median_seconds(lambda: a @ a, 30)
    x = np.ones(3_000_000, dtype=np.float32)
    return flops, x.nbytes / median_seconds(x.sum, 50)


def main():
    X, y = make_classification(
        20 * BATCH, 784, n_informative=100, n_classes=10, random_state=0, shift=0.5
    )
    X = np.maximum(X, 0).astype(np.float32)
    with threadpool_limits(1):
        peak, bandwidth = yardsticks()
        model = LSHMLPClassifier((1000, 1000), selector="sketch", n_threads=1, max_iter=3,
                                 warm_start=True, random_state=0).fit(X, y)  # fmt: skip
        trainer = model._trainer
        network, optimizer = trainer.network, trainer.optimizer
        workspace = model._workspace(BATCH, training=True)
        flow, used = network.forward(
            Rows.from_matrix(X[:BATCH]), workspace, dict.fromkeys(COSTS, 0)
        )
        weight = np.ones(BATCH)
        for deltas in workspace.deltas:
            deltas.values[:] = 1e-9
        print(f"yardsticks: {peak / 1e9:.0f} GFLOP/s, {bandwidth / 1e9:.1f} GB/s, one thread\n")
        print("| layer | kernel | us / example | MB / batch | GB/s | of bandwidth | GFLOP/s | of peak |")
        print("|---|---|---|---|---|---|---|---|")

        def report(layer, name, function, n_bytes, flop):
            seconds = median_seconds(function)
            n_out, n_in = layer.W.shape
            print(
                f"| {n_in}-{n_out} | {name} | {seconds / BATCH * 1e6:.2f} | {n_bytes / 1e6:.2f} | "
                f"{n_bytes / seconds / 1e9:.1f} | {100 * n_bytes / seconds / bandwidth:.0f} % | "
                f"{flop / seconds / 1e9:.2f} | {100 * flop / seconds / peak:.1f} % |"
            )

        for depth, layer in enumerate(network.layers):
            x, out = flow[depth], flow[depth + 1]
            deltas = view_like(workspace.deltas[depth], out)
            n_out, n_in = layer.W.shape
            n_pairs = out.n_entries
            # A sparse row of inputs touches a cache line for nearly every entry.
            row = 4 * n_in if x.indices is None else min(64 * used[depth] // n_pairs, 4 * n_in)
            if not layer.selector.is_dense:
                selector = layer.selector
                hashing, ranking = selector.select(layer, x, out, workspace)
                report(layer, "select", lambda: selector.select(layer, x, out, workspace),
                       BATCH * 4 * (n_out * selector.rank), 2 * (hashing + ranking))  # fmt: skip
            report(layer, "forward", lambda: _linear.forward(layer, x, out, 1),
                   n_pairs * row, 2 * used[depth])  # fmt: skip
            if depth:
                below = view_like(workspace.deltas[depth - 1], x)
                report(layer, "backward", lambda: _linear.backward(layer, deltas, x, 0, below, 1),
                       n_pairs * row, 2 * used[depth])  # fmt: skip
            touched = _update.update(layer, deltas, x, weight, optimizer, 1e-4, workspace)
            # Inputs of every pair, then weights and two moments, read and written.
            moved = 4 * used[depth] + 24 * touched
            report(layer, "update",
                   lambda: _update.update(layer, deltas, x, weight, optimizer, 1e-4, workspace),
                   moved, 2 * used[depth] + 14 * touched)  # fmt: skip


if __name__ == "__main__":
    main()
