"""Compare ``firstsight predict FOLDER`` with decoding all images and then running the bare network.

    python benchmarks/predict_folder.py
    python benchmarks/predict_folder.py --model resnet18 --images 500

The reference decodes and resizes the same files with the same number of threads, keeps the inputs in memory, and then
runs the network alone on batches of the same size. A ratio of 1 means that predicting a folder takes as long as both.
The images are JPEG files of 500x375 pixels: crops of a bundled photograph. A name without bundled weights is a network
with random weights.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from firstsight import create_model, load
from firstsight.data.image_io import Preprocess, open_image
from firstsight.data.sample_image import sample_people
from firstsight.errors import FirstsightError
from firstsight.tasks.classification.classifier import Classifier
from firstsight.tasks.classification.stream import default_batch_size

IMAGENET = Preprocess(3, 224, 0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), shorter=256)


def classifier_of(name: str) -> Classifier:
    """Return a bundled classifier, or a network for ImageNet with random weights."""
    try:
        return load(name)
    except FirstsightError:
        card = {"model": name, "about": {}}
        return Classifier(create_model(name).eval(), IMAGENET, tuple(map(str, range(1000))), card, name)


def write_images(folder: Path, count: int) -> None:
    """Write crops of a photograph as JPEG files."""
    photo = open_image(sample_people()).resize((1280, 844))
    rng = np.random.default_rng(0)
    for index in range(count):
        left, top = int(rng.integers(0, 1280 - 500)), int(rng.integers(0, 844 - 375))
        photo.crop((left, top, left + 500, top + 375)).save(folder / f"{index:05}.jpg", quality=90)


def reference(model: Classifier, folder: Path, batch_size: int) -> tuple[float, float]:
    """Return the seconds for decoding all files, and for the bare network."""
    start = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        arrays = list(pool.map(lambda path: model.preprocess.to_pixels(open_image(path)), sorted(folder.iterdir())))
    decoding = time.perf_counter() - start
    inputs = [model.preprocess.normalize(chunk) for chunk in torch.from_numpy(np.stack(arrays)).split(batch_size)]
    start = time.perf_counter()
    with torch.inference_mode():
        for chunk in inputs:
            torch.softmax(model.model(chunk.to(next(model.model.parameters()).dtype)), 1)
    return decoding, time.perf_counter() - start


def count(items: Iterable[object]) -> int:
    """Return the number of items of an iterator."""
    return sum(1 for _ in items)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="airbench-cifar10")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    model = classifier_of(options.model)
    if model.tta_views > 1:
        model = Classifier(model.model, model.preprocess, model.classes, model.card, model.source)
    size = default_batch_size(model.input_shape)
    print(f"{options.model}: {options.images:,} JPEG files of 500x375 pixels, batches of {size}, ", end="")
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads of torch")
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder, options.images)
        reference(model, folder, size)  # warm up
        for _ in range(options.repeat):
            decoding, network = reference(model, folder, size)
            start = time.perf_counter()
            assert count(model.stream(folder)) == options.images
            seconds = time.perf_counter() - start
            ratios.append((decoding + network) / seconds)
            print(
                f"decoding {decoding:.2f} s + network {network:.2f} s; predict {seconds:.2f} s"
                f" ({options.images / seconds:,.0f} images/s); ratio {ratios[-1]:.2f}"
            )
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
