"""pytest plugin of `measure_mutants.py`: allows child processes while mutmut records which test calls which function.

mutmut passes its mode to the mutated code in an environment variable. The mode "stats" works only in the process of
pytest, and a child process that inherits it fails. So the plugin stores the mode in the process and deletes the
variable.
"""

import os

from mutmut.mutation import trampoline


def pytest_sessionstart() -> None:
    """Remove the mode "stats" from the environment of child processes."""
    if os.environ.get("MUTANT_UNDER_TEST") == "stats":
        trampoline._mutant_under_test = "stats"
        del os.environ["MUTANT_UNDER_TEST"]
