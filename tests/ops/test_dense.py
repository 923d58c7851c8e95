"""The linear layer and ReLU by hand equal torch."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from firstsight.ops import linear, relu
from helpers.gradients import assert_same, generated, tensors

few = st.integers(1, 5)


@generated(st.lists(few, max_size=3), few, few, st.booleans(), st.integers(0, 10**6), slow=200)
def test_linear_equals_torch(batch: list[int], inputs: int, outputs: int, biased: bool, seed: int) -> None:
    tensor = tensors(seed)
    x, weight, bias = tensor(*batch, inputs), tensor(outputs, inputs), tensor(outputs) if biased else None
    assert_same(linear(x, weight, bias), F.linear(x, weight, bias), [x, weight, bias])


@generated(st.lists(few, max_size=4), st.integers(0, 10**6), fast=50, slow=200)
def test_relu_equals_torch(shape: list[int], seed: int) -> None:
    x = tensors(seed)(*shape)
    assert_same(relu(x), F.relu(x), [x])


def test_gradients_equal_finite_differences() -> None:
    tensor = tensors(0)
    assert torch.autograd.gradcheck(linear, (tensor(2, 3, 4), tensor(5, 4), tensor(5)))
    assert torch.autograd.gradcheck(relu, tensor(3, 4))


def test_relu_at_zero_infinity_and_nan() -> None:
    x = torch.tensor([0.0, -torch.inf, torch.inf, torch.nan], requires_grad=True)
    (grad,) = torch.autograd.grad(relu(x).sum(), x)
    torch.testing.assert_close(relu(x), torch.tensor([0.0, 0.0, torch.inf, torch.nan]), equal_nan=True)
    assert grad[:3].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 3), torch.zeros(5, 4)), r"`weight` expects 4 inputs, got `x` of shape \(2, 3\)"),
        ((torch.zeros(2, 4), torch.zeros(4)), r"`weight` must have shape \(O, I\), got 1 axes"),
        ((torch.zeros(2, 4), torch.zeros(5, 4), torch.zeros(4)), r"`bias` must have shape \(5,\), got \(4,\)"),
    ],
)
def test_invalid_arguments_are_rejected(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        linear(*arguments)
