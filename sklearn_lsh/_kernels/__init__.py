"""Floor 0: compiled kernels on plain arrays."""

import os

if (os.environ.get("SKLEARN_LSH_SIMD") or "avx512") not in ("baseline", "avx2", "avx512"):
    raise ImportError("SKLEARN_LSH_SIMD must be 'baseline', 'avx2' or 'avx512', if it is set.")

# Threads of GNU OpenMP that wait for the next batch spin: where another process wants the core,
# they stall one another for whole time slices. A bound that outlasts the work between two batches
# keeps the speed of an idle machine, and a busy one loses far less. The setting is read when the
# library is loaded, which is now; the environment is left as it was.
_ours = not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ)
if _ours:
    os.environ["GOMP_SPINCOUNT"] = "200000"
from sklearn_lsh._kernels import _passes  # noqa: E402, F401

if _ours:
    del os.environ["GOMP_SPINCOUNT"]
