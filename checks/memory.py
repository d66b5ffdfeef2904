"""Resident memory over 1,000 small fits, with predictions and with fits that fail.

After 200 rounds that warm up (stacks of threads, arenas of the allocator, caches of scikit-learn)
it may grow by 2 MiB: every model here takes more than 10 kB, so that one weight matrix left over in
every round would be seen, and fragments of the allocator, a page now and then, are not.
"""

import argparse
import gc
import os
import sys
import warnings
from itertools import cycle, islice
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # other processes may run

import numpy as np
import scipy.sparse as sp
from common import Verdict

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor
from sklearn_lsh.inspection import prediction_cost

WARM_UP = 200
MOST = 2 * 2**20
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 16)).astype(np.float32)
SPARSE = sp.csr_array(np.where(X > 0.8, X, 0))
SMALL = {"hidden_layer_sizes": (64, 32), "max_iter": 1, "density": 0.2, "batch_size": 20,
         "random_state": 0, "n_threads": 2}  # fmt: skip
MODELS = [
    lambda: LSHMLPClassifier(**SMALL, selector="lsh").fit(X, np.arange(60) % 3),
    lambda: LSHMLPRegressor(**SMALL, selector="sketch").fit(SPARSE, X[:, 0]),
    lambda: LSHMLPClassifier(**SMALL, sampled_output=True).fit(X, np.arange(60)),
    lambda: LSHMLPRegressor(**SMALL, asynchronous=True).fit(X, X[:, :2]),
]


def resident():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def fails(call, message):
    try:
        call()
    except ValueError as error:
        assert message in str(error), error
        return
    raise AssertionError("did not fail")


def one_round(make):
    """A fit, predictions, more training, and fits that fail: before they begin, and after."""
    model = make()
    model.predict(X)
    prediction_cost(model, X)
    fails(lambda: model.predict(X[:, :3]), "features")
    fails(lambda: model.fit(X, np.full(60, np.nan)), "NaN")
    model.set_params(learning_rate_init=1e38, solver="sgd", max_iter=3)
    with np.errstate(all="ignore"):
        fails(lambda: model.fit(X * 1e30, RNG.integers(0, 2, 60)), "not finite")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    verdict = Verdict("memory")
    models = cycle(MODELS)
    for make in islice(models, WARM_UP):
        one_round(make)
    before, most = resident(), 0
    for number, make in enumerate(islice(models, options.rounds), 1):
        one_round(make)
        if number % 100 == 0 or number == options.rounds:
            most = max(most, resident() - before)
            print(f"  round {number}: {(resident() - before) / 2**10:+.0f} KiB", flush=True)
    verdict.add(f"{options.rounds} rounds", most <= MOST,
                f"{most / 2**10:.0f} KiB on top of {before / 2**20:.0f} MiB at most")  # fmt: skip
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
