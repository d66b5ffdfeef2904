"""The table of docs/performance.md and its pictures from the records of peers.py."""

import json
from pathlib import Path

import matplotlib
import numpy as np
from paper_tables import spread, table
from peer_cases import CASES

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BEGIN, END = "<!-- measured -->", "<!-- measured: end -->"
OURS = ("ours", "ours, asynchronous")
THREADS = Path(__file__).parent.parent / "docs" / "results" / "two_threads.json"
COLOURS = dict(zip([*OURS, "scikit-learn", "PyTorch"], ["C0", "C1", "C2", "C3"], strict=True))


class Results:
    """What the records say, by case and network; empty arrays or NaN where there is none."""

    def __init__(self, store):
        self.store = store

    def trainings(self, case, network):
        """Records of a network, one for every seed."""
        found = [
            (job["seed"], record[network])
            for job, record in self.store.select(part="train", case=case)
            if network in job["settings"]
        ]
        return [record for _, record in sorted(found, key=lambda pair: pair[0])]

    def values(self, case, network, kind):
        """Of all trainings, one after the other; of seconds, an epoch's mean in each."""
        runs = [record[kind] for record in self.trainings(case, network)]
        if kind == "seconds":
            runs = [[np.mean(seconds)] for seconds in runs]
        return np.concatenate(runs) if runs else np.empty(0)

    def ratios(self, case, peer, own, kind="seconds"):
        """Of what was measured in turn."""
        a, b = self.values(case, peer, kind), self.values(case, own, kind)
        return a / b if len(a) == len(b) else np.empty(0)

    def final_scores(self, case, network):
        return np.array([record["scores"][-1] for record in self.trainings(case, network)])

    def seconds_to(self, case, network, target):
        """Of training until a test score is met, by seed; infinite where it never is."""
        result = []
        for record in self.trainings(case, network):
            met = np.flatnonzero(np.array(record["scores"]) >= target)
            spent = np.cumsum(record["seconds"])
            result.append(spent[met[0]] if len(met) else np.inf)
        return np.array(result)

    def ratio_to(self, case, peer, own, target):
        """Seconds of the peer over ours until the target is met, by seed; 0: ours does not."""
        a, b = (self.seconds_to(case, name, target) for name in (peer, own))
        if len(a) != len(b):
            return np.empty(0)
        return np.where(np.isfinite(b), a / np.where(np.isfinite(b), b, 1), 0)

    def memory(self, case, network):
        """Peak above the data over the weights' size, and in MB."""
        for _, record in self.store.select(part="memory", case=case, network=network):
            return record["above"] / record["weights"], record["above"] / 1e6
        return np.nan, np.nan


def epoch_bar(case, peer, asked, within=None):
    """Time of an epoch; within: how far ours may be behind in accuracy."""
    label = f"{CASES[case].title}: an epoch of {peer} over ours"
    if within is not None:
        label += f", accuracy within {100 * within:g} points"

    def measured(results, own):
        scores = [results.final_scores(case, name) for name in (own, peer)]
        behind = None
        if within is not None and all(map(len, scores)):
            behind = np.mean(scores[1]) - np.mean(scores[0])
        return results.ratios(case, peer, own), behind is None or behind <= within

    return label, asked, measured


def time_bar(case, peer, target, asked):
    label = f"{CASES[case].title}: time to {100 * target:g} % of {peer} over ours"
    return label, asked, lambda results, own: (results.ratio_to(case, peer, own, target), True)


def thread_bar(network, way, asked):
    """Of two_threads.py, of all of its rounds."""

    def measured(results, own):
        if own != network or not THREADS.exists():
            return np.empty(0), True
        runs = json.loads(THREADS.read_text())["runs"]
        return np.array([run["1 thread"]["seconds"] / run[way]["seconds"] for run in runs]), True

    return f"MNIST, 2 x 1000: time with 1 thread over {way}", asked, measured


def predict_bar(case, kind, label, asked):
    def measured(results, own):
        peer, ours = ("scikit-learn", own) if kind == "single_us" else (own, "scikit-learn")
        return results.ratios(case, peer, ours, kind), True

    return f"{CASES[case].title}: {label}, scikit-learn's time over ours", asked, measured


def memory_bar(case, network, asked):
    """At most, where all others are at least."""

    def measured(results, own):
        times = results.memory(case, network)[0]
        return np.array([times] if own == "ours" and np.isfinite(times) else []), True

    return f"{CASES[case].title}: peak memory above the data over the weights, {network}", -asked, \
        measured  # fmt: skip


# What is asked, and what gives it; negative: at most.
BARS = [
    epoch_bar("mnist_1000", "scikit-learn", 15),
    epoch_bar("mnist_1000", "PyTorch", 8),
    time_bar("mnist_1000", "scikit-learn", 0.98, 12),
    time_bar("mnist_1000", "PyTorch", 0.98, 6),
    epoch_bar("mnist_10000", "PyTorch", 40, within=0.005),
    epoch_bar("text", "PyTorch", 3, within=0.005),
    thread_bar("ours, asynchronous", "asynchronous, 2 threads", 1.85),
    thread_bar("ours", "2 threads", 1.7),
    predict_bar("mnist_1000", "rows_per_second", "predict, in a batch", 5),
    predict_bar("mnist_1000", "single_us", "predict, a single row", 20),
    *(memory_bar(case, network, asked)
      for case in ("mnist_1000", "mnist_4000", "mnist_10000")
      for network, asked in (("ours, sgd", 1.5), ("ours, sgd without momentum", 1.5),
                             ("ours", 3.5))),
]  # fmt: skip


