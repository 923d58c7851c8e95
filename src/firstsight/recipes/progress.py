"""Progress of a run on stderr: a bar on a terminal, and a line per epoch."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from firstsight.tasks.spec import TASKS
from firstsight.text import printable

LINES = 10
"""A run of more epochs prints about this many lines."""


class ProgressBar:
    """Callback that shows the progress of a run on stderr.

    Parameters
    ----------
    quiet : bool
        Print warnings only.
    translate : Callable[[str], str]
        Converts messages before they are printed; the command line replaces parameters by options.
    """

    def __init__(self, *, quiet: bool = False, translate: Callable[[str], str] = str) -> None:
        is_terminal = sys.stderr.isatty()  # FORCE_COLOR wants colors in a file, but no bar
        self.console = Console(
            stderr=True,
            markup=False,
            emoji=False,
            highlight=False,
            force_terminal=is_terminal,
            color_system=_color_system(),
        )
        self.console.soft_wrap = not is_terminal
        self.quiet = quiet
        self.translate = translate
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal and not self.quiet:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[loss]}"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def note(self, line: str) -> None:
        """Print a message unless quiet."""
        if not self.quiet:
            self._print(line, "dim")

    def warn(self, line: str) -> None:
        """Print a warning."""
        self._print(line, "yellow")

    def on_step_end(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        """Advance the bar."""
        if self._bar:
            if self._task is None:
                self._task = self._bar.add_task("training", total=epochs * steps, loss="")
            self._bar.update(self._task, completed=(epoch - 1) * steps + index, loss=f"loss {loss:.4f}")

    def on_epoch_end(self, line: Mapping[str, Any], epochs: int) -> None:
        """Print the metrics of an epoch."""
        number = line["epoch"]
        if self.quiet or (number % max(1, epochs // LINES) and number != epochs):
            return
        metrics = {metric.key: metric for spec in TASKS.values() for metric in spec.metrics}
        values = [f"{m.label} {line[key]:{m.format}}" for key, m in metrics.items() if key in line]
        self._print("  ".join([f"epoch {number:>3}/{epochs}", *values, f"{line['seconds']:.1f} s"]), "")

    def _print(self, line: str, style: str) -> None:
        self.console.print(
            printable(self.translate(line)),
            style=style if self.console.color_system else "",
            soft_wrap=self.console.soft_wrap,
        )


def _color_system() -> Literal["auto", "standard"] | None:
    """Return the colors of the console: none with ``NO_COLOR``, also in a file with ``FORCE_COLOR``."""
    if os.environ.get("NO_COLOR"):
        return None
    return "standard" if os.environ.get("FORCE_COLOR") else "auto"
