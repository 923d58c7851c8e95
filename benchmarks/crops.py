"""Top-down pose: cost of augmentation and targets in training, and gain of batches of people.

    python benchmarks/crops.py [--data PATH] [--rounds 7] [--steps 12]

1. The training step of the recipe pose-tiny-lsp, with augmentation and targets, is compared with a step of the network
   alone: the same network, batch size, precision, optimizer and loss, on prepared crops and target maps. The steps are
   those of the second epoch, because only the first epoch reads files.
2. Pose estimation of 20 people of one image is compared between one batch and one person at a time.

The two variants alternate. Printed is the ratio of their times, as median over the rounds with minimum and maximum.
Without --data, the images are noise.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from firstsight.engine.memory import keep_freed_memory
from firstsight.models.pose import create_top_down
from firstsight.optim.config import make_pose_optimizers
from firstsight.pose.skeleton import LSP_14
from firstsight.recipes import find_recipe
from firstsight.recipes.train import NullCallback, RunOptions, TrainingRun
from firstsight.tasks.pose.top_down.estimate import TopDownEstimator
from firstsight.tasks.pose.top_down.evaluate import crop_input
from firstsight.tasks.pose.top_down.network import TopDownNetwork
from firstsight.tasks.pose.top_down.train import TopDownTask
from firstsight.weights.memory_format import channels_last

NUM_PEOPLE = 20


def write_noise_images(folder: Path, count: int = 200) -> Path:
    """Write noise images with random joints, and return the annotation file; the content does not affect the time."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    images, annotations = [], []
    for i in range(1, count + 1):
        pixels = rng.integers(0, 255, (150, 150, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.jpg")
        joints = np.concatenate([rng.uniform(20, 130, (14, 2)), np.full((14, 1), 2)], 1)
        images.append({"id": i, "file_name": f"{i}.jpg", "width": 150, "height": 150})
        bbox, keypoints = [10, 10, 130, 130], joints.ravel().tolist()
        annotation = {"id": i, "image_id": i, "category_id": 1, "bbox": bbox, "area": 9000.0, "keypoints": keypoints}
        annotations.append(annotation)
    path = folder / "person_keypoints.json"
    categories = [LSP_14.to_category() | {"id": 1}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def training_runners(data: str, steps: int) -> dict[str, Callable[[], float]]:
    """Return functions that time a number of training steps: of the recipe, and of the network alone."""
    recipe = find_recipe("pose-tiny-lsp")
    settings = replace(recipe.settings, data=data, ema_decay=0.0)
    run = TrainingRun(recipe, settings, RunOptions(device="cpu"), NullCallback())
    task = run.make_task(*run.builder.load())
    assert isinstance(task, TopDownTask)
    net = channels_last(create_top_down("pose-tiny", skeleton=task.skeleton, size=task.batches.size))
    optimizer = make_pose_optimizers(net, task.optimizer_config)["net"]
    for index in range(task.batches.steps):  # the first epoch reads the files
        crops = crop_input(task.batches.get(0, index).images)
    target = torch.softmax(torch.randn(len(crops), len(task.skeleton), crops.shape[2] * crops.shape[3] // 16), 2)
    step = task.batches.steps  # the first step of the second epoch

    def recipe_steps() -> float:
        nonlocal step
        start = time.perf_counter()
        for _ in range(steps):
            epoch, index = divmod(step, task.batches.steps)
            task.train_step(task.batches.get(epoch, index))
            step += 1
        return time.perf_counter() - start

    def network_steps() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            with torch.autocast("cpu", torch.bfloat16):
                (maps,) = net(crops)
            (-(target * F.log_softmax(maps.float().flatten(2), 2)).sum() / len(maps)).backward()
            optimizer.step()
            optimizer.zero_grad()
        return time.perf_counter() - start

    return {"recipe": recipe_steps, "network": network_steps}


def inference_runners() -> dict[str, Callable[[], float]]:
    """Return functions that time the pose estimation of one image: in one batch, and one person at a time."""
    net = channels_last(create_top_down("pose-tiny", skeleton=LSP_14, size=(128, 128)).eval())
    network = TopDownNetwork(net, LSP_14, (128, 128), {}, "fresh", "pose-tiny")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8))
    boxes = [[20.0 + 28 * i, 60 + 7 * i, 60, 150] for i in range(NUM_PEOPLE)]

    def runner(batch: int) -> Callable[[], float]:
        estimator = TopDownEstimator(network, flip=False, batch=batch)

        def run() -> float:
            start = time.perf_counter()
            estimator(image, boxes)
            return time.perf_counter() - start

        return run

    return {"one batch": runner(32), "one by one": runner(1)}


def compare(runners: dict[str, Callable[[], float]], rounds: int) -> str:
    """Return the ratio of the second runner's time to the first's, as text."""
    for runner in runners.values():
        runner()
    ratios = []
    for _ in range(rounds):
        first, second = (runner() for runner in runners.values())
        ratios.append(second / first)
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}, {rounds} rounds)"


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=12)
    arguments = parser.parse_args()
    keep_freed_memory()  # as the training loop does; here for both variants
    print(f"{torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as scratch:
        data = arguments.data or str(write_noise_images(Path(scratch)))
        speed = compare(training_runners(data, arguments.steps), arguments.rounds)
    print(f"speed of the training step relative to the network alone: {speed}")
    speed = compare(inference_runners(), arguments.rounds)
    print(f"speed of one batch of {NUM_PEOPLE} people relative to one by one: {speed}")


if __name__ == "__main__":
    main()
