"""Filtering images with kernels: outputs equal torch's convolution and values by hand."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from firstsight import plots
from firstsight.data.sample_image import sample_photo
from firstsight.errors import UsageError
from firstsight.ops.filtering import filter_image
from firstsight.ops.kernels import NAMES, get_kernel
from firstsight.tasks.filter import apply_filter

Run = Callable[..., tuple[int, str, str]]


def test_named_kernels_have_their_sums_and_derivatives() -> None:
    """Derivatives sum to zero, all others to one, so they preserve a constant image."""
    for name in NAMES:
        total = float(get_kernel(name).sum())
        derivative = name.startswith(("sobel", "prewitt", "laplacian"))
        assert total == pytest.approx(0.0 if derivative else 1.0), name
    assert torch.equal(get_kernel("sobel-y"), get_kernel("sobel-x").T)
    assert get_kernel("gaussian", 9).shape == (9, 9) and get_kernel("box", 4)[0, 0] == 1 / 16
    ramp = torch.arange(25.0, dtype=torch.float64).view(1, 5, 5)  # brighter to the right by 1, downwards by 5
    for name, value in (("sobel-x", 8), ("sobel-y", 40), ("prewitt-x", 6), ("prewitt-y", 30), ("laplacian", 0)):
        assert filter_image(ramp.byte(), get_kernel(name), padding=0).output[0, 1, 1] == value, name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (3, 5, 2)])
def test_outputs_equal_torch_and_the_products_of_a_pixel_sum_to_it(
    name: str, stride: int, padding: int, dilation: int
) -> None:
    image = torch.randint(0, 256, (3, 40, 31), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    weight = get_kernel(name)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    expected = F.conv2d(image.double()[:, None], weight[None, None], **options)[:, 0]
    result = filter_image(image, weight, **options)
    np.testing.assert_allclose(result.output, expected.numpy(), rtol=1e-12, atol=1e-9)
    channel = ("red", "green", "blue").index(result.channel)
    assert result.total == pytest.approx(float(expected[channel][result.at]), abs=1e-9)
    top, left = result.corner
    assert (top, left) == (result.at[0] * stride - padding, result.at[1] * stride - padding)
    if top >= 0 and left >= 0 and top + result.span[0] <= 40 and left + result.span[1] <= 31:
        region = image[channel, top : top + result.span[0] : dilation, left : left + result.span[1] : dilation]
        np.testing.assert_array_equal(result.patch, region.numpy())


def test_an_even_kernel_keeps_the_image_size_with_the_odd_zero_right_and_below() -> None:
    image = torch.tensor([[[1, 2], [3, 4]]], dtype=torch.uint8)
    output = filter_image(image, get_kernel("1 1; 1 1")).output
    assert output.tolist() == [[[10, 6], [7, 4]]]
    assert filter_image(image, get_kernel("1 1; 1 1"), at=(1, 1)).patch.tolist() == [[4, 0], [0, 0]]
    assert filter_image(image, get_kernel("1 1; 1 1"), at=(0, 0)).patch.tolist() == [[1, 2], [3, 4]]


def test_same_padding_with_a_stride_depends_on_height_and_width() -> None:
    """5 rows need one zero above and below for 3 outputs, 6 columns one zero on the right."""
    image = torch.arange(1, 31, dtype=torch.uint8).view(1, 5, 6)
    result = filter_image(image, get_kernel("1 2 3; 4 5 6; 7 8 9"), stride=2, at=(0, 0))
    assert result.output.shape == (1, 3, 3) and result.corner == (-1, 0)
    assert result.patch.tolist() == [[0, 0, 0], [1, 2, 3], [7, 8, 9]]


def test_kernels_are_read_from_text() -> None:
    assert get_kernel("1/9, 2; -3 4.5;").tolist() == [[1 / 9, 2], [-3, 4.5]]
    assert get_kernel("[7]").tolist() == [[7]]


@pytest.mark.parametrize(("rows", "columns"), [(31, 31), (31, 1), (1, 31)])
def test_kernels_of_the_largest_size_are_read(rows: int, columns: int) -> None:
    text = ";".join([" ".join(["2"] * columns)] * rows)
    assert torch.equal(get_kernel(text), torch.full((rows, columns), 2.0, dtype=torch.float64))
    assert get_kernel("box", 31).shape == get_kernel("gaussian", 31).shape == (31, 31)
    assert get_kernel("motion", 1).tolist() == [[1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2; 3", 'must be a matrix, but the rows of "1 2; 3" have 2, 1 numbers'),
        ("1 2; 3 x", 'must be a matrix of numbers, but "x" in "1 2; 3 x" is not a number'),
        ("1/0 2", '"1/0" in "1/0 2" is not a number'),
        ("nan 1", '"nan" in "nan 1" is not a number'),
        ("1 ;; 2", 'the rows of "1 ;; 2" have 1, 0, 1 numbers'),
        (" ".join(["1"] * 40), "must be at most 31x31, got 1x40"),
        (" ".join(["1"] * 32), "must be at most 31x31, got 1x32"),
        (";".join(["1"] * 32), "must be at most 31x31, got 32x1"),
        ("sobel", "unknown kernel 'sobel': did you mean sobel-"),
    ],
)
def test_text_that_is_not_a_matrix_is_rejected(run: Run, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        get_kernel(text)
    code, out, err = run("filter", "--kernel", text)
    assert code == 2 and not out and message in err


def test_filter_command_writes_json_and_a_figure(run: Run) -> None:
    Image.effect_noise((30, 20), 80).convert("RGB").save("noise.png")
    code, out, err = run("filter", "noise.png", "--kernel", "laplacian", "--stride", 2, "--at", "3,4", "--json")
    document = json.loads(out)
    assert code == 0 and not err
    assert document["output_size"] == [10, 15] and document["at"] == {"x": 3, "y": 4}
    assert document["sum"] == pytest.approx(np.sum(document["products"]))
    assert Image.open("filter.png").size == (1248, 936)
    code, out, _ = run("filter", "--kernel", "gaussian", "--size", "7", "--color", "--out", "g.png")
    assert code == 0 and "grace_hopper.jpg: 512x600 to 512x600" in out and Path("g.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--at", "5"], 2, "--at must be X,Y"),
        (["--at", "600,0"], 2, "--at must be inside the output of 512x600 pixels (x,y counted from 0), got 600,0"),
        (["--stride", "0"], 2, "--stride must be between 1 and 1000, got 0"),
        (["--padding", "-1"], 2, "--padding must be a number of pixels, or same; got -1"),
        (["--size", "3"], 2, "--size applies to box, gaussian, motion only; sobel-x has a fixed size"),
        (["--kernel", "box", "--size", "99"], 2, "--size must be between 1 and 31, got 99"),
        (
            ["--dilation", "900", "--padding", "0"],
            2,
            "firstsight: the kernel spans 1801x1801 pixels, but the padded image has only",
        ),
        (["--out", "figure.gif"], 2, "--out must be a .png, .jpg, .jpeg, .svg or .pdf file"),
        (["nothing.png"], 2, "nothing.png"),
    ],
)
def test_filter_command_rejects_invalid_arguments(run: Run, arguments: list[str], code: int, message: str) -> None:
    exit_code, out, err = run("filter", *arguments)
    assert exit_code == code and not out and message in err, err
    assert len(err.splitlines()) == 1


def test_figures_clip_images_to_black_and_white_and_show_derivatives_around_gray() -> None:
    for name, note in (("gaussian", "clipped to 0"), ("sharpen", "clipped to 0"), ("sobel-x", "gray is zero")):
        figure = plots.filtering(apply_filter(sample_photo(), name), name)
        titles = [axes.get_title(loc="left") for axes in figure.axes]
        assert any(title.startswith("output") and note in title for title in titles), titles


def test_an_image_in_memory_is_filtered_as_its_file() -> None:
    from_file, from_memory = (apply_filter(image, "emboss") for image in (sample_photo(), Image.open(sample_photo())))
    np.testing.assert_array_equal(from_file.output, from_memory.output)
