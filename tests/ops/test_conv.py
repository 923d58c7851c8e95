"""Convolution by hand equals torch: outputs and all gradients, with all three algorithms."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

from firstsight.ops import conv2d, conv_transpose2d
from helpers.gradients import assert_same, generated, tensors

ALGORITHMS = ("loops", "im2col", "taps")
small = st.integers(1, 3)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Generate shapes and options for which the kernel fits into the padded image."""
    groups = draw(st.integers(1, 2))
    kernel, stride, dilation = (draw(st.tuples(small, small)) for _ in range(3))
    sides = draw(st.tuples(*[st.integers(0, 2)] * 4))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    height = draw(st.integers(max(1, spans[0] - sides[2] - sides[3]), 5 + spans[0]))
    width = draw(st.integers(max(1, spans[1] - sides[0] - sides[1]), 5 + spans[1]))
    return {
        "images": (draw(st.integers(1, 2)), groups * draw(small), height, width),
        "outputs": groups * draw(st.integers(1, 2)),
        "kernel": kernel,
        "bias": draw(st.booleans()),
        "stride": stride,
        "dilation": dilation,
        "padding": draw(st.sampled_from([sides, sides[:2], sides[0], "same"])),
        "groups": groups,
        "seed": draw(st.integers(0, 10**6)),
    }


