"""Experiment builder of pose networks: loading of people, and checks."""

import hashlib
from dataclasses import asdict
from typing import TypeVar

from accelerate.utils import gather_object

from firstsight.data.batches import BatchSource
from firstsight.data.keypoints.keypoint_set import KeypointSet, convert_skeleton
from firstsight.data.keypoints.splits import SOURCES, find_people, load_people
from firstsight.data.keypoints.unusable import find_unusable, leave_out
from firstsight.errors import DataError
from firstsight.pose.skeleton import SKELETONS
from firstsight.tasks.builder import BaseBuilder
from firstsight.tasks.pose.settings import PoseSettings

MIN_SAMPLES = 2
"""Minimum number of samples per batch and process, for batch normalization."""
S = TypeVar("S", bound=PoseSettings)


class PoseBuilder(BaseBuilder[S]):
    """Base of the experiment builders of bottom-up and top-down networks."""

    @property
    def needs_masks(self) -> bool:
        """True if the training uses `KeypointSet.ignore_mask`."""
        return False

    def load(self) -> tuple[KeypointSet, KeypointSet]:
        """Return the training set and the test set, with the joints of the skeleton to train.

        All images are decoded once, because a training must not end at an image that is missing or damaged.

        Raises
        ------
        DataError
            If the data cannot be used, or the two sets have different skeletons.
        """
        check_source(self.name, self.settings.data)
        train, test = load_people(self.settings.data, val_fraction=self.settings.val_fraction)
        train = self._leave_out_unusable(train, "training images")
        test = self._leave_out_unusable(test, "validation images")
        if self.settings.skeleton != "data":
            target = SKELETONS[self.settings.skeleton]
            train, test = convert_skeleton(train, target), convert_skeleton(test, target)
        skeleton = train.skeleton
        if test.skeleton != skeleton:
            raise DataError(
                f"{train.name} and {test.name} have different skeletons: {', '.join(skeleton.joints)};"
                f" {', '.join(test.skeleton.joints)}"
            )
        self.add_notes(*train.notes, *test.notes)
        self.data = {
            "name": train.name,
            "train_images": len(train),
            "test_images": len(test),
            "skeleton": skeleton.name,
            "joints": list(skeleton.joints),
            "limbs": [f"{skeleton.joints[a]}-{skeleton.joints[b]}" for a, b in skeleton.limbs],
            "train_sha256": fingerprint(train),
            "test_sha256": fingerprint(test),
        }
        return train, test

    def _leave_out_unusable(self, people: KeypointSet, kind: str) -> KeypointSet:
        """Return the set without unusable images; each process decodes a part of them."""
        rank, world_size = self.accelerator.process_index, self.accelerator.num_processes
        own = find_unusable(people, range(len(people))[rank::world_size], masks=self.needs_masks)
        return leave_out(people, sorted(gather_object(own)), kind=kind, strict=self.strict)

    def low_res_side(self, side: int, *, multiple: int, minimum: int) -> int:
        """Return a side of the network's input in the low-resolution epochs.

        Parameters
        ----------
        side : int
            Side in the other epochs, in pixels.
        multiple : int
            The result is a multiple of this number.
        minimum : int
            Smallest side.
        """
        return max(minimum, round(side * self.settings.low_res_scale / multiple) * multiple)

    def finish_batches(self, batches: BatchSource, name: str, unit: str) -> None:
        """Check the size of the training batches, limit the epochs to ``max_steps``, and report the notes.

        Parameters
        ----------
        batches : BatchSource
            Training batches; their number of epochs is updated.
        name : str
            Name of the data set in error messages.
        unit : str
            Name of the samples in error messages.

        Raises
        ------
        DataError
            If the smallest batch has less than `MIN_SAMPLES` samples for each process.
        """
        minimum = MIN_SAMPLES * self.accelerator.num_processes
        if batches.samples // batches.steps < minimum:
            raise DataError(
                f"{name}: {batches.samples} usable {unit} are too few; every batch needs at least {minimum}"
                " (increase `batch_size`, or use more data)"
            )
        self.limit_epochs(batches.steps)
        batches.epochs = self.epochs
        self.warn_of_notes()


def fingerprint(people: KeypointSet) -> str:
    """Return the SHA-256 of the skeleton, the names and sizes of the images, and all labels, but not of the pixels."""
    images = [(image.path.name, image.width, image.height) for image in people.images]
    digest = hashlib.sha256(repr((asdict(people.skeleton), images)).encode())
    for array in (people.keypoints, people.boxes, people.areas, people.crowd, people.image_index):
        digest.update(array.tobytes())
    return digest.hexdigest()


def check_source(recipe: str, data: str) -> None:
    """Refuse the data set of a recipe that is not on this machine, and say where it is from.

    Raises
    ------
    DataError
        If ``data`` is such a data set and is neither in the current folder nor in ``$FIRSTSIGHT_HOME/data``.
    """
    if data not in SOURCES:
        return
    try:
        find_people(data)
    except DataError:
        raise DataError(
            f"{recipe} needs the data set '{data}' ({SOURCES[data]}), which is not in the package; name your own with"
            f" `data`: a JSON file of COCO keypoints, or its folder. Or copy '{data}' to $FIRSTSIGHT_HOME/data"
        ) from None
