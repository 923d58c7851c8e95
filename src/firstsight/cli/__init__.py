"""The command line: parse, call, print. Every command is a file; torch is imported only by those that need it."""

import atexit
import errno
import os
import re
import sys
from importlib import import_module

from firstsight.cli.openmp import is_busy, wait_policy
from firstsight.errors import FirstsightError, UsageError, unknown_name

COMMANDS = {
    "demo": "the tour: train LeNet on real digits, evaluate, predict, write a report (under a minute)",
    "train": "train a recipe or a model: firstsight train lenet [--data PATH]",
    "evaluate": "measure a run, or weights, on a test set",
    "predict": "say what pictures show",
    "generate": "make pictures with a trained generator",
    "pose": "find people and their joints in photographs and videos",
    "summary": "what a network's layers hold, compute and see",
    "filter": "lay a kernel on a picture; the arithmetic of one pixel",
    "features": "draw a layer's filters and its answers to a picture",
    "models": "the networks and recipes, with their size and the result they reach",
    "data": "the data sets: where each was found, or how to get it",
    "weights": "trained weights: list them, get published ones, import a .pth file",
}

USAGE = """firstsight {version} - the classic vision networks, readable at first sight

usage: firstsight COMMAND [options]

{commands}

  firstsight COMMAND --help    the options of a command
  firstsight --version

Everywhere: --json prints one JSON document on stdout; --debug shows the traceback of an error.
Environment variables:
  FIRSTSIGHT_HOME         folder of downloads
  FIRSTSIGHT_OFFLINE=1    never open a connection
  FIRSTSIGHT_WEIGHTS_URL  mirror of published weights
  FIRSTSIGHT_CAMERA       camera of pose, as FORMAT:SOURCE
  OMP_WAIT_POLICY         how threads wait; chosen by the load unless it is set
  NO_COLOR                no colors
"""


def entry() -> int:
    """Run `main` as a process of its own.

    How OpenMP threads wait is chosen here, before torch is imported; see `firstsight.cli.openmp`.

    A process of torchrun ends without taking Python down: threads of its group (gloo, torch 2.13) that still run then
    would abort it now and then, and a job that has done all its work would be reported as failed.
    """
    os.environ.update(wait_policy(os.environ, busy=is_busy()))
    code = main()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        atexit._run_exitfuncs()  # leaves the group; see `leave_at_exit`
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    return code


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns the exit code (0 done, 1 fault, 2 usage, 130 Ctrl-C, 143 SIGTERM)."""
    arguments = sys.argv[1:] if argv is None else argv
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        try:
            return _dispatch(arguments)
        finally:
            _flush()
    except FirstsightError as error:
        if debug:
            raise
        if is_first_process() or not isinstance(error, UsageError):  # of several processes, one says it
            print(f"firstsight: {as_options(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("firstsight: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `firstsight models | head`
        return 0
    except OSError as error:
        if debug:
            raise
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        print(f"firstsight: {f'{error.filename}: ' if error.filename else ''}{reason}", file=sys.stderr)
        return 1


def as_options(message: str) -> str:
    """Replace names of parameters by the options of the command line.

    >>> as_options("`batch_size` must be at least 4 with `packing=2`")
    '--batch-size must be at least 4 with --packing 2'
    """

    def option(match: re.Match[str]) -> str:
        name, value = match[1].replace("_", "-"), match[2]
        if value in ("True", "False"):
            return f"--{'' if value == 'True' else 'no-'}{name}"
        return f"--{name} {value}" if value else f"--{name}"

    return re.sub(r"`([a-z][a-z0-9_]*)(?:=([^`]+))?`", option, message)


def _flush() -> None:
    """Write what stdout still buffers, where a closed pipe and a full disk are handled, not when Python exits."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries again at its exit
        raise


def is_first_process() -> bool:
    """Is this the process that prints (the only one, or rank 0 under torchrun)?"""
    return os.environ.get("RANK", "0") == "0"


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        from firstsight import __version__

        width = max(map(len, COMMANDS))
        lines = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items())
        print(USAGE.format(version=__version__, commands=lines), end="", file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    if arguments[0] in ("--version", "-V"):
        from firstsight import __version__

        print(__version__)
        return 0
    command, *rest = arguments
    if command not in COMMANDS:
        raise unknown_name("command", command, COMMANDS, "see: firstsight --help")
    result: int = import_module(f"firstsight.cli.{command}").run(rest)
    return result
