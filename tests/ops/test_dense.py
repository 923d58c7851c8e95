"""The linear layer and ReLU by hand against torch."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from firstsight.ops import linear, relu
from helpers.gradients import assert_same, maker

few = st.integers(1, 5)


@settings(max_examples=200)
@given(st.lists(few, max_size=3), few, few, st.booleans(), st.integers(0, 10**6))
def test_linear_is_torchs(batch: list[int], inputs: int, outputs: int, biased: bool, seed: int) -> None:
    tensor = maker(seed)
    x, weight, bias = tensor(*batch, inputs), tensor(outputs, inputs), tensor(outputs) if biased else None
    assert_same(linear(x, weight, bias), F.linear(x, weight, bias), [x, weight, bias])


@settings(max_examples=100)
@given(st.lists(few, max_size=4), st.integers(0, 10**6))
def test_relu_is_torchs(shape: list[int], seed: int) -> None:
    x = maker(seed)(*shape)
    assert_same(relu(x), F.relu(x), [x])


def test_gradients_are_those_of_small_steps() -> None:
    tensor = maker(0)
    assert torch.autograd.gradcheck(linear, (tensor(2, 3, 4), tensor(5, 4), tensor(5)))
    assert torch.autograd.gradcheck(relu, tensor(3, 4))


def test_relu_at_zero_and_beyond_numbers() -> None:
    x = torch.tensor([0.0, -torch.inf, torch.inf, torch.nan], requires_grad=True)
    (grad,) = torch.autograd.grad(relu(x).sum(), x)
    torch.testing.assert_close(relu(x), torch.tensor([0.0, 0.0, torch.inf, torch.nan]), equal_nan=True)
    assert grad[:3].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 3), torch.zeros(5, 4)), r"the weights are for 4 inputs; got \(2, 3\)"),
        ((torch.zeros(2, 4), torch.zeros(4)), r"weights \(O, I\); got 1 axes"),
        ((torch.zeros(2, 4), torch.zeros(5, 4), torch.zeros(4)), r"bias must be \(5,\); got \(4,\)"),
    ],
)
def test_what_does_not_fit_is_named(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        linear(*arguments)
