"""Where images lie in maps: borders, alignment of two scales, mirror images."""

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
def test_the_image_keeps_its_aspect_and_is_centered_in_a_minimal_border(width: int, height: int, wanted: int) -> None:
    """One pixel more on the right and below where the border is odd."""
    frame = Frame.of((width, height), height=wanted)
    high, wide = frame.input_size
    assert high % 8 == wide % 8 == 0
    assert 0 <= high - frame.high < 8 and 0 <= wide - frame.wide < 8
    assert 0 <= high - frame.high - 2 * frame.top <= 1 and 0 <= wide - frame.wide - 2 * frame.left <= 1
    assert frame.high == wanted and abs(frame.wide - width * wanted / height) <= (0.5 if frame.wide > 1 else 1)


@given(st.integers(20, 3000), st.integers(20, 3000), st.integers(32, 700), st.integers(0, 10), st.integers(0, 10))
def test_cell_centers_map_to_image_pixels(width: int, height: int, wanted: int, row: int, column: int) -> None:
    """The center of cell i is pixel 8 i + 3.5 of the input; pixel centers of both images correspond."""
    frame = Frame.of((width, height), height=wanted)
    x, y = frame.from_cells(np.array([column, row]))
    in_resized = 8 * column + 3.5 - frame.left, 8 * row + 3.5 - frame.top
    assert (x + 0.5) / frame.width == pytest.approx((in_resized[0] + 0.5) / frame.wide)
    assert (y + 0.5) / frame.height == pytest.approx((in_resized[1] + 0.5) / frame.high)
    enlarged = frame.from_enlarged(np.array([4 * column + 1.5, 4 * row + 1.5]))  # the same position in finer maps
    np.testing.assert_allclose((x, y) - enlarged, np.array([frame.width / frame.wide, frame.height / frame.high]) - 0.5)


def test_the_network_input_is_normalized_bgr_with_a_zero_border() -> None:
    frame = Frame.of((10, 13), height=13)
    pixels = np.random.default_rng(0).integers(0, 256, (13, 10, 3)).astype(np.uint8)
    shown = frame.network_input(pixels)
    assert shown.shape == (1, 3, 16, 16) and shown.is_contiguous(memory_format=torch.channels_last)
    inside = shown[0, :, 1:14, 3:13].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(inside, (pixels[..., ::-1].astype(np.float32) - 128) / 256)
    assert shown.abs().sum() == pytest.approx(np.abs(inside).sum(), rel=1e-5)  # the border is 0


@pytest.mark.parametrize("scale", [0.5, 0.73, 1.0, 1.6])
def test_aligned_maps_of_another_scale_hold_the_same_positions(scale: float) -> None:
    """A map that holds image coordinates, apart from borders and rounding."""
    base, own = Frame.of((637, 471), height=256), Frame.of((637, 471), height=256 * scale)

    def coordinates(frame: Frame) -> torch.Tensor:
        high, wide = (side // 8 for side in frame.input_size)
        ys, xs = np.mgrid[:high, :wide]
        return torch.from_numpy(frame.from_cells(np.stack([xs, ys], -1))).permute(2, 0, 1)[None].float()

    result, expected = aligned(coordinates(own), own, base), coordinates(base)
    assert result.shape == expected.shape
    error = (result - expected)[..., 3:-3, 3:-3]  # at the edge there is nothing to interpolate
    cell = 8 * own.height / own.high
    assert error.abs().max() < 0.055 * cell  # bicubic interpolation with A = -0.75 does not reproduce a ramp exactly
    assert error.mean((0, 2, 3)).abs().max() < 0.005 * cell


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_unmirrored_maps_of_a_mirrored_person_are_the_persons_own(skeleton: Skeleton) -> None:
    """Heatmaps and fields of a person mirrored joint by joint."""
    rng = np.random.default_rng(5)
    joints_xy = rng.uniform(0, 100, (len(skeleton), 2))
    mirrored = joints_xy[list(skeleton.flip)] * (-1, 1) + (100, 0)

    def fields(joints: np.ndarray) -> torch.Tensor:
        maps = torch.zeros(2 * len(skeleton.limbs), 3, 4)
        for (a, b), channel in zip(skeleton.limbs, skeleton.paf_channels, strict=True):
            along = joints[b] - joints[a]
            maps[channel], maps[channel + 1] = (float(part) for part in along / np.linalg.norm(along))
        return maps

    heat = torch.rand(len(skeleton) + 1, 3, 4)
    flipped, back = unmirrored(heat, fields(mirrored), skeleton)
    torch.testing.assert_close(back, fields(joints_xy))
    assert torch.equal(flipped[-1], heat[-1].flip(1))
    for joint, other in enumerate(skeleton.flip):
        assert torch.equal(flipped[joint], heat[other].flip(1))
    twice = unmirrored(flipped, unmirrored(heat, back, skeleton)[1], skeleton)
    assert torch.equal(twice[0], heat)


def test_a_skeleton_whose_limbs_are_not_symmetric_cannot_be_mirrored() -> None:
    asymmetric = Skeleton(
        name="lame", joints=("left_foot", "right_foot", "head"), limbs=((2, 0), (0, 1)), flip_pairs=((0, 1),),
        sigmas=(0.1,) * 3,
    )  # fmt: skip
    with pytest.raises(DataError, match=r"skeleton lame: the limb from head to left_foot has no mirror image"):
        mirrored_limbs(asymmetric)
