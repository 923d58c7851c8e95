"""TensorBoard logging of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstsight.engine.loop import Callback
from firstsight.errors import UsageError


class TensorBoard:
    """Callback that writes the metrics of each epoch as TensorBoard events and forwards all events.

    Parameters
    ----------
    folder : Path
        Folder of the event files.
    callback : Callback
        Callback that receives all events, too.

    Raises
    ------
    UsageError
        If the package tensorboard is not installed.
    """

    def __init__(self, folder: Path, callback: Callback) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UsageError(
                "`log=tensorboard` needs the package tensorboard; install it with: pip install tensorboard"
            ) from None
        self.callback = callback
        self._writer = SummaryWriter(str(folder))

    def note(self, line: str) -> None:
        """Forward the message."""
        self.callback.note(line)

    def warn(self, line: str) -> None:
        """Forward the warning."""
        self.callback.warn(line)

    def on_step_end(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        """Forward the step."""
        self.callback.on_step_end(epoch, epochs, index, steps, loss)

    def on_epoch_end(self, line: Mapping[str, Any], epochs: int) -> None:
        """Write the metrics of the epoch at its optimizer step, and forward the epoch."""
        for name, value in line.items():
            if "/" in name:
                self._writer.add_scalar(name, value, line["step"])
        self._writer.flush()
        self.callback.on_epoch_end(line, epochs)
