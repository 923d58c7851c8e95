"""One person at a time: what augmentation and labels cost in training, and what batches of people gain.

    python benchmarks/crops.py [--data PATH] [--rounds 7] [--steps 12]

First the training step of the recipe pose-tiny-lsp, as the engine takes it, with its crops cut and turned and its
labels drawn, beside the bare network's step: the same network, batch, precision, optimizer and cross entropy, on
pictures and wanted maps that are ready. Files are read in the first epoch alone; these are steps of the second. Then
20 people of one picture looked at together and one by one. Both in alternation; ratios round by round, median with
minimum and maximum. Without --data, people are drawn.
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
from firstsight.pose.skeleton import LSP_14
from firstsight.recipes import find_recipe
from firstsight.recipes.train import NullCallback, RunOptions, TrainingRun
from firstsight.tasks.ema_task import make_optimizer
from firstsight.tasks.pose.top_down.estimate import TopDownEstimator
from firstsight.tasks.pose.top_down.evaluate import crop_input
from firstsight.tasks.pose.top_down.train import TopDownTask
from firstsight.weights.memory_format import channels_last
from firstsight.weights.top_down import TopDownNetwork

PEOPLE = 20


def drawn(folder: Path, count: int = 200) -> Path:
    """Pictures of noise with joints anywhere: for time it does not matter what is to be seen."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    images, annotations = [], []
    for i in range(1, count + 1):
        pixels = rng.integers(0, 255, (150, 150, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.jpg")
        joints = np.concatenate([rng.uniform(20, 130, (14, 2)), np.full((14, 1), 2)], 1)
        images.append({"id": i, "file_name": f"{i}.jpg", "width": 150, "height": 150})
        annotations.append(
            {"id": i, "image_id": i, "category_id": 1, "bbox": [10, 10, 130, 130], "area": 9000.0,
             "keypoints": joints.ravel().tolist()}
        )  # fmt: skip
    path = folder / "person_keypoints.json"
    categories = [LSP_14.category() | {"id": 1}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def training(data: str, steps: int) -> dict[str, Callable[[], float]]:
    """Seconds of so many steps: ours, and the bare network's."""
    recipe = find_recipe("pose-tiny-lsp")
    settings = replace(recipe.settings, data=data, ema_decay=0.0)
    session = TrainingRun(recipe, settings, RunOptions(device="cpu"), NullCallback())
    task = session.make_task(*session.materials.load())
    assert isinstance(task, TopDownTask)
    bare = channels_last(create_top_down("pose-tiny", skeleton=task.skeleton, size=task.batches.size))
    optimizer = make_optimizer(bare, task.optimizer_config)
    for index in range(task.batches.steps):  # the first epoch's reading of files
        ready = crop_input(task.batches.get(0, index).images)
    wanted = torch.softmax(torch.randn(len(ready), len(task.skeleton), ready.shape[2] * ready.shape[3] // 16), 2)
    place = [task.batches.steps]

    def ours() -> float:
        began = time.perf_counter()
        for _ in range(steps):
            epoch, index = divmod(place[0], task.batches.steps)
            task.train_step(task.batches.get(epoch, index))
            place[0] += 1
        return time.perf_counter() - began

    def network() -> float:
        began = time.perf_counter()
        for _ in range(steps):
            with torch.autocast("cpu", torch.bfloat16):
                (maps,) = bare(ready)
            (-(wanted * F.log_softmax(maps.float().flatten(2), 2)).sum() / len(maps)).backward()
            optimizer.step()
            optimizer.zero_grad()
        return time.perf_counter() - began

    return {"ours": ours, "bare": network}


def looking() -> dict[str, Callable[[], float]]:
    """Seconds for the people of one picture: together, and one by one."""
    net = channels_last(create_top_down("pose-tiny", skeleton=LSP_14, size=(128, 128)).eval())
    network = TopDownNetwork(net, LSP_14, (128, 128), {}, "fresh", "pose-tiny")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8))
    boxes = [[20.0 + 28 * i, 60 + 7 * i, 60, 150] for i in range(PEOPLE)]

    def looked(batch: int) -> Callable[[], float]:
        estimator = TopDownEstimator(network, batch=batch)

        def look() -> float:
            began = time.perf_counter()
            estimator(image, boxes)
            return time.perf_counter() - began

        return look

    return {"together": looked(32), "one by one": looked(1)}


def compare(runners: dict[str, Callable[[], float]], rounds: int) -> str:
    """The second's time over the first's."""
    for runner in runners.values():
        runner()
    ratios = []
    for _ in range(rounds):
        first, second = (runner() for runner in runners.values())
        ratios.append(second / first)
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}, {rounds} rounds)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=12)
    arguments = parser.parse_args()
    keep_freed_memory()  # as the engine does, here for both
    print(f"{torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as scratch:
        data = arguments.data or str(drawn(Path(scratch)))
        speed = compare(training(data, arguments.steps), arguments.rounds)
    print(f"speed of the training step, as a multiple of the bare network's: {speed}")
    print(f"{PEOPLE} people together, speed as a multiple of one by one: {compare(looking(), arguments.rounds)}")


if __name__ == "__main__":
    main()
