"""Accuracy on images as stored and on images that are compressed as JPEG once more, to estimate the cost of JPEG.

    python benchmarks/jpeg.py --data CIFAR10 [--epochs 4] [--seeds 1] [--out DIR]

--data is a folder or zip file of images in class folders. The published copies of CIFAR-10 on some sites are JPEG files
of quality 75 with chroma subsampling (4:2:0). A second compression of the same kind changes nothing if its 8x8 blocks
are the same, so the images are shifted by 4 pixels for it, and back. The network is airbench with the settings of its
recipe, measured on 10 % of the training images.
"""

import argparse
import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from accuracy import mean_and_std, train
from PIL import Image

from firstsight import load_data
from firstsight.data.images.image_set import ImageSet

SHIFT = 4
QUALITY = 75
SUBSAMPLING_420 = 2


def main() -> None:
    """Train on both kinds of images and print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="keep the data and the runs in this folder")
    arguments = parser.parse_args()
    epochs = str(arguments.epochs)
    options = ["--val-fraction", "0.1", "--epochs", epochs, "--evaluate-every", epochs]
    with tempfile.TemporaryDirectory() as scratch:
        out = arguments.out or Path(scratch)
        images = load_data(arguments.data, "train")
        for name, is_compressed in (("as stored", False), ("compressed again", True)):
            path = out / f"{name.replace(' ', '-')}.zip"
            if not path.exists():
                write(images, path, is_compressed=is_compressed)
            results = [
                train("airbench-cifar10", seed, out / f"{path.stem}-{seed}", data=str(path), options=options)
                for seed in range(arguments.seeds)
            ]
            print(f"| {name} | {mean_and_std([result.accuracy for result in results])} |", flush=True)


def write(images: ImageSet, path: Path, *, is_compressed: bool) -> None:
    """Write images to a zip file of class folders with PNG files, which lose nothing."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, (pixels, label) in enumerate(zip(images.images, images.labels.tolist(), strict=True)):
            image = pixels.permute(1, 2, 0).numpy()
            file = io.BytesIO()
            Image.fromarray(compress(image) if is_compressed else image).save(file, "png", compress_level=1)
            archive.writestr(f"{images.classes[label]}/{number}.png", file.getvalue())


def compress(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, 3) after a JPEG compression with blocks that are shifted by 4 pixels."""
    file = io.BytesIO()
    shifted = np.roll(image, (SHIFT, SHIFT), axis=(0, 1))
    Image.fromarray(shifted).save(file, "jpeg", quality=QUALITY, subsampling=SUBSAMPLING_420)
    return np.roll(np.asarray(Image.open(file)), (-SHIFT, -SHIFT), axis=(0, 1))


if __name__ == "__main__":
    main()
