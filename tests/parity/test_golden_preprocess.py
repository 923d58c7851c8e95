"""Our preparation of pictures for published weights against torchvision's: the same picture, the same numbers."""

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
def test_pixels_are_torchvisions(size: str) -> None:
    """Largest difference seen: 5e-7, float32 rounding; one grey level would be 0.017."""
    prepare = preprocess_of(PUBLISHED["resnet34"])
    width, height = map(int, size.split("x"))
    pixels = torch.from_numpy(prepare.picture(Image.fromarray(photo(width, height))))[None]
    torch.testing.assert_close(prepare.normalise(pixels)[0, :, ::16, ::16], GOLDEN[size], rtol=0, atol=2e-6)
    mean = prepare.normalise(pixels, torch.float64)[0].mean((1, 2))
    torch.testing.assert_close(mean, GOLDEN[f"{size} mean"], rtol=0, atol=1e-6)


def test_googlenet_normalises_as_the_port_does_twice() -> None:
    """torchvision's network undoes ImageNet's normalisation for mean 0.5 and std 0.5 (``transform_input``)."""
    pixels = torch.from_numpy(photo(224, 224)).permute(2, 0, 1)[None].contiguous()
    imagenet = preprocess_of(PUBLISHED["resnet34"])
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (imagenet.mean, imagenet.std))
    theirs = imagenet.normalise(pixels, torch.float64) * (std / 0.5) + (mean - 0.5) / 0.5
    ours = preprocess_of(PUBLISHED["googlenet"]).normalise(pixels, torch.float64)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert float(ours.min()) >= -1
    assert float(ours.max()) <= 1
