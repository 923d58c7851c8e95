"""Command line: parse, call, print. Each command is one file; only those that need torch import it."""

import os
import sys

INTERRUPTED = 130
"""Exit code after Ctrl-C."""
COMMANDS = {
    "demo": "train LeNet on digits, evaluate, predict, write a report (under a minute)",
    "train": "train a recipe or a model: firstsight train lenet [--data PATH]",
    "runs": "list runs, or compare them: firstsight runs compare RUN RUN",
    "evaluate": "evaluate a run or weights on a test set",
    "predict": "predict the classes of images",
    "generate": "generate images with a trained generator",
    "pose": "estimate the poses of people in images and videos",
    "summary": "print parameters, MACs and receptive field of every layer",
    "filter": "convolve an image with a kernel; print the arithmetic of one pixel",
    "features": "draw the filters of a layer and its feature maps",
    "export": "write a network to a file for other programs (ONNX, torch.export)",
    "models": "list networks and recipes, with their size and result",
    "data": "list data sets, or describe one: firstsight data PATH",
    "weights": "list trained weights, download published ones, import a .pth file",
    "completion": "print a script that completes commands and names in your shell",
}

USAGE = """firstsight {version} - the classic networks of computer vision

usage: firstsight COMMAND [options]

{commands}

  firstsight COMMAND --help        the most important options of a command (or: firstsight help COMMAND)
  firstsight COMMAND --help-all    all options
  firstsight --version

All commands: --debug shows the traceback of an error; --color auto|always|never (default: auto, colors on a
  terminal); all except completion: --json prints one JSON document on stdout
Environment variables:
  FIRSTSIGHT_HOME            folder of downloads
  FIRSTSIGHT_OFFLINE=1       never open a connection
  FIRSTSIGHT_WEIGHTS_URL     mirror of published weights
  FIRSTSIGHT_CAMERA          camera of pose, as FORMAT:SOURCE
  FIRSTSIGHT_MAX_MB          largest size of a file that is read, in MB
  FIRSTSIGHT_MAX_MEGAPIXELS  largest image that is decoded
  OMP_WAIT_POLICY            wait policy of OpenMP threads (default: chosen from the machine's load)
  NO_COLOR, FORCE_COLOR      no colors; colors also in a pipe
"""


def entry() -> int:
    """Run `main` as the only code of a process.

    The wait policy of OpenMP threads is chosen here, before torch is imported; see `firstsight.cli.openmp`.

    A process of torchrun exits without the shutdown of Python: threads of its process group (gloo, torch 2.13) that
    still run would sometimes abort it, and a successful job would be reported as failed. Neither does a process that
    was stopped by Ctrl-C: Python would repeat the signal if it came during `exec`, which dataclasses use.

    This module imports nothing at its top that takes time, because Ctrl-C is handled from here on.
    """
    try:
        from firstsight.cli.openmp import is_busy, wait_policy
        from firstsight.cli.process import end_process, ignore_interrupts, prepare_process

        prepare_process()
        os.environ.update(wait_policy(os.environ, busy=is_busy()))
        code = main()
        ignore_interrupts()
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    if code == INTERRUPTED or "TORCHELASTIC_RUN_ID" in os.environ:
        end_process(code)
    return code


def main(argv: list[str] | None = None) -> int:
    """Run a command; return the exit code (0 success, 1 error, 2 usage, 130 Ctrl-C, 143 SIGTERM).

    Every exception ends here: with one sentence on stderr, or with ``--debug`` in a traceback.
    """
    from firstsight.cli.color import color_variables, split_color
    from firstsight.errors import UsageError

    arguments = sys.argv[1:] if argv is None else argv
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        try:
            mode, arguments = split_color(arguments)
        except UsageError as error:
            return _report(error)
        with color_variables(mode):
            try:
                return _run(arguments)
            except Exception as error:
                if debug and not isinstance(error, BrokenPipeError):
                    raise
                return _report(error)
    except KeyboardInterrupt:
        print("firstsight: stopped", file=sys.stderr)
        return INTERRUPTED


def _run(arguments: list[str]) -> int:
    """Run a command; warnings that the library logs are lines on stderr."""
    from firstsight.cli.process import logged_warnings

    with logged_warnings():
        try:
            return _dispatch(arguments)
        finally:
            _flush()


def _report(error: Exception) -> int:
    """Print why a command failed; return the exit code."""
    import errno

    from firstsight.cli.console import as_options, fail
    from firstsight.errors import FirstsightError, UsageError

    if isinstance(error, FirstsightError):
        if is_first_process() or not isinstance(error, UsageError):  # only one of several processes prints it
            fail(as_options(str(error)))
        return error.exit_code
    if _is_interrupted(error):  # a library has caught Ctrl-C and raised another error
        raise KeyboardInterrupt
    if isinstance(error, BrokenPipeError):  # the reader of the output has exited, as in `firstsight models | head`
        return 0
    if isinstance(error, OSError):
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        fail(f"{f'{error.filename}: ' if error.filename else ''}{reason}")
    elif isinstance(error, MemoryError):
        fail(f"out of memory{f' ({error})' if str(error) else ''}")
    else:
        fail(f"unexpected {type(error).__name__}: {error} (--debug shows the traceback)")
    return 1


def _is_interrupted(error: BaseException | None) -> bool:
    """Return whether Ctrl-C is the cause of an error."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _flush() -> None:
    """Flush stdout now, where a closed pipe and a full disk are handled, not at the exit of Python."""
    if sys.stdout is None:  # the caller of Python has closed it
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries again at exit
        raise


def is_first_process() -> bool:
    """Return whether this process prints: the only one, or rank 0 of torchrun."""
    return os.environ.get("RANK", "0") == "0"


def _dispatch(arguments: list[str]) -> int:
    from importlib import import_module

    from firstsight.errors import unknown_name

    if arguments[:1] == ["help"] and len(arguments) > 1:
        arguments = [*arguments[1:], "--help"]
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
        from firstsight.cli.names import describe_name
        from firstsight.errors import UsageError

        text = describe_name(command)
        raise UsageError(text) if text else unknown_name("command", command, COMMANDS, "see: firstsight --help")
    result: int = import_module(f"firstsight.cli.{command}").run(rest)
    return result
