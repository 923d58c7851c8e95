"""Crops of one person: coordinates to a thousandth of a pixel, pixels as PIL resamples them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from firstsight.data.affine import Affine
from firstsight.data.keypoints.crop import crop_matrices, crop_regions, inverse, transform_points, warp


def photo(width: int = 400, height: int = 300) -> Image.Image:
    """Return an image of smooth colors."""
    rough = np.random.default_rng(0).integers(0, 255, (height // 10, width // 10, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)


def tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def test_crop_regions_have_the_aspect_ratio_and_contain_the_padded_box() -> None:
    boxes = torch.tensor([[10.0, 20, 30, 80], [0, 0, 90, 10], [5, 5, 12, 16]])
    regions = crop_regions(boxes, aspect=0.75, padding=1.25)
    torch.testing.assert_close(regions[:, 2] / regions[:, 3], torch.full((3,), 0.75))
    assert regions[0].tolist() == [25, 60, 75, 100] and regions[1].tolist() == [45, 5, 112.5, 150]
    assert regions[2].tolist() == [11, 13, 15, 20]


def test_inverse_of_a_crop_is_exact_to_a_thousandth_of_a_pixel() -> None:
    """1,000 random crops of images of up to 4,000 pixels; the error is below 0.02 pixels in single precision."""
    draw = torch.Generator().manual_seed(0)
    n = 1000
    regions = torch.rand(n, 4, generator=draw) * torch.tensor([4000, 4000, 1500, 1500]) + torch.tensor([0, 0, 20, 20])
    regions[:, 3] = regions[:, 2]
    matrices = crop_matrices(
        regions,
        size=(128, 128),
        degrees=360 * torch.rand(n, generator=draw),
        flipped=torch.rand(n, generator=draw) < 0.5,
    )
    points = regions[:, None, :2] + (torch.rand(n, 17, 2, generator=draw) - 0.5) * regions[:, None, 2:]
    back = transform_points(transform_points(points, matrices), inverse(matrices))
    assert (back - points).abs().max() < 2e-2  # float32 near 4,000 has steps of 0.0002, and rotations multiply them
    exact = matrices.double()
    assert (transform_points(transform_points(points.double(), exact), inverse(exact)) - points).abs().max() < 1e-3


def test_center_and_corner_of_a_region_become_center_and_corner_of_the_crop() -> None:
    matrices = crop_matrices(torch.tensor([[50.0, 70, 30, 40]]), size=(80, 60))
    points = torch.tensor([[[50.0, 70], [50 - 15 + 0.25, 70 - 20 + 0.25]]])
    torch.testing.assert_close(transform_points(points, matrices), torch.tensor([[[29.5, 39.5], [0, 0]]]))
    turned = crop_matrices(
        torch.tensor([[50.0, 70, 40, 40]]), size=(40, 40), degrees=torch.tensor([90.0]), flipped=torch.tensor([True])
    )
    right = transform_points(torch.tensor([[[55.0, 70]]]), turned)  # flipped to the left, then rotated upwards
    torch.testing.assert_close(right, torch.tensor([[[19.5, 14.5]]]))


@pytest.mark.parametrize("scale", [2.3, 1.0, 0.7, 0.4, 0.21])
@pytest.mark.parametrize("flipped", [False, True])
def test_pixels_of_a_crop_are_those_of_pil(scale: float, flipped: bool) -> None:
    """The mean difference is at most 1/255, as PIL rounds down; PIL has no soft edge at the border of the image."""
    image = photo()
    transform = Affine(scale=scale, degrees=25, flipped=flipped, origin=(200.0, 150.0), target=(64.0, 64.0))
    expected = np.asarray(transform.warp(image, size=(128, 128), fill=(128, 128, 128))).astype(float)
    matrices = crop_matrices(
        torch.tensor([[199.5, 149.5, 128 / scale, 128 / scale]]),
        size=(128, 128),
        degrees=torch.tensor([25.0]),
        flipped=torch.tensor([flipped]),
    )
    crop = warp([tensor(image)], matrices, size=(128, 128))[0].permute(1, 2, 0).numpy()
    difference = np.abs(crop - expected)
    assert difference.mean() <= 1 and np.median(difference) <= 1
    source = transform_points(
        torch.from_numpy(np.indices((128, 128))[::-1].reshape(2, -1).T.copy()).double()[None],
        inverse(matrices.double()),
    )
    x, y = source[0].T.numpy()
    inside = ((x > 5) & (x < 394) & (y > 5) & (y < 294)).reshape(128, 128)
    assert difference[inside].max() < 2


@pytest.mark.parametrize("factor", [1, 2, 3, 5, 8])
def test_reduced_crops_are_samples_of_the_averaged_image(factor: int) -> None:
    """The reference averages the whole image; the outermost row and column are not compared."""
    image = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, 500, 700), dtype=np.uint8))
    average = F.avg_pool2d(image[None].double(), factor, ceil_mode=True, count_include_pad=False)
    regions = torch.tensor([[350.3, 250.8, 30.0 * factor, 40.0 * factor], [345.1, 240.5, 32.0 * factor, 42.6 * factor]])
    matrices = crop_matrices(regions.double(), size=(40, 30), degrees=torch.tensor([0.0, 90.0]))
    crops = warp([image] * 2, matrices, size=(40, 30))
    pixels = torch.from_numpy(np.indices((40, 30))[::-1].reshape(2, -1).T.copy()).double()
    cells = (transform_points(pixels.expand(2, -1, 2), inverse(matrices)) + 0.5) / factor
    grid = (2 * cells / torch.tensor([average.shape[3], average.shape[2]]) - 1).view(2, 40, 30, 2)
    expected = F.grid_sample(average.expand(2, -1, -1, -1), grid, align_corners=False)
    torch.testing.assert_close(crops[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_crop_does_not_depend_on_the_others_and_is_gray_outside_the_image() -> None:
    image = tensor(photo())
    regions = torch.tensor([[30.0, 40, 60, 60], [200, 100, 500, 500], [-300, -300, 50, 50], [399, 299, 40, 40]])
    joint_batch = warp([image] * 4, crop_matrices(regions, size=(64, 64)), size=(64, 64))
    for number, region in enumerate(regions):
        alone = warp([image], crop_matrices(region[None], size=(64, 64)), size=(64, 64))
        torch.testing.assert_close(joint_batch[number], alone[0], rtol=0, atol=1e-3)
    assert (joint_batch[2] == 128).all() and (joint_batch[3][:, 40:, 40:] == 128).all() and joint_batch.isfinite().all()
    plain = warp([image], crop_matrices(torch.tensor([[31.5, 31.5, 64, 64]]), size=(64, 64)), size=(64, 64))
    torch.testing.assert_close(plain[0], image[:, :64, :64].float(), rtol=0, atol=1e-3)
