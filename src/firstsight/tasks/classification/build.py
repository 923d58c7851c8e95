"""What a classification run is made of: trained weights to begin with, images, and the task."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from firstsight.data import ImageSet, Preprocess
from firstsight.errors import UsageError
from firstsight.models.classification import create_model
from firstsight.models.classification.airbench import AirBench
from firstsight.models.registry import CLASSIFICATION_MODELS
from firstsight.tasks.builder import ExperimentBuilder, optimizer_config_of, shown
from firstsight.tasks.classification.settings import ClassificationSettings
from firstsight.tasks.classification.train import ClassificationTask
from firstsight.weights.classifier import Classifier
from firstsight.weights.transfer import freeze, load_pretrained, transfer


class ClassificationBuilder(ExperimentBuilder[ClassificationSettings]):
    """Gathers the materials of a classifier."""

    base: Classifier | None = None

    def preprocessing(self) -> Preprocess | None:
        """That of the weights to begin with."""
        self.base = self.begin()
        return adapted(self.base.preprocess, self.settings.image_size) if self.base else None

    def begin(self) -> Classifier | None:
        """The trained network that this one begins with.

        Raises
        ------
        UsageError
            The weights are those of another network.
        """
        wanted, model = self.settings.weights, self.model
        if wanted == "none":
            return None
        base = load_pretrained(wanted, model, notify=self.callback.note)
        if base.card["model"] != model:
            raise UsageError(f"--weights {wanted}: holds a {base.card['model']}, not a {model}")
        return base

    def make_task(self, train: ImageSet, test: ImageSet) -> ClassificationTask:
        """Network, batches and optimizer, on the device and ready to train.

        Raises
        ------
        UsageError
            Whitening was asked of a network that has nothing to whiten with.
        """
        settings, entry = self.settings, CLASSIFICATION_MODELS[self.model]
        torch.manual_seed(settings.seed)
        if self.base:
            preprocess = adapted(self.base.preprocess, settings.image_size)
        else:
            mean, std = train.mean_std()
            resize, pad = Preprocess.fit(min(train.size), settings.image_size)
            preprocess = Preprocess(channels=train.channels, resize=resize, pad=pad, mean=mean, std=std)
        net = create_model(
            entry.name, num_classes=len(train.classes), in_channels=preprocess.channels,
            image_size=settings.image_size,
        )  # fmt: skip
        if self.base:
            head = transfer(net, self.base, train.classes)
            if settings.freeze:
                freeze(net, head)
        batches = self.batches(train, preprocess, cutout=settings.cutout)
        if settings.whiten:
            if not isinstance(net, AirBench):
                raise UsageError(f"--whiten: {entry.name} has no first layer to whiten with; airbench has one")
            count = min(settings.whiten, len(train))  # spread over the set, which may be ordered by class
            spread = batches.images[torch.arange(count) * len(train) // count].cpu()
            net.whiten(preprocess.normalize(spread, torch.float64))
        about: dict[str, Any] = {"recipe": self.name, "data": train.name, "settings": shown(settings)}
        if self.base:
            about["began_with"] = {"weights": Path(self.base.source).name, **self.base.card["about"]}
        task = ClassificationTask(
            net, batches, test, model=entry.name, optimizer_config=optimizer_config_of(settings),
            label_smoothing=settings.label_smoothing, views=settings.tta_views, about=about,
        )  # fmt: skip
        task.prepare(self.accelerator)
        return task


def adapted(preprocess: Preprocess, size: int) -> Preprocess:
    """The preprocessing of trained weights, for inputs of another size."""
    if size == preprocess.input_size:
        return preprocess
    shorter = round(size * preprocess.shorter / preprocess.resize)
    return replace(preprocess, resize=size, pad=0, shorter=shorter)
