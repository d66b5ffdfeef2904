"""The kernels' versions for different instruction sets, against one another.

    python benchmarks/simd.py [--rounds 5] [--cases 1000,1000 100000 labels]

MNIST at these widths, and 20,000 labels (synthetic_20k of extreme.py: 128 hidden neurons, sampled
output), one thread: microseconds to train on a row (one epoch of few rows: start and refreshes
count) and to predict one (1000 rows, median of 7; every label scored), every version in a process
of its own, in turn. Medians, the range, and how many times as long "avx2" takes: medians of the
ratios of a round.
"""

import argparse
import os
import subprocess
import sys
import time
import warnings

import numpy as np
from datasets import mnist
from environment import environment
from generated import many_labels

LEVELS = ["baseline", "avx2", "avx512"]
PREDICTED, TIMES = 1000, 7


def of_labels():
    """Model, training data, rows to predict, and how."""
    from sklearn_lsh import LSHMLPClassifier

    X, Y, X_test, _ = many_labels(20_000)
    model = LSHMLPClassifier(
        (128,), selector="dense", loss="softmax", sampled_output=True, batch_size=128, max_iter=1,
        learning_rate_init=0.004, random_state=0, n_threads=1,
    )  # fmt: skip
    return model, X[:10_000], Y[:10_000], X_test[:PREDICTED], lambda X: model.predict_top_k(X, 5)


def of_widths(widths):
    from sklearn_lsh import LSHMLPClassifier

    X, y, X_test, _ = mnist()
    n_rows = 10_000 if max(widths) < 10_000 else 1000
    model = LSHMLPClassifier(
        widths, density=[50 / n if n < 10_000 else 100 / n for n in widths], selector="sketch",
        max_iter=1, batch_size=200, random_state=0, n_threads=1,
    )  # fmt: skip
    return model, X[:n_rows], y[:n_rows], X_test[:PREDICTED], model.predict


def measure(case):
    """Print the version that runs here, and the microseconds of a row."""
    from sklearn_lsh._kernels import _passes

    warnings.simplefilter("ignore")
    widths = [] if case == "labels" else [int(n) for n in case.split(",")]
    model, X, y, X_test, predict = of_widths(widths) if widths else of_labels()
    start = time.perf_counter()
    model.fit(X, y)
    training, seconds = time.perf_counter() - start, []
    for _ in range(TIMES):
        start = time.perf_counter()
        predict(X_test)
        seconds.append(time.perf_counter() - start)
    print(_passes.simd(), 1e6 * training / X.shape[0], 1e6 * np.median(seconds) / PREDICTED)


def in_a_process(level, case):
    """Training and prediction, microseconds of a row, or None where the machine has none."""
    said = subprocess.run(
        [sys.executable, __file__, "--measure", case], capture_output=True, text=True, check=True,
        env=os.environ | {"SKLEARN_LSH_SIMD": level, "OMP_NUM_THREADS": "1"},
    ).stdout.split()  # fmt: skip
    return [float(number) for number in said[1:]] if said[0] == level else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", nargs="+", default=["1000,1000", "100000", "labels"])
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    print(environment()["machine"])
    print("| case | version | training, us a row | avx2 over it | prediction | avx2 over it |")
    print("|---|---|---|---|---|---|")
    for case in options.cases:
        turns = [[in_a_process(level, case) for level in LEVELS] for _ in range(options.rounds)]
        times = {
            level: np.array(found)
            for level, *found in zip(LEVELS, *turns, strict=True)
            if None not in found
        }
        for level, found in times.items():
            ratio = np.median(times.get("avx2", np.nan) / found, axis=0)
            cells = [
                f"{np.median(t):.1f} ({t.min():.1f} to {t.max():.1f}) | {r:.2f}"
                for t, r in zip(found.T, ratio, strict=True)
            ]
            print(f"| {case} | {level} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
