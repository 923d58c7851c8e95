"""What a run of a top-down pose network is made of: people cut out of their pictures, a network with its head."""

from pathlib import Path

import torch

from firstsight.data.keypoints.crops import Crops
from firstsight.data.keypoints.keypoint_set import KeypointSet
from firstsight.models.pose import create_top_down
from firstsight.models.registry import TOP_DOWN_MODELS
from firstsight.tasks.builder import optimizer_config_of, shown
from firstsight.tasks.pose.build import PoseBuilder
from firstsight.tasks.pose.top_down.evaluate import TopDownEvaluator
from firstsight.tasks.pose.top_down.settings import TopDownSettings
from firstsight.tasks.pose.top_down.train import TopDownTask


class TopDownBuilder(PoseBuilder[TopDownSettings]):
    """Gathers the materials of a top-down pose network."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        settings = self.settings
        return settings.image_size, settings.image_width or settings.image_size

    def make_task(self, train: KeypointSet, test: KeypointSet) -> TopDownTask:
        """Network, crops and optimizer, on the device and ready to train.

        Raises
        ------
        DataError
            Nobody to learn from, or too few people.
        """
        settings = self.settings
        torch.manual_seed(settings.seed)
        batches, others = self._crops(train, settings.seed), self._crops(test, 0)
        self._check(batches)
        stacks = settings.stacks or None
        net = create_top_down(
            self.model, skeleton=train.skeleton, size=self.size, head=settings.head, sigma=settings.sigma,
            stacks=stacks,
        )  # fmt: skip
        about = {"recipe": self.name, "data": Path(settings.data).name, "settings": shown(settings)}
        task = TopDownTask(
            net,
            batches,
            TopDownEvaluator(others, most=settings.max_eval_samples, flip_test=settings.flip_test),
            optimizer_config=optimizer_config_of(settings),
            ema=settings.ema_decay,
            restart=settings.lr_restart,
            about=about,
            card={
                "model": self.model,
                "head": settings.head,
                "sigma": settings.sigma,
                "stacks": stacks or TOP_DOWN_MODELS[self.model].stages,
            },
        )
        task.prepare(self.accelerator)
        return task

    @property
    def early_size(self) -> tuple[int, int]:
        """(height, width) of crops in the early epochs."""
        height, width = (self.early_side(side, multiple=32, least=32) for side in self.size)
        return height, width

    def _crops(self, people: KeypointSet, seed: int) -> Crops:
        settings = self.settings
        return Crops(
            people,
            batch_size=settings.batch_size,
            epochs=self.epochs,
            seed=seed,
            size=self.size,
            rotate=settings.rotate,
            zoom=settings.scale,
            move=settings.translate_fraction,
            flip=settings.flip == "random",
            half_body=settings.half_body,
            hide=settings.random_erasing,
            early=settings.low_res_fraction,
            early_size=self.early_size,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
            device=self.accelerator.device,
            dtype=torch.float64 if settings.precision == "float64" else torch.float32,
        )

    def _check(self, train: Crops) -> None:
        """Refuse too few people; say how many are left out; no more epochs than hold the wished updates."""
        left = len(train.people.ids) - train.samples
        if left:
            why = "crowds, or without a labelled joint"
            self.notes = (*self.notes, f"{train.people.name}: {left:,} of {len(train.people.ids):,} people are {why}")
        self.limit(train, train.people.name, "people")
