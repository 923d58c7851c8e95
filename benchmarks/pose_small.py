"""Studies of the bundled pose networks for photographs: the head of the top-down one, the targets of the bottom-up one.

    python benchmarks/pose_small.py heads   --data PHOTOS_BOXES [--epochs 3] [--out DIR]
    python benchmarks/pose_small.py targets --data PHOTOS --teacher WEIGHTS [--steps 1500] [--out DIR]

Each row is a short training of the recipe with one change, with the learning-rate schedule of that length, measured
after the last step on the held-out photographs of --data, which label_boxes.py and label_photos.py wrote. Runs in --out
are kept, and continued if they were stopped.

heads: SimCC (the recipe), heatmaps with cross entropy, and heatmaps with mean squared error.
targets: the heatmaps and fields of the joints that the teacher found (the recipe), or the teacher's own maps of the
scene, computed for every batch.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from firstsight import load
from firstsight.data.keypoints.scenes import SceneBatch
from firstsight.recipes.train import NullCallback, train
from firstsight.tasks.pose.bottom_up.evaluate import network_input
from firstsight.tasks.pose.bottom_up.train import BottomUpTask

HEADS: dict[str, dict[str, Any]] = {
    "SimCC, the recipe": {},
    "heatmaps, cross entropy": {"head": "heatmap", "sigma": 8.0},
    "heatmaps, mean squared error": {"head": "mse", "sigma": 8.0},
}


class TeacherMaps(BottomUpTask):
    """Bottom-up training whose targets are the maps that another network computes for the same scene."""

    teacher: torch.nn.Module

    def train_step(self, batch: SceneBatch) -> dict[str, Tensor]:
        """Train on one batch, with the teacher's maps as targets."""
        self._scene = batch
        with torch.no_grad(), self.accelerator.autocast():
            *_, maps = self.teacher(network_input(batch.images, self.batches.dtype))
        self._maps = [each.float().clone() for each in maps]
        return super().train_step(batch)

    def targets(self, batch: SceneBatch) -> tuple[Tensor, Tensor]:
        """Return the teacher's maps in training, and those of the labeled joints in the evaluation."""
        if batch is not getattr(self, "_scene", None):
            return super().targets(batch)
        heatmaps, pafs = self._maps
        return heatmaps, pafs


def main() -> None:
    """Train all rows of a study and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=("heads", "targets"))
    parser.add_argument("--data", required=True)
    parser.add_argument("--teacher", help="weights of the network that labeled the photographs")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    parser.add_argument("--only", nargs="*", help="rows to train")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.out or Path(scratch)
        if arguments.study == "heads":
            study_heads(arguments, folder)
        else:
            study_targets(arguments, folder)


def study_heads(arguments: argparse.Namespace, folder: Path) -> None:
    """Train the top-down network with each head."""
    print(f"\n{arguments.epochs} epochs, seed 0\n\n| head | AP | PCK@0.2 | seconds |\n| --- | --- | --- | --- |")
    for name, changes in HEADS.items():
        if arguments.only and name.split(",")[0] not in arguments.only and name not in arguments.only:
            continue
        metrics = run_recipe(
            "pose-small-photos", folder / name.replace(" ", "-"), arguments, epochs=arguments.epochs, **changes
        )
        print(f"| {name} | {metrics['ap']:.3f} | {metrics['pck']:.3f} | {metrics['seconds']:.0f} |", flush=True)


def study_targets(arguments: argparse.Namespace, folder: Path) -> None:
    """Train the bottom-up network on the teacher's joints and on the teacher's maps."""
    if arguments.teacher is None:
        raise SystemExit("targets: --teacher is missing, the weights of the network that labeled the photographs")
    TeacherMaps.teacher = load(arguments.teacher).network.model.eval()
    print(f"\n{arguments.steps} steps, seed 0\n\n| targets | AP | AR | seconds |\n| --- | --- | --- | --- |")
    for name, task in (("joints", BottomUpTask), ("maps", TeacherMaps)):
        if arguments.only and name not in arguments.only:
            continue
        with mock.patch("firstsight.tasks.pose.bottom_up.build.BottomUpTask", task):
            metrics = run_recipe(
                "openpose-small-photos", folder / name, arguments, max_steps=arguments.steps, low_res_fraction=1.0
            )
        print(f"| {name} | {metrics['ap']:.3f} | {metrics['ar']:.3f} | {metrics['seconds']:.0f} |", flush=True)


def run_recipe(recipe: str, out: Path, arguments: argparse.Namespace, **changes: Any) -> dict[str, float]:
    """Train a recipe with changes, evaluated at the end only; return its metrics and seconds."""
    result = train(
        recipe, callback=NullCallback(), out=out, resume=True, data=arguments.data, evaluate_every=1000, **changes
    )
    return {**result.metrics, "seconds": result.seconds}


if __name__ == "__main__":
    main()
