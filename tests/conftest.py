"""Settings that have to come before OpenMP is loaded."""

import os

# Threads that wait for one another give their processor away, which the threads of other programs
# or of other test processes may need.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
