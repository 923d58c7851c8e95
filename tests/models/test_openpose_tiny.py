"""OpenPose-tiny's connections between scales."""

import pytest
import torch

from firstsight.models.pose.openpose_tiny import upsample_add


@pytest.mark.parametrize(("height", "width"), [(6, 8), (5, 8), (6, 7), (5, 3), (1, 1), (43, 33)])
def test_coarse_maps_are_repeated_twice_and_cut_to_the_size_of_the_fine_maps(height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(2, 3, -(-height // 2), -(-width // 2), generator=generator)
    fine = torch.randn(2, 3, height, width, generator=generator)
    repeated = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(upsample_add(coarse, fine), fine + repeated[:, :, :height, :width])
