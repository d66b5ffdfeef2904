"""Kernels are compiled for several instruction sets: each agrees with the oracle."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LEVELS = ["baseline", "avx2", "avx512"]
TESTS = Path(__file__).parent
SAY = "from sklearn_lsh._kernels import _passes; print(_passes.simd())"
# Scores of a sketch are whole numbers, and products of matrices are taken in one order.
NETWORKS = {
    "sketch": """
from cases import X, Y, X_TEST, small
model = small(selector="sketch", density=0.1).fit(X, Y)
""",
    # Rows and neurons that fours do not divide, columns that 32, 16 and 8 do not.
    "sampled output": """
import numpy as np
from cases import X, X_TEST, small
Y = np.arange(len(X)) % 131
model = small(selector="dense", sampled_output=True, hidden_layer_sizes=(61,), batch_size=37)
model.fit(X, Y)
""",
    "whole matrices": """
from cases import X, Y, X_TEST, small
model = small(selector=["dense", "topk"], density=0.5, hidden_layer_sizes=(67, 91), batch_size=77)
model.fit(X, Y)
""",
}
PRINT = "print(model.decision_function(X_TEST).tobytes().hex(), model.coefs_[0].tobytes().hex())"


def run(level, *args):
    environment = os.environ | {"SKLEARN_LSH_SIMD": level}
    return subprocess.run(
        [sys.executable, *args], env=environment, cwd=TESTS, capture_output=True, text=True
    )


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_agrees_with_the_oracle(level):
    most = LEVELS.index(run("avx512", "-c", SAY).stdout.strip())  # that this machine has
    assert run(level, "-c", SAY).stdout.strip() == LEVELS[min(LEVELS.index(level), most)]
    names = "oracle or top_k or exact or strongest or any_size or few_rows"
    options = ["-q", "-p", "no:cacheprovider", "-k", names]
    tests = [f"test_{name}.py" for name in ("computation", "selectors", "whole")]
    done = run(level, "-m", "pytest", *options, *tests)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("network", list(NETWORKS))
def test_avx512_gives_the_bits_of_avx2(network):
    if run("avx512", "-c", SAY).stdout.strip() != "avx512":
        pytest.skip("this machine has no AVX-512")
    avx2, avx512 = (run(level, "-c", NETWORKS[network] + PRINT) for level in LEVELS[1:])
    assert avx2.stdout == avx512.stdout and len(avx2.stdout) > 10_000, avx2.stderr


def test_an_unknown_level_is_refused_and_none_is_none():
    assert "SKLEARN_LSH_SIMD must be" in run("sse", "-c", SAY).stderr
    assert run("", "-c", SAY).stdout == run("avx512", "-c", SAY).stdout != ""