def four_sides(case: dict[str, Any]) -> tuple[int, ...]:
    """Return the numbers of zeros on (left, right, top, bottom) for any form of padding."""
    padding = case["padding"]
    if isinstance(padding, int):
        return (padding,) * 4
    if len(padding) == 2:
        return (padding[1], padding[1], padding[0], padding[0])
    if padding != "same":
        return padding
    sides: tuple[int, ...] = ()
    for axis in (1, 0):  # ceil(size / stride) outputs, the odd zero at the end
        size, stride = case["images"][2 + axis], case["stride"][axis]
        span = case["dilation"][axis] * (case["kernel"][axis] - 1) + 1
        missing = max(0, (-(-size // stride) - 1) * stride + span - size)
        sides += missing // 2, missing - missing // 2
    return sides


def fits(case: dict[str, Any]) -> bool:
    sides = four_sides(case)
    return all(
        case["images"][2 + axis] + sides[2 - 2 * axis] + sides[3 - 2 * axis]
        > case["dilation"][axis] * (case["kernel"][axis] - 1)
        for axis in (0, 1)
    )


def count_products(call: Callable[[], Tensor]) -> int:
    """Return the number of matrix products that a call computes."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        call()
    kernels = {"aten::mm", "aten::bmm", "aten::addmm", "aten::addmm_"}
    return sum(event.count for event in profile.key_averages() if event.key in kernels)


@generated(cases().filter(fits))
def test_output_and_gradients_equal_torch(case: dict[str, Any]) -> None:
    tensor = tensors(case["seed"])
    n, channels, height, width = case["images"]
    x, weight = tensor(n, channels, height, width), tensor(case["outputs"], channels // case["groups"], *case["kernel"])
    bias = tensor(case["outputs"]) if case["bias"] else None
    options = {key: case[key] for key in ("stride", "dilation", "groups")}
    expected = F.conv2d(F.pad(x, four_sides(case)), weight, bias, **options)
    for algorithm in ALGORITHMS:
        actual = conv2d(x, weight, bias, padding=case["padding"], algorithm=algorithm, **options)
        assert_same(actual, expected, [x, weight, bias])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_gradients_equal_finite_differences(algorithm: Any) -> None:
    tensor = tensors(0)
    inputs = tensor(2, 4, 5, 4), tensor(2, 2, 2, 3), tensor(2)
    options = {"stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2), "groups": 2, "algorithm": algorithm}
    assert torch.autograd.gradcheck(lambda x, w, b: conv2d(x, w, b, **options), inputs)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_output_worked_out_by_hand(algorithm: Any) -> None:
    x = torch.tensor([[[[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]]]])
    kernel = torch.tensor([[[[1.0, -1.0], [0.0, 2.0]]]])
    # 1*1 - 1*2 + 2*1 = 1;  1*2 - 0 + 2*3 = 8;  0 - 1 + 0 = -1;  1 - 3 + 2 = 0; then 10 for the bias
    expected = torch.tensor([[[[11.0, 18.0], [9.0, 10.0]]]])
    assert torch.equal(conv2d(x, kernel, torch.tensor([10.0]), algorithm=algorithm), expected)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_same_padding_of_an_even_kernel_adds_the_odd_zero_right_and_below(algorithm: Any) -> None:
    x, ones = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.ones(1, 1, 2, 2)
    # 1 2 0     1+2+3+4 = 10   2+0+4+0 = 6
    # 3 4 0     3+4+0+0 =  7   4+0+0+0 = 4
    # 0 0 0
    expected = torch.tensor([[[[10.0, 6.0], [7.0, 4.0]]]])
    assert torch.equal(conv2d(x, ones, padding="same", algorithm=algorithm), expected)
    # stride 2 on 1 2 3 4 with a kernel of 3: two outputs, one zero, at the end: 1+2+3 = 6 and 3+4+0 = 7
    row = torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]]])
    strided = conv2d(row, torch.ones(1, 1, 1, 3), stride=2, padding="same", algorithm=algorithm)
    assert torch.equal(strided, torch.tensor([[[[6.0, 7.0]]]]))


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_and_valid_padding_equal_torch_with_stride_one() -> None:
    x, weight = torch.randn(1, 2, 9, 8), torch.randn(3, 2, 4, 3)
    for padding in ("same", "valid"):
        torch.testing.assert_close(conv2d(x, weight, padding=padding), F.conv2d(x, weight, padding=padding))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("padding", [0, 1])
def test_images_may_have_any_memory_layout(algorithm: Any, padding: int) -> None:
    whole = torch.randn(2, 6, 6, 7, dtype=torch.float64)
    weight = torch.randn(2, 3, 3, 3, dtype=torch.float64)
    for x in (whole[:, ::2], whole[:, 3:].to(memory_format=torch.channels_last), whole.transpose(2, 3)[:, :3]):
        expected = F.conv2d(x, weight, padding=padding)
        torch.testing.assert_close(conv2d(x, weight, padding=padding, algorithm=algorithm), expected)


@pytest.mark.parametrize(("width", "rows"), [(200, 1), (60, 1), (32, 3), (13, 8)])
def test_im2col_computes_a_large_image_in_strips_of_rows(width: int, rows: int) -> None:
    """A strip has at most 2**18 column values, but at least one row; the last strip is shorter."""
    x = torch.randn(2, 256, 13, width + 2, dtype=torch.float64)
    weight = torch.randn(3, 256, 3, 3, dtype=torch.float64)
    assert rows == max(1, 2**18 // (256 * 9 * width))
    assert count_products(lambda: conv2d(x, weight)) == 2 * -(-11 // rows)
    torch.testing.assert_close(conv2d(x, weight), F.conv2d(x, weight), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("algorithm", "count"), [("loops", 0), ("im2col", 1), ("taps", 9)])
def test_algorithms_compute_zero_one_or_nine_matrix_products(algorithm: Any, count: int) -> None:
    """One image, nine kernel taps."""
    x, weight = torch.randn(1, 2, 5, 5), torch.randn(2, 2, 3, 3)
    for stride in (1, 2):
        assert count_products(lambda s=stride: conv2d(x, weight, stride=s, algorithm=algorithm)) == count
    assert count_products(lambda: conv_transpose2d(x, weight, algorithm=algorithm)) == count


def test_a_batch_of_no_images_has_an_empty_output_and_zero_gradients() -> None:
    weight = torch.ones(2, 3, 3, 3, requires_grad=True)
    for algorithm in ALGORITHMS:
        out = conv2d(torch.zeros(0, 3, 5, 5), weight, algorithm=algorithm)
        assert out.shape == (0, 2, 3, 3)
        (grad,) = torch.autograd.grad(out.sum(), weight)
        assert torch.equal(grad, torch.zeros_like(weight))


def test_gradients_are_computed_only_where_required() -> None:
    x, weight = torch.randn(1, 1, 5, 5), torch.randn(1, 1, 3, 3, requires_grad=True)
    conv2d(x, weight).sum().backward()
    assert weight.grad is not None
    assert x.grad is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": 2}, "must divide both input and output channels; got groups=2, 3 input and 4 output channels"),
        ({"weight": torch.zeros(4, 2, 3, 3)}, "`weight` expects 2 input channels per group, got 3 in `x`"),
        ({"x": torch.zeros(3, 5, 5)}, "got 3 and 4 axes"),
        ({"x": torch.zeros(1, 3, 2, 5)}, "conv2d: the kernel spans 3x3 pixels, but the padded image has only 2x5"),
        ({"bias": torch.zeros(3)}, r"`bias` must have shape \(4,\), got \(3,\)"),
        ({"padding": "full"}, "'valid' or 'same', got 'full'"),
        ({"padding": (1, 2, 3)}, "`padding` must be one, two or four integers"),
        ({"padding": -1}, "integers of at least 0, got -1"),
        ({"stride": 0}, "`stride` must be one or two integers of at least 1, got 0"),
        ({"dilation": (1, 0)}, "`dilation` must be one or two integers of at least 1"),
        ({"algorithm": "fft"}, "unknown `algorithm` 'fft' .available: loops, im2col, taps"),
    ],
)
def test_invalid_arguments_are_rejected(change: dict[str, Any], message: str) -> None:
    arguments = {"x": torch.zeros(1, 3, 5, 5), "weight": torch.zeros(4, 3, 3, 3)} | change
    with pytest.raises(ValueError, match=message):
        conv2d(**arguments)
