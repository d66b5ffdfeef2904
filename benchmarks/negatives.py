"""Which wrong labels should a sampled output layer train on? A study.

    python benchmarks/negatives.py [--labels 20000] [--seeds 1] [--epochs 3] [--output FILE.json]

A plain NumPy network (sum of input weights, 128 ReLU, softmax; Adam at .004, batches of 128) on
synthetic labels (`generated.many_labels`). All rows of a batch are scored on one set of labels:

- "batch": those of its rows; "corrected": another row's label is raised by -log of its chance to
  be in the batch, times a power;
- "+ random": so many others besides, drawn anew for every batch;
- "+ strongest": for every row the 16 wrong labels of the highest scores, every label scored;
- "+ SimHash": for every row 16 of its bucket, tables of centred weights made every 50 steps.

P@1 on the test rows after every epoch, every label scored. Each line is 15 to 90 seconds.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from environment import environment
from generated import many_labels
from scipy import sparse

from sklearn_lsh.metrics import precision_at_k

HIDDEN, BATCH, RATE, EACH, PLANES, REFILE = 128, 128, 0.004, 16, 8, 50
RULES = {
    "batch": {},
    "batch, corrected": {"power": 1.0},
    "batch, corrected, power .75": {"power": 0.75},
    "batch + 2000 random, corrected": {"power": 1.0, "n_random": 2000},
    "batch + strongest, corrected": {"power": 1.0, "found": "strongest"},
    "batch + SimHash, corrected": {"power": 1.0, "found": "simhash"},
}


class Parameter:
    """Rows of weights under Adam, of which a step moves some."""

    def __init__(self, values):
        self.values = values.astype(np.float32)
        self.m, self.v = np.zeros_like(self.values), np.zeros_like(self.values)

    def step(self, rows, gradient, t):
        self.m[rows] += 0.1 * (gradient - self.m[rows])
        self.v[rows] += 0.001 * (gradient**2 - self.v[rows])
        rate = RATE * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        self.values[rows] -= rate * self.m[rows] / (np.sqrt(self.v[rows]) + 1e-8)


class Net:
    def __init__(self, n_features, n_labels, counts, rule, seed):
        self.rng = np.random.default_rng(seed)
        bound = np.sqrt(6 / (HIDDEN + n_labels))
        self.V = Parameter(self.rng.normal(0, 0.1, (n_features, HIDDEN)))
        self.a = Parameter(np.zeros(HIDDEN))
        self.W = Parameter(self.rng.uniform(-bound, bound, (n_labels, HIDDEN)))
        self.b = Parameter(np.zeros(n_labels))
        self.rule, self.t = {"power": 0, "n_random": 0, "found": None} | rule, 0
        with np.errstate(divide="ignore"):
            self.absent = np.exp(BATCH * np.log1p(-np.minimum(counts, 1)))

    def hidden(self, X):
        return np.maximum(X @ self.V.values + self.a.values, 0)

    def find(self, hidden, Y):
        """Wrong labels, EACH a row at most."""
        if self.rule["found"] == "strongest":
            scores = hidden @ self.W.values.T + self.b.values
            scores[Y.nonzero()] = -np.inf
            return np.argpartition(-scores, EACH, axis=1)[:, :EACH].ravel()
        bits = 1 << np.arange(PLANES)
        if self.t % REFILE == 1:
            self.planes = self.rng.normal(size=(HIDDEN, PLANES)).astype(np.float32)
            codes = (self.W.values - self.W.values.mean(axis=0)) @ self.planes > 0
            codes = codes @ bits
            self.order = np.argsort(codes, kind="stable")
            self.start = np.searchsorted(codes[self.order], np.arange(2**PLANES + 1))
        codes = ((hidden - hidden.mean(axis=0)) @ self.planes > 0) @ bits
        buckets = (self.order[self.start[c] : self.start[c + 1]] for c in codes)
        return np.concatenate([self.rng.permutation(labels)[:EACH] for labels in buckets])

    def step(self, X, Y):
        self.t += 1
        hidden = self.hidden(X)
        extra = self.rng.choice(len(self.b.values), self.rule["n_random"], replace=False)
        labels = np.union1d(Y.indices, extra)
        chance = 1 - self.absent[labels] * (1 - self.rule["n_random"] / len(self.b.values))
        if self.rule["found"]:
            found = self.find(hidden, Y)
            both = np.union1d(labels, found)
            chance = np.where(np.isin(both, found), 1, 1 - self.absent[both])
            labels = both
        place = np.searchsorted(labels, Y.indices)
        row = np.repeat(np.arange(len(hidden)), np.diff(Y.indptr))
        corrections = np.tile(
            self.rule["power"] * np.log(np.maximum(chance, 1e-6)), (len(hidden), 1)
        )
        corrections[row, place] = 0
        W = self.W.values[labels]
        scores = hidden @ W.T + self.b.values[labels] - corrections
        deltas = np.exp(scores - scores.max(axis=1, keepdims=True)).astype(np.float32)
        deltas /= deltas.sum(axis=1, keepdims=True)
        deltas[row, place] -= (1 / np.diff(Y.indptr))[row]
        deltas /= len(hidden)
        below = (deltas @ W) * (hidden > 0)
        self.W.step(labels, deltas.T @ hidden, self.t)
        self.b.step(labels, deltas.sum(axis=0), self.t)
        columns = np.unique(X.indices)
        self.V.step(columns, sparse.csr_matrix(X[:, columns].T) @ below, self.t)
        self.a.step(slice(None), below.sum(axis=0), self.t)
        return len(labels)

    def best(self, X):
        return (self.hidden(X) @ self.W.values.T + self.b.values).argmax(axis=1)[:, None]


def run(data, rule, seed, epochs):
    """P@1 after every epoch, and the mean number of labels of a batch."""
    X, Y, X_test, Y_test = data
    counts = np.bincount(Y.indices, minlength=Y.shape[1]) / X.shape[0]
    net, precisions, sizes = Net(X.shape[1], Y.shape[1], counts, rule, seed), [], []
    for _ in range(epochs):
        order = net.rng.permutation(X.shape[0])
        for at in range(0, len(order), BATCH):
            rows = order[at : at + BATCH]
            sizes.append(net.step(X[rows], Y[rows]))
        precisions.append(precision_at_k(Y_test, net.best(X_test), 1))
    return precisions, np.mean(sizes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--output")
    options = parser.parse_args()
    record = environment() | {"results": {}}
    print("| labels | rule | labels of a batch | P@1 after each epoch |\n|---|---|---|---|")
    for n_labels in options.labels:
        data = many_labels(n_labels)
        for name, rule in RULES.items():
            runs = [run(data, rule, seed, options.epochs) for seed in range(options.seeds)]
            record["results"][f"{n_labels}, {name}"] = [
                {"precisions": p, "labels": float(size)} for p, size in runs
            ]
            p = np.mean([p for p, _ in runs], axis=0)
            size = np.mean([size for _, size in runs])
            print(f"| {n_labels} | {name} | {size:.0f} | {' '.join(f'{x:.3f}' for x in p)} |",
                  flush=True)  # fmt: skip
    if options.output:
        Path(options.output).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
