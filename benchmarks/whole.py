"""Layers as whole matrices against the same layers by index lists.

    python benchmarks/whole.py [--rows 6000] [--rounds 5]

2 x 1000 on MNIST, centred, Adam, batches of 200, every row learned from, all cores; training of one
epoch and prediction of the test rows, microseconds a row. Both ways in turn, medians; the ratio is
the median of those of a turn. By lists: no layer counts as large enough to be a matrix. Also
scikit-learn's MLPClassifier in float32 in the same turns, against "dense". Writes Markdown.
"""

import argparse
import time
import warnings

import numpy as np
from datasets import mnist
from environment import environment
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from sklearn_lsh import LSHMLPClassifier, _costs

WIDTHS = (1000, 1000)
LEVELS = [0.05, 0.1, 0.2, 0.5, 0.9]
CASES = [("dense", 1.0)] + [
    (selector, level) for selector in ("topk", "sketch", "dropout") for level in LEVELS
]
SMALL = _costs.SMALL


def timed(model, X, y, X_test):
    start = time.perf_counter()
    model.fit(X, y)
    middle = time.perf_counter()
    model.predict(X_test)
    return 1e6 * np.array(
        [(middle - start) / len(X), (time.perf_counter() - middle) / len(X_test)]
    )  # fmt: skip


def ours(selector, density, small):
    _costs.SMALL = small
    return LSHMLPClassifier(
        WIDTHS, selector=selector, density=density, max_iter=1, batch_size=200, settled_tol=0.0,
        random_state=0,
    )  # fmt: skip


def cell(values):
    return f"{np.median(values):.0f} ({np.min(values):.0f} to {np.max(values):.0f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y, X_test, _ = mnist()
    mean = X.mean(axis=0, dtype=np.float64).astype(np.float32)
    X, y, X_test = (X - mean)[: options.rows], y[: options.rows], X_test - mean
    facts = environment()
    print(f"`{facts['command']}`: {facts['machine']}.\n")
    columns = "lists | matrices | ratio"
    print(f"| selector | active (%) | training, {columns} | prediction, {columns} |")
    print("|" + 8 * "---|")
    for selector, density in CASES:
        lists, matrices, others = [], [], []
        for _ in range(options.rounds):
            lists.append(timed(ours(selector, density, 10**9), X, y, X_test))
            matrices.append(timed(ours(selector, density, SMALL), X, y, X_test))
            if selector == "dense":
                other = MLPClassifier(WIDTHS, max_iter=1, batch_size=200, random_state=0)
                others.append(timed(other, X, y, X_test))
        (a, b), ratios = np.transpose([lists, matrices], (0, 2, 1)), np.divide(lists, matrices)
        columns = [
            f"{cell(a[at])} | {cell(b[at])} | {np.median(ratios[:, at]):.1f}" for at in (0, 1)
        ]
        print(f"| {selector} | {100 * density:.0f} | {columns[0]} | {columns[1]} |", flush=True)
        if others:
            beside = "".join(f" {cell(column)} |" for column in np.transpose(others))
            print(f"| MLPClassifier | 100 | - |{beside.replace(' |', ' | - | - |', 1)} - |")


if __name__ == "__main__":
    main()
