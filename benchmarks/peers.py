"""Ours against scikit-learn's MLP and PyTorch on the same cores: time, accuracy, memory.

    python benchmarks/peers.py [--cases ...] [--rounds 5] [--minutes M]
    python benchmarks/peers.py --quick
    python benchmarks/peers.py --report

Same data, network and epochs for all. Networks train in turn, in one process; a round is a training
of its own seed or, where that takes long, an epoch of one training. An epoch takes what training
takes (of ours, start and refreshes included); test rows are scored in between. Ours leaves out, of
later epochs, rows that have nothing to teach (`settled_tol`), as by default.
Predictions, in a batch and row by row, are timed in turn after each training.

Learning rate and PyTorch's batch are chosen in the same run, from what `peer_networks.py` lists: of
those whose score on a sixth of the training rows is within two standard errors of the best, the
quickest, and of those about as quick, the best; but for the peers of wide networks and of text,
whose settings `peer_cases.py` has. scikit-learn's rate is constant: its Adam has no other. Seconds
an epoch are means over a training: in later epochs ours meets fewer rows. Peak memory is that of an
epoch in a process of its own, above what that held with the data. One more process trains ours
alone: if that is quicker, the peers stand in its way.

What has been measured is kept in docs/results/peers.json, and a call goes on where the last one
stopped; then the tables of docs/performance.md and the pictures are written (--report: only that).
--quick runs everything on few rows and narrow layers, to see that it works, and keeps nothing.
PyTorch is needed: python -m pip install torch.
"""

import argparse
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from environment import peak_of, seconds_of
from peer_cases import CASES, case_of
from peer_networks import NETWORKS, candidates
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from store import Store

DOCS = Path(__file__).parent.parent / "docs"
MEMORY_ROWS = 5000  # of an epoch of a long case: memory does not grow further
TURNS, SINGLE_ROWS = 5, 50
IN_THE_WAY = 1.1
NEARLY = 1.15


def quiet():
    warnings.simplefilter("ignore", ConvergenceWarning)


def tune(job):
    """Score of one candidate on rows held out, and its seconds an epoch."""
    case = case_of(job["case"], job["quick"])
    X, y, *_ = case.data()
    X, X_val, y, y_val = train_test_split(X, y, test_size=1 / 6, random_state=0)
    network = NETWORKS[job["network"]](case, 0, **job["settings"])
    seconds, _ = network.train(X, y, job["epochs"], lambda predict: 0.0)
    scores = case.row_scores(y_val, network.predict(X_val))
    return {
        "seconds": float(np.median(seconds)),
        "accuracy": float(scores.mean()),
        "error": float(scores.std() / np.sqrt(len(scores))),
    }


def train(job):
    """Trainings of all networks with one seed, an epoch each in turn, then predictions."""
    case = case_of(job["case"], job["quick"])
    names = list(job["settings"])
    record = {}
    for group in [[name] for name in names] if case.apart else [names]:
        record |= train_in_turn(case, {name: job["settings"][name] for name in group}, job)
    return record


def train_in_turn(case, settings, job):
    X, y, X_test, y_test = case.data()
    networks = {name: NETWORKS[name](case, job["seed"], **own) for name, own in settings.items()}
    keys = ("seconds", "scores", "rows_per_second", "single_us")
    record = {name: {key: [] for key in keys} for name in networks}

    def score(predict):
        return float(case.row_scores(y_test, predict(X_test)).mean())

    for name, network in networks.items():
        seconds, scores = network.train(X, y, job["epochs"], score)
        record[name] |= {"seconds": seconds, "scores": scores}
        shown = f"{np.median(seconds):.2f} s an epoch, {scores[-1]:.4f}"
        print(f"  {job['case']}, {name}: {shown}", flush=True)
    rows = [X_test[i : i + 1] for i in range(SINGLE_ROWS)]
    for _ in range(TURNS):
        for name, network in networks.items():
            seconds = seconds_of(network.predict, X_test)
            record[name]["rows_per_second"].append(X_test.shape[0] / seconds)
            singles = [seconds_of(network.predict, row) for row in rows]
            record[name]["single_us"].append(1e6 * float(np.median(singles)))
    return record


def in_fresh_process(function):
    """The function of a job, carried out in a process that has done nothing before."""

    def carried_out(job):
        with ProcessPoolExecutor(1, get_context("spawn"), quiet) as pool:
            return pool.submit(function, job).result()

    return carried_out


