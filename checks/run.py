"""Reliability, part by part; docs/reliability.md says what each checks. Ends with a table.

python checks/run.py [sanitizers|fuzz|memory|parents|versions|all] ...
"""

import argparse
import subprocess
import sys
from pathlib import Path

PARTS = ["sanitizers", "fuzz", "memory", "parents", "versions"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "all"], default="all")
    chosen = parser.parse_args().parts
    outcome = {}
    for part in PARTS if "all" in chosen else chosen:
        print(f"== {part}", flush=True)
        command = [sys.executable, Path(__file__).with_name(f"{part}.py")]
        outcome[part] = subprocess.run(command).returncode
    print("== all of them")
    for part, status in outcome.items():
        print(f"{'FAILED' if status else 'PASSED'}  {part}")
    return int(any(outcome.values()))


if __name__ == "__main__":
    sys.exit(main())
