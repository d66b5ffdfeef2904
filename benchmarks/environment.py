"""What a record of measurements says of where it was made."""

import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scipy
import sklearn

import sklearn_lsh


def environment(*packages):
    """Command, commit, processor and versions, of other packages too, for JSON."""
    # Where files lie on a machine tells a reader nothing.
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return {
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words]),
        "commit": commit(),
        "machine": f"{processor()}, {platform.system()}",
        "versions": {
            "python": platform.python_version(),
            **{m.__name__: m.__version__ for m in (np, scipy, sklearn, sklearn_lsh)},
            **{name: version(name) for name in packages},
        },
    }


def commit():
    """Of the checkout, marked if the package or a benchmark differs from it; None outside one."""

    def git(*words):
        return subprocess.run(
            ["git", *words], cwd=Path(__file__).parent.parent, capture_output=True, text=True
        ).stdout.strip()

    try:
        changes = git("status", "--porcelain", "--", "sklearn_lsh", "benchmarks", "setup.py")
        return git("rev-parse", "--short", "HEAD") + "-dirty" * bool(changes) or None
    except OSError:
        return None


def processor():
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{len(names) or 1} x {name}"


def seconds_of(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def peak_of(work):
    """KiB that this process holds before `work()`, and at most meanwhile (Linux)."""
    status = Path("/proc/self/status")

    def peak():
        return int(status.read_text().split("VmHWM:")[1].split()[0])

    Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now
    before = peak()
    work()
    return before, peak()
