"""What a run is made of: images, and the task that trains on them."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from accelerate import Accelerator

from firstsight.data import Augmentation, Batches, ImageSet, Preprocess, load
from firstsight.data.images.image_set import stratified_split
from firstsight.data.images.loading import check_place
from firstsight.engine.loop import Callback
from firstsight.engine.task import Task
from firstsight.tasks.classification.train import OptimizerConfig
from firstsight.tasks.pose.settings import parse_milestones
from firstsight.tasks.settings import ImageSettings, Settings

S = TypeVar("S", bound=ImageSettings)
T_co = TypeVar("T_co", bound=Task, covariant=True)


class Builder(Protocol[T_co]):
    """Gathers the materials of a run, in the order in which they are needed: `load`, then `make_task`.

    Afterwards ``data`` says what the run was trained on, ``notes`` what a reader of its result must know, ``epochs``
    how long it is trained.
    """

    epochs: int
    notes: tuple[str, ...]
    data: dict[str, Any]

    def load(self) -> tuple[Any, Any]:
        """Training and test set, of the kind that `make_task` takes; the first process goes first: one download."""
        ...

    def make_task(self, train: Any, test: Any) -> T_co:
        """Networks, batches and optimizers, on the device and ready to train."""
        ...


class ExperimentBuilder(Generic[S]):
    """What every kind of run needs: images and batches.

    Attributes
    ----------
    labelled
        The pictures must be of two classes at least.
    """

    labelled = True

    def __init__(
        self, name: str, model: str, settings: S, accelerator: Accelerator, callback: Callback, *, strict: bool
    ) -> None:
        self.name, self.model, self.settings = name, model, settings
        self.accelerator, self.callback = accelerator, callback
        self.strict, self.epochs = strict, settings.epochs
        self.notes: tuple[str, ...] = ()
        self.data: dict[str, Any] = {}

    def preprocessing(self) -> Preprocess | None:
        """The preprocessing that the pictures are read for, if it is known before they are."""
        return None

    def load(self) -> tuple[ImageSet, ImageSet]:
        """Training and test set; the first process goes first: one download."""
        check_place(self.settings.data)  # before weights are downloaded for it
        with self.accelerator.main_process_first():
            known = self.preprocessing()
            train = self._images("train", known, None)
            test = self._images("test", known, train.channels)
        if share := self.settings.val_fraction:
            kept, held = stratified_split([str(i) for i in range(len(train))], train.labels.numpy(), share)
            note = f"measured on {len(held):,} held-out training images (--val-fraction {share:g}), not on the test set"
            train, test = train.select(kept), train.select(held, split="holdout", note=note)
        if self.settings.max_steps:
            steps = -(-len(train) // self.settings.batch_size)
            self.epochs = min(self.epochs, max(1, self.settings.max_steps // steps))
        self.notes = tuple(dict.fromkeys((*train.notes, *test.notes, *about_skipped(train), *about_skipped(test))))
        for note in self.notes:
            self.callback.warn(f"{train.name}: {note}")
        self.data = {
            "name": train.name, "train_images": len(train), "test_images": len(test), "classes": list(train.classes),
            "train_sha256": train.fingerprint(), "test_sha256": test.fingerprint(),
        }  # fmt: skip
        return train, test

    def _images(self, split: str, known: Preprocess | None, channels: int | None) -> ImageSet:
        """One split; pictures of a folder at the size that ``known`` preprocessing wants, or that of the settings."""
        return load(
            self.settings.data, split, size=known.resize if known else self.settings.image_size,
            channels=known.channels if known else channels, shorter=known.shorter if known else 0,
            strict=self.strict, labelled=self.labelled, notify=self.callback.note,
        )  # fmt: skip

    def batches(self, train: ImageSet, preprocess: Preprocess, *, cutout: int = 0) -> Batches:
        """The training batches of this process."""
        settings = self.settings
        return Batches(
            train, preprocess, batch_size=settings.batch_size, epochs=self.epochs, seed=settings.seed,
            augmentation=Augmentation(settings.translate, settings.flip, settings.rotate, settings.scale, cutout),
            rank=self.accelerator.process_index, world=self.accelerator.num_processes, device=self.accelerator.device,
            dtype=torch.float64 if settings.precision == "float64" else torch.float32,
        )  # fmt: skip


def shown(settings: Settings) -> dict[str, Any]:
    """Settings as they may stand in a file that is passed on: a path is reduced to its last part."""
    return {k: Path(v).name if k in ("data", "weights") else v for k, v in asdict(settings).items()}


def optimizer_config_of(settings: Settings) -> OptimizerConfig:
    """Return the optimizer configuration that the settings describe; missing fields keep their defaults."""
    values = {f.name: getattr(settings, f.name) for f in fields(OptimizerConfig) if hasattr(settings, f.name)}
    if "milestones" in values:
        values["milestones"] = tuple(epoch / settings.epochs for epoch in parse_milestones(values["milestones"]))
    return OptimizerConfig(**values)


def about_skipped(images: ImageSet) -> list[str]:
    """A note on pictures that were left out, if there were any."""
    if not images.skipped:
        return []
    named = "; ".join(f"{item.path}: {item.reason}" for item in images.skipped[:3])
    more = f"; and {len(images.skipped) - 3} more" if len(images.skipped) > 3 else ""
    return [f"{len(images.skipped)} {images.split} pictures were left out as unusable ({named}{more})"]
