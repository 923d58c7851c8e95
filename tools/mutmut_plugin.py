"""pytest plugin of `measure_mutants.py`: lets tests start child processes while mutmut records which test calls what.

mutmut tells its mode to the mutated code by an environment variable. The mode "stats" works in the process of pytest
alone; a child that inherits it fails. Here it is kept in the process and taken out of the environment.
"""

import os

from mutmut.mutation import trampoline


def pytest_sessionstart() -> None:
    """Hide the mode "stats" from child processes."""
    if os.environ.get("MUTANT_UNDER_TEST") == "stats":
        trampoline._mutant_under_test = "stats"
        del os.environ["MUTANT_UNDER_TEST"]
