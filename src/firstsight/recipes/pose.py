"""What a run of a pose network is made of: people in pictures, a network of their skeleton, and the task."""

import hashlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from firstsight.data.keypoints import KeypointSet, with_skeleton
from firstsight.data.people import load_people
from firstsight.data.scenes import Scenes
from firstsight.engine.loop import Observer
from firstsight.errors import DataError
from firstsight.pose import create_pose
from firstsight.pose.skeleton import SKELETONS
from firstsight.recipes.materials import shown
from firstsight.recipes.recipe import PoseSettings, Recipe
from firstsight.tasks.classify import Descent
from firstsight.tasks.keypoint_scores import Measure
from firstsight.tasks.keypoints import EstimatePose

FEW = 2
"""Batch norm needs so many pictures in every batch."""


class Poses:
    """Gathers the materials of a pose network."""

    def __init__(
        self, recipe: Recipe, settings: PoseSettings, accelerator: Accelerator, observer: Observer, *, strict: bool
    ) -> None:
        self.recipe, self.settings, self.accelerator, self.observer = recipe, settings, accelerator, observer
        self.strict, self.epochs = strict, settings.epochs
        self.notes: tuple[str, ...] = ()
        self.data: dict[str, Any] = {}

    def load(self) -> tuple[KeypointSet, KeypointSet]:
        """People to train on, and people to measure on, in the skeleton that is to be learnt.

        Raises
        ------
        DataError
            The files cannot be used, or the two are of different skeletons.
        """
        train, test = load_people(self.settings.data, share=self.settings.holdout)
        if self.settings.skeleton != "data":
            wanted = SKELETONS[self.settings.skeleton]
            train, test = with_skeleton(train, wanted), with_skeleton(test, wanted)
        skeleton = train.skeleton
        if test.skeleton != skeleton:
            raise DataError(
                f"{train.name} and {test.name} are of different skeletons: {', '.join(skeleton.joints)};"
                f" {', '.join(test.skeleton.joints)}"
            )
        self.notes = tuple(dict.fromkeys((*train.notes, *test.notes)))
        limbs = [f"{skeleton.joints[a]}-{skeleton.joints[b]}" for a, b in skeleton.limbs]
        self.data = {
            "name": train.name, "train_images": len(train), "test_images": len(test), "skeleton": skeleton.name,
            "joints": list(skeleton.joints), "limbs": limbs, "train_sha256": fingerprint(train),
            "test_sha256": fingerprint(test),
        }  # fmt: skip
        return train, test

    def make_task(self, train: KeypointSet, test: KeypointSet) -> EstimatePose:
        """Network, scenes and optimizer, on the device and ready to train.

        Raises
        ------
        DataError
            Nobody to learn from, or too few pictures.
        """
        settings = self.settings
        torch.manual_seed(settings.seed)
        batches, others = self._scenes(train, settings.seed), self._scenes(test, 0)
        self._check(batches, others)
        net = create_pose(self.recipe.model, skeleton=train.skeleton, stages=settings.stages)
        about = {"recipe": self.recipe.name, "data": Path(settings.data).name, "settings": shown(settings)}
        descent = Descent(**{f.name: getattr(settings, f.name) for f in fields(Descent) if hasattr(settings, f.name)})
        task = EstimatePose(
            net, batches, Measure(others, most=settings.measured), descent=descent, ema=settings.ema,
            sigma=settings.sigma, paf_weight=settings.paf_weight, foreground=settings.foreground,
            model=self.recipe.model, stages=settings.stages, height=settings.image_size, about=about,
        )  # fmt: skip
        task.prepare(self.accelerator)
        return task

    def _scenes(self, people: KeypointSet, seed: int) -> Scenes:
        settings = self.settings
        return Scenes(
            people, settings.scenes, batch_size=settings.batch_size, epochs=self.epochs, seed=seed,
            side=settings.image_size, smallest=settings.smallest, largest=settings.largest, rotate=settings.rotate,
            flip=settings.flip == "random", most=settings.people, rank=self.accelerator.process_index,
            world=self.accelerator.num_processes, device=self.accelerator.device,
            dtype=torch.float64 if settings.precision == "float64" else torch.float32,
        )  # fmt: skip

    def _check(self, train: Scenes, test: Scenes) -> None:
        """Refuse too few pictures; say how many are left out; no more epochs than hold the wished updates."""
        least = FEW * self.accelerator.num_processes
        if train.samples // train.steps < least:
            raise DataError(
                f"{train.people.name}: {train.samples} usable pictures are too few; every batch needs {least} at least"
            )
        for scenes in (train, test):
            left = len(scenes.people) - scenes.samples
            if left:
                why = "one person alone" if scenes.kind == "composed" else "a labelled person"
                note = f"{left:,} of {len(scenes.people):,} pictures are left out: they do not show {why}"
                self.notes = (*self.notes, f"{scenes.people.name}: {note}")
        if self.settings.updates:
            self.epochs = train.epochs = min(self.epochs, max(1, self.settings.updates // train.steps))
        for note in self.notes:
            self.observer.warn(note)


def fingerprint(people: KeypointSet) -> str:
    """SHA-256 of the skeleton, the pictures' names and sizes, and all labels; not of the pixels."""
    pictures = [(picture.path.name, picture.width, picture.height) for picture in people.pictures]
    digest = hashlib.sha256(repr((asdict(people.skeleton), pictures)).encode())
    for array in (people.keypoints, people.boxes, people.areas, people.crowd, people.picture):
        digest.update(array.tobytes())
    return digest.hexdigest()
