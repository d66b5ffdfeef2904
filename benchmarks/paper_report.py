"""docs/paper.md and its pictures from the records of paper.py."""

from collections import Counter
from pathlib import Path

import matplotlib
import numpy as np
from paper_summary import gap_section, recall_section, summary_section
from paper_tables import exponents, grouped, share, shown, table

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parent.parent / "docs"


def accuracy_section(store):
    text = "## Accuracy and the share of active neurons\n\n"
    text += "Test accuracy in %, mean ± standard deviation (number of seeds). The learning rate of "
    text += "'dense' is constant; all others' falls to 0. Multiplications: at the lowest level. "
    text += "Rates chosen at 5 % may be too large for more. "
    text += "From 25 % on layers are products of whole matrices. Of a version that knew lists "
    text += "only, and left weights alone that no row of a batch used "
    text += "([design.md](design.md#whole-matrices)), are at 25 % the first seed of every set, of "
    text += "convex's lsh and sketch all three and of its topk two, at 50 % the first of convex's "
    text += "lsh and sketch, and the multiplications of topk and adaptive_dropout. With three "
    text += "layers these are of all convex's topk and of the first two seeds of MNIST's and "
    text += "rectangles_images' topk and MNIST's and convex's adaptive_dropout (5.3, 7.6, 10.0 and "
    text += "13.7 % of dense; the others, by the present version, 15.9, 21.7, 28.5 and 37.7).\n\n"
    found = grouped(
        store, lambda r: r["accuracy"], "data", "widths", "method", "density", part="accuracy"
    )
    spent = grouped(store, share, "data", "widths", "method", "density", part="accuracy")
    for data, widths in sorted({key[:2] for key in found}):
        levels = sorted({key[3] for key in found if key[:2] == (data, widths)})
        methods = dict.fromkeys(key[2] for key in found if key[:2] == (data, widths))
        rows = [
            [m, *(shown(found.get((data, widths, m, level), [])) for level in levels),
             shown(spent.get((data, widths, m, levels[0]), []))]
            for m in methods
        ]  # fmt: skip
        text += f"### {data}, {len(widths)} hidden layers of {widths[0]}\n\n"
        head = [*(f"{100 * level:g} %" for level in levels), "multiplications / dense (%)"]
        text += table(["method", *head], rows) + "\n"
        if len(levels) == 1:
            continue
        for method in methods:
            means = [np.mean(found.get((data, widths, method, level), np.nan)) for level in levels]
            if method.startswith("dense"):
                line = ":" if method == "dense" else "--"
                plt.axhline(means[0], color="black", linestyle=line, label=method)
            else:
                plt.plot(np.array(levels) * 100, means, marker="o", label=method)
        name = f"paper_{data}_{len(widths)}.png"
        finish(name, "active neurons (%)", "test accuracy", f"{data}, {len(widths)} hidden layers")
        text += f"![accuracy]({name})\n\n"
    return text


def pareto_section(store):
    found = {
        method: pairs
        for (method,), pairs in grouped(
            store,
            lambda r: (100 * share(r), r["accuracy"]) if "multiplications" in r else None,
            "method", part="accuracy", data="mnist",
        ).items()
        if not method.startswith("dense")
    }  # fmt: skip
    if len(found) < 3:
        return ""  # a picture of two would tell nothing
    for method, pairs in found.items():
        plt.scatter(*np.array(pairs).T, label=method, s=12)
    plt.xscale("log")
    plt.minorticks_off()
    plt.xticks([1, 2, 5, 10, 20], [1, 2, 5, 10, 20])
    finish("paper_pareto.png", "multiplications of training / dense (%)", "test accuracy", "MNIST")
    return "## Accuracy and all multiplications, MNIST\n\n![Pareto](paper_pareto.png)\n\n"


