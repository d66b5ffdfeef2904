"""Do neurons that are never active matter? Treatments of deep networks that leave many.

    python benchmarks/usage.py [--layers 7] [--epochs 10] [--seeds 3] [--output FILE.json]

MNIST (pixels centred), hidden layers of 1000, density .05, Adam at a rate that falls from .003.

- "annealed": density .2 in the first epoch, .15, .1 and .05 from the fourth on;
- "lifted": after every epoch but the last the bias of a neuron that is active for none of 5,000
  training rows grows until it is for one (a bonus for little use);
- "half the width": layers of 500 with as many active neurons.

Test accuracy; of the first, middle and last hidden layer the share of neurons that are in no active
set of 5,000 test rows, and how many neurons, used evenly, would be used as unevenly (1 over the sum
of squared shares of use, over the width).
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from environment import environment
from paper import load
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh.inspection import active_sets, neuron_usage

TREATMENTS = ["as it is", "annealed", "lifted", "half the width"]
ACTIVE, WIDTH, RATE, N_ROWS = 50, 1000, 0.003, 5000
ANNEALED = [200, 150, 100]  # active neurons of the first epochs


def lift(model, X):
    """Raise the biases of neurons that none of the rows has active."""
    network = model._network
    below = X
    with network.changing():
        for layer, active in zip(network.layers[:-1], active_sets(model, X), strict=True):
            z = np.asarray(below @ layer.W.T) + layer.b
            edge = np.partition(z, -ACTIVE, axis=1)[:, -ACTIVE, None]
            dead = np.asarray(active.astype(bool).sum(axis=0)).ravel() == 0
            layer.b[dead] += (edge - z[:, dead]).min(axis=0) + np.float32(1e-4)
            layer.changed[dead] = 1
            below = active


def study(treatment, n_layers, n_epochs, seed, X, y, X_test, y_test, _):
    width = WIDTH // 2 if treatment == "half the width" else WIDTH
    model = LSHMLPClassifier(
        (width,) * n_layers, selector="sketch", density=ACTIVE / width, batch_size=200,
        random_state=seed, n_threads=-1,
    )  # fmt: skip
    for epoch in range(n_epochs):
        model.learning_rate_init = RATE * (1 - epoch / n_epochs)
        if treatment == "annealed" and epoch:
            n_active = [*ANNEALED, ACTIVE][min(epoch, len(ANNEALED))]
            for layer in model._network.layers[:-1]:
                layer.selector.n_active = n_active
        if treatment == "annealed" and not epoch:
            model.density = ANNEALED[0] / width
        model.partial_fit(X, y, classes=np.unique(y))
        if treatment == "lifted" and epoch < n_epochs - 1:
            lift(model, X[:N_ROWS])
    usage = [neuron_usage(model, X_test[:N_ROWS])[k] for k in (0, n_layers // 2, -1)]
    shares = [u / u.sum() for u in usage]
    return {
        "accuracy": model.score(X_test, y_test),
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
    print("| treatment | accuracy (%) | never active (%) | used as evenly as (%) |")
    print("|---|---|---|---|")
    for name in TREATMENTS:
        runs = [study(name, options.layers, options.epochs, seed, *data)
                for seed in range(options.seeds)]  # fmt: skip
        results["runs"][name] = runs
        accuracies = [100 * run["accuracy"] for run in runs]
        spread = f" ± {np.std(accuracies, ddof=1):.2f}" if len(runs) > 1 else ""
        dead, even = (
            " / ".join(f"{100 * v:.0f}" for v in np.mean([run[field] for run in runs], axis=0))
            for field in ("dead", "even")
        )
        print(f"| {name} | {np.mean(accuracies):.2f}{spread} | {dead} | {even} |", flush=True)
        if options.output:
            options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
