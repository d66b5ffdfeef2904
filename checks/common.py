"""What the checks share: a copy of the tree, commands with a time limit, the verdict."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(
    ".git", "build", "dist", "results", "*.so", "*.pyd", "*.c", "*.egg-info", "__pycache__", ".*"
)


def copy_tree(folder):
    """The source tree without what a build leaves in it."""
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    return Path(folder)


def run(command, *, cwd=ROOT, env=None, timeout=3600, log=None):
    """Exit status of a command, and what it wrote; a time out is status -1.

    env : variables besides those there are. log : file that keeps the output.
    """
    environment = {**os.environ, **(env or {})}
    process = subprocess.Popen(
        [str(part) for part in command], cwd=cwd, env=environment, text=True, errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=timeout)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output, status = process.communicate()[0] + f"\nno end after {timeout} s\n", -1
    if log is not None:
        Path(log).write_text(output)
    return status, output


class Verdict:
    """Prints every outcome as it comes, and the sum of them at the end."""

    def __init__(self, name):
        self.name, self.failed, self.n = name, [], 0
        self.started = time.perf_counter()

    def add(self, what, passed, detail=""):
        self.n += 1
        if not passed:
            self.failed.append(what)
        print(f"  {'passed' if passed else 'FAILED'}  {what}  {detail}".rstrip(), flush=True)
        return passed

    def end(self):
        """Exit status of the part."""
        passed = self.n > 0 and not self.failed
        seconds = time.perf_counter() - self.started
        print(
            f"{self.name}: {'PASSED' if passed else 'FAILED'}: {self.n - len(self.failed)} of "
            f"{self.n} checks in {seconds:.0f} s"
            + "".join(f"\n  failed: {what}" for what in self.failed)
        )
        sys.stdout.flush()
        return 0 if passed else 1
