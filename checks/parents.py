"""What starts a fit, and what becomes of it: interrupts, forks, pools of processes and of threads.

Every check runs in a process of its own with a time limit, so that one that hangs is a failure.
"""

import argparse
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
from common import ROOT, Verdict, run

from sklearn_lsh import LSHMLPClassifier, LSHMLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 30)).astype(np.float32)
Y = RNG.integers(0, 5, size=600)
LIMIT = 240


def make(seed=0, cls=LSHMLPClassifier, **params):
    defaults = {"hidden_layer_sizes": (200, 100), "density": 0.1, "max_iter": 3, "n_threads": 2}
    return cls(**defaults | params, random_state=seed)


def fitted(seed=0, selector="lsh"):
    warnings.simplefilter("ignore")
    return make(seed, selector=selector).fit(X, Y)


def scores(seed=0, selector="lsh"):
    """Bits of a fit, to compare with those of another process or thread."""
    return fitted(seed, selector).decision_function(X).tobytes()


# ---- Interrupts --------------------------------------------------------------------------------


def endless():
    """Fits until it is interrupted, then shows that the model is of use."""
    # Shells start what runs in the background with interrupts ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    selector = sys.argv[-1]
    model = make(
        selector=selector, max_iter=10**9, tol=0, n_iter_no_change=np.inf, verbose=True,
        warm_start=True,
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y)
    assert any("interrupted" in str(w.message) for w in caught), caught
    assert model.n_iter_ == len(model.loss_curve_) < 10**9
    first = model.predict_proba(X)
    assert np.isfinite(first).all() and np.array_equal(first, model.predict_proba(X))
    model.set_params(max_iter=1, verbose=False).fit(X, Y)
    model.partial_fit(X, Y)
    assert np.isfinite(model.predict_proba(X)).all()


def interrupt(selector):
    """A signal of the terminal, at some moment of the third epoch or later."""
    process = subprocess.Popen(
        [sys.executable, "-u", __file__, "--run", "endless", selector], text=True, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    killer = threading.Timer(LIMIT, process.kill)
    killer.start()
    for line in process.stdout:
        if line.startswith("Iteration 3,"):
            break
    time.sleep(0.137)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    killer.cancel()
    assert process.returncode == 0, f"status {process.returncode}: {errors[-2000:]}"


def interrupts():
    for selector in ("dense", "sketch", "lsh"):
        interrupt(selector)


# ---- Processes ---------------------------------------------------------------------------------


def child(connection, seed):
    connection.send(scores(seed))


def fork_before():
    """Children that are forked before the parent has used OpenMP."""
    assert_children_agree("fork")


def fork_after():
    """Children that are forked after: GNU OpenMP's threads are not there, its memory of them is."""
    scores()
    assert_children_agree("fork")


def spawn():
    scores()
    assert_children_agree("spawn")


def forkserver():
    scores()
    assert_children_agree("forkserver")


def assert_children_agree(method):
    context = multiprocessing.get_context(method)
    pairs = [context.Pipe(duplex=False) for _ in range(3)]
    children = [
        context.Process(target=child, args=(send, seed)) for seed, (_, send) in enumerate(pairs)
    ]
    for process in children:
        process.start()
    results = [receive.recv() if receive.poll(LIMIT / 4) else None for receive, _ in pairs]
    for process in children:
        process.join(0.5)
        process.kill()
    assert None not in results, "no answer: hangs"
    assert results == [scores(seed) for seed in range(3)]


def joblib_pools():
    expected = [scores(seed) for seed in range(3)]
    for backend in ("loky", "threading", "multiprocessing"):
        found = joblib.Parallel(3, backend=backend)(joblib.delayed(scores)(s) for s in range(3))
        assert found == expected, backend


# ---- Threads -----------------------------------------------------------------------------------


def concurrent_predicts():
    """Eight threads, one model."""
    for selector in ("dense", "topk", "sketch", "lsh"):
        model = fitted(selector=selector)
        expected = model.decision_function(X).tobytes()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: model.decision_function(X).tobytes(), range(40)))  # noqa: B023
        assert set(found) == {expected}, selector


def concurrent_fits():
    """Estimators of their own in four threads at a time."""
    kinds = [(seed, selector) for seed in range(2) for selector in ("sketch", "lsh", "auto")]
    expected = [scores(*kind) for kind in kinds]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda kind: scores(*kind), kinds)) == expected


def fits_beside_fits_that_fail():
    """A fit that fails in one thread changes nothing for one in another."""
    expected = scores()

    def failing():
        for _ in range(20):
            try:
                make(cls=LSHMLPRegressor, solver="sgd", learning_rate_init=1e30).fit(X, X[:, 0])
            except ValueError:
                continue
            raise AssertionError("did not fail")

    warnings.simplefilter("ignore")
    with ThreadPoolExecutor(2) as pool:
        with np.errstate(all="ignore"):
            other = pool.submit(failing)
            assert all(pool.submit(scores).result() == expected for _ in range(5))
            other.result()


PARTS = {
    part.__name__: part
    for part in (
        interrupts, fork_before, fork_after, spawn, forkserver, joblib_pools, concurrent_predicts,
        concurrent_fits, fits_beside_fits_that_fail,
    )
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", choices=[*PARTS, "endless"], help="one, in this process")
    parser.add_argument("selector", nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        endless() if options.run == "endless" else PARTS[options.run]()
        return 0
    verdict = Verdict("parents")
    for name in PARTS:
        status, output = run([sys.executable, __file__, "--run", name], timeout=2 * LIMIT,
                             env={"OMP_WAIT_POLICY": "passive", **os.environ})  # fmt: skip
        if not verdict.add(name, status == 0):
            print(output[-3000:])
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
