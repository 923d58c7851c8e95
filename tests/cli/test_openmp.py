"""Wait policy of OpenMP threads, chosen by the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from firstsight.cli.openmp import SPIN_COUNT, is_busy, wait_policy


def test_threads_spin_briefly_on_an_idle_machine_and_sleep_on_a_busy_one() -> None:
    assert wait_policy({}, busy=False) == {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": SPIN_COUNT}
    assert wait_policy({}, busy=True) == {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"])
def test_the_choice_of_the_user_is_kept(name: str) -> None:
    assert wait_policy({name: "1"}, busy=False) == wait_policy({name: "1"}, busy=True) == {}


def test_a_machine_is_busy_if_others_run_on_every_processor(tmp_path: Path) -> None:
    processors, file = os.cpu_count() or 1, tmp_path / "loadavg"
    for others, expected in ((processors - 1, False), (processors, True)):
        file.write_text(f"0.20 0.18 0.12 {others + 1}/80 11206\n")
        assert is_busy(file) == expected


def test_the_command_line_sets_the_policy_before_torch_is_imported() -> None:
    """GNU OpenMP prints its settings when it is loaded."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-m", "firstsight", "summary", "lenet", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"OMP_DISPLAY_ENV": "TRUE"},
    )
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in done.stderr
