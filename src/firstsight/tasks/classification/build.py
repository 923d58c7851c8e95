"""Assembly of a classification run: pretrained weights, images, network, task."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from firstsight.data.image_io import Preprocess
from firstsight.data.images.image_set import ImageSet
from firstsight.errors import UsageError
from firstsight.models.classification import create_model
from firstsight.models.classification.airbench import AirBench
from firstsight.models.registry import MODELS
from firstsight.tasks.builder import ExperimentBuilder, optimizer_config_of, redact_paths
from firstsight.tasks.classification.classifier import Classifier
from firstsight.tasks.classification.settings import ClassificationSettings
from firstsight.tasks.classification.train import ClassificationTask
from firstsight.tasks.classification.transfer import freeze, load_pretrained, transfer


class ClassificationBuilder(ExperimentBuilder[ClassificationSettings]):
    """Experiment builder of a classifier."""

    base: Classifier | None = None

    def preprocessing(self) -> Preprocess | None:
        """Return the preprocessing of the pretrained weights, or None."""
        if self.settings.weights == "none":
            return None
        self.base = load_pretrained(self.settings.weights, self.model, notify=self.callback.note)
        return resize_preprocess(self.base.preprocess, self.settings.image_size)

    def make_task(self, train: ImageSet, test: ImageSet) -> ClassificationTask:
        """Return the task: network, batches and optimizer on the device.

        Raises
        ------
        UsageError
            If a network without a whitening layer is to be whitened.
        """
        settings = self.settings
        torch.manual_seed(settings.seed)
        if self.base:
            preprocess = resize_preprocess(self.base.preprocess, settings.image_size)
        else:
            mean, std = train.mean_std()
            resize, pad = Preprocess.fit(min(train.size), settings.image_size)
            preprocess = Preprocess(channels=train.channels, resize=resize, pad=pad, mean=mean, std=std)
        net = create_model(
            self.model,
            num_classes=len(train.classes),
            in_channels=preprocess.channels,
            image_size=settings.image_size,
        )
        if self.base:
            head = transfer(net, self.base, train.classes)
            if settings.freeze:
                freeze(net, head)
        batches = self.batches(train, preprocess, cutout=settings.cutout)
        if settings.whiten:
            if not isinstance(net, AirBench):
                raise UsageError(f"`whiten`: {self.model} has no whitening layer; airbench has one")
            count = min(settings.whiten, len(train))
            spread = torch.arange(count) * len(train) // count  # the set may be ordered by class
            net.whiten(preprocess.normalize(batches.images[spread].cpu(), torch.float64))
        task = ClassificationTask(
            net,
            batches,
            test,
            model=MODELS[self.model].name,
            optimizer_config=optimizer_config_of(settings),
            label_smoothing=settings.label_smoothing,
            views=settings.tta_views,
            about=self._about(train),
        )
        task.prepare(self.accelerator)
        return task

    def _about(self, train: ImageSet) -> dict[str, Any]:
        about = {"recipe": self.name, "data": train.name, "settings": redact_paths(self.settings)}
        if self.base:
            about["began_with"] = {"weights": Path(self.base.source).name, **self.base.card["about"]}
        return about


def resize_preprocess(preprocess: Preprocess, size: int) -> Preprocess:
    """Return the preprocessing of trained weights for inputs of another size."""
    if size == preprocess.input_size:
        return preprocess
    shorter = round(size * preprocess.shorter / preprocess.resize)
    return replace(preprocess, resize=size, pad=0, shorter=shorter)
