"""Assembly of a classification run: pretrained weights, images, network, task."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from firstsight.data.batches import Batches
from firstsight.data.image_io import Preprocess
from firstsight.data.images.image_set import ImageSet, holdout_fraction, stratified_split
from firstsight.errors import UsageError
from firstsight.models.classification import create_model
from firstsight.models.classification.airbench import AirBench
from firstsight.models.registry import MODELS
from firstsight.tasks.builder import ExperimentBuilder, optimizer_config_of, redact_paths
from firstsight.tasks.classification.classifier import Classifier
from firstsight.tasks.classification.settings import ClassificationSettings
from firstsight.tasks.classification.train import ClassificationTask
from firstsight.tasks.classification.transfer import describe_head, freeze, load_pretrained, transfer

MIN_BATCH = 2
"""Minimum number of images per batch and process that every batch norm accepts."""
MAX_NAMED = 20
"""Maximum number of classes that are named before the training."""


class ClassificationBuilder(ExperimentBuilder[ClassificationSettings]):
    """Experiment builder of a classifier."""

    base: Classifier | None = None
    validation: ImageSet | None = None

    def preprocessing(self) -> Preprocess | None:
        """Return the preprocessing of the pretrained weights, or None."""
        if self.settings.weights == "none":
            return None
        self.base = load_pretrained(self.settings.weights, self.model, notify=self.callback.note)
        return self._pretrained_preprocess(self.base)

    @property
    def letterbox(self) -> bool:
        """True if images of a folder are padded to a square instead of cropped."""
        return self.settings.fit == "pad"

    def load(self) -> tuple[ImageSet, ImageSet]:
        """Return the training set and the test set, and name their classes."""
        train, test = super().load()
        self.callback.note(describe_classes(train))
        return train, test

    def hold_out_validation(self, train: ImageSet, test: ImageSet) -> ImageSet:
        """Hold out validation images for early stopping; with ``val_fraction`` the held-out images are used.

        Parameters
        ----------
        train : ImageSet
            Training set.
        test : ImageSet
            Images on which the result is measured.

        Raises
        ------
        UsageError
            If no training image can be held out.
        """
        if not self.settings.patience:
            return train
        if self.settings.val_fraction:
            self.validation = test
            return train
        keys = [str(i) for i in range(len(train))]
        kept, held_out = stratified_split(keys, train.labels.numpy(), holdout_fraction(len(train)))
        if not len(held_out):
            raise UsageError("`patience` needs validation images: use at least two training images of a class")
        self.validation = train.select(held_out, split="validation")
        count = f"{len(held_out):,} of {len(train):,} training images are held out"
        return train.select(kept, note=f"{count} for early stopping (`patience={self.settings.patience}`)")

    def _pretrained_preprocess(self, base: Classifier) -> Preprocess:
        """Return the preprocessing of pretrained weights, for the settings of this run."""
        preprocess = resize_preprocess(base.preprocess, self.settings.image_size)
        return replace(preprocess, shorter=0, letterbox=True) if self.letterbox else preprocess

    def make_task(self, train: ImageSet, test: ImageSet) -> ClassificationTask:
        """Return the task: network, batches and optimizer on the device.

        Raises
        ------
        UsageError
            If a network without a whitening layer is to be whitened, or if a batch is too small for batch norm.
        """
        settings = self.settings
        torch.manual_seed(settings.seed)
        if self.base:
            preprocess = self._pretrained_preprocess(self.base)
        else:
            mean, std = train.mean_std()
            resize, pad = Preprocess.fit(min(train.size), settings.image_size)
            preprocess = Preprocess(
                channels=train.channels, resize=resize, pad=pad, mean=mean, std=std, letterbox=self.letterbox
            )
        variant = settings.variant_option
        if variant is None and self.base:
            variant = self.base.card["options"].get("variant")
        net = create_model(
            self.model,
            num_classes=len(train.classes),
            in_channels=preprocess.channels,
            image_size=settings.image_size,
            variant=variant,
        )
        if self.base:
            head = transfer(net, self.base, train.classes)
            self.callback.note(describe_head(self.base, train.classes))
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
            variant=variant,
            optimizer_config=optimizer_config_of(settings),
            label_smoothing=settings.label_smoothing,
            views=settings.tta_views,
            about=self._about(train),
            settings=settings,
            validation=self.validation,
        )
        task.prepare(self.accelerator)
        self._check_batches(self.accelerator.unwrap_model(task.models["net"]), batches)
        return task

    def _check_batches(self, net: nn.Module, batches: Batches) -> None:
        """Refuse batches with one image for a network whose batch norms need two."""
        is_synchronized = self.accelerator.device.type == "cuda"
        processes = 1 if is_synchronized else self.accelerator.num_processes
        n, batch_size = batches.samples, self.settings.batch_size
        if not needs_larger_batch(net, batches.preprocess, batch_share(n, batch_size, processes)):
            return
        sizes = range(batch_size + 1, n + 1)
        enough = next((size for size in sizes if batch_share(n, size, processes) >= MIN_BATCH), None)
        advice = f"use `batch_size={enough}`" if enough else "use more images"
        raise UsageError(
            f"`batch_size={batch_size}` is too small: {self.model} has batch norms, which need {MIN_BATCH} images in"
            f" every batch{' of every process' if processes > 1 else ''}, and the smallest of {n} training images"
            f" has {batch_share(n, batch_size, processes)}; {advice}"
        )

    def _about(self, train: ImageSet) -> dict[str, Any]:
        about = {"recipe": self.name, "data": train.name, "settings": redact_paths(self.settings)}
        if self.base:
            about["began_with"] = {"weights": Path(self.base.source).name, **self.base.card["about"]}
        return about


def describe_classes(images: ImageSet) -> str:
    """Return the classes with their numbers of images, as in "2 classes: circles (32), squares (32)"."""
    counts = torch.bincount(images.labels, minlength=len(images.classes)).tolist()
    names = [f"{name} ({count:,})" for name, count in zip(images.classes, counts, strict=True)]
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return f"{len(names):,} classes: {', '.join(names[:MAX_NAMED])}{more}"


def batch_share(n: int, batch_size: int, processes: int) -> int:
    """Return the number of images of the smallest batch that the process with the fewest of them gets.

    >>> batch_share(7, 2, 1), batch_share(7, 3, 1), batch_share(8, 2, 2)
    (1, 2, 1)
    """
    return n // -(-n // batch_size) // processes


def needs_larger_batch(net: nn.Module, preprocess: Preprocess, size: int) -> bool:
    """Return whether a network in training mode refuses a batch of some images.

    A batch norm needs two values per channel. One image has enough where its feature maps have several pixels. The
    network is computed on the meta device, so nothing of it changes.

    Parameters
    ----------
    net : nn.Module
        The network; layers in evaluation mode stay so.
    preprocess : Preprocess
        Preprocessing, for the shape of the input.
    size : int
        Number of images; 0 is too few for every batch norm.
    """
    has_batch_norm = any(isinstance(module, _BatchNorm) and module.training for module in net.modules())
    if size >= MIN_BATCH or not has_batch_norm:
        return False
    side = preprocess.input_size
    images = torch.empty(size, preprocess.channels, side, side, device="meta")
    try:
        copy.deepcopy(net).to("meta", torch.float32)(images)
    except ValueError:
        return True
    return size == 0


def resize_preprocess(preprocess: Preprocess, size: int) -> Preprocess:
    """Return the preprocessing of trained weights for inputs of another size."""
    if size == preprocess.input_size:
        return preprocess
    shorter = round(size * preprocess.shorter / preprocess.resize)
    return replace(preprocess, resize=size, pad=0, shorter=shorter)
