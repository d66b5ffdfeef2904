"""The bars of the project on full MNIST: accuracy, multiplications, time, threads.

    python benchmarks/mnist.py [--seeds 5] [--epochs 10] [--output FILE.json]

784-1000-1000-10, pixels / 255, density .05. Accuracy: mean and standard deviation over seeds after
the last epoch. Time: an epoch each of MLPClassifier (float32, batch 200, all BLAS threads) and of
ours in turn, in one process, medians; the same for one thread against two. About 10 minutes on two
cores.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from datasets import mnist
from environment import environment
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh.inspection import selection_recall

NET = {"hidden_layer_sizes": (1000, 1000), "density": 0.05, "n_threads": 2}
SETTINGS = {
    "sketch": {"selector": "sketch"},
    "lsh": {
        "selector": "lsh",
        "hash_function": "kmeans",
        "n_hashes": 1,
        "n_tables": 4,
        "n_probes": 20,
    },
}
ASYNCHRONOUS = {
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "adam": {"solver": "adam"},
}


def spent(model):
    """All multiplications of training as a share of the dense network's."""
    cost = model.n_multiplications_
    return sum(n for kind, n in cost.items() if kind != "dense") / cost["dense"]


def epoch_seconds(model, X, y):
    start = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - start


def accuracy(data, seeds, epochs):
    X, y, X_test, y_test = data
    results = {}
    for name, setting in SETTINGS.items():
        runs = []
        for seed in range(seeds):
            model = LSHMLPClassifier(**NET, **setting, max_iter=epochs, random_state=seed)
            model.fit(X, y)
            recall = selection_recall(model, X_test[:2000])["recall"]
            runs.append((model.score(X_test, y_test), spent(model), *recall))
            print(f"  {name} seed {seed}: accuracy {runs[-1][0]:.4f}", flush=True)
        runs = np.array(runs)
        results[name] = {
            "setting": setting,
            "accuracy": runs[:, 0].tolist(),
            "accuracy_mean": runs[:, 0].mean(),
            "accuracy_std": runs[:, 0].std(ddof=1) if seeds > 1 else 0.0,
            "multiplications": runs[:, 1].mean(),
            "multiplications_by_kind": model.n_multiplications_,
            "recall": runs[:, 2:].mean(axis=0).tolist(),
        }
    return results


def alternate(models, X, y, rounds):
    """Median seconds an epoch of every model, run in turn after one epoch to warm up."""
    seconds = {name: [] for name in models}
    for model in models.values():
        model.fit(X[:2000], y[:2000])
    for _ in range(rounds):
        for name, model in models.items():
            seconds[name].append(epoch_seconds(model, X, y))
            print(f"  {name}: {seconds[name][-1]:.2f} s", flush=True)
    return seconds


def ratio(seconds, a, b):
    """Median over the rounds of a's time over b's."""
    return float(np.median(np.divide(seconds[a], seconds[b])))


def speed(data, rounds):
    X, y = data[:2]
    step = {"max_iter": 1, "warm_start": True, "random_state": 0}
    models = {
        "MLPClassifier": MLPClassifier(NET["hidden_layer_sizes"], batch_size=200, **step),
        **{name: LSHMLPClassifier(**NET, **s, **step) for name, s in SETTINGS.items()},
    }
    seconds = alternate(models, X, y, rounds)
    result = {
        "seconds": {k: float(np.median(v)) for k, v in seconds.items()},
        "rounds": seconds,
    }
    for name in SETTINGS:
        result[f"MLPClassifier / {name}"] = ratio(seconds, "MLPClassifier", name)
    for solver, setting in ASYNCHRONOUS.items():
        models = {
            f"asynchronous {solver}, {n} threads": LSHMLPClassifier(
                **NET | {"n_threads": n}, selector="sketch", asynchronous=True, **setting, **step
            )
            for n in (1, 2)
        }
        seconds = alternate(models, X[:30000], y[:30000], rounds)
        result["rounds"] |= seconds
        one, two = seconds
        result[f"asynchronous {solver}, 2 threads over 1"] = ratio(seconds, one, two)
        result[f"asynchronous {solver}, accuracy"] = models[two].score(*data[2:])
    models = {
        f"{n} threads": LSHMLPClassifier(**NET | {"n_threads": n}, selector="sketch", **step)
        for n in (1, 2)
    }
    seconds = alternate(models, X, y, rounds)
    result["rounds"] |= seconds
    result["deterministic, 2 threads over 1"] = ratio(seconds, "1 threads", "2 threads")
    result["same bits with 1 and 2 threads"] = all(
        np.array_equal(a, b)
        for a, b in zip(*(m.coefs_ + m.intercepts_ for m in models.values()), strict=True)
    )
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y, X_test, y_test = mnist()
    data = X.astype(np.float32), y, X_test.astype(np.float32), y_test
    results = {
        **environment(),
        "speed": speed(data, options.rounds),
        "accuracy": accuracy(data, options.seeds, options.epochs),
    }
    print("\n| figure | value |\n|---|---|")
    for name, result in results["accuracy"].items():
        recall = " / ".join(f"{r:.3f}" for r in result["recall"])
        print(
            f"| {name}: test accuracy | {result['accuracy_mean']:.4f} ± "
            f"{result['accuracy_std']:.4f} |\n"
            f"| {name}: multiplications / dense | {100 * result['multiplications']:.2f} % |\n"
            f"| {name}: recall of the exact active set, by layer | {recall} |"
        )
    for name, value in results["speed"].items():
        if name == "rounds":
            continue
        if name == "seconds":
            for peer, seconds in value.items():
                print(f"| {peer}: seconds an epoch | {seconds:.2f} |")
        else:
            print(f"| {name} | {value if isinstance(value, bool) else f'{value:.3g}'} |")
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
