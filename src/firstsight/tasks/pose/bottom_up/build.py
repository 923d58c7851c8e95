"""What a run of a pose network is made of: people in pictures, a network of their skeleton, and the task."""

from pathlib import Path

import torch

from firstsight.data.keypoints.keypoint_set import KeypointSet
from firstsight.data.keypoints.scenes import Scenes
from firstsight.models.pose import create_bottom_up
from firstsight.tasks.builder import optimizer_config_of, shown
from firstsight.tasks.pose.bottom_up.evaluate import BottomUpEvaluator
from firstsight.tasks.pose.bottom_up.settings import BottomUpSettings
from firstsight.tasks.pose.bottom_up.train import BottomUpTask
from firstsight.tasks.pose.build import PoseBuilder


class BottomUpBuilder(PoseBuilder[BottomUpSettings]):
    """Gathers the materials of a bottom-up pose network."""

    def make_task(self, train: KeypointSet, test: KeypointSet) -> BottomUpTask:
        """Network, scenes and optimizer, on the device and ready to train.

        Raises
        ------
        DataError
            Nobody to learn from, or too few pictures.
        """
        settings = self.settings
        torch.manual_seed(settings.seed)
        batches, others = self._scenes(train, settings.seed, settings.low_res_fraction), self._scenes(test, 0, 0.0)
        self._check(batches, others)
        net = create_bottom_up(self.model, skeleton=train.skeleton, stages=settings.stages)
        about = {"recipe": self.name, "data": Path(settings.data).name, "settings": shown(settings)}
        task = BottomUpTask(
            net,
            batches,
            BottomUpEvaluator(others, most=settings.max_eval_samples),
            optimizer_config=optimizer_config_of(settings),
            ema=settings.ema_decay,
            sigma=settings.sigma,
            paf_weight=settings.paf_weight,
            foreground=settings.foreground_weight,
            restart=settings.lr_restart,
            model=self.model,
            stages=settings.stages,
            height=settings.image_size,
            about=about,
        )
        task.prepare(self.accelerator)
        return task

    def _scenes(self, people: KeypointSet, seed: int, early: float) -> Scenes:
        settings = self.settings
        return Scenes(
            people, settings.scenes, batch_size=settings.batch_size, epochs=self.epochs, seed=seed,
            side=settings.image_size, smallest=settings.min_scale, largest=settings.max_scale, rotate=settings.rotate,
            flip=settings.flip == "random", most=settings.max_people, early=early,
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
