"""Two threads against one, and how far apart the two cores are meanwhile.

    python benchmarks/two_threads.py [--rounds 10] [--output FILE.json]

MNIST, 2 x 1000, five epochs: one thread, two, and two asynchronously, in turn, seconds of `fit`.
Before and after each, how long a cache line takes from one core to the other and back. A virtual
machine's cores may be moved, within seconds, apart from each other: what one thread has written
then takes several times as long to reach the other. Needs a C compiler (cc).
"""

import argparse
import ctypes
import json
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

from datasets import mnist
from environment import environment
from paper_tables import spread
from sklearn.exceptions import ConvergenceWarning

from sklearn_lsh import LSHMLPClassifier

SOURCE = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#define TRIPS 200000
static _Alignas(128) atomic_int ball;
static cpu_set_t pin(int cpu) {
    cpu_set_t before, one;
    pthread_getaffinity_np(pthread_self(), sizeof before, &before);
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    return before;
}
static void *back(void *cpu) {
    pin(*(int *)cpu);
    for (int i = 0; i < TRIPS; i++) {
        while (atomic_load(&ball) != 2 * i + 1);
        atomic_store(&ball, 2 * i + 2);
    }
    return 0;
}
double round_trip(int here, int there) {
    pthread_t other;
    struct timespec start, end;
    atomic_store(&ball, 0);
    pthread_create(&other, 0, back, &there);
    const cpu_set_t before = pin(here);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < TRIPS; i++) {
        atomic_store(&ball, 2 * i + 1);
        while (atomic_load(&ball) != 2 * i + 2);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    pthread_join(other, 0);
    pthread_setaffinity_np(pthread_self(), sizeof before, &before);
    return ((end.tv_sec - start.tv_sec) * 1e9 + end.tv_nsec - start.tv_nsec) / TRIPS;
}
"""
WAYS = {"1 thread": {"n_threads": 1}, "2 threads": {"n_threads": 2},
        "asynchronous, 2 threads": {"n_threads": 2, "asynchronous": True}}  # fmt: skip
NEAR = 3  # times the least that was met: threads that spin after their work add to it


def compiled():
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "trip.c"), Path(folder, "trip.so")
        source.write_text(SOURCE)
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-pthread", source, "-o", library],
                       check=True)  # fmt: skip
        function = ctypes.CDLL(str(library)).round_trip
    function.restype = ctypes.c_double
    return function


def study(way, seed, round_trip, X, y):
    model = LSHMLPClassifier(
        (1000, 1000), density=0.05, learning_rate="linear", learning_rate_init=0.003,
        max_iter=5, random_state=seed, **WAYS[way],
    )  # fmt: skip
    trips = [round_trip(0, 1)]
    start = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "round_trip_ns": [*trips, round_trip(0, 1)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    round_trip, (X, y, *_) = compiled(), mnist()
    study("2 threads", 0, round_trip, X[:5000], y[:5000])  # once, to start the threads
    runs = []
    for seed in range(options.rounds):
        runs.append({way: study(way, seed, round_trip, X, y) for way in WAYS})
        shown = [
            f"{way}: {run['seconds']:.2f} s (round trips {run['round_trip_ns'][0]:.0f} and "
            f"{run['round_trip_ns'][1]:.0f} ns)"
            for way, run in runs[-1].items()
        ]
        print("; ".join(shown), flush=True)
        if options.output:
            options.output.write_text(json.dumps(environment() | {"runs": runs}, indent=1) + "\n")
    near = NEAR * min(trip for run in runs for one in run.values() for trip in one["round_trip_ns"])
    print("\n| | cores near: trainings | 1 thread over it | apart: trainings | 1 thread over it |")
    print("|---|---|---|---|---|")
    for way in list(WAYS)[1:]:
        ratios = {True: [], False: []}
        for run in runs:
            kinds = {trip < near for trip in run[way]["round_trip_ns"]}
            if len(kinds) == 1:  # else they were moved meanwhile
                ratios[kinds.pop()].append(run["1 thread"]["seconds"] / run[way]["seconds"])
        cells = [way]
        for found in ratios.values():
            cells += [str(len(found)), spread(found, "{:.2f}")]
        print("| " + " | ".join(cells) + " |")
    print(f"\nNear: round trips below {near:.0f} ns.")


if __name__ == "__main__":
    main()
