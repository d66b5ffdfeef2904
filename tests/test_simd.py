"""Kernels are compiled for several instruction sets: each agrees with the oracle."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sklearn_lsh._kernels import _passes

LEVELS = ["baseline", "avx2", "avx512"]
TESTS = Path(__file__).parent
SAY = "from sklearn_lsh._kernels import _passes; print(_passes.simd())"


def run(level, *args):
    environment = os.environ | {"SKLEARN_LSH_SIMD": level}
    return subprocess.run([sys.executable, *args], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_agrees_with_the_oracle(level):
    most = LEVELS.index(_passes.simd())  # of this machine, unless the variable is set for all tests
    assert run(level, "-c", SAY).stdout.strip() == LEVELS[min(LEVELS.index(level), most)]
    tests = [TESTS / f"test_{name}.py" for name in ("computation", "many_labels", "selectors")]
    options = ["-q", "-p", "no:cacheprovider", "-k", "oracle or sketch"]
    done = run(level, "-m", "pytest", *options, *tests)
    assert done.returncode == 0, done.stdout


def test_an_unknown_level_is_refused():
    assert "SKLEARN_LSH_SIMD must be" in run("sse", "-c", SAY).stderr
