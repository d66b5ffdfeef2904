"""What do random layers of few active neurons leave of their inputs? A study of starts.

    python benchmarks/start.py [--seeds 1] [--output FILE.json]

Networks of seven layers of 1000 in plain NumPy, 50 neurons active, before any training: the share
of 1,000 test rows of MNIST whose nearest (by cosine) of 5,000 training rows, by the outputs of each
layer, is of their class. Biases move so that the mean input favours no neuron. About a minute.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from datasets import mnist
from environment import environment

N, ACTIVE, DEPTH = 1000, 50, 7
# Mean square of the 50 largest of 1000 normal numbers, times 50: what the sum of an active set's
# squares is, over the variance of the pre-activations.
SQUARES = 217
# How weights of the layers above the first come from scikit-learn's random ones.
STARTS = {
    "random": lambda W: W,
    "random, scaled for 50 active inputs": lambda W: W / (W.std() * np.sqrt(SQUARES)),
    "orthogonal": lambda W: np.linalg.qr(W)[0],
    "random, all neurons active": lambda W: W,
    "copy": lambda W: np.eye(N),
    "copy and .3 random": lambda W: np.eye(N) + 0.3 * W,
    "copy and random": lambda W: np.eye(N) + W,
}


def outputs(z, n_active):
    """relu, of the n_active largest of every row."""
    edge = np.partition(z, N - n_active, axis=1)[:, N - n_active, None]
    return np.where(z >= edge, np.maximum(z, 0), 0)


def shares(name, seed, X, y, X_test, y_test):
    """The share after every layer."""
    rng = np.random.RandomState(seed)
    n_active = N if "all" in name else ACTIVE
    found = []
    for depth in range(DEPTH):
        bound = np.sqrt(6 / (X.shape[1] + N))
        W = rng.uniform(-bound, bound, (X.shape[1], N))
        b = rng.uniform(-bound, bound, N)
        W = STARTS[name](W) if depth else W
        b -= X.mean(axis=0) @ W
        X, X_test = outputs(X @ W + b, n_active), outputs(X_test @ W + b, n_active)
        nearest = np.argmax(X_test @ (X / np.linalg.norm(X, axis=1, keepdims=True)).T, axis=1)
        found.append(float(np.mean(y[nearest] == y_test)))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    X, y, X_test, y_test = mnist()
    data = X[:5000].astype(np.float64), y[:5000], X_test[:1000].astype(np.float64), y_test[:1000]
    results = {}
    print("| start |", *(f"layer {n} |" for n in range(1, DEPTH + 1)))
    print("|---" * (DEPTH + 1) + "|")
    for name in STARTS:
        results[name] = [shares(name, seed, *data) for seed in range(options.seeds)]
        print(f"| {name} |", *(f"{m:.2f} |" for m in np.mean(results[name], axis=0)), flush=True)
    if options.output:
        options.output.write_text(json.dumps({**environment(), "runs": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
