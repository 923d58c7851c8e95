"""Convolution by hand against torch: outputs and all gradients, for all three algorithms."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from firstsight.ops import conv2d

small = st.integers(1, 3)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Shapes and options for which the kernel fits into the padded image."""
    groups = draw(st.integers(1, 2))
    kernel, stride, dilation = (draw(st.tuples(small, small)) for _ in range(3))
    sides = draw(st.tuples(*[st.integers(0, 2)] * 4))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    height = draw(st.integers(max(1, spans[0] - sides[2] - sides[3]), 7 + spans[0]))
    width = draw(st.integers(max(1, spans[1] - sides[0] - sides[1]), 7 + spans[1]))
    return {
        "images": (draw(st.integers(1, 2)), groups * draw(small), height, width),
        "outputs": groups * draw(st.integers(1, 2)),
        "kernel": kernel,
        "bias": draw(st.booleans()),
        "stride": stride,
        "dilation": dilation,
        "padding": draw(st.sampled_from([sides, "same"])),
        "groups": groups,
        "algorithm": draw(st.sampled_from(["loops", "im2col", "taps"])),
        "seed": draw(st.integers(0, 10**6)),
    }


def same_sides(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """The definition of "same": ceil(size / stride) outputs, the odd zero at the end."""
    missing = max(0, (-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size)
    return missing // 2, missing - missing // 2


@settings(max_examples=600)
@given(cases())
def test_output_and_gradients_are_torchs(case: dict[str, Any]) -> None:
    random = torch.Generator().manual_seed(case["seed"])

    def tensor(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=random).requires_grad_()

    n, channels, height, width = case["images"]
    x, weight = tensor(n, channels, height, width), tensor(case["outputs"], channels // case["groups"], *case["kernel"])
    bias = tensor(case["outputs"]) if case["bias"] else None
    options = {key: case[key] for key in ("stride", "dilation", "groups")}
    sides = case["padding"]
    if sides == "same":
        sizes = zip((height, width), case["kernel"], case["stride"], case["dilation"], strict=True)
        vertical, horizontal = (same_sides(*numbers) for numbers in sizes)
        sides = (*horizontal, *vertical)
    ours = conv2d(x, weight, bias, padding=case["padding"], algorithm=case["algorithm"], **options)
    theirs = F.conv2d(F.pad(x, sides), weight, bias, **options)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    upstream = torch.randn(theirs.shape, dtype=torch.float64, generator=random)
    inputs = [x, weight] + ([bias] if bias is not None else [])
    for mine, peer in zip(
        torch.autograd.grad(ours, inputs, upstream), torch.autograd.grad(theirs, inputs, upstream), strict=True
    ):
        torch.testing.assert_close(mine, peer, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("algorithm", ["loops", "im2col", "taps"])
def test_a_sum_worked_out_by_hand(algorithm: Any) -> None:
    x = torch.tensor([[[[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]]]])
    kernel = torch.tensor([[[[1.0, -1.0], [0.0, 2.0]]]])
    # 1*1 - 1*2 + 2*1 = 1;  1*2 - 0 + 2*3 = 8;  0 - 1 + 0 = -1;  1 - 3 + 2 = 0; then 10 for the bias
    expected = torch.tensor([[[[11.0, 18.0], [9.0, 10.0]]]])
    assert torch.equal(conv2d(x, kernel, torch.tensor([10.0]), algorithm=algorithm), expected)


def test_same_is_torchs_where_torch_has_it() -> None:
    x, weight = torch.randn(1, 2, 9, 8), torch.randn(3, 2, 4, 3)
    torch.testing.assert_close(conv2d(x, weight, padding="same"), F.conv2d(x, weight, padding="same"))


def test_only_wanted_gradients_are_computed() -> None:
    x, weight = torch.randn(1, 1, 5, 5), torch.randn(1, 1, 3, 3, requires_grad=True)
    conv2d(x, weight).sum().backward()
    assert weight.grad is not None
    assert x.grad is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": 2}, "2 groups do not divide 3 input and 4 output channels"),
        ({"weight": torch.zeros(4, 2, 3, 3)}, "the weights see 2 channels a group; the image has 3"),
        ({"x": torch.zeros(3, 5, 5)}, "got 3 and 4 axes"),
        ({"x": torch.zeros(1, 3, 2, 5)}, "the kernel spans 3x3 pixels, the padded image has 2x5"),
        ({"bias": torch.zeros(3)}, r"bias must be \(4,\); got \(3,\)"),
        ({"padding": "full"}, "or 'same'; got 'full'"),
        ({"padding": (1, 2, 3)}, "one number, two or four"),
        ({"padding": -1}, "none below 0; got -1"),
        ({"stride": 0}, "stride must be a number of at least 1"),
        ({"dilation": (1, 0)}, "dilation must be a number of at least 1"),
        ({"algorithm": "fft"}, "unknown algorithm 'fft' .loops, im2col, taps"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], message: str) -> None:
    arguments = {"x": torch.zeros(1, 3, 5, 5), "weight": torch.zeros(4, 3, 3, 3)} | change
    with pytest.raises(ValueError, match=message):
        conv2d(**arguments)
