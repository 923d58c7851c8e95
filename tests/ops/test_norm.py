"""Batch norm and local response normalization by hand equal torch."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from firstsight.ops import batch_norm, local_response_norm
from helpers.gradients import assert_same, generated, tensors

shapes = st.tuples(st.integers(2, 5), st.integers(1, 4)) | st.tuples(
    st.integers(1, 3), st.integers(1, 4), st.integers(2, 5), st.integers(1, 5)
)


@generated(shapes, st.booleans(), st.booleans(), st.booleans(), st.floats(0, 1), st.integers(0, 10**6), slow=200)
def test_batch_norm_equals_torch(
    shape: tuple[int, ...], training: bool, affine: bool, tracked: bool, momentum: float, seed: int
) -> None:
    tensor = tensors(seed)
    x = tensor(*shape)
    weight, bias = (tensor(shape[1]), tensor(shape[1])) if affine else (None, None)
    statistics: list[list[Any]] = [[None, None], [None, None]]
    if tracked or not training:
        mean, variance = tensor(shape[1]).detach(), tensor(shape[1]).detach() ** 2 + 0.1
        statistics = [[mean.clone(), variance.clone()] for _ in range(2)]
    options = {"weight": weight, "bias": bias, "training": training, "momentum": momentum, "eps": 1e-3}
    actual, expected = batch_norm(x, *statistics[0], **options), F.batch_norm(x, *statistics[1], **options)
    assert_same(actual, expected, [x, weight, bias])
    if statistics[0][0] is not None:
        torch.testing.assert_close(statistics[0], statistics[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_batch_norm_equal_finite_differences(training: bool) -> None:
    tensor = tensors(0)
    inputs = tensor(3, 2, 2, 2), tensor(2), tensor(2)
    mean, variance = torch.tensor([0.5, -1.0]).double(), torch.tensor([2.0, 0.5]).double()

    def function(x: Any, weight: Any, bias: Any) -> torch.Tensor:
        return batch_norm(x, mean.clone(), variance.clone(), weight=weight, bias=bias, training=training)

    assert torch.autograd.gradcheck(function, inputs)


def test_batch_norm_worked_out_by_hand() -> None:
    x, mean, variance = torch.tensor([[1.0], [3.0], [5.0]]), torch.zeros(1), torch.ones(1)
    out = batch_norm(x, mean, variance, training=True, momentum=0.5, eps=0.0)
    # mean 3; variance (4 + 0 + 4) / 3, or unbiased (4 + 0 + 4) / 2 for the running average
    torch.testing.assert_close(out, torch.tensor([[-2.0], [0.0], [2.0]]) / (8 / 3) ** 0.5)
    torch.testing.assert_close((mean, variance), (torch.tensor([1.5]), torch.tensor([2.5])))
    evaluated = batch_norm(x, mean, variance, eps=1.5)
    torch.testing.assert_close(evaluated, (x - 1.5) / 2)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 3), {"training": True}, r"training needs more than one value per channel, got `x` of \(1, 3\)"),
        ((1, 3, 1, 1), {"training": True}, "training needs more than one value per channel"),
        ((4, 3), {}, "`running_mean` and `running_var` are required in evaluation, got None"),
        ((4, 3), {"running_mean": torch.zeros(3)}, "must both be given or both be None, got one"),
        ((4, 3), {"training": True, "weight": torch.zeros(4)}, r"`weight` must have shape \(3,\), got \(4,\)"),
        ((4,), {"training": True}, "got 1 axes"),
    ],
)
def test_batch_norm_rejects_invalid_arguments(shape: tuple[int, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        batch_norm(torch.zeros(shape), **options)


@generated(
    st.tuples(st.integers(1, 2), st.integers(1, 7), st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 9),
    st.floats(0, 2),
    st.floats(0.1, 2),
    st.floats(0.5, 3),
    st.integers(0, 10**6),
    slow=200,
)
def test_local_response_norm_equals_torch(
    shape: tuple[int, ...], size: int, alpha: float, beta: float, k: float, seed: int
) -> None:
    x = tensors(seed)(*shape)
    expected = F.local_response_norm(x, size, alpha=alpha, beta=beta, k=k)
    assert_same(local_response_norm(x, size, alpha=alpha, beta=beta, k=k), expected, [x])


@pytest.mark.parametrize("size", [1, 4, 5])
def test_gradients_of_local_response_norm_equal_finite_differences(size: int) -> None:
    x = tensors(0)(2, 5, 2, 2)
    assert torch.autograd.gradcheck(lambda x: local_response_norm(x, size, alpha=0.7, beta=0.75, k=2.0), x)


def test_local_response_norm_of_three_axes_equals_torch() -> None:
    x = tensors(1)(2, 5, 4)
    assert_same(local_response_norm(x, 3), F.local_response_norm(x, 3), [x])


def test_local_response_norm_rejects_invalid_arguments() -> None:
    with pytest.raises(ValueError, match="`size` must be at least 1, got 0"):
        local_response_norm(torch.zeros(1, 2, 3, 3), 0)
    with pytest.raises(ValueError, match="at least 3 axes, got 2"):
        local_response_norm(torch.zeros(1, 2), 3)
