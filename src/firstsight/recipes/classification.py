"""What a classification run is made of: trained weights to begin with, images, and the task."""

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from firstsight.data import Augmentation, Batches, ImageSet, Preprocess, load
from firstsight.data.imageset import hold_out
from firstsight.engine.loop import Observer
from firstsight.errors import UsageError
from firstsight.nets import MODELS, create_model
from firstsight.nets.airbench import AirBench
from firstsight.recipes.recipe import Recipe, Settings
from firstsight.tasks.classify import Classify, Descent
from firstsight.weights.classifier import Classifier
from firstsight.weights.transfer import begin_with, freeze, transfer


class Materials:
    """Gathers them, in the order in which they are needed: `load`, then `make_task`.

    Afterwards ``data`` says what the run was trained on, ``notes`` what a reader of its result must know.
    """

    def __init__(
        self, recipe: Recipe, settings: Settings, accelerator: Accelerator, observer: Observer, *, strict: bool
    ) -> None:
        self.recipe, self.settings, self.accelerator, self.observer = recipe, settings, accelerator, observer
        self.strict = strict
        self.base: Classifier | None = None
        self.notes: tuple[str, ...] = ()
        self.data: dict[str, Any] = {}

    def load(self) -> tuple[ImageSet, ImageSet]:
        """Trained weights to begin with, training and test set; the first process goes first: one download."""
        settings = self.settings
        with self.accelerator.main_process_first():
            self.base = self.begin()
            known = adapted(self.base.preprocess, settings.image_size) if self.base else None
            train = self._images("train", known, None)
            test = self._images("test", known, train.channels)
        if share := settings.holdout:
            kept, held = hold_out([str(i) for i in range(len(train))], train.labels.numpy(), share)
            note = f"measured on {len(held):,} held-out training images (--holdout {share:g}), not on the test set"
            train, test = train.select(kept), train.select(held, split="holdout", note=note)
        self.notes = tuple(dict.fromkeys((*train.notes, *test.notes, *about_skipped(train), *about_skipped(test))))
        for note in self.notes:
            self.observer.warn(f"{train.name}: {note}")
        return train, test

    def _images(self, split: str, known: Preprocess | None, channels: int | None) -> ImageSet:
        """One split; pictures of a folder at the size that ``known`` preprocessing wants, or that of the settings."""
        return load(
            self.settings.data, split, size=known.resize if known else self.settings.image_size,
            channels=known.channels if known else channels, shorter=known.shorter if known else 0,
            strict=self.strict, notify=self.observer.note,
        )  # fmt: skip

    def begin(self) -> Classifier | None:
        """The trained network that this one begins with."""
        wanted, model = self.settings.weights, self.recipe.model
        if wanted == "none":
            return None
        base = begin_with(wanted, model, notify=self.observer.note)
        if base.card["model"] != model:
            raise UsageError(f"--weights {wanted}: holds a {base.card['model']}, not a {model}")
        return base

    def make_task(self, train: ImageSet, test: ImageSet) -> Classify:
        """Network, batches and optimizer, on the device and ready to train."""
        settings, entry = self.settings, MODELS[self.recipe.model]
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
        batches = Batches(
            train, preprocess, batch_size=settings.batch_size, epochs=settings.epochs, seed=settings.seed,
            augmentation=Augmentation(
                settings.shift, settings.flip, settings.rotate, settings.zoom, settings.cutout
            ),
            rank=self.accelerator.process_index, world=self.accelerator.num_processes, device=self.accelerator.device,
            dtype=torch.float64 if settings.precision == "float64" else torch.float32,
        )  # fmt: skip
        if settings.whiten:
            if not isinstance(net, AirBench):
                raise UsageError(f"--whiten: {entry.name} has no first layer to whiten with; airbench has one")
            count = min(settings.whiten, len(train))  # spread over the set, which may be ordered by class
            spread = batches.images[torch.arange(count) * len(train) // count].cpu()
            net.whiten(preprocess.normalise(spread, torch.float64))
        self.data = {
            "name": train.name, "train_images": len(train), "test_images": len(test), "classes": list(train.classes),
            "train_sha256": train.fingerprint(), "test_sha256": test.fingerprint(),
        }  # fmt: skip
        about = {"recipe": self.recipe.name, "data": train.name, "settings": shown(settings)}
        if self.base:
            about["began_with"] = {"weights": Path(self.base.source).name, **self.base.card["about"]}
        descent = Descent(**{f.name: getattr(settings, f.name) for f in fields(Descent)})
        task = Classify(
            net, batches, test, model=entry.name, descent=descent, label_smoothing=settings.label_smoothing,
            views=settings.views, about=about,
        )  # fmt: skip
        task.prepare(self.accelerator)
        return task


def shown(settings: Settings) -> dict[str, Any]:
    """Settings as they may stand in a file that is passed on: a path to data is reduced to its last part."""
    content = asdict(settings)
    content["data"], content["weights"] = Path(content["data"]).name, Path(content["weights"]).name
    return content


def adapted(preprocess: Preprocess, size: int) -> Preprocess:
    """The preprocessing of trained weights, for inputs of another size."""
    if size == preprocess.input_size:
        return preprocess
    shorter = round(size * preprocess.shorter / preprocess.resize)
    return replace(preprocess, resize=size, pad=0, shorter=shorter)


def about_skipped(images: ImageSet) -> list[str]:
    """A note on pictures that were left out, if there were any."""
    if not images.skipped:
        return []
    named = "; ".join(f"{item.path}: {item.reason}" for item in images.skipped[:3])
    more = f"; and {len(images.skipped) - 3} more" if len(images.skipped) > 3 else ""
    return [f"{len(images.skipped)} {images.split} pictures were left out as unusable ({named}{more})"]
