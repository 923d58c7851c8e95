"""What runs that learn from labelled people have in common: two sets of them, in the skeleton that is to be learnt."""

import hashlib
from dataclasses import asdict
from typing import Any, Generic, TypeVar

from accelerate import Accelerator

from firstsight.data.batches import BatchSource
from firstsight.data.keypoints.keypoint_set import KeypointSet, with_skeleton
from firstsight.data.keypoints.splits import load_people
from firstsight.engine.loop import Callback
from firstsight.errors import DataError
from firstsight.pose.skeleton import SKELETONS
from firstsight.tasks.pose.settings import PoseSettings

FEW = 2
"""Batch norm needs so many samples in every batch."""
S = TypeVar("S", bound=PoseSettings)


class PoseBuilder(Generic[S]):
    """Gathers people to train and to measure on; see `Builder`."""

    def __init__(
        self, name: str, model: str, settings: S, accelerator: Accelerator, callback: Callback, *, strict: bool
    ) -> None:
        self.name, self.model, self.settings = name, model, settings
        self.accelerator, self.callback = accelerator, callback
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
        train, test = load_people(self.settings.data, share=self.settings.val_fraction)
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

    def early_side(self, side: int, *, multiple: int, least: int) -> int:
        """Of a side of the network's input that in the early epochs, a multiple of what the network needs."""
        return max(least, round(side * self.settings.low_res_scale / multiple) * multiple)

    def limit(self, batches: BatchSource, name: str, what: str) -> None:
        """Refuse too few samples for batch norm; no more epochs than hold the wished updates; tell the notes.

        Raises
        ------
        DataError
            A batch would hold fewer than `FEW` samples of a process.
        """
        least = FEW * self.accelerator.num_processes
        if batches.samples // batches.steps < least:
            raise DataError(f"{name}: {batches.samples} usable {what} are too few; every batch needs {least} at least")
        if self.settings.max_steps:
            self.epochs = batches.epochs = min(self.epochs, max(1, self.settings.max_steps // batches.steps))
        for note in self.notes:
            self.callback.warn(note)


def fingerprint(people: KeypointSet) -> str:
    """SHA-256 of the skeleton, the pictures' names and sizes, and all labels; not of the pixels."""
    pictures = [(picture.path.name, picture.width, picture.height) for picture in people.pictures]
    digest = hashlib.sha256(repr((asdict(people.skeleton), pictures)).encode())
    for array in (people.keypoints, people.boxes, people.areas, people.crowd, people.picture):
        digest.update(array.tobytes())
    return digest.hexdigest()
