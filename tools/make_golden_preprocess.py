"""Write images preprocessed by torchvision as reference values for the tests.

Run it in a separate environment with torchvision, which is not a dependency of the project::

    python -m venv /tmp/golden && /tmp/golden/bin/pip install torchvision safetensors numpy pillow
    /tmp/golden/bin/python tools/make_golden_preprocess.py

The preset ``IMAGENET1K_V1.transforms()`` is applied to images of ``tools/formula.py``. Every 16th pixel of every 16th
row and the mean of each channel are stored with the package versions in
``tests/parity/golden-preprocess.safetensors``.
"""

from pathlib import Path

import PIL
import torch
import torchvision
from formula import photo
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import ResNet34_Weights

PARITY = Path(__file__).parents[1] / "tests" / "parity"

SIZES = ((500, 375), (375, 500), (1024, 683), (333, 257), (256, 256), (224, 224), (90, 61), (801, 40))


def main() -> None:
    """Preprocess all images and store the samples."""
    preset = ResNet34_Weights.IMAGENET1K_V1.transforms()
    golden: dict[str, torch.Tensor] = {}
    for width, height in SIZES:
        prepared = preset(Image.fromarray(photo(width, height)))
        assert prepared.shape == (3, 224, 224)
        golden[f"{width}x{height}"] = prepared[:, ::16, ::16].contiguous()
        golden[f"{width}x{height} mean"] = prepared.double().mean((1, 2))
        print(f"{width}x{height}: mean {prepared.mean():+.4f}")
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "pillow": PIL.__version__}
    save_file(golden, PARITY / "golden-preprocess.safetensors", {"versions": str(versions)})


if __name__ == "__main__":
    main()