def measure_memory(job):
    """Bytes of the process at most during an epoch, above the data; bytes of the weights."""
    case = case_of(job["case"], job["quick"])
    X, y, *_ = case.data()
    if case.epochs is None:
        X, y = X[:MEMORY_ROWS], y[:MEMORY_ROWS]
    make = NETWORKS[job["network"]]
    # Libraries and their threads are not the network's.
    warm = make(replace(case, widths=(8,) * len(case.widths)), 0, **job["settings"])
    warm.train(X[:300], y[:300], 1, lambda predict: predict(X[:300])[0])
    network = make(case, 0, **job["settings"])
    before, most = peak_of(lambda: network.train(X, y, 1, lambda predict: 0.0))
    sizes = [X.shape[1], *case.widths, 1 if case.regression else int(y.max()) + 1]
    n_weights = sum(n_in * n_out for n_in, n_out in pairwise(sizes))
    return {"above": 1024 * (most - before), "weights": 4 * n_weights}


def measure_alone(job):
    """Seconds of epochs of ours where nothing else runs."""
    case = case_of(job["case"], job["quick"])
    X, y, *_ = case.data()
    network = NETWORKS["ours"](case, 0, **job["settings"])
    return {"seconds": network.train(X, y, job["epochs"], lambda predict: 0.0)[0]}


def chosen(store, name, network, job):
    """Settings of a network: the quickest candidate that is as good as the best."""
    case = case_of(name)
    listed = candidates(network, case)
    if network in case.settings:
        return case.settings[network]
    if len(listed) == 1:
        return listed[0]
    found = [
        (settings, store.get(tune, part="tune", network=network, settings=settings, **job))
        for settings in listed
    ]
    best = max((record for _, record in found), key=lambda record: record["accuracy"])
    least = best["accuracy"] - 2 * best["error"]
    good = [pair for pair in found if pair[1]["accuracy"] >= least]
    quickest = min(record["seconds"] for _, record in good)
    # Of those about as quick, the best: with a falling rate an epoch takes as long as without.
    quick = [pair for pair in good if pair[1]["seconds"] <= NEARLY * quickest]
    return max(quick, key=lambda pair: pair[1]["accuracy"])[0]


def measure(store, name, rounds, quick):
    case = case_of(name, quick)
    job = {"case": name, "quick": quick}
    settings = {
        network: chosen(store, name, network, job | {"epochs": case.epochs or rounds})
        for network in case.networks
    }
    seeds, epochs = (1, rounds) if case.epochs is None else (rounds, case.epochs)
    for seed in range(seeds):
        store.get(train, part="train", seed=seed, settings=settings, epochs=epochs, **job)
    compute = in_fresh_process(measure_alone)
    alone = store.get(compute, part="alone", epochs=epochs, settings=settings["ours"], **job)
    in_turn = [record["ours"]["seconds"] for _, record in store.select(part="train", case=name)]
    ratio = np.median(np.concatenate(in_turn)) / np.median(alone["seconds"])
    if ratio > IN_THE_WAY:
        print(f"  WARNING: epochs of ours take {ratio:.2f} times as long in turn with the peers.")
    sgd = dict.fromkeys(["ours, sgd", "ours, sgd without momentum"], settings["ours"])
    for network, own in (settings | sgd).items():
        if network != "ours, asynchronous":
            compute = in_fresh_process(measure_memory)
            store.get(compute, part="memory", network=network, settings=own, **job)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=np.inf)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if not options.report and find_spec("torch") is None:
        raise SystemExit("PyTorch is missing: python -m pip install torch")
    quiet()
    folder = Path(tempfile.mkdtemp(prefix="peers_")) if options.quick else DOCS
    (folder / "results").mkdir(exist_ok=True)
    path = folder / "results" / "peers.json"
    packages = () if options.report else ("torch",)
    store = Store(path, None, options.minutes, packages)
    if not options.report:
        for name in options.cases:
            print(CASES[name].title, flush=True)
            measure(store, name, 1 if options.quick else options.rounds, options.quick)
    from peers_report import write

    write(store, DOCS / "performance.md", folder)
    if options.quick:
        print("Of few rows and narrow layers: these figures say nothing of the bars.")


if __name__ == "__main__":
    main()
