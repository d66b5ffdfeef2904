"""Networks against label trees: precision where time is not the first thing.

    python benchmarks/label_trees.py [--sets ...] [--seeds 5] [--output FILE.json] [--report]

One hidden layer, Adagrad, a rate that falls to 0. What is learned how (KINDS) and the width, then
the epochs are chosen by the precision of the first, of three and of five labels on a tenth of the
training rows; the peer is omikuji's Parabel, three trees, all cores, its other
parameters as they come. Ours and the trees take turns, on the same rows; P@1, 3, 5 of the test
rows, every label scored. Seconds are those of training, omikuji's with reading the rows from a
file. omikuji has no seed. Needs omikuji.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from environment import environment
from extreme import SETS
from extreme_peers import BATCH, TOP, precisions, trees
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh import LSHMLPClassifier

OUTPUT = Path(__file__).parent.parent / "docs" / "results" / "label_trees.json"
SETS = {name: SETS[name] for name in ("icd10", "debian_tags", "debian_sections", "synthetic_100k")}
# Of rows of length 1 the input layer's weights would move too slowly, as far as steps are not
# those of the sign: under Adagrad with a large epsilon.
LINEAR = {"activation": "identity", "learning_rate_init": 0.05, "sampled_output": True, "scale": 1}
KINDS = {
    "softmax": LINEAR | {"loss": "softmax"},
    "hinge": LINEAR | {"loss": "squared_hinge"},
    "hinge, all labels": {
        "activation": "relu", "learning_rate_init": 0.03, "sampled_output": False, "scale": 15,
        "loss": "squared_hinge", "epsilon": 0.1,
    },
}  # fmt: skip
WIDTHS, EPOCHS = (128, 256, 512), (4, 2, 8)
MOST = 4096  # labels of which all are computed


def choose(data):
    """Settings, those of a kind, a width and a number of epochs, by rows held out."""
    X, Y = data[:2]
    held_out = np.random.default_rng(0).random(X.shape[0]) < 0.1
    inner = X[~held_out], Y[~held_out], X[held_out], Y[held_out]
    kinds = [kind for kind in KINDS.values() if kind["sampled_output"] or Y.shape[1] <= MOST]

    def precision(settings):
        found = sum(train(settings, inner, 0)["precisions"])
        print(f"  {settings}: {found:.4f}", flush=True)
        return found

    candidates = [
        kind | {"hidden_layer_sizes": (n,), "max_iter": EPOCHS[0]}
        for kind in kinds for n in WIDTHS
    ]  # fmt: skip
    best = max(candidates, key=precision)
    return max((best | {"max_iter": n} for n in EPOCHS), key=precision)


def train(settings, data, seed):
    """Seconds of training and precisions."""
    X, Y, X_test, Y_test = data
    settings = dict(settings)
    scale = np.float32(settings.pop("scale"))
    X, X_test = X * scale, X_test * scale
    model = LSHMLPClassifier(
        **settings, selector="dense", solver="adagrad", batch_size=BATCH, learning_rate="linear",
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
        settings = choose(data)
        results[name] = environment("omikuji") | {"settings": settings, "ours": [], "omikuji": []}
        for seed in range(options.seeds):
            results[name]["ours"].append(train(settings, data, seed))
            results[name]["omikuji"].append(trees(*data))
            print(name, seed, results[name]["ours"][-1], results[name]["omikuji"][-1], flush=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