def bars(results):
    rows = []
    for label, asked, measured in BARS:
        cells, reached = [], []
        for own in OURS:
            values, close = measured(results, own)
            cells.append(spread(values) + ("" if close else ", accuracy is not"))
            if len(values):
                middle = np.median(values)
                reached.append(close and (middle >= asked if asked > 0 else middle <= -asked))
        asked = f"≥ {asked:g}" if asked > 0 else f"≤ {-asked:g}"
        verdict = ("yes" if any(reached) else "no") if reached else "not measured"
        rows.append([label, asked, *cells, verdict])
    return table(["", "asked", *OURS, "reached"], rows)


def case_section(results, name):
    case = CASES[name]
    head = ["", "settings", "s / epoch", "over ours", "test score (%)",
            *(f"s to {100 * target:g} %" for target in case.targets),
            "predicted rows / s", "us, a single row", "MB above the data (x weights)"]  # fmt: skip
    rows = []
    jobs = list(results.store.select(part="train", case=name))
    for network in case.networks:
        scores = 100 * results.final_scores(name, network)
        settings = [f"{key} {value:g}" for key, value in jobs[0][0]["settings"][network].items()]
        times, size = results.memory(name, network)
        rows.append([
            network, ", ".join(settings), spread(results.values(name, network, "seconds")),
            spread(results.ratios(name, network, "ours")), spread(scores, "{:.2f}"),
            *(spread(results.seconds_to(name, network, target)).replace("inf", "never")
              for target in case.targets),
            spread(results.values(name, network, "rows_per_second"), "{:,.0f}"),
            spread(results.values(name, network, "single_us"), "{:.0f}"),
            f"{size:.0f} ({times:.2f})" if np.isfinite(size) else "-",
        ])  # fmt: skip
    job = jobs[0][0]
    text = f"### {case.title}\n\nTrainings: {len(jobs)}, of {job['epochs']} epochs.\n\n"
    text += table(head, rows)
    if case.apart:
        text += "\nTrainings were in turn, not epochs: memory does not hold both networks.\n"
    for _, record in results.store.select(part="alone", case=name):
        ratio = np.median(results.values(name, "ours", "seconds")) / np.mean(record["seconds"])
        text += f"\nOurs in turn with the others over ours alone: {ratio:.2f}.\n"
    tried = [
        f"{j['network']} {', '.join(f'{k} {v:g}' for k, v in j['settings'].items())}: "
        f"{100 * r['accuracy']:.2f} ± {100 * r['error']:.2f}, {r['seconds']:.3g} s"
        for j, r in results.store.select(part="tune", case=name)
    ]
    if tried:
        text += f"\nChosen among (score on held-out rows, seconds an epoch): {'; '.join(tried)}.\n"
    return text + "\n"


def draw_curves(results, names, path):
    """Test score against seconds of training, seed by seed."""
    figure, axes = plt.subplots(
        -(-len(names) // 2), 2, figsize=(10, 3.4 * -(-len(names) // 2)), squeeze=False
    )
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for axis, name in zip(axes.flat, names, strict=False):
        for network in CASES[name].networks:
            for i, record in enumerate(results.trainings(name, network)):
                axis.plot(
                    np.cumsum(record["seconds"]), record["scores"], marker=".", lw=0.8,
                    color=COLOURS[network], label=network if i == 0 else None,
                )  # fmt: skip
        axis.set(xscale="log", xlabel="seconds of training", ylabel="test score",
                 title=CASES[name].title)  # fmt: skip
        axis.tick_params(axis="x", which="minor", labelbottom=False)  # they overlap
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_ratios(results, names, path):
    """Time of an epoch of every peer over ours, by case."""
    labels, medians, ranges = [], [], []
    for name in names:
        for peer in CASES[name].networks:
            if peer in ("scikit-learn", "PyTorch"):
                ratios = results.ratios(name, peer, "ours")
                labels.append(f"{CASES[name].title}: {peer}")
                medians.append(np.median(ratios))
                ranges.append([medians[-1] - ratios.min(), ratios.max() - medians[-1]])
    if not labels:
        return
    figure, axis = plt.subplots(figsize=(9, 1 + 0.35 * len(labels)))
    axis.barh(labels, medians, xerr=np.array(ranges).T, height=0.6)
    axis.axvline(1, color="black", lw=0.8)
    axis.invert_yaxis()
    axis.set(xscale="log", xlabel="time of an epoch over ours (median and range)")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def write(store, template, folder):
    """Fill in what `template` has between its two marks; pictures and text go to `folder`."""
    results = Results(store)
    names = [name for name in CASES if any(True for _ in store.select(part="train", case=name))]
    text = ""
    made = {json.dumps(r["environment"], sort_keys=True) for r in store.records.values()}
    for place in map(json.loads, sorted(made)):
        versions = ", ".join(f"{name} {version}" for name, version in place["versions"].items())
        text += f"- `{place['command']}`: {place['machine']}; {versions}\n"
    text += f"\n### What is asked and what is reached\n\n{bars(results)}\n"
    text += "".join(case_section(results, name) for name in names)
    if names:
        draw_curves(results, names, folder / "peers.png")
        draw_ratios(results, names, folder / "peers_epochs.png")
        text += "![epochs](peers_epochs.png)\n\n![score and time](peers.png)\n"
    before, _, rest = template.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    path = folder / template.name
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
    print(bars(results))
    print(path)
