"""TensorBoard as one more observer of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstsight.engine.loop import Callback
from firstsight.errors import UsageError


class TensorBoard:
    """Writes the metrics of every epoch as TensorBoard events and passes everything on.

    Raises
    ------
    UsageError
        The package tensorboard is not installed.
    """

    def __init__(self, folder: Path, then: Callback) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UsageError(
                "--log tensorboard needs the package tensorboard; install it with: pip install tensorboard"
            ) from None
        self.then = then
        self._writer = SummaryWriter(str(folder))

    def note(self, line: str) -> None:
        """Pass on."""
        self.then.note(line)

    def warn(self, line: str) -> None:
        """Pass on."""
        self.then.warn(line)

    def step(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        """Pass on."""
        self.then.step(epoch, epochs, index, steps, loss)

    def epoch(self, line: Mapping[str, Any], epochs: int) -> None:
        """Write the epoch's metrics at its step."""
        for name, value in line.items():
            if "/" in name:
                self._writer.add_scalar(name, value, line["step"])
        self._writer.flush()
        self.then.epoch(line, epochs)
