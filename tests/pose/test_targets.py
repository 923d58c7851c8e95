"""Training targets by hand; tests/parity compares them with the published code."""

import math

import pytest
import torch

from firstsight.pose.skeleton import Skeleton
from firstsight.pose.targets import (
    MAX_EXPONENT,
    gaussian_heatmaps,
    heatmap_targets,
    joint_heatmap,
    limb_field,
    normal_density,
    paf_targets,
)

PAIR = Skeleton(name="pair", joints=("a", "b"), limbs=((0, 1),), flip_pairs=((0, 1),), sigmas=(0.1, 0.1))


def test_gaussian_heatmaps_peak_at_the_joints_and_integrate_to_two_pi_sigma_squared() -> None:
    """128x128 maps, joints at (50, 50), (30, 30) and an invisible one at (90, 40)."""
    keypoints = torch.tensor([[[50.0, 50], [30, 30], [90, 40]]])
    maps = gaussian_heatmaps(keypoints, torch.tensor([[True, True, False]]), size=(128, 128), sigma=5.0)[0]
    assert maps.shape == (3, 128, 128) and maps[2].max() == 0
    for gaussian, (x, y) in zip(maps[:2], ((50, 50), (30, 30)), strict=True):
        assert gaussian[y, x] == 1 and divmod(int(gaussian.argmax()), 128) == (y, x)
        assert gaussian[y, x + 5] == pytest.approx(math.exp(-0.5)) == pytest.approx(float(gaussian[y - 5, x]))
        assert float(gaussian.sum()) == pytest.approx(2 * math.pi * 25, rel=1e-6)  # the integral over the plane


def test_normal_density_has_the_given_covariance() -> None:
    isotropic = normal_density((40, 50), (20, 15), ((9, 0), (0, 9)))
    torch.testing.assert_close(
        isotropic,
        gaussian_heatmaps(torch.tensor([[[20.0, 15]]]).double(), torch.tensor([[True]]), size=(40, 50), sigma=3.0)[
            0, 0
        ],
    )
    correlated = normal_density((101, 101), (50, 50), ((100, 60), (60, 64)))  # correlation 60 / sqrt(100 * 64) = 0.75
    y, x = torch.meshgrid(torch.arange(101.0) - 50, torch.arange(101.0) - 50, indexing="ij")
    density = correlated / correlated.sum()
    for factor, expected in ((x * x, 100), (x * y, 60), (y * y, 64)):
        assert float((density * factor).sum()) == pytest.approx(expected, rel=2e-3)
    for wrong in (((1, 2), (2, 1)), ((1, 0.5), (0, 1)), ((0, 0), (0, 1))):
        with pytest.raises(ValueError, match="`covariance` must be symmetric and positive definite"):
            normal_density((5, 5), (2, 2), wrong)


def test_overlapping_heatmaps_are_merged_by_maximum_or_sum() -> None:
    """Two people at a distance of 8 pixels; the sum is at most 1, and the background is 1 minus the maximum."""
    keypoints = torch.tensor([[[[11.5, 11.5]], [[19.5, 11.5]]]]).double()
    visible = torch.ones(1, 2, 1, dtype=torch.bool)
    maximum = heatmap_targets(keypoints, visible, size=(4, 6), sigma=7.0)[0]
    summed = heatmap_targets(keypoints, visible, size=(4, 6), sigma=7.0, merge="sum")[0]
    one, two = math.exp(-(8**2) / 98), math.exp(-(16**2) / 98)
    assert maximum[0, 1].tolist() == pytest.approx([one, 1, 1, one, two, 0])
    assert summed[0, 1].tolist() == pytest.approx([one + two, 1, 1, one + two, two, 0])
    assert two > math.exp(-MAX_EXPONENT) > math.exp(-(24**2) / 98)  # cut off at a distance of 24 pixels
    torch.testing.assert_close(maximum[1], 1 - maximum[0])
    hidden = heatmap_targets(keypoints, torch.zeros_like(visible), size=(4, 6))
    assert hidden[0, 0].max() == 0 and hidden[0, 1].min() == 1


def test_a_part_affinity_field_by_hand() -> None:
    """A limb from (11.5, 19.5) to (43.5, 19.5), the centers of cells (1, 2) and (5, 2); it extends by one cell."""
    limb = torch.tensor([[[[11.5, 19.5], [43.5, 19.5]]]])
    visible = torch.ones(1, 1, 2, dtype=torch.bool)
    field = paf_targets(limb, visible, PAIR, size=(5, 8))[0]
    on = torch.zeros(5, 8)
    on[1:4, 0:7] = 1
    assert torch.equal(field[0], on) and field[1].abs().max() == 0
    assert paf_targets(limb, torch.tensor([[[True, False]]]), PAIR, size=(5, 8)).abs().max() == 0
    assert paf_targets(limb[..., :1, :].expand(1, 1, 2, 2), visible, PAIR, size=(5, 8)).abs().max() == 0


