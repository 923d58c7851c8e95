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

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from firstsight.engine.atomic_io import remove_leftovers, replace_file, to_run_error
from firstsight.errors import RunError, UsageError
from firstsight.migrate import migrate_config
from firstsight.text import shorten

MAX_VALUE = 24
"""Maximum length of a value in a message, in characters."""
PACKAGES = ("firstsight", "torch", "numpy", "accelerate", "safetensors", "pillow")


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that affect the numbers of a run."""
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
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path / ".lock", timeout=0)
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

    def begin(self, config: Mapping[str, Any], *, resume: bool) -> None:
        """Write the configuration of a new run, or compare it with the saved one.

        Settings that the saved configuration lacks are not compared: a later version has added them.

        Parameters
        ----------
        config : Mapping[str, Any]
            Configuration, with the mappings "settings" and "data".
        resume : bool
            Whether to continue a run that exists.

        Raises
        ------
        UsageError
            If the directory has a run and ``resume`` is False, or if the configurations differ. The message lists the
            differences.
        """
        saved = read_config(self.path)
        if saved is None:
            self.write("config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")
            return
        if not resume:
            raise UsageError(
                f"{self.path}: already holds a run; continue it with `resume=True`, or choose another with `out`"
            )
        common = saved["settings"].keys() & config["settings"].keys()
        before, now = (
            {name: settings[name] for name in common} for settings in (saved["settings"], config["settings"])
        )
        differences = list_differences(before, now) + list_differences(saved["data"], config["data"])
        if differences:
            raise UsageError(
                f"{self.path}: cannot resume with other settings or data ({'; '.join(differences)});"
                " restore them, or start a new run without `resume`"
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
        """Append a line to ``metrics.jsonl`` and flush it to disk."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
            out.flush()
            os.fsync(out.fileno())

    def rewind_metrics(self, step: int) -> None:
        """Remove the lines after optimizer step ``step`` from ``metrics.jsonl``, and a truncated last line."""
        kept = [line for line in read_metrics(self.path) if line["step"] <= step]
        if (self.path / "metrics.jsonl").exists():
            self.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))


def read_config(path: Path) -> dict[str, Any] | None:
    """Return the configuration of a run, or None if the directory has no run.

    Parameters
    ----------
    path : Path
        Run directory.

    Raises
    ------
    RunError
        If ``config.json`` exists and cannot be read.
    """
    file = path / "config.json"
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
            raise ValueError("no settings in it")
    except (OSError, ValueError) as error:
        raise RunError(
            f"{file}: unreadable ({error}); firstsight writes it atomically, so another program changed it"
        ) from None
    return migrate_config(content)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the complete lines of a run's ``metrics.jsonl``, one per epoch."""
    file = path / "metrics.jsonl"
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        try:
            lines.append(json.loads(line))
        except ValueError:  # truncated by a crash; the lines before it are complete
            break
    return lines


def list_differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences between two configurations as readable text.

    >>> list_differences({"lr": 0.1, "seed": 0}, {"lr": 0.2, "seed": 0})
    ['lr was 0.1, now 0.2']
    """
    names = [name for name in sorted({*saved, *now}) if saved.get(name) != now.get(name)]
    texts = {name: [shorten(str(values.get(name)), MAX_VALUE) for values in (saved, now)] for name in names}
    return [f"{name} was {before}, now {after}" for name, (before, after) in texts.items()]


def latest_run(root: Path) -> Path | None:
    """Return the run with the highest number in ``runs/<recipe>``, or None if there is none."""
    numbers = sorted(int(item.name) for item in root.iterdir() if item.name.isdigit()) if root.is_dir() else []
    return root / str(numbers[-1]) if numbers else None


def create_run(root: Path) -> Path:
    """Create and return the next numbered directory in ``runs/<recipe>``.

    Parameters
    ----------
    root : Path
        The folder ``runs/<recipe>``; it is created if it does not exist.

    Raises
    ------
    RunError
        If the directory cannot be created.
    """
    while True:
        latest = latest_run(root)
        path = root / str(int(latest.name) + 1 if latest else 1)
        try:
            path.mkdir(parents=True)
        except FileExistsError:  # another process was faster
            continue
        except OSError as error:
            raise to_run_error(error, path) from error
        return path
