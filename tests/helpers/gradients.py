"""Two computations of the same thing: the same output, the same gradients."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def maker(seed: int) -> Callable[..., Tensor]:
    """A function that makes float64 tensors of the shape it is given, with gradients wanted."""
    random = torch.Generator().manual_seed(seed)

    def tensor(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=random).requires_grad_()

    return tensor


def assert_same(ours: Tensor, theirs: Tensor, inputs: Sequence[Tensor | None]) -> None:
    """Outputs to 1e-12, and the gradients of a random weighted sum of them for all inputs that there are."""
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    upstream = torch.randn(theirs.shape, dtype=theirs.dtype, generator=torch.Generator().manual_seed(1))
    wanted = [tensor for tensor in inputs if tensor is not None]
    gradients = (torch.autograd.grad(result, wanted, upstream, retain_graph=True) for result in (ours, theirs))
    for mine, peer in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, peer, rtol=1e-12, atol=1e-12)
