"""What the records of paper.py come to, and how it is written down."""

from collections import defaultdict

import numpy as np


def share(record):
    """All multiplications of training as a share of the dense network's."""
    if "multiplications" not in record:
        return 1.0  # that network itself
    cost = record["multiplications"]
    return sum(n for kind, n in cost.items() if kind != "dense") / cost["dense"]


def grouped(store, value, *names, **wanted):
    """Values of all stored jobs that agree with `wanted`, by the named fields."""
    groups = defaultdict(list)
    for job, record in store.select(**wanted):
        key = tuple(tuple(job[n]) if isinstance(job[n], list) else job[n] for n in names)
        groups[key].append(value(record))
    return groups


def shown(values, scale=100, digits=2):
    """Mean, spread and number of runs."""
    if not values:
        return "-"
    spread = f" ± {scale * np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{scale * np.mean(values):.{digits}f}{spread} ({len(values)})"


def spread(values, form="{:.3g}"):
    """Median and range."""
    if len(values) == 0:
        return "-"
    three = np.median(values), np.min(values), np.max(values)
    middle, low, high = (form.format(value) for value in three)
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]) + "\n"


def means(store, value, **wanted):
    """Means over seeds, by data, widths, method and density."""
    found = defaultdict(list)
    for job, record in store.select(**wanted):
        key = job["data"], tuple(job["widths"]), job["method"], job.get("density")
        found[key].append(value(record))
    return {key: np.mean(values) for key, values in found.items()}


def exponents(store):
    """Of the median time of a row in the width, of training and prediction, by method."""
    found = {}
    for field in ("seconds", "prediction_us"):
        times = grouped(store, lambda r, field=field: r[field], "method", "widths", part="width")
        for m in dict.fromkeys(m for m, _ in times):
            x, y = zip(
                *((w[0], np.median(t)) for (n, w), t in times.items() if n == m), strict=True
            )
            found.setdefault(m, []).append(np.polyfit(np.log(x), np.log(y), 1)[0])
    return found