@pytest.mark.parametrize("sigma", [4.0, 7.0])
def test_heatmaps_equal_the_definition_of_the_paper(sigma: float) -> None:
    """50 random joints, some of them outside of the maps."""
    joints = torch.rand(50, 1, 1, 2, generator=torch.Generator().manual_seed(0)).double() * 130 - 15
    visible = torch.ones(50, 1, 1, dtype=torch.bool)
    maps = heatmap_targets(joints, visible, size=(12, 13), sigma=sigma)
    for (heatmap, _), ((joint,),) in zip(maps, ((joints - 3.5) / 8).tolist(), strict=True):
        torch.testing.assert_close(heatmap.float(), joint_heatmap(joint, size=(12, 13), sigma=sigma / 8))


@pytest.mark.parametrize("thickness", [0.5, 1.0, 1.7])
def test_fields_equal_the_definition_of_the_paper(thickness: float) -> None:
    """50 random limbs, some of them partly outside of the maps."""
    ends = torch.rand(50, 1, 2, 2, generator=torch.Generator().manual_seed(0)).double() * 130 - 15
    visible = torch.ones(50, 1, 2, dtype=torch.bool)
    fields = paf_targets(ends, visible, PAIR, size=(12, 13), thickness=thickness)
    for field, ((first, second),) in zip(fields, ((ends - 3.5) / 8).tolist(), strict=True):
        expected = limb_field(first, second, size=(12, 13), thickness=thickness)
        torch.testing.assert_close(field.float(), expected)


@pytest.mark.parametrize("degrees", [0, 30, 45, 60, 90])
def test_limbs_are_centered_on_the_joints_and_equally_wide_in_all_directions(degrees: int) -> None:
    """200 limbs of 120 pixels at random positions cover 2 x (15 + 2) cells on average, centered on the joints."""
    angle = math.radians(degrees)
    half = 60 * torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    normal = torch.tensor([-math.sin(angle), math.cos(angle)], dtype=torch.float64)
    centers = torch.rand(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 8 + 100
    limbs = torch.stack([centers - half, centers + half], 1)[:, None]
    visible = torch.ones(200, 1, 2, dtype=torch.bool)
    fields = paf_targets(limbs, visible, PAIR, size=(26, 26))
    image, y, x = torch.nonzero(fields.norm(dim=1), as_tuple=True)
    assert abs(len(image) / 200 - 2 * 17) < 0.7
    offsets = torch.stack([x, y], 1) * 8 + 3.5 - centers[image]
    assert abs(float((offsets @ normal).mean())) < 0.35 and abs(float((offsets @ half).mean() / 60)) < 0.35


def test_the_field_of_the_published_code_by_hand() -> None:
    """A limb from (8, 16) to (40, 16), in cells (1, 2) to (5, 2): rows 1 to 2 and columns 0 to 5 point right."""
    limb = torch.tensor([[[[8.0, 16], [40, 16]]]])
    visible = torch.ones(1, 1, 2, dtype=torch.bool)
    field = paf_targets(limb, visible, PAIR, size=(5, 8), align="reference")[0]
    on = torch.zeros(5, 8)
    on[1:3, 0:6] = 1  # the box ends before row 3 and column 6
    assert torch.equal(field[0], on) and field[1].abs().max() == 0
    assert paf_targets(limb, torch.tensor([[[True, False]]]), PAIR, size=(5, 8)).abs().max() == 0


def test_crossing_fields_are_merged_by_mean_or_last() -> None:
    """One limb points right, one down; they cross at the center of cell (2, 2)."""
    limbs = torch.tensor([[[[3.5, 19.5], [51.5, 19.5]], [[19.5, 3.5], [19.5, 43.5]]]])
    visible = torch.ones(1, 2, 2, dtype=torch.bool)
    mean, last = (paf_targets(limbs, visible, PAIR, size=(6, 7), merge=merge)[0] for merge in ("mean", "last"))
    assert mean[:, 2, 2].tolist() == [0.5, 0.5] and last[:, 2, 2].tolist() == [0, 1]
    assert mean[:, 2, 5].tolist() == [1, 0] == last[:, 2, 5].tolist()
    other = paf_targets(limbs.flip(1), visible, PAIR, size=(6, 7), merge="last")[0]
    assert other[:, 2, 2].tolist() == [1, 0]


def test_targets_of_a_batch_are_those_of_its_images() -> None:
    """The batch has more images than are drawn at a time."""
    keypoints = torch.randn(11, 4, 2, 2, generator=torch.Generator().manual_seed(1)) * 20 + 40
    visible = torch.rand(11, 4, 2, generator=torch.Generator().manual_seed(2)) < 0.8
    batch = [heatmap_targets(keypoints, visible, size=(12, 9)), paf_targets(keypoints, visible, PAIR, size=(12, 9))]
    for i in range(11):
        one = keypoints[i : i + 1], visible[i : i + 1]
        torch.testing.assert_close(batch[0][i], heatmap_targets(*one, size=(12, 9))[0])
        torch.testing.assert_close(batch[1][i], paf_targets(*one, PAIR, size=(12, 9))[0])
