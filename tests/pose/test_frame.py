"""Where pictures lie in maps: borders, alignment of two sizes, mirror images."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstsight.errors import DataError
from firstsight.pose.frame import Frame, aligned
from firstsight.pose.mirror import mirrored_limbs, unmirrored
from firstsight.pose.skeleton import SKELETONS, Skeleton

SIDES = st.integers(1, 3000)


@given(SIDES, SIDES, st.integers(8, 700))
def test_the_border(width: int, height: int, wanted: int) -> None:
    """As little as there can be, in the middle (one pixel more right and below); the picture keeps its aspect."""
    frame = Frame.of((width, height), height=wanted)
    high, wide = frame.input_size
    assert high % 8 == wide % 8 == 0
    assert 0 <= high - frame.high < 8 and 0 <= wide - frame.wide < 8
    assert 0 <= high - frame.high - 2 * frame.top <= 1 and 0 <= wide - frame.wide - 2 * frame.left <= 1
    assert frame.high == wanted and abs(frame.wide - width * wanted / height) <= (0.5 if frame.wide > 1 else 1)


@given(st.integers(20, 3000), st.integers(20, 3000), st.integers(32, 700), st.integers(0, 10), st.integers(0, 10))
def test_cells_and_pixels(width: int, height: int, wanted: int, row: int, column: int) -> None:
    """The centre of a cell, pixel 8 i + 3.5 of the input, by the centres of pixels of both pictures."""
    frame = Frame.of((width, height), height=wanted)
    x, y = frame.from_cells(np.array([column, row]))
    in_resized = 8 * column + 3.5 - frame.left, 8 * row + 3.5 - frame.top
    assert (x + 0.5) / frame.width == pytest.approx((in_resized[0] + 0.5) / frame.wide)
    assert (y + 0.5) / frame.height == pytest.approx((in_resized[1] + 0.5) / frame.high)
    enlarged = frame.from_enlarged(np.array([4 * column + 1.5, 4 * row + 1.5]))  # the same place in finer maps
    np.testing.assert_allclose((x, y) - enlarged, np.array([frame.width / frame.wide, frame.height / frame.high]) - 0.5)


def test_the_input_of_a_network() -> None:
    frame = Frame.of((10, 13), height=13)
    pixels = np.random.default_rng(0).integers(0, 256, (13, 10, 3)).astype(np.uint8)
    shown = frame.network_input(pixels)
    assert shown.shape == (1, 3, 16, 16) and shown.is_contiguous(memory_format=torch.channels_last)
    inside = shown[0, :, 1:14, 3:13].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(inside, (pixels[..., ::-1].astype(np.float32) - 128) / 256)
    assert shown.abs().sum() == pytest.approx(np.abs(inside).sum(), rel=1e-5)  # the border is 0


@pytest.mark.parametrize("scale", [0.5, 0.73, 1.0, 1.6])
def test_alignment(scale: float) -> None:
    """A map that holds places of the picture holds the same places in another frame, borders and rounding aside."""
    base, own = Frame.of((637, 471), height=256), Frame.of((637, 471), height=256 * scale)

    def places(frame: Frame) -> torch.Tensor:
        high, wide = (side // 8 for side in frame.input_size)
        ys, xs = np.mgrid[:high, :wide]
        return torch.from_numpy(frame.from_cells(np.stack([xs, ys], -1))).permute(2, 0, 1)[None].float()

    found, wanted = aligned(places(own), own, base), places(base)
    assert found.shape == wanted.shape
    error = (found - wanted)[..., 3:-3, 3:-3]  # at the rim there is nothing to go between
    cell = 8 * own.height / own.high
    assert error.abs().max() < 0.055 * cell  # bicubic with A = -0.75 does not give a ramp back quite as it was
    assert error.mean((0, 2, 3)).abs().max() < 0.005 * cell


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_mirrored_fields(skeleton: Skeleton) -> None:
    """A person mirrored joint by joint has these fields; turned back, they are the person's own."""
    rng = np.random.default_rng(5)
    places = rng.uniform(0, 100, (len(skeleton), 2))
    mirrored = places[list(skeleton.flip)] * (-1, 1) + (100, 0)

    def fields(joints: np.ndarray) -> torch.Tensor:
        maps = torch.zeros(2 * len(skeleton.limbs), 3, 4)
        for (a, b), channel in zip(skeleton.limbs, skeleton.paf_channels, strict=True):
            along = joints[b] - joints[a]
            maps[channel], maps[channel + 1] = (float(part) for part in along / np.linalg.norm(along))
        return maps

    heat = torch.rand(len(skeleton) + 1, 3, 4)
    turned, back = unmirrored(heat, fields(mirrored), skeleton)
    torch.testing.assert_close(back, fields(places))
    assert torch.equal(turned[-1], heat[-1].flip(1))
    for joint, other in enumerate(skeleton.flip):
        assert torch.equal(turned[joint], heat[other].flip(1))
    twice = unmirrored(turned, unmirrored(heat, back, skeleton)[1], skeleton)
    assert torch.equal(twice[0], heat)


def test_a_limb_without_a_mirror_image() -> None:
    lame = Skeleton(
        name="lame", joints=("left_foot", "right_foot", "head"), limbs=((2, 0), (0, 1)), flip_pairs=((0, 1),),
        sigmas=(0.1,) * 3,
    )  # fmt: skip
    with pytest.raises(DataError, match=r"skeleton lame: the limb from head to left_foot has no mirror image"):
        mirrored_limbs(lame)
