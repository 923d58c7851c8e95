"""Two computations of the same function: equal outputs and gradients, in generated cases."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy
from torch import Tensor


def generated(
    *strategies: SearchStrategy[Any], fast: int = 100, slow: int = 500
) -> Callable[[Callable[..., None]], Callable[[int], None]]:
    """Make a test of generated cases: ``fast`` of them in ``make test``, ``slow`` more in ``make test-all``."""

    def decorate(check: Callable[..., None]) -> Callable[[int], None]:
        @pytest.mark.parametrize("cases", [fast, pytest.param(slow, marks=pytest.mark.slow)])
        def test(cases: int) -> None:
            settings(max_examples=cases)(given(*strategies)(check))()

        test.__doc__ = check.__doc__
        return test

    return decorate


def tensors(seed: int) -> Callable[..., Tensor]:
    """Return a function that makes random float64 tensors of a shape, which require gradients."""
    random = torch.Generator().manual_seed(seed)

    def tensor(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=random).requires_grad_()

    return tensor


def assert_same(actual: Tensor, expected: Tensor, inputs: Sequence[Tensor | None]) -> None:
    """Compare outputs, and gradients of a random weighted sum of them for all inputs that are not None, to 1e-12."""
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    upstream = torch.randn(expected.shape, dtype=expected.dtype, generator=torch.Generator().manual_seed(1))
    leaves = [tensor for tensor in inputs if tensor is not None]
    actual_gradients, expected_gradients = (
        torch.autograd.grad(output, leaves, upstream, retain_graph=True) for output in (actual, expected)
    )
    torch.testing.assert_close(actual_gradients, expected_gradients, rtol=1e-12, atol=1e-12)
