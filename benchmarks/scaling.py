"""Threads: what 1 and 2 take, what stands in the way of more, and a prediction up to 64.

    python benchmarks/scaling.py [--rounds 5]

MNIST, 2 x 1000, Adam, every row in every epoch; minibatches shared by all threads, and asynchronous
training, with 1 and 2 threads in turn. Writes docs/scaling.md and docs/results/scaling.json.

Measured: seconds of an epoch on p = 1, 2 threads, T(p); the share s of T(1) outside of the kernels
(refreshes, the interpreter), which has one thread; and of two batches, the share of the one's
neurons that the other holds too. The model, for both schedules:

    T(p) = T(1) (s + (1 - s) w(p) / (p e(p)))

w(p) = 1 + k (p - 1) / p, the work of a row where the last thread to write a weight was another one
with chance (p - 1) / p, and fetching it costs more; k is what makes T(2) come out, and holds the
barriers of the minibatches too. e(p) is the share of threads that have work: an asynchronous epoch
of n batches takes ceil(n / p) turns, a minibatch has 200 rows in blocks of at least one.
"""

import argparse
import json
import time
import warnings
from itertools import pairwise
from math import ceil
from pathlib import Path

import numpy as np
from datasets import mnist
from environment import environment
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh._network import Network
from sklearn_lsh.inspection import active_sets

DOCS = Path(__file__).parent.parent / "docs"
BATCH, EPOCHS = 200, 3
THREADS = (1, 2, 4, 8, 16, 32, 64)


def train(X, y, asynchronous, n_threads):
    """The model, seconds of the epochs after the first, and of those within kernels."""
    inside, ends = [], []
    original = Network.train

    def timed(self, *args):
        start = time.perf_counter()
        result = original(self, *args)
        inside.append((time.perf_counter(), time.perf_counter() - start))
        return result

    def after_an_epoch(*_):
        ends.append(time.perf_counter())
        return 0.0

    Network.train = timed
    try:
        model = LSHMLPClassifier(
            (1000, 1000), batch_size=BATCH, asynchronous=asynchronous, n_threads=n_threads,
            max_iter=EPOCHS, random_state=0, settled_tol=0, scoring=after_an_epoch,
        ).fit(X, y, X_val=X[:2], y_val=y[:2])  # fmt: skip
    finally:
        Network.train = original
    within = sum(seconds for end, seconds in inside if end > ends[0])
    return model, ends[-1] - ends[0], within


def overlap(model, X):
    """Of two batches, the share of the neurons of one that the other holds too, by layer."""
    shares = []
    for active in active_sets(model, X[: 20 * BATCH]):
        held = [
            np.asarray(active[at : at + BATCH].astype(bool).sum(axis=0)).ravel() > 0
            for at in range(0, 20 * BATCH, BATCH)
        ]
        shares.append(float(np.mean([(a & b).sum() / a.sum() for a, b in pairwise(held)])))
    return shares


def predicted(record, n_batches):
    """Speed-ups over one thread."""
    one, two = record["seconds"]["1"], record["seconds"]["2"]
    s = 1 - record["within"] / one

    def idle(p):
        if record["asynchronous"]:
            return n_batches / (p * ceil(n_batches / p))
        return min(1, BATCH / p / ceil(BATCH / p))

    def time_of(p, k):
        return s + (1 - s) * (1 + k * (p - 1) / p) / (p * idle(p))

    # time_of(2, k) == two / one
    k = 2 * ((two / one - s) * 2 * idle(2) / (1 - s) - 1)
    return s, k, [1 / time_of(p, k) for p in THREADS]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y, *_ = mnist()
    seconds = {(mode, p): [] for mode in (False, True) for p in (1, 2)}
    within = {False: [], True: []}
    for _ in range(options.rounds):
        for (mode, p), own in seconds.items():
            model, taken, inner = train(X, y, mode, p)
            own.append(taken / (EPOCHS - 1))
            if p == 1:
                within[mode].append(inner / (EPOCHS - 1))
            print(f"  asynchronous={mode}, {p} threads: {own[-1]:.2f} s an epoch", flush=True)
    result = environment() | {"overlap": overlap(model, X), "schedules": []}
    for mode in (False, True):
        result["schedules"].append({
            "asynchronous": mode,
            "seconds": {str(p): float(np.median(seconds[mode, p])) for p in (1, 2)},
            "within": float(np.median(within[mode])),
            "every": {str(p): seconds[mode, p] for p in (1, 2)},
        })  # fmt: skip
    (DOCS / "results" / "scaling.json").write_text(json.dumps(result, indent=1) + "\n")
    lines = [
        "# Threads", "",
        f"`{result['command']}`: {result['machine']}, medians of {options.rounds} trainings in "
        "turn. How the model is made: the head of that file.", "",
        "| | s / epoch, 1 thread | 2 threads | measured | s: outside of kernels | k: weights from "
        "other cores, barriers |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    curves = []
    for record in result["schedules"]:
        s, k, curve = predicted(record, ceil(len(X) / BATCH))
        name = "asynchronous" if record["asynchronous"] else "minibatches"
        one, two = record["seconds"]["1"], record["seconds"]["2"]
        lines.append(f"| {name} | {one:.2f} | {two:.2f} | {one / two:.2f} x | {s:.3f} | {k:.2f} |")
        curves.append(f"| {name} | " + " | ".join(f"{value:.1f}" for value in curve) + " |")
    shares = " and ".join(f"{share:.2f}" for share in result["overlap"])
    lines += [
        "", f"Of two batches of {BATCH}, {shares} of one's neurons (first, second layer) are the "
        "other's too: in batches almost every weight is shared, and its line moves between caches; "
        "within a row 5 % are.", "",
        "**A prediction, not a measurement**, of speed-ups for more cores that share a third-level "
        "cache as these do:", "",
        "| threads | " + " | ".join(map(str, THREADS)) + " |", "|---" * (len(THREADS) + 1) + "|",
        *curves, "",
    ]  # fmt: skip
    (DOCS / "scaling.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
