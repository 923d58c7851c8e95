"""Run Python modules, including those of this folder, in separate processes."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).parents[1]


def run_module(
    name: str, *arguments: object, stdin: str = "", cwd: Path | None = None, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m NAME ARGUMENTS``, behind the words of ``prefix``, for half an hour at most."""
    search = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [*prefix, sys.executable, "-m", name, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": search, "OMP_NUM_THREADS": "1"},
    )
