"""Kernels under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer of GCC.

In a copy of the tree, once for memory and undefined behaviour (with bounds checks of Cython), once
for races of minibatch training and of prediction. Asynchronous training races by design and is
left out. Each sanitizer first has to find a fault that is planted.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common import ROOT, Verdict, copy_tree, run

# The rest of the suite draws, reads sources, starts programs of its own, or is what scikit-learn
# asks of an interface: the same kernels by way of hundreds of small fits.
TESTS = [
    "test_bad_input.py", "test_checkpoint.py", "test_computation.py", "test_coordinates.py",
    "test_counts.py", "test_dropout.py", "test_estimators.py", "test_hashing.py",
    "test_hostile_files.py", "test_inspection.py", "test_lifetime.py", "test_many_labels.py",
    "test_order.py", "test_persistence.py", "test_plans.py", "test_reference.py",
    "test_selectors.py", "test_top_k.py", "test_validation.py",
]  # fmt: skip
CHECKS = Path(__file__).resolve().parent
NO_LEAKS = "detect_leaks=0"  # the interpreter keeps what it has to the end
QUIET = {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def library(name):
    path = subprocess.run(
        ["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return str(Path(path).resolve())


def build(folder, flags, link="", checked=False):
    """A copy whose kernels are compiled with these flags."""
    tree = copy_tree(folder)
    env = {
        # With the compiler, for the try whether OpenMP links as well.
        "CC": f"gcc -g -fno-omit-frame-pointer {flags}", "LDFLAGS": link,
        "SKLEARN_LSH_BOUNDSCHECK": str(int(checked)),
    }  # fmt: skip
    # By pip, which brings what a build needs; to a place of its own, then into the copy.
    installed = folder.with_suffix(".installed")
    pip = [sys.executable, "-m", "pip", "-v", "install", "--no-deps", "--target", installed, tree]
    status, output = run(pip, env=env)
    if status or "no OpenMP here" in output:
        sys.exit(f"build failed:\n{output[-3000:]}")
    for kernels in (installed / "sklearn_lsh" / "_kernels").glob("*.so"):
        shutil.copy(kernels, tree / "sklearn_lsh" / "_kernels")
    return tree


def reports(folder):
    """What the sanitizers have written to their files."""
    return "\n".join(path.read_text() for path in sorted(folder.glob("report.*")))


def watched(verdict, what, command, tree, env, wanted=None):
    """Run under a sanitizer: to the end without a report, or, if wanted, with one that says so."""
    folder = Path(tempfile.mkdtemp(dir=tree))
    log = f":log_path={folder / 'report'}:halt_on_error={int(wanted is not None)}"
    options = {key: env[key] + log for key in env if key.endswith("_OPTIONS")}
    status, output = run(
        command, cwd=tree, env={**QUIET, **env, **options, "PYTHONPATH": str(tree)}
    )
    # UndefinedBehaviorSanitizer may write to the terminal all the same.
    said = [line for line in output.splitlines() if ": runtime error: " in line]
    found = "\n".join([reports(folder), *said]).strip()
    last = ([*output.strip().splitlines()] or [""])[-1]
    if wanted:
        where = [line.strip() for line in found.splitlines() if "SUMMARY" in line or line in said]
        return verdict.add(what, wanted in found, where[0][:150] if where else last)
    passed = verdict.add(what, status == 0 and not found, last)
    if not passed:
        print(found[:6000] or output[-3000:])
    return passed


def memory(folder, verdict, quick):
    """Accesses outside of arrays, use after release, undefined behaviour."""
    tree = build(folder / "memory", "-fsanitize=address,undefined", checked=True)
    env = {
        "LD_PRELOAD": library("libasan.so") + " " + library("libubsan.so"),
        "ASAN_OPTIONS": f"{NO_LEAKS}:verify_asan_link_order=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }
    exercise = [sys.executable, CHECKS / "exercise.py"]
    watched(verdict, "address: planted overflow is found", [*exercise, "--plant", "overflow"],
            tree, env, wanted="heap-buffer-overflow")  # fmt: skip
    watched(verdict, "undefined: planted odd address is found", [*exercise, "--plant", "address"],
            tree, env, wanted="misaligned address")  # fmt: skip
    watched(verdict, "address, undefined: every kernel", exercise, tree, env)
    for name in [] if quick else TESTS:
        test = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"tests/{name}"]
        watched(verdict, f"address, undefined: tests/{name}", test, tree, env)


def races(folder, verdict):
    """Two threads at one place, one of them writing, with nothing between them."""
    shim = folder / "libopenmp_on_threads.so"
    subprocess.run(
        ["gcc", "-O2", "-shared", "-fPIC", "-pthread", CHECKS / "openmp_on_threads.c", "-o", shim],
        check=True,
    )
    link = f"-L{folder} -Wl,--no-as-needed -l:{shim.name} -Wl,-rpath,{folder}"
    tree = build(folder / "races", "-fsanitize=thread", link)
    env = {"LD_PRELOAD": library("libtsan.so"), "TSAN_OPTIONS": "exitcode=66"}
    exercise = [sys.executable, CHECKS / "exercise.py"]
    watched(verdict, "thread: planted race is found", [*exercise, "--plant", "race"], tree, env,
            wanted="data race")  # fmt: skip
    for n_threads in (2, 4):
        watched(verdict, f"thread: every kernel on {n_threads} threads",
                [*exercise, "--threads", n_threads], tree, env)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without the test suite")
    parser.add_argument("--only", choices=["memory", "races"])
    options = parser.parse_args()
    if shutil.which("gcc") is None or not sys.platform.startswith("linux"):
        sys.exit("sanitizers: need gcc on Linux")
    print(f"sanitizers: {ROOT}")
    verdict = Verdict("sanitizers")
    with tempfile.TemporaryDirectory() as temporary:
        if options.only != "races":
            memory(Path(temporary), verdict, options.quick)
        if options.only != "memory":
            races(Path(temporary), verdict)
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
