"""Preprocessing of images for published weights equals torchvision's."""

from pathlib import Path

import pytest
import torch
from formula import photo
from PIL import Image
from safetensors.torch import load_file

from firstsight.weights.published import preprocess_of
from firstsight.weights.table import PUBLISHED

GOLDEN = load_file(Path(__file__).with_name("golden-preprocess.safetensors"))


@pytest.mark.parametrize("size", [name for name in GOLDEN if "mean" not in name])
def test_preprocessed_pixels_are_those_of_torchvision(size: str) -> None:
    """The largest difference is 5e-7, of float32 rounding; one gray level would be 0.017."""
    prepare = preprocess_of(PUBLISHED["resnet34"])
    width, height = map(int, size.split("x"))
    pixels = torch.from_numpy(prepare.to_pixels(Image.fromarray(photo(width, height))))[None]
    torch.testing.assert_close(prepare.normalize(pixels)[0, :, ::16, ::16], GOLDEN[size], rtol=0, atol=2e-6)
    mean = prepare.normalize(pixels, torch.float64)[0].mean((1, 2))
    torch.testing.assert_close(mean, GOLDEN[f"{size} mean"], rtol=0, atol=1e-6)


def test_googlenet_normalizes_as_torchvision_does_in_two_steps() -> None:
    """torchvision's network changes ImageNet's normalization to mean 0.5 and std 0.5 (``transform_input``)."""
    pixels = torch.from_numpy(photo(224, 224)).permute(2, 0, 1)[None].contiguous()
    imagenet = preprocess_of(PUBLISHED["resnet34"])
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (imagenet.mean, imagenet.std))
    theirs = imagenet.normalize(pixels, torch.float64) * (std / 0.5) + (mean - 0.5) / 0.5
    ours = preprocess_of(PUBLISHED["googlenet"]).normalize(pixels, torch.float64)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert float(ours.min()) >= -1
    assert float(ours.max()) <= 1
