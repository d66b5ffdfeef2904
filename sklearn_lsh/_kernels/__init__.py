"""Floor 0: compiled kernels on plain arrays."""

import os

# Waiting threads should sleep. Those of GNU OpenMP spin, and where another process wants the core
# they stall one another for whole time slices, at every batch (measured: 10 times slower). The
# setting is read when the library is loaded, which is now; the environment is left as it was.
_unset = [name for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if name not in os.environ]
if len(_unset) == 2:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
from sklearn_lsh._kernels import _passes  # noqa: E402, F401

if len(_unset) == 2:
    del os.environ["OMP_WAIT_POLICY"]
