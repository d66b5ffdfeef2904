"""Very many labels: sampled output layers against full softmax and label trees.

    python benchmarks/extreme.py [--sets ...] [--methods ...] [--epochs 3] [--seeds 1]
                                 [--rates 0.002 0.004] [--batches 64 128 256] [--output F.json]

One hidden layer of 128, Adam, targets of a row shared equally. "sampled" and "all" are
LSHMLPClassifier with sampled_output True and False, "adagrad" is "sampled" with that solver, at
12.5 times the rates; "torch" is PyTorch on all cores, EmbeddingBag with SparseAdam and a fused Adam
for the rest, its input weights drawn with deviation .1; "torch_sampled" is that on the labels of
the batch and 2000 random ones; "omikuji" is Parabel, three trees. Networks take an epoch each in
turn; then ours predict the best labels in turn, every label scored and by rounded weights. Rate and
batch of each are the quickest of those whose precision after the last epoch is within two standard
errors of its best. P@k on the test rows after every epoch, every label scored; peak memory is that
of a process per network. It is the test rows that choose, for all alike, and who has more settings
that are good has the best of more times. Sets that --output holds from an earlier call are kept.
Needs torch and omikuji for theirs.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
from datasets import debian_sections, debian_tags
from environment import environment
from extreme_peers import HIDDEN, TOP, Torch, TorchSampled, precisions, trees
from generated import many_labels
from icd10 import icd10
from scipy import sparse
from skipgrams import skipgrams
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh._output_selector import FEWEST


def single(data):
    """Classes as labels, one a row."""
    X, y, X_test, y_test = data[:4]
    classes = np.unique(y)

    def indicator(y):
        return sparse.csr_matrix(y[:, None] == classes, dtype=np.int64)

    return X, indicator(y), X_test, indicator(y_test)


SETS = {
    "debian_tags": lambda: debian_tags()[:4],
    "debian_sections": lambda: single(debian_sections(None)),
    "icd10": lambda: single(icd10()),
    "skipgrams_83k": lambda: skipgrams(5),
    "skipgrams_173k": lambda: skipgrams(2),
    "synthetic_20k": lambda: many_labels(20_000),
    "synthetic_100k": lambda: many_labels(100_000),
    "synthetic_670k": lambda: many_labels(670_000),
}


class Ours:
    def __init__(self, X, Y, rate, batch, seed, sampled, solver="adam"):
        self.sampled = sampled and Y.shape[1] > FEWEST
        self.model = LSHMLPClassifier(
            (HIDDEN,), selector="dense", loss="softmax", sampled_output=sampled, batch_size=batch,
            solver=solver, learning_rate_init=rate * (12.5 if solver == "adagrad" else 1),
            random_state=seed, max_iter=1, warm_start=True, n_threads=-1,
        )  # fmt: skip

    def epoch(self, X, Y):
        self.model.fit(X, Y)

    def top(self, X, exact=True):
        return self.model.predict_top_k(X, TOP, exact=exact)[0]

    def retrieval(self, X, Y):
        """Rows a second and precisions of predictions, exact and by rounded weights."""
        record = {"exact": [], "rounded": []}
        for _, kind in product(range(5), record):
            start = time.perf_counter()
            top = self.top(X, kind == "exact")
            record[kind].append(X.shape[0] / (time.perf_counter() - start))
            record[f"precisions, {kind}"] = precisions(Y, top)
        return record


METHODS = {
    "sampled": lambda *args: Ours(*args, sampled=True),
    "adagrad": lambda *args: Ours(*args, sampled=True, solver="adagrad"),
    "all": lambda *args: Ours(*args, sampled=False),
    "torch": Torch,
    "torch_sampled": TorchSampled,
}


def run(data, methods, rates, batches, epochs, seed):
    """Epochs of all networks in turn; the records of the settings chosen for each."""
    X, Y, X_test, Y_test = data
    tried = {name: [] for name in methods}
    for rate, batch in product(rates, batches):
        networks = {name: METHODS[name](X, Y, rate, batch, seed) for name in methods}
        runs = {name: {"rate": rate, "batch": batch, "seconds": [], "precisions": []}
                for name in methods}  # fmt: skip
        for _, name in product(range(epochs), methods):
            start = time.perf_counter()
            networks[name].epoch(X, Y)
            runs[name]["seconds"].append(time.perf_counter() - start)
            runs[name]["precisions"].append(precisions(Y_test, networks[name].top(X_test)))
            print(f"  {name}, rate {rate}, batch {batch}: {runs[name]['seconds'][-1]:.1f} s, P@1 "
                  f"{runs[name]['precisions'][-1][0]:.3f}", flush=True)  # fmt: skip
        for name, result in runs.items():
            result["rows_per_second"] = X.shape[0] / np.median(result["seconds"])
            if getattr(networks[name], "sampled", False):
                result["retrieval"] = networks[name].retrieval(X_test, Y_test)
            tried[name].append(result)
    return {name: chosen(results, X_test.shape[0]) for name, results in tried.items()}


def chosen(results, n_test):
    """The quickest of the runs that are, by their last P@1, as good as the best."""
    best = max(result["precisions"][-1][0] for result in results)
    least = best - 2 * np.sqrt(best * (1 - best) / n_test)
    good = [result for result in results if result["precisions"][-1][0] >= least]
    return max(good, key=lambda result: result["rows_per_second"])


def peak_memory(set_name, method, rate, batch):
    """GiB of a process that trains for an epoch, and those of one that has loaded the data only."""
    code = (
        "import warnings; warnings.simplefilter('ignore'); import environment, extreme\n"
        f"X, Y, *_ = extreme.SETS[{set_name!r}]()\n"
        f"network = extreme.METHODS[{method!r}]\n"
        f"print(*environment.peak_of(lambda: network(X, Y, {rate}, {batch}, 0).epoch(X, Y)))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, text=True,
                         capture_output=True, check=True).stdout  # fmt: skip
    before, after = map(int, out.split())
    return {"data": before / 2**20, "peak": after / 2**20}


def table(results):
    yield (
        "| set | method | rate, batch | rows / s | P@1 after each epoch | P@3, P@5 at the end | "
        "GiB above data |"
    )
    yield "|---|---|---|---|---|---|---|"
    for name, record in results.items():
        seeds = record["seeds"]
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
            settings = "; ".join(sorted({f"{run['rate']}, {run['batch']}" for run in runs}))
            yield (f"| {name} | {method} | {settings} | {speed:,.0f} | {first} | "
                   f"{p[-1, 1]:.3f}, {p[-1, 2]:.3f} | {memory} |")  # fmt: skip


def retrievals(results):
    """Predictions of the best labels: exact against rounded weights."""
    yield (
        "| set | labels | method | exact, rows / s | rounded, rows / s | ratio | P@1, exact | "
        "P@1, rounded |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for name, record in results.items():
        for method, run in record["seeds"][0].items():
            if "retrieval" in run:
                found = run["retrieval"]
                exact, rounded = np.array(found["exact"]), np.array(found["rounded"])
                yield (f"| {name} | {record['labels']:,} | {method} | {np.median(exact):,.0f} | "
                       f"{np.median(rounded):,.0f} | {np.median(rounded / exact):.1f} | "
                       f"{found['precisions, exact'][0]:.3f} | "
                       f"{found['precisions, rounded'][0]:.3f} |")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sets = [name for name in SETS if name != "synthetic_670k"]
    parser.add_argument("--sets", nargs="+", default=sets, choices=list(SETS))
    parser.add_argument(
        "--methods", nargs="+", default=["sampled", "adagrad", "torch", "torch_sampled", "omikuji"],
        choices=[*METHODS, "omikuji"],
    )  # fmt: skip
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rates", nargs="+", type=float, default=[0.002, 0.004])
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 128, 256])
    parser.add_argument("--output")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    networks = [name for name in options.methods if name in METHODS]
    results = {}
    if options.output and Path(options.output).exists():
        results = json.loads(Path(options.output).read_text())
    for name in options.sets:
        print(name, flush=True)
        data = SETS[name]()
        labels = data[1].shape[1]
        results[name] = environment("torch", "omikuji") | {"labels": labels, "seeds": []}
        for seed in range(options.seeds):
            found = run(data, networks, options.rates, options.batches, options.epochs, seed)
            if seed == 0:
                for method, result in found.items():
                    result["memory"] = peak_memory(name, method, result["rate"], result["batch"])
            if "omikuji" in options.methods:
                found["omikuji"] = trees(*data)
            results[name]["seeds"].append(found)
        if options.output:
            Path(options.output).write_text(json.dumps(results, indent=1) + "\n")
    print("\n".join([*table(results), "", *retrievals(results)]))


if __name__ == "__main__":
    main()
