"""Pooling equals torch: outputs and gradients."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume
from hypothesis import strategies as st

from firstsight.ops import avg_pool2d, max_pool2d
from helpers.gradients import assert_same, generated, tensors


@st.composite
def cases(draw: st.DrawFn, *, dilated: bool) -> dict[str, Any]:
    """Generate windows that torch accepts."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2))) if dilated else (1, 1)
    options = {
        "kernel_size": kernel,
        "stride": draw(st.none() | st.tuples(st.integers(1, 4), st.integers(1, 4))),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": draw(st.booleans()),
    }
    extra = {"dilation": dilation} if dilated else {"count_include_pad": draw(st.booleans())}
    images = draw(st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)))
    return {"images": images, "seed": draw(st.integers(0, 10**6)), "options": options | extra}


@generated(cases(dilated=True), st.booleans(), slow=300)
def test_max_pooling_equals_torch(case: dict[str, Any], ties: bool) -> None:
    x = tensors(case["seed"])(*case["images"])
    if ties:  # few different values, so that many are equal
        x = x.detach().round().requires_grad_()
    try:
        expected = F.max_pool2d(x.detach(), **case["options"])
    except RuntimeError as error:
        assert "too small" in str(error)
        with pytest.raises(ValueError, match="max_pool2d: the kernel spans"):
            max_pool2d(x, **case["options"])
        assume(False)
    actual = max_pool2d(x, **case["options"])
    if expected.isinf().any():  # a dilated window without a pixel, for which torch's gradient writes out of bounds
        assert torch.equal(actual, expected)
    else:
        assert_same(actual, F.max_pool2d(x, **case["options"]), [x])


@generated(cases(dilated=False), slow=300)
def test_average_pooling_equals_torch(case: dict[str, Any]) -> None:
    x = tensors(case["seed"])(*case["images"])
    try:
        expected = F.avg_pool2d(x, **case["options"])
    except RuntimeError as error:
        assert "too small" in str(error)
        with pytest.raises(ValueError, match="avg_pool2d: the kernel spans"):
            avg_pool2d(x, **case["options"])
        assume(False)
    assert_same(avg_pool2d(x, **case["options"]), expected, [x])


def test_gradients_equal_finite_differences() -> None:
    x = tensors(0)(2, 2, 5, 6)
    for options in ({}, {"stride": 2, "padding": 1, "ceil_mode": True}):
        assert torch.autograd.gradcheck(lambda x, o=options: max_pool2d(x, 3, **o), x)
        assert torch.autograd.gradcheck(lambda x, o=options: avg_pool2d(x, 3, **o), x)
    assert torch.autograd.gradcheck(lambda x: max_pool2d(x, 2, dilation=(2, 3)), x)
    assert torch.autograd.gradcheck(lambda x: avg_pool2d(x, 3, padding=1, count_include_pad=False), x)


def test_the_first_of_equal_maxima_gets_the_gradient() -> None:
    x = torch.full((1, 1, 2, 4), 7.0, requires_grad=True)
    max_pool2d(x, 2).sum().backward()
    assert torch.equal(x.grad, torch.tensor([[[[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]]))


def test_the_maximum_with_nan_is_nan() -> None:
    x = torch.tensor([[[[1.0, torch.nan, 3.0, 2.0]]]])
    for stride in (1, 2):
        torch.testing.assert_close(
            max_pool2d(x, (1, 2), stride=stride), F.max_pool2d(x, (1, 2), stride=stride), equal_nan=True
        )


def test_averages_worked_out_by_hand() -> None:
    x = torch.tensor([[[[1.0, 2.0, 6.0]]]])
    # windows of 3 with a zero on each side: (0 1 2) (1 2 6) (2 6 0)
    counted = avg_pool2d(x, (1, 3), stride=1, padding=(0, 1))
    assert torch.equal(counted, torch.tensor([[[[1.0, 3.0, 8 / 3]]]]))
    alone = avg_pool2d(x, (1, 3), stride=1, padding=(0, 1), count_include_pad=False)
    assert torch.equal(alone, torch.tensor([[[[1.5, 3.0, 4.0]]]]))
    hanging = avg_pool2d(x, (1, 2), ceil_mode=True)  # the second window holds the 6 alone
    assert torch.equal(hanging, torch.tensor([[[[1.5, 6.0]]]]))


@pytest.mark.parametrize("pool", [max_pool2d, avg_pool2d])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 6}, "the kernel spans 6x6 pixels, but the padded image has only 5x5"),
        ({"kernel_size": 3, "padding": 2}, r"`padding` must be at most half of `kernel_size` \(3, 3\), got \(2, 2\)"),
        ({"kernel_size": 0}, "`kernel_size` must be one or two integers of at least 1"),
        ({"kernel_size": 2, "stride": 0}, "`stride` must be one or two integers of at least 1"),
        ({"kernel_size": 2, "padding": -1}, "`padding` must be one or two integers of at least 0"),
    ],
)
def test_invalid_arguments_are_rejected(pool: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pool(torch.zeros(1, 1, 5, 5), **options)
    with pytest.raises(ValueError, match=r"_pool2d: `x` must have shape \(N, C, H, W\), got 3 axes"):
        pool(torch.zeros(1, 5, 5), 2)
