"""Run directory: configuration, metrics and checkpoints of one run, with a lock against a second process.

::

    runs/<recipe>/<n>/
        config.json       all that is needed to repeat the run, with package versions
        metrics.jsonl     one line per epoch
        checkpoints/      the two newest
        model.safetensors the trained network, written at the end of the run
        figures/*.png     figures of the report
        report.html
"""

import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from firstsight.arguments import ignore
from firstsight.atomic_io import remove_leftovers, replace_file, to_run_error
from firstsight.documents.decode import read_document
from firstsight.documents.runs import RunConfig, decode_metrics_line, encode
from firstsight.errors import RunError, UsageError
from firstsight.migrate import migrate_config
from firstsight.text import shorten

MAX_VALUE = 24
"""Maximum length of a value in a message, in characters."""
EXTENDABLE = ("epochs", "max_steps")
"""Settings that may be larger when a run is resumed."""
NUMBER = re.compile(r"[0-9]{1,18}")
"""Name of the directory of a run in ``runs/<recipe>``."""
ROOT = Path("runs")
"""Folder of the runs for which no directory was given."""
LATEST = "latest"
"""Name of the newest run in `ROOT`, wherever a run or weights can be named."""
LOCK_SECONDS = 0.2
"""Seconds to wait for the lock of a run directory; `is_locked` of another process takes it for a moment."""
PACKAGES = ("firstsight", "torch", "numpy", "accelerate", "safetensors", "pillow")


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect the numbers of a run."""
    from importlib.metadata import PackageNotFoundError, version

    result = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            result[package] = version(package)
        except PackageNotFoundError:
            result[package] = "not installed"
    return result


class RunDirectory:
    """Run directory that is locked against other processes until it is closed; it is created if it does not exist.

    Parameters
    ----------
    path : Path
        The directory.

    Raises
    ------
    RunError
        If another process trains in the directory, or it cannot be created.
    """

    def __init__(self, path: Path) -> None:
        from filelock import FileLock, Timeout

        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path / ".lock", timeout=LOCK_SECONDS)
            self._lock.acquire()
            remove_leftovers(path)
        except Timeout:
            raise RunError(
                f"{path}: another process is training in this directory; wait for it, or choose another with `out`"
            ) from None
        except OSError as error:
            raise to_run_error(error, path) from error

    def close(self) -> None:
        """Release the lock."""
        self._lock.release()

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    def begin(self, config: RunConfig, *, resume: bool) -> None:
        """Write the configuration of a new run, or compare it with the saved one.

        Settings that the saved configuration lacks are not compared: a later version has added them. If the run is
        extended (see `is_extension`), the saved configuration gets the larger length, and nothing else changes in it.

        Parameters
        ----------
        config : RunConfig
            The configuration.
        resume : bool
            Whether to continue a run that exists.

        Raises
        ------
        UsageError
            If the directory has a run and ``resume`` is False, or if the configurations differ. The message lists the
            differences.
        RunError
            If the directory has checkpoints or metrics, but no configuration that says of which run.
        """
        saved = read_config(self.path)
        if saved is None:
            self._refuse_files_of_another_run()
            self.write("config.json", encode(config, indent=2, sort_keys=True) + "\n")
            return
        if not resume:
            raise UsageError(
                f"{self.path}: already holds a run; continue it with `resume=True`, or choose another with `out`"
            )
        common = saved.settings.keys() & config.settings.keys()
        longer = {name for name in common if is_extension(name, saved.settings[name], config.settings[name])}
        common -= longer
        before, now = ({name: settings[name] for name in common} for settings in (saved.settings, config.settings))
        differences = list_differences(before, now) + list_differences(saved.data, config.data)
        if differences:
            raise UsageError(
                f"{self.path}: cannot resume with other settings or data ({'; '.join(differences)});"
                " restore them, or start a new run without `resume`"
            )
        if longer:
            settings = saved.settings | {name: config.settings[name] for name in longer}
            extended = [*saved.extended, int(saved.settings["epochs"] or 0)]
            saved = msgspec.structs.replace(saved, settings=settings, extended=extended)
            self.write("config.json", encode(saved, indent=2, sort_keys=True) + "\n")

    def _refuse_files_of_another_run(self) -> None:
        """Refuse checkpoints, metrics and weights in a directory without a configuration."""
        from firstsight.engine.checkpoint import list_steps  # needs torch

        names = ("metrics.jsonl", "model.safetensors")
        existing = [name for name in names if (self.path / name).is_file()]
        if list_steps(self.checkpoints):
            existing.append("checkpoints")
        if existing:
            raise RunError(
                f"{self.path}: holds {existing[-1]} of a run, but no config.json; restore it, or choose another"
                " directory with `out`"
            )

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file of the run atomically.

        Parameters
        ----------
        name : str
            Path below the run directory.
        content : str | bytes
            New content; text is encoded as UTF-8.
        """
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        replace_file(path, content.encode() if isinstance(content, str) else content)

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Append a line to ``metrics.jsonl`` and flush it to disk; numbers that are not finite become null."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as out:
            out.write(encode(line) + "\n")
            out.flush()
            os.fsync(out.fileno())

    def rewind_metrics(self, step: int) -> list[str]:
        """Remove the lines after optimizer step ``step`` from ``metrics.jsonl``, and damaged ones.

        Returns
        -------
        list[str]
            One message for each damaged line; see `read_metrics`.
        """
        history = read_metrics(self.path)
        if (self.path / "metrics.jsonl").exists():
            kept = [line for line in history.lines if line["step"] <= step]
            self.write("metrics.jsonl", "".join(encode(line) + "\n" for line in kept))
        return history.problems


