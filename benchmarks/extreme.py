"""Very many labels: sampled output layers against full softmax and label trees.

    python benchmarks/extreme.py [--sets ...] [--methods ...] [--epochs 3] [--seeds 1]
                                 [--rates 0.002 0.004] [--output FILE.json]

One hidden layer of 128, Adam, batch 128, targets of a row shared equally. "sampled" and "all" are
LSHMLPClassifier with sampled_output True and False; "torch" is PyTorch on all cores, EmbeddingBag
with SparseAdam and a fused Adam for the rest, its input weights drawn with deviation .1; "omikuji"
is Parabel, three trees. Networks take an epoch each in turn; the rate of each is the better of
--rates by precision after the last epoch. P@k on the test rows after every epoch, every label
scored; peak memory is that of a process per network. Needs torch and omikuji for theirs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np
from datasets import debian_tags
from environment import environment
from generated import many_labels
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh.datasets import dump_multilabel
from sklearn_lsh.metrics import precision_at_k

HIDDEN, BATCH, TOP = 128, 128, 5
SETS = {
    "debian_tags": lambda: debian_tags()[:4],
    "synthetic_20k": lambda: many_labels(20_000),
    "synthetic_100k": lambda: many_labels(100_000),
    "synthetic_670k": lambda: many_labels(670_000),
}


class Ours:
    def __init__(self, X, Y, rate, seed, sampled):
        self.model = LSHMLPClassifier(
            (HIDDEN,), selector="dense", loss="softmax", sampled_output=sampled, batch_size=BATCH,
            learning_rate_init=rate, random_state=seed, max_iter=1, warm_start=True, n_threads=-1,
        )  # fmt: skip

    def epoch(self, X, Y):
        self.model.fit(X, Y)

    def top(self, X):
        return self.model.predict_top_k(X, TOP)[0]


class Torch:
    def __init__(self, X, Y, rate, seed):
        import torch

        self.torch = torch
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.embedding = torch.nn.EmbeddingBag(X.shape[1], HIDDEN, mode="sum", sparse=True)
        torch.nn.init.normal_(self.embedding.weight, std=0.1)
        self.bias = torch.nn.Parameter(torch.zeros(HIDDEN))
        self.output = torch.nn.Linear(HIDDEN, Y.shape[1])
        dense = [self.bias, *self.output.parameters()]
        self.optimizers = [
            torch.optim.SparseAdam(self.embedding.parameters(), lr=rate),
            torch.optim.Adam(dense, lr=rate, fused=True),
        ]

    def scores(self, X):
        torch = self.torch
        hidden = self.embedding(
            torch.from_numpy(X.indices.astype(np.int64)),
            torch.from_numpy(X.indptr[:-1].astype(np.int64)),
            per_sample_weights=torch.from_numpy(X.data),
        )
        return self.output(torch.relu(hidden + self.bias))

    def epoch(self, X, Y):
        torch = self.torch
        order = self.rng.permutation(X.shape[0])
        for at in range(0, len(order), BATCH):
            rows = order[at : at + BATCH]
            x, y = X[rows], Y[rows]
            n = np.diff(y.indptr)
            log_proba = torch.log_softmax(self.scores(x), dim=1)
            row = torch.from_numpy(np.repeat(np.arange(len(rows)), n))
            share = torch.from_numpy(np.repeat(1 / np.maximum(n, 1), n).astype(np.float32))
            picked = log_proba[row, torch.from_numpy(y.indices.astype(np.int64))]
            loss = -(share * picked).sum() / len(rows)
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in self.optimizers:
                optimizer.step()

    def top(self, X):
        with self.torch.no_grad():
            parts = [self.scores(X[at : at + 256]) for at in range(0, X.shape[0], 256)]
            return np.concatenate([part.topk(TOP, dim=1).indices.numpy() for part in parts])


METHODS = {
    "sampled": lambda *args: Ours(*args, sampled=True),
    "all": lambda *args: Ours(*args, sampled=False),
    "torch": Torch,
}


def precisions(Y, top):
    return [precision_at_k(Y, top, k) for k in (1, 3, 5)]


@contextmanager
def quiet():
    """Nothing of what a library writes to the terminal."""
    sys.stdout.flush()
    kept, nowhere = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    try:
        yield
    finally:
        for stream in (1, 2):
            os.dup2(kept[stream - 1], stream)
            os.close(kept[stream - 1])
        os.close(nowhere)


def trees(X, Y, X_test, Y_test):
    """Parabel of omikuji: seconds of training, precisions."""
    import omikuji

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        dump_multilabel(X, Y, path)
        hyper = omikuji.Model.default_hyper_param()
        hyper.n_trees = 3
        start = time.perf_counter()
        with quiet():
            model = omikuji.Model.train_on_data(str(path), hyper)
        seconds = time.perf_counter() - start
    top = []
    for i in range(X_test.shape[0]):
        x = slice(X_test.indptr[i], X_test.indptr[i + 1])
        pairs = list(zip(X_test.indices[x].tolist(), X_test.data[x].tolist(), strict=True))
        found = [label for label, _ in model.predict(pairs, top_k=TOP)]
        # Fewer than asked for: others, which are wrong.
        spare = (j for j in range(Y.shape[1]) if j not in found)
        top.append(found + [next(spare) for _ in range(TOP - len(found))])
    return {"seconds": seconds, "precisions": precisions(Y_test, np.array(top))}


def run(data, methods, rates, epochs, seed):
    """Epochs of all networks in turn; the record of the better rate of each."""
    X, Y, X_test, Y_test = data
    found = {}
    for rate in rates:
        networks = {name: METHODS[name](X, Y, rate, seed) for name in methods}
        runs = {name: {"rate": rate, "seconds": [], "precisions": []} for name in methods}
        for _, name in product(range(epochs), methods):
            start = time.perf_counter()
            networks[name].epoch(X, Y)
            runs[name]["seconds"].append(time.perf_counter() - start)
            runs[name]["precisions"].append(precisions(Y_test, networks[name].top(X_test)))
            print(f"  {name}, rate {rate}: {runs[name]['seconds'][-1]:.1f} s, P@1 "
                  f"{runs[name]['precisions'][-1][0]:.3f}", flush=True)  # fmt: skip
        for name, result in runs.items():
            kept = found.get(name)
            if kept is None or result["precisions"][-1][0] > kept["precisions"][-1][0]:
                found[name] = result
    for result in found.values():
        result["rows_per_second"] = X.shape[0] / np.median(result["seconds"])
    return found


def peak_memory(set_name, method, rate):
    """GiB of a process that trains for an epoch, and those of one that has loaded the data only."""
    code = (
        "import warnings; warnings.simplefilter('ignore'); import extreme\n"
        f"X, Y, *_ = extreme.SETS[{set_name!r}]()\n"
        f"network = extreme.METHODS[{method!r}]\n"
        f"print(*extreme.peak_of(lambda: network(X, Y, {rate}, 0).epoch(X, Y)))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, text=True,
                         capture_output=True, check=True).stdout  # fmt: skip
    before, after = map(int, out.split())
    return {"data": before / 2**20, "peak": after / 2**20}


def table(results):
    yield (
        "| set | method | rate | rows / s | P@1 after each epoch | P@3, P@5 at the end | "
        "GiB above data |"
    )
    yield "|---|---|---|---|---|---|---|"
    for name, seeds in results.items():
        for method in seeds[0]:
            runs = [seed[method] for seed in seeds]
            if method == "omikuji":
                p = np.mean([r["precisions"] for r in runs], axis=0)
                seconds = np.median([r["seconds"] for r in runs])
                yield (f"| {name} | omikuji | | {seconds:.0f} s in all | {p[0]:.3f} | {p[1]:.3f}, "
                       f"{p[2]:.3f} | |")  # fmt: skip
                continue
            p = np.mean([r["precisions"] for r in runs], axis=0)
            speed = np.median([r["rows_per_second"] for r in runs])
            memory = runs[0].get("memory")
            memory = f"{memory['peak'] - memory['data']:.2f}" if memory else ""
            first = " ".join(f"{value:.3f}" for value in p[:, 0])
            yield (f"| {name} | {method} | {runs[0]['rate']} | {speed:,.0f} | {first} | "
                   f"{p[-1, 1]:.3f}, {p[-1, 2]:.3f} | {memory} |")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sets = ["debian_tags", "synthetic_20k", "synthetic_100k"]
    parser.add_argument("--sets", nargs="+", default=sets, choices=list(SETS))
    parser.add_argument(
        "--methods", nargs="+", default=["sampled", "torch", "omikuji"],
        choices=[*METHODS, "omikuji"],
    )  # fmt: skip
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rates", nargs="+", type=float, default=[0.002, 0.004])
    parser.add_argument("--output")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    networks = [name for name in options.methods if name in METHODS]
    results = {}
    for name in options.sets:
        print(name, flush=True)
        data = SETS[name]()
        results[name] = []
        for seed in range(options.seeds):
            found = run(data, networks, options.rates, options.epochs, seed)
            if seed == 0:
                for method, result in found.items():
                    result["memory"] = peak_memory(name, method, result["rate"])
            if "omikuji" in options.methods:
                found["omikuji"] = trees(*data)
            results[name].append(found)
        if options.output:
            record = environment() | {"results": results}
            Path(options.output).write_text(json.dumps(record, indent=1) + "\n")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
