"""A run's directory: its configuration, its metrics, its checkpoints, and the lock that keeps it to one process.

::

    runs/<recipe>/<n>/
        config.json       everything needed to run it again, versions included
        metrics.jsonl     a line an epoch
        checkpoints/      the two newest
        model.safetensors the trained network, once the run is finished
        figures/*.png     report.html
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

VERSIONED = ("firstsight", "torch", "numpy", "accelerate", "safetensors", "pillow")


def versions() -> dict[str, str]:
    """Versions of what a run's numbers depend on."""
    found = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


class RunDirectory:
    """An open run directory, locked against a second process until closed.

    Raises
    ------
    RunError
        Another process trains in it.
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
                f"{path}: another process is training in this directory; wait for it, or choose another with --out"
            ) from None
        except OSError as error:
            raise to_run_error(error, path) from error

    def close(self) -> None:
        """Release the lock."""
        self._lock.release()

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints stand."""
        return self.path / "checkpoints"

    def begin(self, config: Mapping[str, Any], *, resume: bool) -> None:
        """Write the configuration, or hold it against the one that is there.

        Raises
        ------
        UsageError
            The directory holds a run and ``resume`` is not asked for, or the configurations differ (the differences
            are shown). A setting that came after the run was begun is no difference.
        """
        saved = read_config(self.path)
        if saved is not None and not resume:
            raise UsageError(
                f"{self.path}: already holds a run; continue it with --resume, or choose another with --out"
            )
        if saved is not None:
            both = saved["settings"].keys() & config["settings"].keys()
            before, now = (
                {name: settings[name] for name in both} for settings in (saved["settings"], config["settings"])
            )
            different = differences(before, now) + differences(saved["data"], config["data"])
            if different:
                raise UsageError(f"{self.path}: the run was started with other settings: {'; '.join(different)}")
            return
        self.write("config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file of the run in one step."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        replace_file(path, content.encode() if isinstance(content, str) else content)

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Add a line to ``metrics.jsonl``."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
            out.flush()
            os.fsync(out.fileno())

    def rewind_metrics(self, step: int) -> None:
        """Drop the lines after ``step``, and a last line that was cut short."""
        kept = [line for line in read_metrics(self.path) if line["step"] <= step]
        if (self.path / "metrics.jsonl").exists():
            self.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))


def read_config(path: Path) -> dict[str, Any] | None:
    """The configuration of a run, or None where there is no run.

    Raises
    ------
    RunError
        There is a ``config.json`` that cannot be read.
    """
    file = path / "config.json"
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
            raise ValueError("no settings in it")
    except (OSError, ValueError) as error:
        raise RunError(f"{file}: unreadable ({error}); it is written whole, so something else changed it") from None
    return migrate_config(content)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The whole lines of ``metrics.jsonl``."""
    file = path / "metrics.jsonl"
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        try:
            lines.append(json.loads(line))
        except ValueError:  # cut short by a crash; the lines before it are whole
            break
    return lines


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What two configurations disagree in, readably.

    >>> differences({"lr": 0.1, "seed": 0}, {"lr": 0.2, "seed": 0})
    ['lr was 0.1, now 0.2']
    """
    names = sorted({*saved, *now})
    return [f"{name} was {saved.get(name)}, now {now.get(name)}" for name in names if saved.get(name) != now.get(name)]


def latest(root: Path) -> Path | None:
    """The run with the highest number below ``runs/<recipe>``."""
    numbers = sorted(int(item.name) for item in root.iterdir() if item.name.isdigit()) if root.is_dir() else []
    return root / str(numbers[-1]) if numbers else None


def create(root: Path) -> Path:
    """Make and return the next numbered directory below ``runs/<recipe>``."""
    while True:
        last = latest(root)
        path = root / str(int(last.name) + 1 if last else 1)
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise to_run_error(error, path) from error
        return path
