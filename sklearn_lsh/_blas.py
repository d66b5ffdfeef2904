"""One BLAS thread while networks train."""

import os
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits


class Limit:
    """Holds BLAS to one thread while anybody asks for it.

    Its threads would spin against ours, and their number could change the bits. It is one number
    for the whole process: of fits in several threads the last to end puts it back, not the first.
    """

    def __init__(self):
        self.lock = Lock()
        self.n_holders = 0

    @contextmanager
    def held(self):
        with self.lock:
            if not self.n_holders:
                self.limits = threadpool_limits(1, user_api="blas")
            self.n_holders += 1
        try:
            yield
        finally:
            with self.lock:
                self.n_holders -= 1
                if not self.n_holders:
                    self.limits.restore_original_limits()


LIMIT = Limit()
if hasattr(os, "register_at_fork"):
    # A lock that another thread holds at a fork is never given back; nor does that thread train on.
    os.register_at_fork(after_in_child=LIMIT.__init__)


def one_blas_thread():
    return LIMIT.held()
