"""How long must a shortlist be, for how many coordinates? Recall against cost of both.

    python benchmarks/shortlist.py [--epochs 3] [--seeds 1] [--output FILE.json]

MNIST (pixels centred), 784-1000-1000-10, 50 active, one network for every number of coordinates.
For 2,000 test rows: the share of the exact active set that is among so many neurons of the largest
scores, per layer, and multiplications of finding it there: of scoring all neurons, and of the
pre-activations of those that are not kept. A minute a seed.
"""

import argparse
import json
import warnings
from itertools import product
from pathlib import Path

import numpy as np
from environment import environment
from paper import load
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh.inspection import active_sets

ACTIVE, WIDTH, N_ROWS = 50, 1000, 2000
RANKS = [8, 16, 24, 32, 48]
LENGTHS = [50, 64, 80, 100, 150]


def found(layer, X):
    """Share of the exact set among the best scores, by their number; and what scoring costs."""
    selector = layer.selector
    exact = X @ layer.W.T + layer.b
    neurons = selector.sketches.swapaxes(1, 2).reshape(-1, selector.rank)[:WIDTH]
    scores = (X @ selector.directions) @ neurons.T + selector.offsets[:WIDTH]
    is_active = np.zeros(exact.shape, dtype=bool)
    np.put_along_axis(is_active, np.argsort(-exact, axis=1)[:, :ACTIVE], True, axis=1)
    ordered = np.take_along_axis(is_active, np.argsort(-scores, axis=1), axis=1)
    shares = ordered.mean(axis=0).cumsum() / ACTIVE
    entries = np.count_nonzero(X) / len(X)
    return {
        str(n): {
            "recall": float(shares[n - 1]),
            "multiplications": selector.rank * (entries + WIDTH) + entries * (n - ACTIVE),
        }
        for n in LENGTHS
    }


def study(rank, n_epochs, seed, X, y, X_test):
    """`found` of both layers of a network."""
    model = LSHMLPClassifier(
        (WIDTH, WIDTH), selector="sketch", density=ACTIVE / WIDTH, sketch_size=rank,
        max_iter=n_epochs, random_state=seed,
    ).fit(X, y)  # fmt: skip
    first, second, _ = model._network.layers
    return [found(first, X_test), found(second, active_sets(model, X_test)[0].toarray())]


def show(results):
    print("| coordinates | layer |" + "".join(f" {n} |" for n in LENGTHS))
    print("|---|---|" + "---|" * len(LENGTHS))
    for rank, depth in product(RANKS, (0, 1)):
        cells = []
        for n in LENGTHS:
            seeds = [record[depth][str(n)] for record in results[str(rank)]]
            recall = np.mean([r["recall"] for r in seeds])
            spent = np.mean([r["multiplications"] for r in seeds])
            cells.append(f" {recall:.3f} ({spent / 1000:.0f}k) |")
        print(f"| {rank} | {depth + 1} |" + "".join(cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y, X_test, *_ = load("mnist")
    X_test = X_test[:N_ROWS]
    results = {
        str(rank): [study(rank, options.epochs, s, X, y, X_test) for s in range(options.seeds)]
        for rank in RANKS
    }
    show(results)
    if options.output:
        record = {"environment": environment(), "epochs": options.epochs, "found": results}
        options.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
