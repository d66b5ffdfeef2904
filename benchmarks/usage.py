"""Do neurons that are never active matter? Treatments of deep networks that leave many.

    python benchmarks/usage.py [--layers 7] [--epochs 10] [--seeds 3] [--output FILE.json]

MNIST (pixels centred), hidden layers of 1000, density .05, Adam at a rate that falls from .003.

- "annealed": density .15 in the first epoch, then .1, .075, and .05 from the fourth on;
- "lifted": before every epoch but the first the bias of a neuron that would be active for none of
  5,000 training rows grows until it is for one (a bonus for little use);
- "half the width": layers of 500 with as many active neurons.

Test accuracy, multiplications and seconds of training; of the first, middle and last
hidden layer the share of neurons that are in no active set of 5,000 test rows, and how many
neurons, used evenly, would be used as unevenly (1 over the sum of squared shares of use, over the
width).
"""

import argparse
import json
import time
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
from environment import environment
from paper import load, make
from paper_tables import share, shown
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh._training import Trainer
from sklearn_lsh.inspection import neuron_usage

TREATMENTS = ["as it is", "annealed", "lifted", "half the width"]
ACTIVE, WIDTH, RATE, N_ROWS = 50, 1000, 0.003, 5000
ANNEALED = [150, 100, 75]  # active neurons of the first epochs
EPOCH = Trainer.epoch


def treat(treatment, network, epoch, X):
    """What is done before an epoch."""
    hidden = network.layers[:-1]
    if treatment == "annealed":
        for layer in hidden:
            layer.selector.n_active = [*ANNEALED, ACTIVE][min(epoch, len(ANNEALED))]
    elif treatment == "lifted" and epoch:
        below = X
        for layer in hidden:
            z = below @ layer.W.T + layer.b
            edge = np.partition(z, -ACTIVE, axis=1)[:, -ACTIVE, None]
            dead = ~(z >= edge).any(axis=0)
            layer.b[dead] += (edge - z[:, dead]).min(axis=0)
            layer.changed[dead] = 1
            below = np.where(z >= edge, np.maximum(z, 0), 0)


def study(treatment, n_layers, n_epochs, seed, X, y, X_test, y_test, _):
    width = WIDTH // 2 if treatment == "half the width" else WIDTH
    most = ANNEALED[0] if treatment == "annealed" else ACTIVE
    model = make("sketch", (width,) * n_layers, most / width, RATE, seed, n_epochs)
    epochs = iter(range(n_epochs))

    def epoch(self, *args):
        treat(treatment, self.network, next(epochs), X[:N_ROWS])
        return EPOCH(self, *args)

    start = time.perf_counter()
    with patch.object(Trainer, "epoch", epoch):
        model.fit(X, y)
    seconds = time.perf_counter() - start
    usage = [neuron_usage(model, X_test[:N_ROWS])[k] for k in (0, n_layers // 2, -1)]
    shares = [u / u.sum() for u in usage]
    return {
        "accuracy": model.score(X_test, y_test),
        "multiplications": share({"multiplications": model.n_multiplications_}),
        "seconds": seconds,
        "dead": [float(np.mean(u == 0)) for u in usage],
        "even": [float(1 / (s**2).sum() / width) for s in shares],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = load("mnist")
    results = environment() | {"runs": {}}
    print("| treatment | accuracy (%) | multiplications / dense (%) | seconds | never active (%) | "
          "used as evenly as (%) |\n|---|---|---|---|---|---|")  # fmt: skip
    for name in TREATMENTS:
        runs = [study(name, options.layers, options.epochs, seed, *data)
                for seed in range(options.seeds)]  # fmt: skip
        results["runs"][name] = runs
        accuracy = shown([run["accuracy"] for run in runs])
        dead, even = (
            " / ".join(f"{100 * v:.0f}" for v in np.mean([run[field] for run in runs], axis=0))
            for field in ("dead", "even")
        )
        spent = 100 * np.mean([run["multiplications"] for run in runs])
        seconds = np.median([run["seconds"] for run in runs])
        print(f"| {name} | {accuracy} | {spent:.2f} | {seconds:.0f} | "
              f"{dead} | {even} |", flush=True)  # fmt: skip
        if options.output:
            options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