def is_extension(name: str, saved: object, now: object) -> bool:
    """Return whether a resumed run becomes longer by a setting.

    Parameters
    ----------
    name : str
        Name of the setting.
    saved, now : object
        Its values. 0 means no limit of ``max_steps``.

    Examples
    --------
    >>> is_extension("epochs", 30, 50), is_extension("epochs", 30, 20), is_extension("max_steps", 500, 0)
    (True, False, True)
    """
    if name not in EXTENDABLE or not isinstance(saved, int) or not isinstance(now, int):
        return False
    return now > saved > 0 or (name == "max_steps" and now == 0 < saved)


class MetricsFile(NamedTuple):
    """Content of ``metrics.jsonl``.

    Parameters
    ----------
    lines : list[dict[str, Any]]
        Metrics of each epoch.
    problems : list[str]
        One message for each damaged line.
    """

    lines: list[dict[str, Any]]
    problems: list[str]


ADVICE = "choose another directory with `out`, or remove the file"


def read_config(path: Path, *, advice: str = ADVICE) -> RunConfig | None:
    """Return the configuration of a run, or None if the directory has no run.

    Parameters
    ----------
    path : Path
        Run directory.
    advice : str
        What the message of an error advises; empty for nothing.

    Raises
    ------
    RunError
        If ``config.json`` exists and cannot be read.
    """
    file = path / "config.json"
    return read_config_file(file, advice=advice) if file.is_file() else None


def read_config_file(file: Path, *, advice: str = "") -> RunConfig:
    """Return the configuration of a run from its ``config.json``, with the current names of settings.

    Parameters
    ----------
    file : Path
        The file.
    advice : str
        What the message of an error advises; empty for nothing.

    Raises
    ------
    RunError
        If the file cannot be read, or is not the configuration of a run.
    """
    try:
        saved = read_document(file, RunConfig, error=RunError)
        return RunConfig(**migrate_config(msgspec.structs.asdict(saved)))
    except Exception as error:
        reason = str(error).removeprefix(f"{file}: ") or type(error).__name__
        raise RunError(f"{file}: not the configuration of a run ({reason}){f'; {advice}' if advice else ''}") from None


def read_metrics(path: Path) -> MetricsFile:
    """Read a run's ``metrics.jsonl``; damaged lines are left out.

    A last line without its end is no damage: the process was killed while it wrote the line, and repeats the epoch.

    Parameters
    ----------
    path : Path
        Run directory.

    Raises
    ------
    RunError
        If the file exists and cannot be read.
    """
    file = path / "metrics.jsonl"
    try:
        content = file.read_bytes() if file.is_file() else b""
    except OSError as error:
        raise to_run_error(error, file) from error
    *complete, last = content.split(b"\n")
    lines: list[dict[str, Any]] = []
    problems = []
    for number, line in enumerate((*complete, last) if last else complete, 1):
        try:
            lines.append(decode_metrics_line(line, source=f"{file}: line {number}", error=RunError))
        except RunError as error:
            if number <= len(complete):
                problems.append(str(error))
    return MetricsFile(lines, problems)


@contextmanager
def incomplete_metrics(run: Path | None) -> Iterator[None]:
    """Convert errors of code that uses the metrics of a run directory to a `RunError` with a one-sentence message.

    Parameters
    ----------
    run : Path | None
        Run directory; None without any.

    Raises
    ------
    RunError
        If a metric is missing, or a computation with the metrics fails.
    """
    try:
        yield
    except (LookupError, ValueError) as error:
        reason = f"{error}" or type(error).__name__
        message = f"{run}: its metrics are not those of such a training ({reason}); restore metrics.jsonl and the"
        raise RunError(f"{message} checkpoints, or start a new run") from error


