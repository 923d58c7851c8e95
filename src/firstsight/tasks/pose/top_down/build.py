"""Experiment builder of top-down pose networks."""

from pathlib import Path

import torch

from firstsight.data.keypoints.crops import Crops
from firstsight.data.keypoints.keypoint_set import KeypointSet
from firstsight.models.pose import create_top_down
from firstsight.models.registry import TOP_DOWN_MODELS
from firstsight.tasks.builder import optimizer_config_of, redact_paths
from firstsight.tasks.pose.build import PoseBuilder
from firstsight.tasks.pose.top_down.evaluate import TopDownEvaluator
from firstsight.tasks.pose.top_down.settings import TopDownSettings
from firstsight.tasks.pose.top_down.train import TopDownTask


class TopDownBuilder(PoseBuilder[TopDownSettings]):
    """Experiment builder of a top-down pose network."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        settings = self.settings
        return settings.image_size, settings.image_width or settings.image_size

    @property
    def low_res_size(self) -> tuple[int, int]:
        """(height, width) of the crops in the low-resolution epochs."""
        height, width = (self.low_res_side(side, multiple=32, minimum=32) for side in self.size)
        return height, width

    def make_task(self, train: KeypointSet, test: KeypointSet) -> TopDownTask:
        """Return the task with network, crops and optimizer, on the device and ready to train.

        Raises
        ------
        DataError
            If no person is usable, or there are too few people.
        """
        settings = self.settings
        torch.manual_seed(settings.seed)
        batches, test_crops = self._make_crops(train, settings.seed), self._make_crops(test, 0)
        self._note_unused_people(batches)
        self.finish_batches(batches, train.name, "people")
        stacks = settings.stacks or None
        net = create_top_down(
            self.model,
            skeleton=train.skeleton,
            size=self.size,
            head=settings.head,
            sigma=settings.sigma,
            stacks=stacks,
        )
        task = TopDownTask(
            net,
            batches,
            TopDownEvaluator(test_crops, max_samples=settings.max_eval_samples, flip_test=settings.flip_test),
            optimizer_config=optimizer_config_of(settings),
            ema_decay=settings.ema_decay,
            lr_restart=settings.lr_restart,
            card={
                "model": self.model,
                "head": settings.head,
                "sigma": settings.sigma,
                "stacks": stacks or TOP_DOWN_MODELS[self.model].stages,
            },
            about={"recipe": self.name, "data": Path(settings.data).name, "settings": redact_paths(settings)},
        )
        task.prepare(self.accelerator)
        return task

    def _make_crops(self, people: KeypointSet, seed: int) -> Crops:
        settings = self.settings
        return Crops(
            people,
            batch_size=settings.batch_size,
            epochs=self.epochs,
            seed=seed,
            size=self.size,
            rotate=settings.rotate,
            scale=settings.scale,
            translate_fraction=settings.translate_fraction,
            flip=settings.flip == "random",
            half_body=settings.half_body,
            random_erasing=settings.random_erasing,
            low_res_fraction=settings.low_res_fraction,
            low_res_size=self.low_res_size,
            rank=self.accelerator.process_index,
            world_size=self.accelerator.num_processes,
            device=self.accelerator.device,
            dtype=self.dtype,
        )

    def _note_unused_people(self, crops: Crops) -> None:
        """Add a note on people that cannot be used, if there are any."""
        people = crops.people
        unused = len(people.ids) - crops.samples
        if unused:
            self.add_notes(
                f"{people.name}: {unused:,} of {len(people.ids):,} people are left out: crowds, or no labeled joint"
            )
