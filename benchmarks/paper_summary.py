"""The head of docs/paper.md: what was aimed at, what is behind dense, what recall came to."""

from collections import defaultdict
from itertools import product

import numpy as np
from paper_tables import exponents, grouped, means, share, table

COMPARED = ("lsh", "sketch", "topk", "adaptive_dropout", "dropout")  # at every level


def summary_section(store):
    """What was aimed at, and what came out."""
    accuracy = means(store, lambda r: 100 * r["accuracy"], part="accuracy")
    spent = means(store, lambda r: 100 * share(r), part="accuracy", density=0.05, method="auto")
    recall = means(
        store, lambda r: np.mean(r["recall"]), part="accuracy", density=0.05, method="auto"
    )
    wide = means(store, lambda r: 100 * share(r), part="width", method="auto")
    deep = means(store, lambda r: 100 * r["accuracy"], part="depth")
    two, seven = (1000,) * 2, (1000,) * 7
    dense = best_dense(accuracy)
    at = {
        (method, level): {
            data: value
            for (data, widths, name, density), value in accuracy.items()
            if (widths, name, density) == (two, method, level)
        }
        for method, level in product(["auto", *COMPARED], [0.05, 0.1])
    }

    def behind(method, other=None, level=0.05):
        """Mean over the sets that have both."""
        to = {d: dense[d, two] for d in at[method, level]} if other is None else at[other, level]
        both = [to[data] - value for data, value in at[method, level].items() if data in to]
        return f"{np.mean(both):.2f} ({len(both)} sets)"

    def ahead(level):
        return ", ".join(behind(other, "lsh", level) for other in ("adaptive_dropout", "dropout"))

    slopes = exponents(store)["auto"]
    rows = [
        ["points behind tuned dense at 5 %, 2 layers, mean: auto", "<= 0.5", behind("auto")],
        ["the same: lsh", "<= 1", behind("lsh")],
        ["multiplications / dense (%), 2 x 1000, 5 %, auto, largest of the sets", "<= 5",
         f"{max(v for (_, widths, *_), v in spent.items() if widths == two):.2f}"],
        ["the same, 1 x 10,000; 1 x 100,000, 100 active", "<= 1; <= 0.2",
         "; ".join(f"{v:.2f}" for (_, w, *_), v in sorted(wide.items()) if w[0] > 1000)],
        ["exponent of time in width, auto: training, prediction", "<= 0.35",
         ", ".join(f"{s:.2f}" for s in slopes)],
        ["points behind dense, 7 layers, 5 %, MNIST: auto, lsh", "<= 1",
         ", ".join(f"{deep['mnist', seven, 'dense, falling rate', 0.05] - v:.2f}"
                   for v in (deep["mnist", seven, m, 0.05] for m in ("auto", "lsh")))],
        ["points lsh is ahead of adaptive_dropout, dropout: 5 %", "> 0", ahead(0.05)],
        ["the same, 10 %", "> 0", ahead(0.1)],
        ["points lsh is behind topk: 5 %; 10 %", "<= 0.3",
         "; ".join(behind("lsh", "topk", level) for level in (0.05, 0.1))],
        ["recall of the exact active set, MNIST, 2 layers, 5 %, auto", ">= 0.9",
         f"{recall['mnist', two, 'auto', 0.05]:.3f}"],
    ]  # fmt: skip
    text = (
        "## In short\n\nFrom the tables below. Settled rows rest ([design.md](design.md)): that is "
    )
    return text + "in the multiplications.\n\n" + table(["figure", "aim", "here"], rows) + "\n"


def best_dense(accuracy):
    """Of the two dense networks the better, by data and widths."""
    best = defaultdict(float)
    for (data, widths, method, _), value in accuracy.items():
        if method.startswith("dense"):
            best[data, widths] = max(best[data, widths], value)
    return best


def gap_section(store):
    text = "## Behind dense\n\nPoints of test accuracy below the better of the two dense networks, "
    text += "differences of the means below. A mean over the sets is of those that the row has.\n\n"
    found = means(store, lambda r: 100 * r["accuracy"], part="accuracy")
    dense = best_dense(found)
    sets = sorted({data for data, _ in dense})
    rows = []
    for level, widths, method in product(
        sorted({key[3] for key in found}),
        sorted({key[1] for key in found}, key=len),
        ["auto", *COMPARED],
    ):
        gaps = {
            data: dense[data, widths] - found[data, widths, method, level]
            for data in sets
            if (data, widths) in dense and (data, widths, method, level) in found
        }
        if gaps:
            each = (f"{gaps[data]:.2f}" if data in gaps else "-" for data in sets)
            mean = f"{np.mean(list(gaps.values())):.2f} ({len(gaps)})"
            rows.append([f"{100 * level:g} %", len(widths), method, *each, mean])
    return text + table(["active", "hidden layers", "method", *sets, "mean (sets)"], rows) + "\n"


def recall_section(store):
    text = (
        "## Recall after training\n\nOf the exact active sets at 5 %, in %, by hidden layer: the "
    )
    text += "networks below, 2,000 test rows; means of their seeds, and of all layers.\n\n"
    found = grouped(
        store, lambda r: r.get("recall"), "data", "widths", "method", part="accuracy", density=0.05
    ) | {
        ("mnist", widths, method): values
        for (widths, method), values in grouped(
            store, lambda r: r.get("recall"), "widths", "method", part="depth"
        ).items()
        if len(widths) > 3
    }
    rows = [
        [data, len(widths), method, " / ".join(f"{100 * r:.1f}" for r in np.mean(values, axis=0)),
         f"{100 * np.mean(values):.1f}"]
        for (data, widths, method), values in sorted(
            found.items(), key=lambda item: (len(item[0][1]), *item[0])
        )
        if method in ("auto", "lsh")
    ]  # fmt: skip
    return text + table(["data", "hidden layers", "method", "recall", "mean"], rows) + "\n"
