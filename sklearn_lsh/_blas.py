"""One BLAS thread while networks train."""

import os
from contextlib import contextmanager
from threading import Lock

import threadpoolctl


def free_control():
    """Let any thread set the number of OpenBLAS's threads.

    From threadpoolctl 3.8 on the first that has done so is the only one that can.
    """
    openblas = getattr(threadpoolctl, "OpenBLASController", None)
    if hasattr(openblas, "clear_controlling_thread"):
        openblas.clear_controlling_thread(force=True)


class Limit:
    """Holds BLAS to one thread while anybody asks for it.

    Its threads would spin against ours, and their number could change the bits. It is one number
    for the whole process: of fits in several threads the last to end puts it back, not the first.
    """

    def __init__(self):
        self.lock = Lock()
        self.holders = set()
        self.limits = None

    @contextmanager
    def held(self):
        holder = object()
        try:
            with self.lock:
                if not self.holders:
                    free_control()
                    self.limits = threadpoolctl.threadpool_limits(1, user_api="blas")
                self.holders.add(holder)
            yield
        finally:
            with self.lock:
                self.holders.discard(holder)
                if not self.holders and self.limits is not None:
                    free_control()
                    self.limits.restore_original_limits()
                    self.limits = None
                    free_control()


LIMIT = Limit()
if hasattr(os, "register_at_fork"):
    # A lock that another thread holds at a fork is never given back; nor does that thread train on.
    os.register_at_fork(after_in_child=LIMIT.__init__)


def one_blas_thread():
    return LIMIT.held()
