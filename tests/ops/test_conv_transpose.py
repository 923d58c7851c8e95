"""Transposed convolution by hand equals torch and is the transpose of convolution."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from firstsight.ops import conv2d, conv_transpose2d
from helpers.gradients import assert_same, generated, tensors

ALGORITHMS = ("loops", "im2col", "taps")
small = st.integers(1, 3)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Generate shapes and options for which the output is not empty."""
    groups = draw(st.integers(1, 2))
    kernel, stride, dilation = (draw(st.tuples(small, small)) for _ in range(3))
    extra = [draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)]
    size = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    spans = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(size, stride, dilation, kernel, strict=True)]
    padding = [draw(st.integers(0, min(2, (span + e - 1) // 2))) for span, e in zip(spans, extra, strict=True)]
    return {
        "images": (draw(st.integers(1, 2)), groups * draw(st.integers(1, 2)), *size),
        "outputs": draw(small),
        "kernel": kernel,
        "bias": draw(st.booleans()),
        "seed": draw(st.integers(0, 10**6)),
        "options": {
            "stride": stride,
            "padding": tuple(padding),
            "output_padding": tuple(extra),
            "dilation": dilation,
            "groups": groups,
        },
    }


@generated(cases())
def test_output_and_gradients_equal_torch(case: dict[str, Any]) -> None:
    tensor, options = tensors(case["seed"]), case["options"]
    x = tensor(*case["images"])
    weight = tensor(case["images"][1], case["outputs"], *case["kernel"])
    bias = tensor(case["outputs"] * options["groups"]) if case["bias"] else None
    expected = F.conv_transpose2d(x, weight, bias, **options)
    for algorithm in ALGORITHMS:
        assert_same(conv_transpose2d(x, weight, bias, algorithm=algorithm, **options), expected, [x, weight, bias])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_gradients_equal_finite_differences(algorithm: Any) -> None:
    tensor = tensors(0)
    inputs = tensor(2, 4, 3, 2), tensor(4, 1, 2, 3), tensor(2)
    options = {"stride": (2, 1), "padding": (1, 0), "output_padding": (1, 1), "dilation": (1, 2), "groups": 2}
    assert torch.autograd.gradcheck(lambda x, w, b: conv_transpose2d(x, w, b, algorithm=algorithm, **options), inputs)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_output_worked_out_by_hand(algorithm: Any) -> None:
    x, weight = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([[[[1.0, 10.0], [100.0, 1000.0]]]])
    # every pixel adds its product with 1 10 / 100 1000, at its own position and to the right and below
    expected = torch.tensor([[[[1.0, 12.0, 20.0], [103.0, 1234.0, 2040.0], [300.0, 3400.0, 4000.0]]]])
    assert torch.equal(conv_transpose2d(x, weight, algorithm=algorithm), expected)
    # with stride 2 nothing overlaps; padding 1 removes the first and the last of the 2 + 1 rows
    options = {"stride": 2, "padding": (1, 0), "output_padding": (1, 0)}
    strided = conv_transpose2d(x[..., :1, :], weight, torch.tensor([0.5]), algorithm=algorithm, **options)
    assert torch.equal(strided, torch.tensor([[[[100.5, 1000.5, 200.5, 2000.5]]]]))


def test_transposed_convolution_is_the_transpose_of_convolution() -> None:
    """<conv(x), y> = <x, conv_transpose(y)> for every x and y, with the same weights."""
    tensor = tensors(3)
    x, y, weight = tensor(2, 3, 9, 8), tensor(2, 4, 5, 4), tensor(4, 3, 3, 3)
    forward = conv2d(x, weight, stride=2, padding=1)
    back = conv_transpose2d(y, weight, stride=2, padding=1, output_padding=(0, 1))
    assert forward.shape == y.shape
    assert back.shape == x.shape
    torch.testing.assert_close((forward * y).sum(), (x * back).sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": 2}, "must divide the input channels; got groups=2, 3 input channels"),
        ({"weight": torch.zeros(2, 4, 3, 3)}, "`weight` expects 2 input channels, got 3 in `x`"),
        ({"x": torch.zeros(3, 5, 5)}, "got 3 and 4 axes"),
        ({"bias": torch.zeros(3)}, r"`bias` must have shape \(4,\), got \(3,\)"),
        ({"padding": 4}, r"`padding` \(4, 4\) removes all pixels of an output of 7x7"),
        ({"padding": -1}, "`padding` must be one or two integers of at least 0"),
        (
            {"stride": 2, "output_padding": 2},
            r"smaller than max\(stride, dilation\) on each axis; got \(2, 2\) with stride \(2, 2\), dilation \(1, 1\)",
        ),
        ({"stride": (1, 2, 3)}, "`stride` must be one or two integers of at least 1"),
        ({"algorithm": "fft"}, "unknown `algorithm` 'fft' .available: loops, im2col, taps"),
    ],
)
def test_invalid_arguments_are_rejected(change: dict[str, Any], message: str) -> None:
    arguments = {"x": torch.zeros(1, 3, 5, 5), "weight": torch.zeros(3, 4, 3, 3)} | change
    with pytest.raises(ValueError, match=message):
        conv_transpose2d(**arguments)
