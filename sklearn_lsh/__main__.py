"""The demonstration: ``python -m sklearn_lsh`` trains a dense network and a selective one.

Both have 2 x 1000 hidden neurons, the same start, solver, batch size, number of epochs and data:
values in 0..1 less the mean of the training rows, since inputs that are all positive let the same
few neurons win every example. The selective network's learning rate falls, which scikit-learn's
Adam does not offer. Times are of training alone; scoring the test set is not in them.
"""

import argparse
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh.inspection import prediction_cost, selection_recall

HIDDEN = (1000, 1000)
BATCH_SIZE = 200
RATE = 0.003  # at the start
EPOCHS = {"digits": 30, "mnist": 10}
COLOURS = {"MLPClassifier": "tab:gray", "LSHMLPClassifier": "tab:blue"}


@dataclass
class Run:
    """What one network showed, epoch by epoch."""

    estimator: object
    seconds: list = field(default_factory=list)
    accuracy: list = field(default_factory=list)
    multiplications: list = field(default_factory=list)

    @property
    def name(self):
        return type(self.estimator).__name__


def main(arguments=None):
    args = parse(arguments)
    data = load(args.data, args.seed)
    X_train, X_test, y_train, _ = data
    epochs = args.epochs or EPOCHS.get(args.data, 10)
    print(
        f"{args.data}: {len(X_train)} rows to train on, {len(X_test)} to test on, "
        f"{X_train.shape[1]} features, {len(np.unique(y_train))} classes"
    )
    common = {
        "hidden_layer_sizes": HIDDEN,
        "batch_size": min(BATCH_SIZE, len(X_train)),
        "random_state": args.seed,
    }
    dense = Run(MLPClassifier(**common))
    ours = LSHMLPClassifier(
        **common, selector=args.selector, density=args.density, learning_rate="linear",
        learning_rate_init=RATE, max_iter=epochs,
    )  # fmt: skip
    ours = Run(ours)
    for run in (dense, ours):
        train(run, *data, epochs)
    parts = dict(ours.estimator.n_multiplications_)
    full = parts.pop("dense")
    # Every epoch costs a dense network the same.
    dense.multiplications = [full * (k + 1) / epochs for k in range(epochs)]
    print()
    print(table(dense, ours, parts, full, X_test))
    print()
    path = picture((dense, ours), args.data, args.output)
    if path is None:
        print(
            "No picture: matplotlib is not installed (python -m pip install matplotlib).",
            file=sys.stderr,
        )
    else:
        print(f"Picture saved: {path.resolve()}")


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_lsh",
        description="Compare MLPClassifier with LSHMLPClassifier, 2 x 1000 hidden neurons.",
    )
    add = parser.add_argument
    add(
        "--data",
        default="digits",
        help="digits (default), mnist (downloaded from OpenML), or the path of an .npz with "
        "X_train, y_train, X_test, y_test, values in 0..255 or 0..1",
    )
    add("--epochs", type=positive, help="default: 30 for digits, 10 otherwise")
    add("--selector", default="auto", choices=["auto", "lsh", "sketch", "topk", "dense"])
    add("--density", type=float, default=0.05, help="share of neurons active (default: 0.05)")
    add("--output", default="sklearn_lsh.png", type=Path, help="picture (default: %(default)s)")
    add("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    if not 0 < args.density <= 1:
        parser.error(f"--density must be in (0, 1], got {args.density}")
    if not args.output.resolve().parent.is_dir():
        parser.error(f"--output: {args.output.resolve().parent} is not a folder")
    return args


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


# ---- Data ---------------------------------------------------------------------------------------


def load(name, seed):
    """X_train, X_test (float32, centred), y_train, y_test."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        X = (X / 16).astype(np.float32)
        data = train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)
    else:
        data = load_mnist() if name == "mnist" else load_npz(Path(name))
    X_train, X_test, y_train, y_test = data
    mean = X_train.mean(axis=0)
    return X_train - mean, X_test - mean, y_train, y_test


def load_mnist():
    """The standard split: 60,000 and 10,000 images."""
    print("Fetching MNIST from OpenML (once; scikit-learn keeps it) ...", flush=True)
    # The faster parser needs pandas.
    parser = "pandas" if find_spec("pandas") else "liac-arff"
    try:
        X, y = fetch_openml("mnist_784", version=1, return_X_y=True, as_frame=False, parser=parser)
    except (OSError, ValueError) as error:
        raise SystemExit(
            f"MNIST could not be fetched from OpenML ({error}). With a copy at hand, pass it: "
            "--data mnist.npz, holding X_train, y_train, X_test and y_test."
        ) from error
    X, y = scaled(X), y.astype(int)
    return X[:60000], X[60000:], y[:60000], y[60000:]


def load_npz(path):
    if not path.is_file():
        raise SystemExit(f"--data: {path} is neither digits, mnist nor a file.")
    arrays = []
    with np.load(path) as stored:
        for name in ("X_train", "X_test", "y_train", "y_test"):
            found = [key for key in (name, name.lower()) if key in stored]
            if not found:
                raise SystemExit(f"{path} has no {name}; it holds {', '.join(stored)}.")
            arrays.append(stored[found[0]])
    X_train, X_test, y_train, y_test = arrays
    return scaled(X_train), scaled(X_test), y_train.ravel(), y_test.ravel()


def scaled(X):
    """One row an example, float32 in 0..1: bytes are divided by 255."""
    X = np.asarray(X).reshape(len(X), -1)
    if not (X.min() >= 0 and X.max() <= 255):
        raise SystemExit("--data: values must lie in 0..255 or in 0..1.")
    return X.astype(np.float32) / np.float32(255 if X.max() > 1 else 1)


# ---- Training -----------------------------------------------------------------------------------


def train(run, X_train, X_test, y_train, y_test, epochs):
    """Epoch by epoch, a line each."""
    est = run.estimator
    seconds, start = 0.0, perf_counter()

    def after_an_epoch(*_):
        nonlocal seconds, start
        seconds += perf_counter() - start
        run.seconds.append(seconds)
        run.accuracy.append(est.score(X_test, y_test))
        if isinstance(est, LSHMLPClassifier):
            parts = est.n_multiplications_
            run.multiplications.append(sum(parts.values()) - parts["dense"])
        print(
            f"{run.name:<17}  epoch {len(run.seconds):>3}/{epochs}  test accuracy "
            f"{run.accuracy[-1]:.4f}  {seconds:8.2f} s",
            flush=True,
        )
        start = perf_counter()
        return run.accuracy[-1]

    if isinstance(est, LSHMLPClassifier):
        est.set_params(scoring=after_an_epoch)
        est.fit(X_train, y_train, X_val=X_test, y_val=y_test)
        run.seconds[-1] += perf_counter() - start  # the last refresh
        return
    for _ in range(epochs):
        est.partial_fit(X_train, y_train, classes=np.unique(y_train))
        after_an_epoch()


def table(dense, ours, parts, full, X_test):
    """The comparison as text; multiplications are those of training."""
    spent = sum(parts.values())
    rows = [
        ("", dense.name, ours.name, "ratio"),
        ("test accuracy, last epoch", f"{dense.accuracy[-1]:.4f}", f"{ours.accuracy[-1]:.4f}", ""),
        (
            "test accuracy, best epoch",
            f"{max(dense.accuracy):.4f}",
            f"{max(ours.accuracy):.4f}",
            "",
        ),
        compared("fit time (s)", dense.seconds[-1], ours.seconds[-1], ".2f"),
        compared("multiplications, training", full, spent, ".3g"),
    ]
    rows += [(f"  {kind}", "", f"{n:.3g}", f"{n / full:.4f}") for kind, n in parts.items()]
    cost = prediction_cost(ours.estimator, X_test)
    at_test = cost.pop("dense")
    rows.append(compared("multiplications, predicting", at_test, sum(cost.values()), ".3g"))
    report = selection_recall(ours.estimator, X_test)
    for depth, (recall, mass) in enumerate(zip(report["recall"], report["mass"], strict=True)):
        rows.append((f"recall of active set, layer {depth + 1}", "", f"{recall:.3f}", ""))
        rows.append((f"share of activation, layer {depth + 1}", "", f"{mass:.3f}", ""))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(row[k].rjust(widths[k]) for k in (1, 2, 3))]).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def compared(label, dense, ours, style):
    return label, f"{dense:{style}}", f"{ours:{style}}", f"{ours / dense:.4f}"


# ---- Picture ------------------------------------------------------------------------------------


def picture(runs, title, path):
    """Test accuracy against time and against multiplications; None without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    for run in runs:
        style = {"label": run.name, "color": COLOURS[run.name], "marker": "o", "markersize": 3.5}
        panels[0].plot(run.seconds, run.accuracy, **style)
        panels[1].plot(run.multiplications, run.accuracy, **style)
    panels[0].set(xlabel="fit time (s)", ylabel="test accuracy")
    panels[0].xaxis.set_major_formatter("{x:g}")
    panels[1].set(xlabel="multiplications in training", xscale="log")
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(loc="lower right", frameon=False)
    hidden = " x ".join(map(str, (len(HIDDEN), HIDDEN[0])))
    figure.suptitle(f"{Path(title).stem}, {hidden} hidden neurons, one marker an epoch")
    figure.savefig(path, dpi=150)
    return path


if __name__ == "__main__":
    main()