def list_differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences between two configurations as readable text.

    >>> list_differences({"lr": 0.1, "seed": 0}, {"lr": 0.2, "seed": 0})
    ['lr was 0.1, now 0.2']
    """
    names = [name for name in sorted({*saved, *now}) if saved.get(name) != now.get(name)]
    texts = {name: [shorten(str(values.get(name)), MAX_VALUE) for values in (saved, now)] for name in names}
    return [f"{name} was {before}, now {after}" for name, (before, after) in texts.items()]


def numbered_runs(root: Path) -> list[Path]:
    """Return the numbered directories in ``runs/<recipe>``, the newest first."""
    numbered = [item for item in root.iterdir() if NUMBER.fullmatch(item.name)] if root.is_dir() else []
    return sorted(numbered, key=lambda item: int(item.name), reverse=True)


def latest_run(root: Path) -> Path | None:
    """Return the newest run in ``runs/<recipe>``, or None if there is none.

    A directory without a configuration is no run: its process was killed before it began.
    """
    return next((run for run in numbered_runs(root) if (run / "config.json").is_file()), None)


def find_runs(root: Path) -> list[Path]:
    """Return the run directories in a folder and in its folders, in the order of their names.

    A run directory has a ``config.json``, or other files of a run: then its configuration was lost. Runs in other runs
    are not searched. A directory without such files is no run: its process was killed before it began. A folder that
    cannot be read is in the list, so that it can be named.

    Parameters
    ----------
    root : Path
        A folder such as ``runs``, or one run directory.

    Raises
    ------
    RunError
        If the folder cannot be read.
    """
    return _find_runs(root, depth=2)


def _find_runs(folder: Path, depth: int) -> list[Path]:
    names = ("config.json", "metrics.jsonl", "checkpoints")
    if any(os.path.lexists(folder / name) for name in names):
        return [folder]
    if not depth or not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir refuses long names
        return []
    try:
        inner = [item for item in folder.iterdir() if not item.name.startswith(".")]
    except OSError as error:
        raise to_run_error(error, folder) from error
    numbers = {item: int(item.name) if NUMBER.fullmatch(item.name) else 0 for item in inner}
    runs = []
    for item in sorted(inner, key=lambda item: (numbers[item], item.name)):
        try:
            runs += _find_runs(item, depth - 1)
        except RunError:
            runs.append(item)
    return runs


def newest_run(root: Path) -> Path | None:
    """Return the run in a folder and its folders that was started or extended last, or None if there is none."""
    runs = [run for run in find_runs(root) if (run / "config.json").is_file()]
    return max(runs, key=lambda run: (run / "config.json").stat().st_mtime_ns, default=None)


def find_latest(name: str | Path, *, notify: Callable[[str], None] = ignore) -> Path | None:
    """Return the newest run below ``runs`` if a name is "latest", otherwise None.

    A file or folder with this name in the current folder is used instead.

    Parameters
    ----------
    name : str | Path
        Name of a run or of weights.
    notify : Callable[[str], None]
        Called with a line that says which run or folder is used.

    Raises
    ------
    UsageError
        If there is no run.
    """
    if str(name) != LATEST:
        return None
    if os.path.lexists(LATEST):
        notify(f"{LATEST}: a file or folder has this name and is used, not the newest run in {ROOT}")
        return None
    run = newest_run(ROOT)
    if run is None:
        raise UsageError(f"{LATEST}: there is no run in the folder {ROOT}; train one, or give the path of a run")
    notify(f"{LATEST}: {run}")
    return run


def describe_resume(run: Path) -> str:
    """Return the call that continues a run; the command line replaces it by its command.

    >>> describe_resume(Path("runs/mine"))
    "`train('runs/mine', resume=True)`"
    """
    name = str(run) if len(run.parts) > 1 else f".{os.sep}{run}"  # not the name of a recipe
    return f"`train({name!r}, resume=True)`"


def is_locked(run: Path) -> bool:
    """Return whether a process trains in a run directory. No file is created."""
    file = run / ".lock"
    if not file.is_file():
        return False
    from filelock import FileLock, Timeout

    try:
        with FileLock(file, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder of another user, or without write access: nothing is known
        return False


def create_run(root: Path, *, reuse: bool = False) -> Path:
    """Create and return the next numbered directory in ``runs/<recipe>``.

    Parameters
    ----------
    root : Path
        The folder ``runs/<recipe>``; it is created if it does not exist.
    reuse : bool
        Return the newest directory if it is empty: its process was killed before the run began.

    Raises
    ------
    RunError
        If the directory cannot be created.
    """
    while True:
        existing = numbered_runs(root)
        if reuse and existing and all(item.name.startswith(".") for item in existing[0].iterdir()):
            return existing[0]
        path = root / str(max((int(item.name) for item in existing), default=0) + 1)
        try:
            path.mkdir(parents=True)
        except FileExistsError:  # another process was faster
            continue
        except OSError as error:
            raise to_run_error(error, path) from error
        return path
