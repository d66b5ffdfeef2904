"""Records of measurements in a JSON file, so that a call goes on where the last one stopped."""

import json
import os
import time

import numpy as np
from environment import environment


class Store:
    """Records by job, written after every run.

    Parameters
    ----------
    path : Path
    compute : function
        Gives the record of a job, a dict of its fields.
    minutes : float
        No job is begun after that many.
    packages : tuple of str
        Others whose versions are recorded.
    """

    def __init__(self, path, compute, minutes=np.inf, packages=()):
        self.path = path
        self.compute = compute
        self.records = json.loads(path.read_text()) if path.exists() else {}
        self.environment = environment(*packages)
        self.until = time.monotonic() + 60 * minutes

    def get(self, compute=None, **job):
        """The record of a job: the stored one, or a new one."""
        key = json.dumps(job, sort_keys=True)
        if key not in self.records:
            if time.monotonic() > self.until:
                raise SystemExit("time is up; call again to go on")
            self.records[key] = (compute or self.compute)(job) | {"environment": self.environment}
            if self.path.exists():  # what other calls have added meanwhile
                self.records = json.loads(self.path.read_text()) | self.records
            part = self.path.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps(self.records, indent=0) + "\n")
            os.replace(part, self.path)
            shown = {k: v for k, v in job.items() if k not in ("part", "validate")}
            print(f"  {shown}: {self.records[key].get('accuracy', '')}", flush=True)
        return self.records[key]

    def select(self, **wanted):
        """Stored (job, record) pairs that agree with `wanted`."""
        for key, record in self.records.items():
            job = json.loads(key)
            if all(job.get(k) == v for k, v in wanted.items()):
                yield job, record
