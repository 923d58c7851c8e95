"""The running mean of a network's weights, which is steadier than the network itself."""

import torch
from torch import Tensor, nn


class ModelEma:
    """Keeps the average near a network. Their tensors are listed once: neither may be given others afterwards.

    Parameters
    ----------
    average, source : nn.Module
        Two networks of one architecture, on their devices.
    keep : float
        How much of the average is kept at an update, in [0, 1); 0 makes it a copy. Buffers are copied.
    """

    def __init__(self, average: nn.Module, source: nn.Module, *, keep: float) -> None:
        self.keep = keep
        self._own: list[Tensor] = list(average.parameters())
        self._theirs: list[Tensor] = list(source.parameters())
        self._buffers = list(zip(average.buffers(), source.buffers(), strict=True))

    @torch.no_grad()
    def follow(self, updates: int) -> None:
        """Bring the average a little nearer; in the first updates it follows quickly.

        Parameters
        ----------
        updates : int
            How many there were before this one.
        """
        share = 1 - min(self.keep, (1 + updates) / (10 + updates)) if self.keep else 1.0
        torch._foreach_lerp_(self._own, self._theirs, share)
        for own, other in self._buffers:
            own.copy_(other)
