"""What a Frechet distance means: real test pictures with something done to them, against the same pictures; a table.

    python benchmarks/distance.py --data PATH [--size 32] [--generator dcgan-fashion]

Measured as generators are (`firstsight evaluate`), in the features of the judge for the data set. The first row is that
of training pictures, as many as there are test pictures: no generator should come below it. With --generator (shipped
weights, or a run) one draw of its pictures is measured as well, as it is, blurred and sharpened, and all in its size:
what makes the distance smaller is what the generator lacks.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor

from firstsight.data.batches import fit_images
from firstsight.data.image_io import Preprocess
from firstsight.data.images.loading import load
from firstsight.metrics.frechet import frechet_distance
from firstsight.models.gan.augment import noisy
from firstsight.tasks.gan.evaluate import chosen, look_at
from firstsight.tasks.gan.reference_classifier import reference_for
from firstsight.weights.generator import Generator, load_generator


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", type=int, default=32, help="side of the pictures in pixels; a generator has its own")
    parser.add_argument("--generator", help="shipped weights, or a run, whose pictures are measured too")
    arguments = parser.parse_args()
    made = load_generator(arguments.generator) if arguments.generator else None
    size = made.preprocess.resize if made else arguments.size
    train, test = (load(arguments.data, split, size=size, labelled=False) for split in ("train", "test"))
    n, channels = min(len(train), len(test)), test.channels
    prepare = Preprocess(
        channels=channels, resize=size, pad=0, mean=(0.5,) * channels, std=(0.5,) * channels
    )  # fmt: skip
    reference = reference_for(test.name, test.classes)
    seen, labels = look_at(reference, test, n, prepare)
    images = fit_images(test, prepare)[chosen(test, n)]
    rest = labels != 0
    rows = {"training pictures": frechet_distance(seen.features, look_at(reference, train, n, prepare)[0].features)}
    changes = {
        "blurred: 0.05, 0.9, 0.05 in both directions": blurred(images, 0.05),
        "blurred: 0.1, 0.8, 0.1": blurred(images, 0.1),
        "noise with a deviation of 5 (of 255)": under_noise(images, 5),
        "noise of 10": under_noise(images, 10),
        "moved by a pixel": torch.roll(images, 1, dims=3),
        "5 % darker": (images * 0.95).round().to(torch.uint8),
        f"without {test.classes[0]}": images[rest],
    }
    if made:
        changes |= generated(made, n)
    for name, changed in changes.items():
        rows[name] = frechet_distance(seen.features, reference.look(changed).features)
    print(f"{test.name}, {size} pixels, features of {reference.name}, N = {n:,}\n\n| | distance |\n| --- | --- |")
    for name, value in rows.items():
        print(f"| {name} | {value:.2f} |")


def generated(made: Generator, n: int) -> dict[str, Tensor]:
    """Pictures of a generator, the same in every run, and what may be done to them."""
    one = made(made.draw(n, seed=0))
    return {
        "generated, one draw": one,
        "generated, blurred: 0.03, 0.94, 0.03": blurred(one, 0.03),
        "generated, sharpened: -0.03, 1.06, -0.03": blurred(one, -0.03),
        "generated, sharpened: -0.06, 1.12, -0.06": blurred(one, -0.06),
    }


def blurred(images: Tensor, side: float) -> Tensor:
    """Each pixel a mean with its neighbours, which weigh ``side`` in each direction; below 0 it sharpens."""
    line = torch.tensor([side, 1 - 2 * side, side])
    channels = images.shape[1]
    kernel = (line[:, None] * line).expand(channels, 1, 3, 3)
    wide = F.pad(images.float(), (1, 1, 1, 1), mode="replicate")
    return F.conv2d(wide, kernel, groups=channels).round().clamp(0, 255).to(torch.uint8)


def under_noise(images: Tensor, deviation: float) -> Tensor:
    """Normal noise on every pixel, the same in every run."""
    torch.manual_seed(0)
    return noisy(images.float(), deviation).round().clamp(0, 255).to(torch.uint8)


if __name__ == "__main__":
    main()
