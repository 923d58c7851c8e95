"""Printing: results on stdout, everything else on stderr, colours only on a terminal."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, track
from rich.table import Table

from firstsight.errors import UsageError

T = TypeVar("T")
METRIC_COLUMNS = {
    "train/loss": ("train loss", ".4f"),
    "test/loss": ("test loss", ".4f"),
    "test/accuracy": ("test accuracy", ".2%"),
    "train/d_loss": ("D loss", ".3f"),
    "train/g_loss": ("G loss", ".3f"),
    "train/d_real": ("D(x)", ".2f"),
    "train/d_fake": ("D(G(z))", ".2f"),
    "test/frechet": ("Frechet", ".2f"),
    "test/modes": ("modes", ".0f"),
    "test/ap": ("AP", ".1%"),
    "test/ar": ("AR", ".1%"),
    "test/pck": ("PCK@0.2", ".1%"),
    "test/q_error": ("Q error", ".1%"),
}
"""What of an epoch's metrics is shown, in this order: its name and form."""


class ResultConsole(Console):
    """Console that leaves a closed pipe to `firstsight.cli.main`; rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Raise the error that is being handled."""
        raise BrokenPipeError


def out() -> Console:
    """The console for results; wide when it is not a terminal, so that nothing is cut in a pipe."""
    return ResultConsole(highlight=False, soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 160)


def err() -> Console:
    """The console for progress and remarks."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def log(line: str) -> None:
    """A line on stderr: what is being downloaded, what was not as usual."""
    err().print(line, markup=False)


def print_json(document: object) -> None:
    """One JSON document on stdout, and nothing else; numbers that belong together, as x, y, score, in one line."""
    print(written(document))


def written(value: object, margin: str = "") -> str:
    """JSON in lines; what has no list or mapping inside is one line.

    >>> print(written({"image": "a.png", "box": [1, 2, 3, 4], "none": []}))
    {
      "image": "a.png",
      "box": [1, 2, 3, 4],
      "none": []
    }
    """
    inner = margin + "  "
    if isinstance(value, Mapping) and value:
        lines = [f"{json.dumps(str(key), ensure_ascii=False)}: {written(held, inner)}" for key, held in value.items()]
        left, right = "{}"
    elif isinstance(value, list | tuple) and any(isinstance(held, Mapping | list | tuple) for held in value):
        lines = [written(held, inner) for held in value]
        left, right = "[]"
    else:
        return json.dumps(value, ensure_ascii=False)
    return left + ",".join(f"\n{inner}{line}" for line in lines) + f"\n{margin}{right}"


def progress(items: Iterable[T], what: str, *, total: int | None = None, quiet: bool = False) -> Iterator[T]:
    """Go through items, with a bar on stderr where that is a terminal and there are several.

    Parameters
    ----------
    total : int | None
        How many there are, where they do not say themselves; without it the bar only moves.
    quiet : bool
        No bar.
    """
    console = err()
    total = len(items) if isinstance(items, Sized) else total
    hidden = quiet or not console.is_terminal or total in {0, 1}
    yield from track(items, description=what, total=total, console=console, transient=True, disable=hidden)


def report_failures(refused: Sequence[str]) -> int:
    """Pictures that cannot be used, on stderr, the first few in a sentence each; the exit code."""
    for sentence in refused[:4]:
        print(f"firstsight: {sentence}", file=sys.stderr)
    if len(refused) > 4:
        print(f"firstsight: and {len(refused) - 4} more pictures cannot be read", file=sys.stderr)
    return 1 if refused else 0


def write_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG.

    Raises
    ------
    UsageError
        The name says another format, or its folder does not exist.
    """
    if path.suffix.lower() != ".png":
        raise UsageError(f"--out must be a .png file; got {path}")
    if not path.parent.is_dir():
        raise UsageError(f"--out {path}: there is no folder {path.parent}")
    from firstsight.plots import png

    path.write_bytes(png(figure))


def table(*columns: str, title: str | None = None, right: tuple[str, ...] = ()) -> Table:
    """A quiet table."""
    made = Table(title=title, box=None, title_justify="left", header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


class ConsoleCallback:
    """Shows a run on stderr: a bar on a terminal, a line an epoch."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = err()
        self.quiet = quiet
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "ConsoleCallback":
        if self.console.is_terminal and not self.quiet:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"),
                TimeRemainingColumn(), console=self.console, transient=True,
            )  # fmt: skip
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def note(self, line: str) -> None:
        """A line of progress."""
        if not self.quiet:
            self.console.print(line, markup=False, style="dim" if self.console.is_terminal else "")

    def warn(self, line: str) -> None:
        """A remark that is made even when quiet."""
        self.console.print(line, markup=False, style="yellow" if self.console.is_terminal else "")

    def step(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        """Advance the bar."""
        if self._bar:
            total = epochs * steps
            if self._task is None:
                self._task = self._bar.add_task("training", total=total, loss="")
            self._bar.update(self._task, completed=(epoch - 1) * steps + index, loss=f"loss {loss:.4f}")

    def epoch(self, line: Mapping[str, Any], epochs: int) -> None:
        """A line for a finished epoch; long runs print ten to twenty of them."""
        number = line["epoch"]
        stride = max(1, epochs // 10)
        if not self.quiet and (number % stride == 0 or number == epochs):
            shown = [f"{name} {line[key]:{form}}" for key, (name, form) in METRIC_COLUMNS.items() if key in line]
            start = f"epoch {number:>3}/{epochs}"
            self.console.print("  ".join([start, *shown, f"{line['seconds']:.1f} s"]), markup=False)
