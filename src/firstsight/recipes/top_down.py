"""What a run of a top-down pose network is made of: people cut out of their pictures, a network with its head."""

from pathlib import Path

import torch

from firstsight.data.crops import Crops
from firstsight.data.keypoints import KeypointSet
from firstsight.pose import TOP_DOWN_MODELS, create_top_down
from firstsight.recipes.materials import descent_of, shown
from firstsight.recipes.people import PeopleMaterials
from firstsight.recipes.recipe import TopDownSettings
from firstsight.tasks.top_down import EstimateTopDown
from firstsight.tasks.top_down_scores import MeasureCrops


class TopDowns(PeopleMaterials[TopDownSettings]):
    """Gathers the materials of a top-down pose network."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        settings = self.settings
        return settings.image_size, settings.image_width or settings.image_size

    def make_task(self, train: KeypointSet, test: KeypointSet) -> EstimateTopDown:
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
            self.recipe.model, skeleton=train.skeleton, size=self.size, head=settings.head, sigma=settings.sigma,
            stacks=stacks,
        )  # fmt: skip
        about = {"recipe": self.recipe.name, "data": Path(settings.data).name, "settings": shown(settings)}
        task = EstimateTopDown(
            net, batches, MeasureCrops(others, most=settings.measured, flip_test=settings.flip_test),
            descent=descent_of(settings), ema=settings.ema, restart=settings.restart, about=about,
            card={
                "model": self.recipe.model, "head": settings.head, "sigma": settings.sigma,
                "stacks": stacks or TOP_DOWN_MODELS[self.recipe.model].stages,
            },
        )  # fmt: skip
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
            people, batch_size=settings.batch_size, epochs=self.epochs, seed=seed, size=self.size,
            rotate=settings.rotate, zoom=settings.zoom, move=settings.move, flip=settings.flip == "random",
            half_body=settings.half_body, hide=settings.hide, early=settings.early,
            early_size=self.early_size, rank=self.accelerator.process_index,
            world=self.accelerator.num_processes, device=self.accelerator.device,
            dtype=torch.float64 if settings.precision == "float64" else torch.float32,
        )  # fmt: skip

    def _check(self, train: Crops) -> None:
        """Refuse too few people; say how many are left out; no more epochs than hold the wished updates."""
        left = len(train.people.ids) - train.samples
        if left:
            why = "crowds, or without a labelled joint"
            self.notes = (*self.notes, f"{train.people.name}: {left:,} of {len(train.people.ids):,} people are {why}")
        self.limit(train, train.people.name, "people")
