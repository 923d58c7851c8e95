"""Run code of the package in forks of one process that has imported the libraries: a fork starts at once.

The parent only imports; it computes nothing and starts no thread, so that a fork is a whole process.
"""

import atexit
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import accelerate  # noqa: F401
import torch._dynamo  # noqa: F401  # torch imports it with the first optimizer

import firstsight.cli.console
import firstsight.cli.parse
import firstsight.cli.train
import firstsight.plots
import firstsight.recipes.train  # noqa: F401


def start(
    body: Callable[[], int],
    *,
    stdout: Path = Path(os.devnull),
    stderr: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Call ``body`` in a fork that exits with the code it returns.

    Parameters
    ----------
    body : The code that the fork runs.
    stdout, stderr : the files that its output is appended to; stderr None is that of the parent.
    environment : environment variables of the fork alone.

    Returns
    -------
    The process id.
    """
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        os.environ.update(environment or {})
        for path, descriptor in ((stdout, 1), (stderr, 2)):
            if path:
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
        code = body()
        atexit._run_exitfuncs()  # as at the end of a process; Python's own end takes a second and is left out
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(process: int) -> int:
    """Wait for a fork to end.

    Returns
    -------
    Its exit code, or minus the number of the signal that ended it.
    """
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
