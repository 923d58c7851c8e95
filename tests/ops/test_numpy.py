"""Convolution in NumPy equals torch; the examples of differences between NumPy and torch have the stated results."""

import ast
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume
from hypothesis import strategies as st

from firstsight.ops import NUMPY_AND_TORCH, Difference, conv2d_numpy
from helpers.gradients import generated

few = st.integers(1, 3)


@generated(
    st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 6), st.integers(1, 6)),
    st.tuples(few, few, few),
    st.booleans(),
    few,
    st.integers(0, 2),
    few,
    st.integers(0, 10**6),
    fast=50,
    slow=200,
)
def test_convolution_in_nested_loops_equals_torch(
    shape: tuple[int, ...], kernel: tuple[int, ...], biased: bool, stride: int, padding: int, dilation: int, seed: int
) -> None:
    assume(all(shape[2 + i] + 2 * padding > dilation * (kernel[1 + i] - 1) for i in (0, 1)))
    rng = np.random.default_rng(seed)
    x, weight = rng.normal(size=shape), rng.normal(size=(kernel[0], shape[1], *kernel[1:]))
    bias = rng.normal(size=kernel[0]) if biased else None
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    expected = F.conv2d(
        torch.from_numpy(x), torch.from_numpy(weight), None if bias is None else torch.from_numpy(bias), **options
    )
    actual = conv2d_numpy(x, weight, bias, **options)
    assert isinstance(actual, np.ndarray)
    np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-12, atol=1e-12)


def test_invalid_arguments_are_rejected() -> None:
    with pytest.raises(ValueError, match="`weight` expects 2 input channels, got 3 in `x`"):
        conv2d_numpy(np.zeros((1, 3, 5, 5)), np.zeros((4, 2, 3, 3)))
    with pytest.raises(ValueError, match="a filter of 3x3 pixels does not fit into an image of 2x5"):
        conv2d_numpy(np.zeros((1, 3, 2, 5)), np.zeros((4, 3, 3, 3)))


def result_of(code: str) -> str:
    """Return the value of the last line as text, or the name of the exception that it raises."""
    body = ast.parse(code).body
    last, names = body.pop(), {"np": np, "torch": torch}
    assert isinstance(last, ast.Expr)
    exec(compile(ast.Module(body, []), "example", "exec"), names)
    try:
        value: Any = eval(compile(ast.Expression(last.value), "example", "eval"), names)
    except Exception as error:
        return type(error).__name__
    return str(value)


@pytest.mark.parametrize("row", NUMPY_AND_TORCH, ids=lambda row: row.topic)
def test_examples_have_the_results_that_they_state(row: Difference) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's division by zero
        assert result_of(row.numpy) == row.numpy_result
        assert result_of(row.torch) == row.torch_result
    assert row.difference.endswith(".")


def test_alternatives_that_the_differences_name_work() -> None:
    t = torch.tensor([1.0, 3.0])
    assert t.std(correction=0).item() == np.std([1.0, 3.0])
    assert t.flip(0).tolist() == [3.0, 1.0]
    assert t.view(1, 2).amax(1).tolist() == [3.0]
    assert t.repeat_interleave(2).tolist() == np.repeat([1.0, 3.0], 2).tolist()
    assert np.tile([1.0, 3.0], 2).tolist() == t.repeat(2).tolist()
    assert torch.equal(t.clip(0, 2), t.clamp(0, 2))
    assert torch.tensor([1, 2]).float().mean().item() == 1.5
    assert t.sum(axis=0).item() == 4
    assert torch.ones(2, requires_grad=True).detach().numpy().tolist() == [1, 1]
    assert torch.zeros(1, dtype=torch.float64).view(torch.int64).tolist() == [0]
    assert (torch.ones(2) + torch.ones(2, dtype=torch.float64)).dtype == torch.float64
