"""Wide sparse text: Debian package descriptions to sections, 20,000 tf-idf features, CSR.

    python benchmarks/text.py [--seeds 5] [--epochs 3 6] [--output FILE.json]

1 x 1000 hidden at density .05 against every neuron; every selector with the best learning rate and
number of epochs of one grid, chosen on a tenth of the training rows.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from datasets import debian_sections
from environment import environment
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sklearn_lsh import LSHMLPClassifier

SELECTORS = ["dense", "auto", "sketch", "lsh"]


def fitted(selector, rate, epochs, seed, X, y):
    model = LSHMLPClassifier(
        (1000,), selector=selector, density=0.05, learning_rate_init=rate, max_iter=epochs,
        random_state=seed,
    )  # fmt: skip
    start = time.perf_counter()
    model.fit(X, y)
    return model, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, nargs="+", default=[3, 6])
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-4, 1e-3, 3e-3])
    parser.add_argument("--selectors", nargs="+", default=SELECTORS)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y, X_test, y_test, _ = debian_sections(20000)
    X_fit, X_val, y_fit, y_val = train_test_split(X, y, test_size=0.1, random_state=0)
    results = {}
    for selector in options.selectors:
        tried = {}
        for rate in options.rates:
            for epochs in options.epochs:
                model, _ = fitted(selector, rate, epochs, 0, X_fit, y_fit)
                tried[rate, epochs] = model.score(X_val, y_val)
                print(f"  {selector} {rate=} {epochs=}: {tried[rate, epochs]:.4f}", flush=True)
        rate, epochs = max(tried, key=tried.get)
        runs = [fitted(selector, rate, epochs, seed, X, y) for seed in range(options.seeds)]
        scores = [model.score(X_test, y_test) for model, _ in runs]
        results[selector] = {
            "rate": rate,
            "epochs": epochs,
            "accuracy": scores,
            "seconds_per_epoch": float(np.median([seconds for _, seconds in runs])) / epochs,
            "n_multiplications": runs[-1][0].n_multiplications_,
        }
    print("\n| selector | rate | epochs | test accuracy | s / epoch | multiplications / dense |")
    print("|---|---|---|---|---|---|")
    for selector, r in results.items():
        cost = r["n_multiplications"]
        share = sum(n for kind, n in cost.items() if kind != "dense") / cost["dense"]
        spread = np.std(r["accuracy"], ddof=1) if options.seeds > 1 else 0
        print(
            f"| {selector} | {r['rate']} | {r['epochs']} | {np.mean(r['accuracy']):.4f} ± "
            f"{spread:.4f} | {r['seconds_per_epoch']:.2f} | {100 * share:.1f} % |"
        )
    if options.output:
        record = {**environment(), "selectors": results}
        options.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
