"""Experiment builders: they load the data of a run and assemble its task."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from accelerate import Accelerator

from firstsight.data.augment import Augmentation
from firstsight.data.batches import Batches
from firstsight.data.image_io import Preprocess
from firstsight.data.images.find import check_exists
from firstsight.data.images.image_set import ImageSet, stratified_split
from firstsight.data.images.loading import load_data
from firstsight.engine.loop import Callback
from firstsight.engine.task import Task
from firstsight.optim.config import OptimizerConfig
from firstsight.tasks.settings import ImageSettings, Settings, parse_milestones

AnySettings = TypeVar("AnySettings", bound=Settings)
S = TypeVar("S", bound=ImageSettings)
T_co = TypeVar("T_co", bound=Task, covariant=True)


class Builder(Protocol[T_co]):
    """Interface of experiment builders: call `load`, then `make_task`.

    Attributes
    ----------
    epochs : int
        Number of epochs to train.
    notes : tuple[str, ...]
        Facts that a reader of the result must know.
    data : dict[str, Any]
        Description of the data, for ``config.json`` and the report.
    """

    epochs: int
    notes: tuple[str, ...]
    data: dict[str, Any]

    def load(self) -> tuple[Any, Any]:
        """Return the training set and the test set, of the type that `make_task` takes."""
        ...

    def make_task(self, train: Any, test: Any) -> T_co:
        """Return the task with networks, batches and optimizers, on the device and ready to train."""
        ...


class BaseBuilder(Generic[AnySettings]):
    """Base class of the builders, which prepare data and task of a training run.

    Parameters
    ----------
    name : str
        Name of the recipe.
    model : str
        Name of the network in the model registry.
    settings : AnySettings
        Settings of the run.
    accelerator : Accelerator
        Accelerator with the device and the processes of the run.
    callback : Callback
        Receives notes and warnings.
    strict : bool
        Refuse data with unusable images instead of leaving them out.
    """

    def __init__(
        self,
        name: str,
        model: str,
        settings: AnySettings,
        accelerator: Accelerator,
        callback: Callback,
        *,
        strict: bool,
    ) -> None:
        self.name = name
        self.model = model
        self.settings = settings
        self.accelerator = accelerator
        self.callback = callback
        self.strict = strict
        self.epochs = settings.epochs
        self.notes: tuple[str, ...] = ()
        self.data: dict[str, Any] = {}

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the network's inputs; mixed precision takes float32 too."""
        return torch.float64 if self.settings.precision == "float64" else torch.float32

    def limit_epochs(self, steps: int) -> None:
        """Limit the epochs to the setting ``max_steps``, at least one epoch.

        Parameters
        ----------
        steps : int
            Number of steps per epoch.
        """
        if self.settings.max_steps:
            self.epochs = min(self.epochs, max(1, self.settings.max_steps // steps))

    def add_notes(self, *notes: str) -> None:
        """Add notes; a note that is there already is not repeated."""
        self.notes = tuple(dict.fromkeys((*self.notes, *notes)))

    def warn_of_notes(self, prefix: str = "") -> None:
        """Pass all notes to the callback as warnings."""
        for note in self.notes:
            self.callback.warn(prefix + note)


class ExperimentBuilder(BaseBuilder[S]):
    """Experiment builder for tasks that are trained on image sets.

    Attributes
    ----------
    labeled : bool
        The images must have at least two classes.
    """

    labeled = True

    @property
    def letterbox(self) -> bool:
        """True if images of a folder are padded to a square instead of cropped."""
        return False

    def preprocessing(self) -> Preprocess | None:
        """Return the preprocessing if it does not depend on the images, or None."""
        return None

    def load(self) -> tuple[ImageSet, ImageSet]:
        """Return the training set and the test set; only the first process downloads them."""
        check_exists(self.settings.data)  # before weights are downloaded for it
        with self.accelerator.main_process_first():
            preprocess = self.preprocessing()
            train = self._load_split("train", preprocess, None)
            test = self._load_split("test", preprocess, train.channels)
        if fraction := self.settings.val_fraction:
            kept, held_out = stratified_split([str(i) for i in range(len(train))], train.labels.numpy(), fraction)
            count = f"{len(held_out):,} held-out training images"
            note = f"evaluated on {count} (`val_fraction={fraction:g}`), not on the test set"
            train, test = train.select(kept), train.select(held_out, split="holdout", note=note)
        train = self.hold_out_validation(train, test)
        self.limit_epochs(-(-len(train) // self.settings.batch_size))
        self.add_notes(*train.notes, *test.notes, *_skipped_note(train), *_skipped_note(test))
        self.warn_of_notes(f"{train.name}: ")
        self.data = {
            "name": train.name,
            "train_images": len(train),
            "test_images": len(test),
            "classes": list(train.classes),
            "train_sha256": train.fingerprint(),
            "test_sha256": test.fingerprint(),
        }
        return train, test

    def hold_out_validation(self, train: ImageSet, test: ImageSet) -> ImageSet:
        """Return the training images without those that a task holds out for another purpose than the result.

        Parameters
        ----------
        train : ImageSet
            Training set.
        test : ImageSet
            Images on which the result is measured.
        """
        return train

    def _load_split(self, split: str, preprocess: Preprocess | None, channels: int | None) -> ImageSet:
        """Return one split; images of a folder have the size of ``preprocess``, or else of the settings."""
        return load_data(
            self.settings.data,
            split,
            size=preprocess.resize if preprocess else self.settings.image_size,
            channels=preprocess.channels if preprocess else channels,
            shorter=preprocess.shorter if preprocess else 0,
            letterbox=preprocess.letterbox if preprocess else self.letterbox,
            strict=self.strict,
            labeled=self.labeled,
            notify=self.callback.note,
        )

    def batches(self, train: ImageSet, preprocess: Preprocess, *, cutout: int = 0) -> Batches:
        """Return the training batches of this process.

        Parameters
        ----------
        train : ImageSet
            Training set.
        preprocess : Preprocess
            Size and normalization of the images.
        cutout : int
            Side of the square to cover in each image, in pixels; 0 covers nothing.
        """
        settings = self.settings
        return Batches(
            train,
            preprocess,
            batch_size=settings.batch_size,
            epochs=self.epochs,
            seed=settings.seed,
            augmentation=Augmentation(settings.translate, settings.flip, settings.rotate, settings.scale, cutout),
            rank=self.accelerator.process_index,
            world_size=self.accelerator.num_processes,
            device=self.accelerator.device,
            dtype=self.dtype,
        )


def redact_paths(settings: Settings) -> dict[str, Any]:
    """Return the settings for files that are passed on: paths are reduced to their last part."""
    return {k: Path(v).name if k in ("data", "weights") else v for k, v in asdict(settings).items()}


def optimizer_config_of(settings: Settings) -> OptimizerConfig:
    """Return the optimizer configuration that the settings describe; missing fields keep their defaults."""
    values = {f.name: getattr(settings, f.name) for f in fields(OptimizerConfig) if hasattr(settings, f.name)}
    if "milestones" in values:
        values["milestones"] = tuple(epoch / settings.epochs for epoch in parse_milestones(values["milestones"]))
    return OptimizerConfig(**values)


def _skipped_note(images: ImageSet) -> list[str]:
    """Return a note on images that were left out, if there are any."""
    if not images.skipped:
        return []
    named = "; ".join(f"{item.path}: {item.reason}" for item in images.skipped[:3])
    more = f"; and {len(images.skipped) - 3} more" if len(images.skipped) > 3 else ""
    return [f"{len(images.skipped)} {images.split} images were left out as unusable ({named}{more})"]
