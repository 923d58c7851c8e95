"""The running mean of a network's weights, which is steadier than the network itself."""

import torch
from torch import nn


@torch.no_grad()
def follow(average: nn.Module, source: nn.Module, *, keep: float, updates: int) -> None:
    """Bring the average a little nearer to the network; in the first updates it follows quickly.

    Parameters
    ----------
    keep : how much of the average is kept, in [0, 1); 0 makes it a copy. Buffers are copied.
    updates : how many there were before this one.
    """
    share = 1 - min(keep, (1 + updates) / (10 + updates)) if keep else 1.0
    torch._foreach_lerp_(list(average.parameters()), list(source.parameters()), share)
    for own, other in zip(average.buffers(), source.buffers(), strict=True):
        own.copy_(other)
