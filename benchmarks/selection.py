"""What selection takes, by width and input; the unit costs of selector="auto", and its borders.

    python benchmarks/selection.py [--widths 256 1024 ...] [--output FILE.json] [--markdown FILE.md]

One thread, one layer, weights at random, 100 neurons active (a tenth of the layer, if that is
less). Inputs: 784 columns stored dense, 128 columns stored dense, and active sets of 50 out of 1000
columns. Every selector runs over 512 rows, in turn with the others, medians. Unit costs (ns) are
fitted to all of these times, by non-negative least squares of relative errors, and set beside those
in `sklearn_lsh/_costs.py`, which round them. About 5 minutes.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from environment import environment
from scipy.optimize import nnls
from threadpoolctl import threadpool_limits

from sklearn_lsh import _costs
from sklearn_lsh._kernels import _passes
from sklearn_lsh._layer import Layer, aligned
from sklearn_lsh._rows import Rows
from sklearn_lsh._selection import cells, cheapest
from sklearn_lsh._selectors import SHORTLISTED, DenseSelector, SketchSelector, TopKSelector
from sklearn_lsh._table_selector import TableSelector
from sklearn_lsh._workspace import Workspace

N_ROWS, RANK, ACTIVE = 512, 28, 100
WIDTHS = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576]
INPUTS = {"784 dense": (784, 784, False), "128 dense": (128, 128, False),
          "50 of 1000": (1000, 50, True)}  # fmt: skip
# Weights of a layer that are measured, at most, and products of an exact selection.
MOST_WEIGHTS, MOST_PRODUCTS = 2**28, 2**26
UNITS = ["STREAM", "GATHER", "MATRIX", "SCORE", "PROBE", "CANDIDATE"]


def rows_like(n_in, n_entries, rng):
    """Inputs of a few directions, as those of layers are; all positive."""
    X = rng.exponential(size=(N_ROWS, 16)) @ rng.exponential(size=(16, n_in))
    X = (X / X.mean()).astype(np.float32)
    if n_entries < n_in:
        X[X < np.sort(X, axis=1)[:, -n_entries, None]] = 0
        return sp.csr_matrix(X)
    return X


def selectors(n_in, n_entries, n_out, sparse):
    active = min(ACTIVE, n_out // 10)
    found = {}
    if n_entries * n_out <= MOST_PRODUCTS:
        found["dense"] = DenseSelector(n_in, n_out)
        found["topk"] = TopKSelector(n_in, n_out, active)
    found["sketch"] = SketchSelector(n_in, n_out, active, False, RANK, 0)
    found["lsh"] = TableSelector(
        n_in, n_out, active, False, RANK, 0, **cells(n_out), n_candidates=8 * active
    )
    return found


def units(name, selector, n_entries, sparse, n_ranked):
    """How often each unit cost is met for a row, selection and forward."""
    row = dict.fromkeys(UNITS, 0.0)
    used = "GATHER" if sparse else "STREAM"
    if name in ("dense", "topk") and not sparse:
        row["MATRIX"] += selector.n_in * selector.n_out
    else:
        row[used] += n_entries * selector.n_shortlisted
    if name == "topk" and sparse:
        row[used] += n_entries * selector.n_out
    if name == "sketch":
        row["SCORE"] += RANK * selector.n_out
    if name in ("sketch", "lsh"):
        row["STREAM"] += n_entries * RANK
    if name == "lsh":
        row["STREAM"] += RANK * selector.n_scores
        row["PROBE"] += selector.n_tables * selector.n_probes
        row["CANDIDATE"] += n_ranked
    return [row[unit] for unit in UNITS]


def measure(widths, rounds=7):
    """Records: input, width, selector, microseconds a row, units."""
    rng = np.random.default_rng(0)
    for kind, (n_in, n_entries, sparse) in INPUTS.items():
        X = rows_like(n_in, n_entries, rng)
        inputs = Rows.from_matrix(X)
        for n_out in widths:
            if n_in * n_out > MOST_WEIGHTS:
                continue
            W = aligned((n_out, n_in))
            W[...] = rng.standard_normal((n_out, n_in), dtype=np.float32) / np.sqrt(n_in)
            runs = {}
            for name, selector in selectors(n_in, n_entries, n_out, sparse).items():
                layer = Layer(W, np.zeros(n_out, np.float32), "relu", selector)
                selector.learn(layer, X, np.ones(N_ROWS), n_iter=4)
                selector.refresh(layer, 1)
                n_rows = min(N_ROWS, max(16, 2**24 // n_out))
                workspace = Workspace([layer], n_rows, 1, training=False)
                runs[name] = layer, inputs.take(slice(0, n_rows)), workspace, []
            for _ in range(rounds + 1):
                for layer, part, workspace, seconds in runs.values():
                    start = time.perf_counter()
                    counts = _passes.run([layer], part, workspace)
                    seconds.append((time.perf_counter() - start) / len(part))
                    layer.n_ranked = counts[:, 0, 1].sum() / len(part)
            for name, (layer, *_, seconds) in runs.items():
                yield {
                    "input": kind, "width": n_out, "selector": name,
                    "us": 1e6 * float(np.median(seconds[1:])),
                    "units": units(name, layer.selector, n_entries, sparse, layer.n_ranked),
                }  # fmt: skip
                print(
                    f"  {kind}, {n_out}, {name}: {1e6 * np.median(seconds[1:]):.1f} us", flush=True
                )


def fit(records):
    """Unit costs in nanoseconds that explain the times best."""
    times = np.array([1e3 * r["us"] for r in records])
    counts = np.array([r["units"] for r in records])
    return dict(zip(UNITS, nnls(counts / times[:, None], np.ones(len(times)))[0], strict=True))


def borders():
    """What "auto" takes, by kind of input and width: a list of (from, selector)."""
    found = {}
    for kind, (n_in, n_entries, sparse) in INPUTS.items():
        for share in (None, 0.05):
            steps, last = [], None
            for n_out in np.unique(np.geomspace(64, 1e6, 2000).astype(int)).tolist():
                active = min(ACTIVE, n_out) if share is None else max(1, round(share * n_out))
                if n_out < 2 * active:
                    continue
                name = cheapest(
                    n_in, n_out, active, n_entries, sparse, RANK, 1.0 if sparse else SHORTLISTED,
                    n_candidates=8 * active, from_csr=sparse, **cells(n_out),
                )  # fmt: skip
                if name != last:
                    steps.append((n_out, name))
                    last = name
            found[f"{kind}, {'100 active' if share is None else '5 % active'}"] = steps
    return found


def report(results):
    """The results in Markdown."""
    fitted, names = results["fitted"], ["dense", "topk", "sketch", "lsh"]
    found = {(r["input"], r["width"], r["selector"]): r for r in results["records"]}

    def cell(*key):
        if key not in found:
            return "-"
        return f"{found[key]['us']:.1f} ({predicted(fitted, found[key]):.1f})"

    lines = [
        '# What selection takes, and what `selector="auto"` makes of it\n',
        f"`{results['command']}`: {results['machine']}. Microseconds a row on one thread, "
        "selection and forward, 100 active (a tenth of the layer, if that is less); in brackets by "
        "the unit costs that were fitted to these times.\n",
        "| input | neurons | " + " | ".join(names) + " |",
        "|---|" + "---|" * 5,
    ]
    for kind, width in dict.fromkeys(key[:2] for key in found):
        cells_ = " | ".join(cell(kind, width, name) for name in names)
        lines.append(f"| {kind} | {width:,} | {cells_} |")
    lines += [
        '\n`lsh`: the tables of `"auto"`, which above 32,768 neurons ranks twice as many '
        "candidates.\n",
        "| unit cost (ns) | fitted | `_costs.py` |\n|---|---|---|",
        *(f"| {u} | {fitted[u]:.3g} | {getattr(_costs, u):.3g} |" for u in UNITS),
        f"\nMedian error of the fitted model: {100 * results['error']:.0f} %.\n\n## Borders\n",
        'What `"auto"` takes from how many neurons on, by `_costs.py`: the least time '
        "times multiplications, training included. A sketch "
        "takes a time in proportion to the layer; tables in proportion to the candidates, 8 for "
        "each active neuron, which grow with the layer where a share of it is active. Where tables "
        "are large, candidates lie outside the caches, and each takes longer than modelled.\n",
        "| input | |\n|---|---|",
    ]
    for kind, steps in results["borders"].items():
        lines.append(f"| {kind} | " + ", ".join(f"{name} from {n:,}" for n, name in steps) + " |")
    return "\n".join(lines) + "\n"


def predicted(fitted, record):
    """Microseconds of a row by the unit costs."""
    return np.dot(list(fitted.values()), record["units"]) / 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    with threadpool_limits(1):
        records = list(measure(options.widths))
    fitted = fit(records)
    error = float(np.median([abs(predicted(fitted, r) / r["us"] - 1) for r in records]))
    results = {**environment(), "fitted": fitted, "error": error, "borders": borders(),
               "records": records}  # fmt: skip
    text = report(results)
    print(text)
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
