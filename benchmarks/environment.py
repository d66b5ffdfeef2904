"""What a record of measurements says of where it was made."""

import platform
import sys
from pathlib import Path

import numpy as np
import scipy
import sklearn

import sklearn_lsh


def environment():
    """Command, processor and versions, for JSON."""
    return {
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "machine": f"{processor()}, {platform.system()}",
        "versions": {
            "python": platform.python_version(),
            **{m.__name__: m.__version__ for m in (np, scipy, sklearn, sklearn_lsh)},
        },
    }


def processor():
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{len(names) or 1} x {name}"
