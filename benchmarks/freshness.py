"""What it costs and saves how selectors follow inputs and weights (design.md, How they stay fresh).

    python benchmarks/freshness.py [--selectors sketch lsh] [--seeds 3] [--output FILE.json]

MNIST (pixels centred), 2 x 1000, density .05, 3 epochs of Adam at .003, falling linearly; "lsh" as
in paper.py, k-means cells. One part of the schedule at a time is changed: test accuracy, recall of
the exact active set of 2,000 test rows by layer, multiplications of refreshes as a share of all of
the dense network's, and seconds of training.
"""

import argparse
import json
import time
import warnings
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
from environment import environment
from paper import load, make
from paper_tables import shown
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh import _training
from sklearn_lsh._selectors import Selector
from sklearn_lsh.inspection import selection_recall

NEVER = 1e-30  # share of the time of steps, for what is not to be paid


def all_neurons(self, layer, n_threads):
    self.stale = True
    return REFRESH(self, layer, n_threads)


REFRESH = Selector.refresh
VARIANTS = {
    "as it is": {},
    "refreshed after every step": {"REFRESH_SHARE": 1 / NEVER},
    "refreshed after a quarter of the steps so far": {"REFRESH_SHARE": NEVER},
    "all neurons at every refresh, not those that stepped": {"refresh": all_neurons},
    "a look at every refresh": {"LOOK_GAP": 0, "LOOK_ALLOWANCE": np.inf},
    "looks cost what they may": {"LOOK_ALLOWANCE": np.inf},
    "no look after the start": {"LOOK_SHARE": NEVER, "LOOK_ALLOWANCE": -np.inf},
    "looks that forget all before": {"MEMORY": 0.0},
    "looks at weights only": {"MEMORY": 1.0},
}


def study(selector, variant, seed, X, y, X_test, y_test, _):
    model = make(selector, (1000, 1000), 0.05, rate=0.003, seed=seed, epochs=3)
    with (
        patch.dict(vars(_training), variant),
        patch.object(Selector, "refresh", variant.get("refresh", REFRESH)),
    ):
        start = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - start
    cost = model.n_multiplications_
    return {
        "accuracy": model.score(X_test, y_test),
        "recall": selection_recall(model, X_test[:2000])["recall"].tolist(),
        "refresh": cost["refresh"] / cost["dense"],
        "seconds": seconds,
    }


def show(name, runs):
    def mean(field):
        return 100 * np.mean([run[field] for run in runs], axis=0)

    first, second = mean("recall")
    seconds = np.median([run["seconds"] for run in runs])
    accuracy = shown([run["accuracy"] for run in runs])
    print(f"| {name} | {accuracy} | {first:.1f} / {second:.1f} | "
          f"{mean('refresh'):.3f} | {seconds:.1f} |", flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--selectors", nargs="+", default=["sketch", "lsh"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = load("mnist")
    results = environment() | {"runs": {}}
    print("| selector, schedule | accuracy (%) | recall (%) | refreshes / dense (%) | seconds |")
    print("|---|---|---|---|---|")
    for selector, (name, variant) in product(options.selectors, VARIANTS.items()):
        runs = [study(selector, variant, seed, *data) for seed in range(options.seeds)]
        results["runs"][f"{selector}, {name}"] = runs
        show(f"{selector}, {name}", runs)
        if options.output:
            options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
