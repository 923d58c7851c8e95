"""Progress of a run: a bar in a terminal or a notebook, and a line per epoch."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from firstsight import display
from firstsight.tasks.spec import TASKS
from firstsight.text import printable

LINES = 10
"""A run of more epochs prints about this many lines."""
INTERVAL = 0.2
"""Minimum number of seconds between two updates of the bar in a notebook."""


class ProgressBar:
    """Callback that shows the progress of a run.

    In a terminal, the bar and the lines are on stderr. In a notebook, they are in the output of the cell. If stderr
    is a file or a pipe, there are lines and no bar. The bar is removed at the end, also of a run that
    Ctrl-C stops.

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
        self._notebook: NotebookBar | None = None

    def __enter__(self) -> Self:
        if display.notebook_shell() is not None:
            self._notebook = NotebookBar()
        elif self.console.is_terminal and not self.quiet:
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
        if self._notebook:
            self._notebook.stop()

    def note(self, line: str) -> None:
        """Print a message unless quiet."""
        if not self.quiet:
            self._print(line, "dim")

    def warn(self, line: str) -> None:
        """Print a warning."""
        self._print(line, "yellow")

    def on_step_end(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        """Advance the bar."""
        if self._notebook and not self.quiet:
            self._notebook.advance((epoch - 1) * steps + index, epochs * steps, f"epoch {epoch}/{epochs}", loss)
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
        if self._notebook:
            self._notebook.write(self.translate(line))
            return
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


class NotebookBar:
    """Bar and lines in the output of a notebook's cell, in one display that is updated; needs no widgets."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._lines: list[str] = []
        self._bar = ""
        self._first: tuple[int, float] | None = None  # steps that were completed at the start, and its time
        self._updated_at = 0.0
        self._handle = display(HTML(""), display_id=True)

    def write(self, line: str) -> None:
        """Add a line above the bar."""
        self._lines.append(line)
        self._update()

    def advance(self, completed: int, total: int, label: str, loss: float) -> None:
        """Set the bar to ``completed`` of ``total`` steps.

        Parameters
        ----------
        completed : int
            Number of optimizer steps that are completed.
        total : int
            Number of steps of the run.
        label : str
            Text next to the bar.
        loss : float
            Loss of the last step.
        """
        now = time.monotonic()
        first, started_at = self._first = self._first or (completed, now)
        words = [label, f"loss {loss:.4f}"]
        if completed > first:
            words.append(f"{_duration((now - started_at) / (completed - first) * (total - completed))} left")
        text = display.text(", ".join(words))
        self._bar = f"<progress value='{completed}' max='{total}' style='width:20em'></progress> {text}"
        if now - self._updated_at >= INTERVAL:
            self._update()

    def stop(self) -> None:
        """Remove the bar; the lines stay."""
        self._bar = ""
        self._update()

    def _update(self) -> None:
        self._updated_at = time.monotonic()
        lines = display.text("\n".join(self._lines))
        self._handle.update(self._html(f"<pre style='white-space:pre-wrap'>{lines}</pre>{self._bar}"))


def _duration(seconds: float) -> str:
    """Return a duration as minutes and seconds, or hours, minutes and seconds.

    >>> _duration(75), _duration(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
