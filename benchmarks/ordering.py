"""What it brings to number neurons by the company they keep, and where it does not.

    python benchmarks/ordering.py [--rounds 3] [--output FILE.json]

An epoch of MNIST (Adam at .001), two layers of every width, and predictions of the test rows,
ordered and not, in turn, on all threads. The package orders where weights are more than a cache
holds (`_costs.CACHED`); here that is set aside. Lines: cache lines that the active neurons of the
first layer lie on, of a test row.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from datasets import mnist
from environment import environment, seconds_of
from paper_tables import spread
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh import LSHMLPClassifier, _network
from sklearn_lsh._rows import CACHE_LINE, Rows
from sklearn_lsh._workspace import Workspace

WIDTHS = {1000: 0.05, 2000: 0.05, 4000: 0.05, 10_000: 0.02}  # and their densities
WAYS = {"as they come": 2**60, "ordered": 0}  # what a cache is taken to hold


def lines(network, X):
    """Cache lines on which the active neurons of the first layer lie, of a row."""
    active = network.outputs(1, Rows.from_matrix(X), Workspace(network.layers, len(X), 1)).tocoo()
    line = active.row * np.int64(2**32) + active.col // CACHE_LINE
    return len(np.unique(line)) / len(X)


def study(width, cached, seed, X, y, X_test):
    _network.CACHED = cached
    model = LSHMLPClassifier((width, width), density=WIDTHS[width], random_state=seed, max_iter=1)
    return {
        "epoch": seconds_of(model.fit, X, y),
        "predict": 1e6 * min(seconds_of(model.predict, X_test) for _ in range(3)) / len(X_test),
        "lines": lines(model._network, X_test[:1000]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y, X_test, _ = mnist()
    results = environment() | {"runs": {}}
    print("| width | active | lines, as they come | side by side | epoch (s), as they come |"
          " side by side | ratio | predict (us / row), as they come | side by side |"
          " ratio |")  # fmt: skip
    print("|---" * 10 + "|")
    for width, density in WIDTHS.items():
        runs = []
        for seed in range(options.rounds):
            turn = list(WAYS)[:: (-1) ** seed]
            runs.append({way: study(width, WAYS[way], seed, X, y, X_test) for way in turn})
        results["runs"][width] = runs
        cells = [f"{width}", f"{width * density:.0f}"]
        for key in ("lines", "epoch", "predict"):
            plain, ordered = ([run[way][key] for run in runs] for way in WAYS)
            form = "{:.2f}" if key == "epoch" else "{:.1f}"
            cells += [spread(plain, form), spread(ordered, form)]
            if key != "lines":
                cells.append(spread(np.divide(plain, ordered), "{:.2f}"))
        print("| " + " | ".join(cells) + " |", flush=True)
        if options.output:
            options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
