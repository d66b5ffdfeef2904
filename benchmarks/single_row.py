"""Where the time of predicting a single row goes.

    python benchmarks/single_row.py [--rounds 50]

784-1000-1000-10 after an epoch of MNIST, centred, 5 % active, against MLPClassifier in float32 (two
epochs of few rows: its time does not depend on the weights). A hundred rows one after another, all
functions in turn; microseconds a row, medians over the rounds and the quickest round. "scores" is
what kernels take, and the views of the row and its result. Writes Markdown.
"""

import argparse
import time
import warnings

import numpy as np
from datasets import mnist
from environment import environment
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh._plans import plan_for
from sklearn_lsh._rows import Rows
from sklearn_lsh._samples import few_rows

N_ROWS = 100


def microseconds(function, arguments):
    start = time.perf_counter()
    for argument in arguments:
        function(argument)
    return 1e6 * (time.perf_counter() - start) / len(arguments)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y, X_test, _ = mnist()
    mean = X.mean(axis=0, dtype=np.float64).astype(np.float32)
    X, X_test = X - mean, X_test - mean
    widths = (1000, 1000)
    ours = LSHMLPClassifier(widths, density=0.05, max_iter=1, random_state=0).fit(X, y)
    peer = MLPClassifier(widths, max_iter=2, random_state=0).fit(X[:2000], y[:2000])
    rows = [X_test[i : i + 1] for i in range(N_ROWS)]
    views = [Rows.from_matrix(row) for row in rows]
    plan = plan_for(ours._network, views[0])
    parts = {
        "MLPClassifier": (peer.predict, rows),
        "ours": (ours.predict, rows),
        "- checks": (lambda row: few_rows(ours, row), rows),
        "- a view of the row": (Rows.from_matrix, rows),
        "- the plan is found": (lambda view: plan_for(ours._network, view), views),
        "- scores": (plan.scores, views),
    }
    found = {name: [] for name in parts}
    for _ in range(options.rounds):
        for name, (function, arguments) in parts.items():
            found[name].append(microseconds(function, arguments))
    about = environment()
    print(f"`{about['command']}`: {about['machine']}, {about['versions']}\n")
    print("| | us, median | least |\n|---|---|---|")
    for name, times in found.items():
        print(f"| {name} | {np.median(times):.1f} | {np.min(times):.1f} |")
    ratios = np.divide(found["MLPClassifier"], found["ours"])
    print(f"\nMLPClassifier over ours: {np.median(ratios):.1f} ({ratios.min():.1f} to "
          f"{ratios.max():.1f}).")  # fmt: skip


if __name__ == "__main__":
    main()
