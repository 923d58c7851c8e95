"""What a run of a pose network is made of: people in pictures, a network of their skeleton, and the task."""

from pathlib import Path

import torch

from firstsight.data.keypoints import KeypointSet
from firstsight.data.scenes import Scenes
from firstsight.pose import create_pose
from firstsight.recipes.materials import descent_of, shown
from firstsight.recipes.people import PeopleMaterials
from firstsight.recipes.recipe import PoseSettings
from firstsight.tasks.keypoint_scores import Measure
from firstsight.tasks.keypoints import EstimatePose


class Poses(PeopleMaterials[PoseSettings]):
    """Gathers the materials of a bottom-up pose network."""

    def make_task(self, train: KeypointSet, test: KeypointSet) -> EstimatePose:
        """Network, scenes and optimizer, on the device and ready to train.

        Raises
        ------
        DataError
            Nobody to learn from, or too few pictures.
        """
        settings = self.settings
        torch.manual_seed(settings.seed)
        batches, others = self._scenes(train, settings.seed, settings.early), self._scenes(test, 0, 0.0)
        self._check(batches, others)
        net = create_pose(self.recipe.model, skeleton=train.skeleton, stages=settings.stages)
        about = {"recipe": self.recipe.name, "data": Path(settings.data).name, "settings": shown(settings)}
        task = EstimatePose(
            net, batches, Measure(others, most=settings.measured), descent=descent_of(settings), ema=settings.ema,
            sigma=settings.sigma, paf_weight=settings.paf_weight, foreground=settings.foreground,
            restart=settings.restart, model=self.recipe.model, stages=settings.stages,
            height=settings.image_size, about=about,
        )  # fmt: skip
        task.prepare(self.accelerator)
        return task

    def _scenes(self, people: KeypointSet, seed: int, early: float) -> Scenes:
        settings = self.settings
        return Scenes(
            people, settings.scenes, batch_size=settings.batch_size, epochs=self.epochs, seed=seed,
            side=settings.image_size, smallest=settings.smallest, largest=settings.largest, rotate=settings.rotate,
            flip=settings.flip == "random", most=settings.people, early=early,
            early_side=self.early_side(settings.image_size, multiple=8, least=64),
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes, device=self.accelerator.device,
            dtype=torch.float64 if settings.precision == "float64" else torch.float32,
        )  # fmt: skip

    def _check(self, train: Scenes, test: Scenes) -> None:
        """Refuse too few pictures; say how many are left out; no more epochs than hold the wished updates."""
        for scenes in (train, test):
            left = len(scenes.people) - scenes.samples
            if left:
                why = "one person alone" if scenes.kind == "composed" else "a labelled person"
                note = f"{left:,} of {len(scenes.people):,} pictures are left out: they do not show {why}"
                self.notes = (*self.notes, f"{scenes.people.name}: {note}")
        self.limit(train, train.people.name, "pictures")
