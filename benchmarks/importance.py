"""Does weighting by 1 / p help where hash tables sample neurons rather than rank them? A study.

    python benchmarks/importance.py [--seeds 3] [--epochs 2] [--output FILE.json]

A plain NumPy network 784-1000-10 on full MNIST (Adam, batches of 200, dense arithmetic under masks,
float32), whose hidden neurons are those that share a SimHash bucket with the input in any of L
tables, with centred weights and inputs, filed anew every 10 steps. A neuron at angle a is met with
probability p = 1 - (1 - c^K)^L, c = 1 - a / pi. Weighted, an active neuron's activation is divided
by p, or by max(p, .1): sums over sampled neurons then estimate those over all. To compare: as many
neurons ranked by the exact pre-activation. Predictions by the training's own rule, and by all
neurons. About 5 minutes.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from datasets import mnist
from environment import environment

HIDDEN, BATCH, K, L, REFILE = 1000, 200, 6, 5, 10
RULES = ["sampled", "sampled, 1 / p", "sampled, 1 / max(p, .1)", "ranked"]


class Net:
    """One hidden layer; `rule` says which neurons a row has, and how they are weighted."""

    def __init__(self, rule, n_in, n_out, rng):
        self.rule, self.rng = rule, rng
        self.params = [
            self.glorot(n_in, HIDDEN), np.zeros(HIDDEN, np.float32), self.glorot(HIDDEN, n_out),
            np.zeros(n_out, np.float32),
        ]  # fmt: skip
        self.planes = rng.standard_normal((n_in, K * L)).astype(np.float32)
        self.moments = [[np.zeros_like(p), np.zeros_like(p)] for p in self.params]
        self.t = 0

    def glorot(self, n_in, n_out):
        bound = np.sqrt(6 / (n_in + n_out))
        return self.rng.uniform(-bound, bound, (n_in, n_out)).astype(np.float32)

    def codes(self, vectors):
        bits = (vectors @ self.planes > 0).reshape(-1, L, K)
        return bits @ (1 << np.arange(K))

    def file(self):
        self.centred = (self.params[0] - self.params[0].mean(axis=1, keepdims=True)).T
        self.filed = self.codes(self.centred)
        self.norms = np.linalg.norm(self.centred, axis=1)

    def weights(self, X, z):
        """Weight of every neuron for every row; 0: not active."""
        met = (self.codes(X)[:, None] == self.filed).any(axis=2)
        if self.rule == "ranked":
            # As many for each row as the tables find.
            order = np.argsort(np.argsort(-z, axis=1), axis=1)
            return (order < met.sum(axis=1, keepdims=True)).astype(np.float32)
        if self.rule == "sampled":
            return met.astype(np.float32)
        cosine = X @ self.centred.T / (np.linalg.norm(X, axis=1)[:, None] * self.norms + 1e-12)
        p = 1 - (1 - (1 - np.arccos(np.clip(cosine, -1, 1)) / np.pi) ** K) ** L
        return met / np.maximum(p, 0.1 if "max" in self.rule else 1e-3).astype(np.float32)

    def forward(self, X, every=False):
        W, b, V, c = self.params
        z = X @ W + b
        weights = 1 if every else self.weights(X, z)
        h = np.maximum(z, 0) * weights
        return z, weights, h, h @ V + c

    def step(self, X, y, rate=1e-3):
        if self.t % REFILE == 0:
            self.file()
        self.t += 1
        z, weights, h, scores = self.forward(X)
        delta = np.exp(scores - scores.max(axis=1, keepdims=True))
        delta /= delta.sum(axis=1, keepdims=True)
        delta[np.arange(len(y)), y] -= 1
        delta /= len(y)
        below = (delta @ self.params[2].T) * (z > 0) * weights
        slopes = [X.T @ below, below.sum(axis=0), h.T @ delta, delta.sum(axis=0)]
        scale = rate * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        for p, g, (m, v) in zip(self.params, slopes, self.moments, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= scale * m / (np.sqrt(v) + 1e-8)
        return (np.asarray(weights) > 0).mean()


def run(rule, seed, epochs, data):
    X, y, X_test, y_test = data
    rng = np.random.RandomState(seed)
    net = Net(rule, X.shape[1], 10, rng)
    share = []
    for _ in range(epochs):
        order = rng.permutation(len(X))
        share = [net.step(X[o], y[o]) for o in np.split(order, len(X) // BATCH)]
    net.file()
    parts = range(0, len(X_test), 1000)
    found = {}
    for name, every in (("accuracy", False), ("accuracy of all neurons", True)):
        scores = np.vstack([net.forward(X_test[i : i + 1000], every)[-1] for i in parts])
        found[name] = float(np.mean(scores.argmax(axis=1) == y_test))
    return found | {"active": float(np.mean(share))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    X, y, X_test, y_test = mnist()
    mean = X.mean(axis=0, dtype=np.float64)
    data = (X - mean).astype(np.float32), y.astype(int), (X_test - mean).astype(np.float32), y_test
    results = {}
    print("| rule | active (%) | accuracy (%) | with all neurons (%) |\n|---|---|---|---|")
    for rule in RULES:
        runs = [run(rule, seed, options.epochs, data) for seed in range(options.seeds)]
        results[rule] = runs
        columns = [
            f"{100 * np.mean(v):.2f} ± {100 * np.std(v, ddof=1) if len(v) > 1 else 0:.2f}"
            for v in ([r[k] for r in runs]
                      for k in ("active", "accuracy", "accuracy of all neurons"))
        ]  # fmt: skip
        print(f"| {rule} | " + " | ".join(columns) + " |", flush=True)
    if options.output:
        options.output.write_text(json.dumps({**environment(), "runs": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
