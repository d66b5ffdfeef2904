"""What it costs and saves that rows which are settled teach nothing and rest (`settled_tol`).

    python benchmarks/settled.py [--seeds 3] [--output FILE.json]

MNIST, 2 x 1000, density .05, 10 epochs of Adam at .003, falling linearly: test accuracy, training's
multiplications as a share of the dense network's, and the share of rows that an epoch learns from.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from datasets import mnist
from environment import environment
from paper_tables import share
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh import LSHMLPClassifier

TOLERANCES = [0.0, 0.001, 0.01, 0.03, 0.1]
EPOCHS, WIDTH, ACTIVE = 10, 1000, 50


def study(tolerance, seed, X, y, X_test, y_test):
    model = LSHMLPClassifier(
        (WIDTH, WIDTH), density=ACTIVE / WIDTH, learning_rate="linear", learning_rate_init=0.003,
        max_iter=EPOCHS, random_state=seed, settled_tol=tolerance,
    ).fit(X, y)  # fmt: skip
    cost = model.n_multiplications_
    return {
        "accuracy": model.score(X_test, y_test),
        "multiplications": share({"multiplications": cost}),
        # Of a row that is learned from, the second layer takes ACTIVE ** 2.
        "learned": cost["backward"] / (EPOCHS * len(X) * ACTIVE**2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = mnist()
    results = environment() | {"runs": {}}
    print("| settled_tol | accuracy (%) | multiplications / dense (%) | rows learned from (%) |")
    print("|---|---|---|---|")
    for tolerance in TOLERANCES:
        runs = [study(tolerance, seed, *data) for seed in range(options.seeds)]
        results["runs"][str(tolerance)] = runs
        shown = [f"{tolerance:g}"]
        for name in runs[0]:
            values = 100 * np.array([run[name] for run in runs])
            spread = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
            shown.append(f"{values.mean():.2f}{spread}")
        print("| " + " | ".join(shown) + " |", flush=True)
        if options.output:
            options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
