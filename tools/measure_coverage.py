"""Measure the line and branch coverage of ``src/``, including child processes of the tests.

    python tools/measure_coverage.py [--fast]

Prints the coverage of `make test-all`, or with --fast that of `make test`, and writes the missed lines of each file to
``build/coverage``. Killed child processes leave no data.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT / "build" / "coverage"


def measure(*, fast: bool) -> dict[str, int]:
    """Run the tests and return the totals of the coverage report.

    Raises
    ------
    SystemExit
        If a test fails.
    """
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    environment = os.environ | {"COVERAGE_FILE": str(OUT / "data")}
    selection = ["-m", "not slow"] if fast else []
    command = ["-m", "pytest", "-q", "-n", "logical", "--dist", "worksteal", "--cov", "--cov-report=", *selection]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    report = OUT / "coverage.json"
    json_report = [sys.executable, "-m", "coverage", "json", "-q", "-o", str(report)]
    subprocess.run(json_report, cwd=ROOT, env=environment, check=True)
    content = json.loads(report.read_text())
    missed = {name: file["missing_lines"] for name, file in content["files"].items() if file["missing_lines"]}
    (OUT / "missed.json").write_text(json.dumps(missed, indent=1))
    totals: dict[str, int] = content["totals"]
    return totals


def main() -> None:
    """Measure and print the coverage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="run `make test` instead of `make test-all`")
    totals = measure(fast=parser.parse_args().fast)
    lines, branches = totals["covered_lines"], totals["covered_branches"]
    print(f"lines    {lines / totals['num_statements']:7.2%} ({lines} of {totals['num_statements']})")
    print(f"branches {branches / totals['num_branches']:7.2%} ({branches} of {totals['num_branches']})")


if __name__ == "__main__":
    main()