def depth_section(store):
    found = grouped(store, lambda r: r["accuracy"], "widths", "method", part="depth")
    dead = grouped(store, lambda r: r["dead"][-1] if "dead" in r else np.nan, "widths", "method",
                   part="depth")  # fmt: skip
    methods, depths = dict.fromkeys(k[1] for k in found), sorted({k[0] for k in found}, key=len)
    rows = [[m, *(shown(found.get((d, m), [])) for d in depths)] for m in methods]
    for m in methods:
        means = [np.mean(found.get((d, m), np.nan)) for d in depths]
        plt.plot([len(d) for d in depths], means, marker="o", label=m)
    finish("paper_depth.png", "hidden layers", "test accuracy", "MNIST, 5 %, 10 epochs")
    text = "## Depth\n\nMNIST, hidden layers of 1000, 5 %, 10 epochs: test accuracy in %.\n\n"
    text += table(["method", *(f"{len(d)} hidden" for d in depths)], rows)
    text += (
        "\nDead neurons of the last hidden layer, in % (in no active set of 5000 test rows).\n\n"
    )
    selecting = [m for m in methods if not m.startswith("dense")]
    rows = [[m, *(shown(dead.get((d, m), []), digits=0) for d in depths)] for m in selecting]
    return (
        text
        + table(["method", *(f"{len(d)} hidden" for d in depths)], rows)
        + ("\n![depth](paper_depth.png)\n\n")
    )


def width_section(store):
    def of(value):
        return grouped(store, value, "method", "widths", part="width")

    shares, seconds = of(share), of(lambda r: r["seconds"] / (60_000 * 5) * 1e6)
    predict, scores = of(lambda r: r["prediction_us"]), of(lambda r: r["accuracy"])
    found = of(lambda r: r["recall"][0])
    rows = [
        [m, widths[0], shown(shares[m, widths], digits=3), f"{np.median(seconds[m, widths]):.1f}",
         f"{np.median(predict[m, widths]):.1f}", shown(scores[m, widths]), shown(found[m, widths])]
        for m, widths in sorted(shares)
    ]  # fmt: skip
    text = "## Width\n\nMNIST, one hidden layer, 100 neurons active, five epochs; medians of the "
    text += "times, which include the start.\n\n"
    text += table(
        ["method", "width", "multiplications / dense (%)", "us / example, training",
         "us / example, prediction", "accuracy (%)", "recall (%)"], rows,
    )  # fmt: skip
    for m, slopes in exponents(store).items():
        text += f"\nExponent of time in width, {m}: {slopes[0]:.2f} training, "
        text += f"{slopes[1]:.2f} prediction.\n"
    return text + "\n"


def families_section(store):
    rows = []
    for job, record in store.select(part="recall"):
        cost = record["multiplications"]
        selection = sum(cost[k] for k in ("hashing", "ranking", "refresh")) / cost["dense"]
        rows.append(
            [job["family"], " / ".join(f"{100 * r:.1f}" for r in record["recall"]),
             f"{100 * selection:.2f}", f"{100 * record['accuracy']:.2f}"]
        )  # fmt: skip
    text = "## Families\n\nMNIST, 2 x 1000, 5 %, three epochs, one seed.\n\n"
    return text + table(
        ["selector", "recall by layer (%)", "selection / dense (%)", "accuracy (%)"], rows
    )


def finish(name, x, y, title):
    plt.xlabel(x)
    plt.ylabel(y)
    plt.title(title)
    plt.legend(fontsize=8)
    plt.tight_layout()
    plt.savefig(DOCS / name, dpi=110)
    plt.close()


def write(store):
    sections = {
        "accuracy": (
            summary_section, gap_section, recall_section, accuracy_section, pareto_section,
        ),
        "depth": (depth_section,),
        "width": (width_section,), "recall": (families_section,),
    }  # fmt: skip
    text = (
        "# The paper's experiments\n\n`python benchmarks/paper.py`; what is missing has not been "
        "run yet. Methods and data: the head of that file. Every run's own call (parts, sets or "
        "methods of that one), machine and versions are in its [record](results/paper.json).\n\n"
    )
    remarks = {
        f"- {job['part']}, {job['method']}: {record['remark']}.\n"
        for job, record in store.select()
        if "remark" in record
    }
    text += "".join(sorted(remarks)) + "\n" * bool(remarks)
    made = Counter(
        (r["environment"]["machine"], *(map(" ".join, r["environment"]["versions"].items())))
        for r in store.records.values()
    )
    text += "".join(f"- {n} runs: {'; '.join(place)}\n" for place, n in made.items())
    text += "\n"
    for part, writers in sections.items():
        if any(True for _ in store.select(part=part)):
            text += "".join(writer(store) for writer in writers)
    (DOCS / "paper.md").write_text(text)
    print(DOCS / "paper.md")
