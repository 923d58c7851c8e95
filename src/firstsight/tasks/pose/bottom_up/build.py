"""Experiment builder of bottom-up pose networks."""

from pathlib import Path

import torch

from firstsight.data.keypoints.keypoint_set import KeypointSet
from firstsight.data.keypoints.scenes import Scenes
from firstsight.models.pose import create_bottom_up
from firstsight.tasks.builder import optimizer_config_of, redact_paths
from firstsight.tasks.pose.bottom_up.evaluate import BottomUpEvaluator
from firstsight.tasks.pose.bottom_up.settings import BottomUpSettings
from firstsight.tasks.pose.bottom_up.train import BottomUpTask
from firstsight.tasks.pose.build import PoseBuilder


class BottomUpBuilder(PoseBuilder[BottomUpSettings]):
    """Experiment builder of a bottom-up pose network."""

    @property
    def needs_masks(self) -> bool:
        """True except for composed scenes, which contain only images with one labeled person and no other."""
        return self.settings.scenes != "composed"

    def make_task(self, train: KeypointSet, test: KeypointSet) -> BottomUpTask:
        """Return the task with network, scenes and optimizer, on the device and ready to train.

        Raises
        ------
        DataError
            If no person is usable, or there are too few images.
        """
        settings = self.settings
        torch.manual_seed(settings.seed)
        batches = self._make_scenes(train, settings.seed, settings.low_res_fraction)
        test_scenes = self._make_scenes(test, 0, 0.0)
        for scenes in (batches, test_scenes):
            self._note_unused_images(scenes)
        self.finish_batches(batches, train.name, "images")
        net = create_bottom_up(self.model, skeleton=train.skeleton, stages=settings.stages)
        task = BottomUpTask(
            net,
            batches,
            BottomUpEvaluator(test_scenes, max_samples=settings.max_eval_samples),
            optimizer_config=optimizer_config_of(settings),
            ema_decay=settings.ema_decay,
            lr_restart=settings.lr_restart,
            sigma=settings.sigma,
            paf_weight=settings.paf_weight,
            foreground_weight=settings.foreground_weight,
            align=settings.align,
            model=self.model,
            stages=settings.stages,
            height=settings.image_size,
            about={"recipe": self.name, "data": Path(settings.data).name, "settings": redact_paths(settings)},
        )
        task.prepare(self.accelerator)
        return task

    def _make_scenes(self, people: KeypointSet, seed: int, low_res_fraction: float) -> Scenes:
        settings = self.settings
        return Scenes(
            people,
            settings.scenes,
            batch_size=settings.batch_size,
            epochs=self.epochs,
            seed=seed,
            side=settings.image_size,
            min_scale=settings.min_scale,
            max_scale=settings.max_scale,
            rotate=settings.rotate,
            flip=settings.flip == "random",
            max_people=settings.max_people,
            low_res_fraction=low_res_fraction,
            low_res_side=self.low_res_side(settings.image_size, multiple=8, minimum=64),
            rank=self.accelerator.process_index,
            world_size=self.accelerator.num_processes,
            device=self.accelerator.device,
            dtype=self.dtype,
        )

    def _note_unused_images(self, scenes: Scenes) -> None:
        """Add a note on images that cannot be used, if there are any."""
        people = scenes.people
        unused = len(people) - scenes.samples
        if unused:
            reason = (
                "they do not show exactly one labeled person" if scenes.kind == "composed" else "no person is labeled"
            )
            self.add_notes(f"{people.name}: {unused:,} of {len(people):,} images are left out: {reason}")
