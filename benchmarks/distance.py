"""Frechet distance of distorted test images from the original ones, as one table that calibrates the metric.

    python benchmarks/distance.py --data PATH [--size 32] [--generator dcgan-fashion]

The distance is computed as in `firstsight evaluate`, in the features of the reference classifier of the data set. The
first row has training images, as many as test images: a lower bound for a good generator. With --generator (bundled
weights or a run), one draw of generated images is measured unchanged, blurred and sharpened, and all images have the
generator's size. A filter that lowers the distance shows what the generated images lack.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor

from firstsight import load, load_data
from firstsight.data.batches import fit_images
from firstsight.data.image_io import Preprocess
from firstsight.metrics.frechet import frechet_distance
from firstsight.models.gan.augment import add_noise
from firstsight.tasks.gan.evaluator import classify_set, spread_rows
from firstsight.tasks.gan.generator import Generator
from firstsight.tasks.gan.reference_classifier import reference_for


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", type=int, default=32, help="side of the images in pixels (ignored with --generator)")
    parser.add_argument("--generator", help="bundled weights or a run; also measure its generated images")
    arguments = parser.parse_args()
    generator = load(arguments.generator) if arguments.generator else None
    size = generator.preprocess.resize if generator else arguments.size
    train, test = (load_data(arguments.data, split, size=size, labeled=False) for split in ("train", "test"))
    n, channels = min(len(train), len(test)), test.channels
    preprocess = Preprocess(channels=channels, resize=size, pad=0, mean=(0.5,) * channels, std=(0.5,) * channels)
    reference = reference_for(test.name, test.classes)
    real, labels = classify_set(reference, test, n, preprocess)
    images = fit_images(test, preprocess)[spread_rows(test, n)]
    is_other_class = labels != 0
    rows = {
        "training images": frechet_distance(real.features, classify_set(reference, train, n, preprocess)[0].features)
    }
    changes = {
        "blur with 0.05, 0.9, 0.05 in both directions": blur(images, 0.05),
        "blur with 0.1, 0.8, 0.1": blur(images, 0.1),
        "noise, standard deviation 5 (of 255)": add_fixed_noise(images, 5),
        "noise, standard deviation 10": add_fixed_noise(images, 10),
        "shift by one pixel": torch.roll(images, 1, dims=3),
        "5 % darker": (images * 0.95).round().to(torch.uint8),
        f"without {test.classes[0]}": images[is_other_class],
    }
    if generator:
        changes |= generate_variants(generator, n)
    for name, changed in changes.items():
        rows[name] = frechet_distance(real.features, reference(changed).features)
    print(f"{test.name}, {size} pixels, features of {reference.name}, N = {n:,}\n\n| | distance |\n| --- | --- |")
    for name, value in rows.items():
        print(f"| {name} | {value:.2f} |")


def generate_variants(generator: Generator, n: int) -> dict[str, Tensor]:
    """Return generated images of a fixed seed, unchanged and filtered."""
    images = generator(generator.draw(n, seed=0))
    return {
        "generated, one draw": images,
        "generated, blur with 0.03, 0.94, 0.03": blur(images, 0.03),
        "generated, sharpened with -0.03, 1.06, -0.03": blur(images, -0.03),
        "generated, sharpened with -0.06, 1.12, -0.06": blur(images, -0.06),
    }


def blur(images: Tensor, side: float) -> Tensor:
    """Filter with the kernel (side, 1 - 2 side, side) in both directions; a negative ``side`` sharpens."""
    line = torch.tensor([side, 1 - 2 * side, side])
    channels = images.shape[1]
    kernel = (line[:, None] * line).expand(channels, 1, 3, 3)
    padded = F.pad(images.float(), (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernel, groups=channels).round().clamp(0, 255).to(torch.uint8)


def add_fixed_noise(images: Tensor, std: float) -> Tensor:
    """Add Gaussian noise of a fixed seed to every pixel."""
    torch.manual_seed(0)
    return add_noise(images.float(), std).round().clamp(0, 255).to(torch.uint8)


if __name__ == "__main__":
    main()
