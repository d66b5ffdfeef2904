"""Networks against label trees: precision where time is not the first thing.

    python benchmarks/label_trees.py [--sets ...] [--seeds 5] [--output FILE.json] [--report]

One hidden layer, Adagrad, a rate that falls to 0. What is learned how (KINDS) and the width, then
the epochs are chosen by P@1 + P@3 + P@5 on a tenth of the training rows; all that was tried is in
the record. The peer is omikuji's Parabel, three trees, all cores, its other parameters as they
come. Ours and the trees take turns, on the same rows; P@1, 3, 5 of the test rows, every label
scored. Seconds are those of training, omikuji's with reading the rows from a file. omikuji has no
seed. Needs omikuji.
"""

import argparse
import json
import time
import warnings
from itertools import product
from operator import itemgetter
from pathlib import Path

import numpy as np
from environment import environment
from extreme import SETS
from extreme_peers import TOP, precisions, trees
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh import LSHMLPClassifier

OUTPUT = Path(__file__).parent.parent / "docs" / "results" / "label_trees.json"
SETS = {name: SETS[name] for name in ("icd10", "debian_tags", "debian_sections", "synthetic_100k")}
LINEAR = {"activation": "identity", "learning_rate_init": 0.05, "sampled_output": True, "scale": 1}
# A large epsilon makes steps of input weights proportional to their gradients, and so to the
# entries of the rows: these, of length 1 as they come, are scaled up.
ALL = {"activation": "relu", "learning_rate_init": 0.03, "sampled_output": False, "scale": 15,
       "epsilon": 0.1}  # fmt: skip
KINDS = {
    "softmax": LINEAR | {"loss": "softmax"},
    "hinge": LINEAR | {"loss": "squared_hinge"},
    "softmax, all labels": ALL | {"loss": "softmax"},
    "hinge, all labels": ALL | {"loss": "squared_hinge"},
}
WIDTHS, EPOCHS = (128, 256, 512), (4, 2, 8)
MOST = 4096  # labels of which all are computed


def choose(data):
    """The settings that are best on rows held out, and all that were tried: sums, settings."""
    X, Y = data[:2]
    held_out = np.random.default_rng(0).random(X.shape[0]) < 0.1
    inner = X[~held_out], Y[~held_out], X[held_out], Y[held_out]
    kinds = [kind for kind in KINDS.values() if kind["sampled_output"] or Y.shape[1] <= MOST]

    tried = []

    def attempt(settings):
        tried.append((sum(train(settings, inner, 0)["precisions"]), settings))
        print(f"  {settings}: {tried[-1][0]:.4f}", flush=True)

    for kind, width in product(kinds, WIDTHS):
        attempt(kind | {"hidden_layer_sizes": (width,), "max_iter": EPOCHS[0]})
    best = max(tried, key=itemgetter(0))[1]
    for n in EPOCHS[1:]:
        attempt(best | {"max_iter": n})
    return max(tried, key=itemgetter(0))[1], tried


def train(settings, data, seed):
    """Seconds of training and precisions."""
    X, Y, X_test, Y_test = data
    settings = dict(settings)
    scale = np.float32(settings.pop("scale"))
    X, X_test = X * scale, X_test * scale
    model = LSHMLPClassifier(
        **settings, selector="dense", solver="adagrad", batch_size=128, learning_rate="linear",
        random_state=seed, n_threads=-1,
    )  # fmt: skip
    start = time.perf_counter()
    model.fit(X, Y)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "precisions": precisions(Y_test, model.predict_top_k(X_test, TOP)[0]),
    }


def table(results):
    yield "| set | network | seconds: ours, omikuji | P@1, ours | P@3, P@5, ours | omikuji |"
    yield "|---|---|---|---|---|---|"
    for name, record in results.items():
        seconds = [
            np.median([run["seconds"] for run in record[who]]) for who in ("ours", "omikuji")
        ]
        ours = np.array([run["precisions"] for run in record["ours"]])
        peer = np.mean([run["precisions"] for run in record["omikuji"]], axis=0)
        spread = f" ± {ours[:, 0].std(ddof=1):.3f} ({len(ours)})" if len(ours) > 1 else ""
        settings = record["settings"]
        yield (f"| {name} | {settings['hidden_layer_sizes'][0]} {settings['activation']}, "
               f"{settings['loss']}, {settings['max_iter']} epochs | "
               f"{seconds[0]:.1f}, {seconds[1]:.1f} | {ours[:, 0].mean():.3f}{spread} | "
               f"{ours[:, 1].mean():.3f}, {ours[:, 2].mean():.3f}"
               f" | {peer[0]:.3f}, {peer[1]:.3f}, {peer[2]:.3f} |")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = json.loads(options.output.read_text()) if options.output.exists() else {}
    for name in [] if options.report else options.sets:
        data = SETS[name]()
        settings, tried = choose(data)
        results[name] = environment("omikuji") | {
            "settings": settings, "tried": tried, "ours": [], "omikuji": [],
        }  # fmt: skip
        for seed in range(options.seeds):
            results[name]["ours"].append(train(settings, data, seed))
            results[name]["omikuji"].append(trees(*data))
            print(name, seed, results[name]["ours"][-1], results[name]["omikuji"][-1], flush=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
