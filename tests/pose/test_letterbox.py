"""The geometry of network inputs: padding, alignment of maps of two scales, horizontal flips."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstsight.errors import DataError
from firstsight.pose.flip import flip_limbs, unflip_maps
from firstsight.pose.letterbox import Letterbox, align_maps
from firstsight.pose.skeleton import SKELETONS, Skeleton

SIDES = st.integers(1, 3000)


@given(SIDES, SIDES, st.integers(8, 700))
def test_the_image_keeps_its_aspect_and_is_centered_in_minimal_padding(width: int, height: int, target: int) -> None:
    """The padding on the right and at the bottom is one pixel wider if the total is odd."""
    box = Letterbox.for_image((width, height), height=target)
    input_height, input_width = box.input_size
    pad_y = input_height - box.resized_height
    pad_x = input_width - box.resized_width
    assert input_height % 8 == input_width % 8 == 0
    assert 0 <= pad_y < 8 and 0 <= pad_x < 8
    assert 0 <= pad_y - 2 * box.pad_top <= 1 and 0 <= pad_x - 2 * box.pad_left <= 1
    assert box.resized_height == target
    assert abs(box.resized_width - width * target / height) <= (0.5 if box.resized_width > 1 else 1)


@given(st.integers(20, 3000), st.integers(20, 3000), st.integers(32, 700), st.integers(0, 10), st.integers(0, 10))
def test_cell_centers_map_to_image_pixels(width: int, height: int, target: int, row: int, column: int) -> None:
    """The center of cell i is pixel 8 i + 3.5 of the input; pixel centers of both images correspond."""
    box = Letterbox.for_image((width, height), height=target)
    x, y = box.cells_to_image(np.array([column, row]))
    resized_x = 8 * column + 3.5 - box.pad_left
    resized_y = 8 * row + 3.5 - box.pad_top
    assert (x + 0.5) / box.width == pytest.approx((resized_x + 0.5) / box.resized_width)
    assert (y + 0.5) / box.height == pytest.approx((resized_y + 0.5) / box.resized_height)
    same_position = np.array([4 * column + 1.5, 4 * row + 1.5])  # in upsampled maps
    scale = np.array([box.width / box.resized_width, box.height / box.resized_height])
    np.testing.assert_allclose((x, y) - box.upsampled_to_image(same_position), scale - 0.5)


def test_the_network_input_is_normalized_bgr_with_zero_padding() -> None:
    letterbox = Letterbox.for_image((10, 13), height=13)
    pixels = np.random.default_rng(0).integers(0, 256, (13, 10, 3)).astype(np.uint8)
    inputs = letterbox.network_input(pixels)
    assert inputs.shape == (1, 3, 16, 16) and inputs.is_contiguous(memory_format=torch.channels_last)
    inside = inputs[0, :, 1:14, 3:13].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(inside, (pixels[..., ::-1].astype(np.float32) - 128) / 256)
    assert inputs.abs().sum() == pytest.approx(np.abs(inside).sum(), rel=1e-5)  # the padding is 0


@pytest.mark.parametrize("scale", [0.5, 0.73, 1.0, 1.6])
def test_aligned_maps_of_another_scale_hold_the_same_positions(scale: float) -> None:
    """The map contains image coordinates, which are exact except at borders and for rounding."""
    target = Letterbox.for_image((637, 471), height=256)
    source = Letterbox.for_image((637, 471), height=256 * scale)

    def coordinates(letterbox: Letterbox) -> torch.Tensor:
        high, wide = (side // 8 for side in letterbox.input_size)
        ys, xs = np.mgrid[:high, :wide]
        return torch.from_numpy(letterbox.cells_to_image(np.stack([xs, ys], -1))).permute(2, 0, 1)[None].float()

    result = align_maps(coordinates(source), source, target)
    expected = coordinates(target)
    assert result.shape == expected.shape
    error = (result - expected)[..., 3:-3, 3:-3]  # at the edge there is nothing to interpolate
    cell = 8 * source.height / source.resized_height
    assert error.abs().max() < 0.055 * cell  # bicubic interpolation with A = -0.75 does not reproduce a ramp exactly
    assert error.mean((0, 2, 3)).abs().max() < 0.005 * cell


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_unflipped_maps_of_a_flipped_person_are_the_original_ones(skeleton: Skeleton) -> None:
    """The person is flipped joint by joint."""
    rng = np.random.default_rng(5)
    joints_xy = rng.uniform(0, 100, (len(skeleton), 2))
    flipped_xy = joints_xy[list(skeleton.flip)] * (-1, 1) + (100, 0)

    def fields(joints: np.ndarray) -> torch.Tensor:
        maps = torch.zeros(2 * len(skeleton.limbs), 3, 4)
        for (a, b), channel in zip(skeleton.limbs, skeleton.paf_channels, strict=True):
            along = joints[b] - joints[a]
            maps[channel], maps[channel + 1] = (float(part) for part in along / np.linalg.norm(along))
        return maps

    heat = torch.rand(len(skeleton) + 1, 3, 4)
    unflipped, unflipped_fields = unflip_maps(heat, fields(flipped_xy), skeleton)
    torch.testing.assert_close(unflipped_fields, fields(joints_xy))
    assert torch.equal(unflipped[-1], heat[-1].flip(1))
    for joint, other in enumerate(skeleton.flip):
        assert torch.equal(unflipped[joint], heat[other].flip(1))
    twice, _ = unflip_maps(unflipped, unflipped_fields, skeleton)
    assert torch.equal(twice, heat)


def test_a_skeleton_whose_limbs_are_not_symmetric_cannot_be_flipped() -> None:
    asymmetric = Skeleton(
        name="lame",
        joints=("left_foot", "right_foot", "head"),
        limbs=((2, 0), (0, 1)),
        flip_pairs=((0, 1),),
        sigmas=(0.1,) * 3,
    )
    with pytest.raises(DataError, match=r"skeleton lame: .*the limb from head to left_foot has no counterpart"):
        flip_limbs(asymmetric)
