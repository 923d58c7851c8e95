"""Poses of the people in an image, as pose estimators return them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from PIL import Image
from torch import Tensor

from firstsight import display
from firstsight.display import FORMATS, Result
from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import Skeleton

if TYPE_CHECKING:
    from firstsight.pose.decode import DecodeResult
    from firstsight.pose.letterbox import Letterbox


@dataclass(frozen=True, repr=False)
class PoseResult(Result):
    """People in an image.

    Attributes
    ----------
    poses : list[Pose]
        Keypoints and boxes in pixels of the image, pixel centers at integers. The score of a person is in [0, 1]: an
        estimate of the probability that it is a person, if the weights are calibrated. The score of a keypoint is its
        value in the heatmap, at most 1; -1 if it was not detected.
    skeleton : Skeleton
        Names and limbs of the keypoints.
    image : Image.Image
        The image, mode "L" or "RGB".
    timings : dict[str, float]
        Seconds for "read" (the file, resizing), "network" (with averaging over scales and flips), "decode"; of a
        top-down estimator also "detect".
    notes : tuple[str, ...]
        What a reader of the result must know: that the whole image was taken as one person.
    """

    poses: list[Pose]
    skeleton: Skeleton
    image: Image.Image
    timings: dict[str, float]
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    IMAGE_FORMATS: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")

    def __len__(self) -> int:
        return len(self.poses)

    @property
    def scores(self) -> list[float]:
        """Score of each person in [0, 1]."""
        return [pose.score for pose in self.poses]

    def draw(self) -> Image.Image:
        """Return the image with the poses drawn over it, mode "RGB"."""
        from firstsight.plots import draw_people

        return draw_people(self.image, self.poses, self.skeleton, color_by_person=True)

    def encode(self, suffix: str) -> bytes:
        """Return the content of a file with this suffix: the drawn image, or the poses; see `save`."""
        if suffix.lower() in FORMATS:
            return super().encode(suffix)
        from firstsight.plots import encode_image

        return encode_image(self.draw(), suffix, compress_level=3, quality=92)

    def to_dict(self) -> dict[str, Any]:
        """Return people, skeleton and timings as plain data for JSON; missed keypoints are [-1, -1, -1]."""
        return {
            "people": [pose_to_dict(pose) for pose in self.poses],
            "skeleton": skeleton_to_dict(self.skeleton),
            "timings": {name: round(seconds, 4) for name, seconds in self.timings.items()},
        }

    def __repr__(self) -> str:
        width, height = self.image.size
        seconds = sum(self.timings.values())
        people = "1 person" if len(self.poses) == 1 else f"{len(self.poses)} people"
        notes = "".join(f"; {note}" for note in self.notes)
        return f"{type(self).__name__}({people} in {width}x{height} pixels, {seconds:.2f} s{notes})"

    def __str__(self) -> str:
        lines = [f"person {i}: score {pose.score:.2f}, {_describe(pose)}" for i, pose in enumerate(self.poses, 1)]
        return "\n".join([repr(self), *lines])

    def _repr_html_(self) -> str:
        return display.paragraph(repr(self)) + display.embed(self.draw(), alt=f"{len(self.poses)} poses")

    def _show_in_terminal(self) -> None:
        display.open_image(self.draw())


@dataclass(frozen=True, repr=False)
class PoseIntermediates(PoseResult):
    """People in an image, with the intermediate results of a bottom-up estimator.

    The other attributes are those of `PoseResult`.

    Attributes
    ----------
    heatmaps : Tensor
        (K + 1, h, w), output of the network.
    pafs : Tensor
        (2 L, h, w), output of the network.
    decoded : DecodeResult
        Peaks, limbs and people in pixels of the decoded maps: of ``heatmaps`` with the method "fast", of maps enlarged
        fourfold with "exact".
    letterbox : Letterbox
        Position of the image in the maps.
    """

    heatmaps: Tensor
    pafs: Tensor
    decoded: "DecodeResult"
    letterbox: "Letterbox"


def _describe(pose: Pose) -> str:
    """Return the number of detected keypoints and the box of a pose in words."""
    x, y, width, height = pose.box
    count = int((pose.keypoints[:, 2] >= 0).sum())
    return f"{count} keypoints in a box of {width:.0f}x{height:.0f} pixels at ({x:.0f}, {y:.0f})"


def pose_to_dict(pose: Pose) -> dict[str, Any]:
    """Return a pose as plain data for JSON."""
    return {
        "score": round(pose.score, 4),
        "box": [round(side, 2) for side in pose.box],
        "keypoints": [[round(x, 2), round(y, 2), round(score, 4)] for x, y, score in pose.keypoints.tolist()],
    }


def skeleton_to_dict(skeleton: Skeleton) -> dict[str, Any]:
    """Return a skeleton as plain data for JSON."""
    return {
        "name": skeleton.name,
        "joints": list(skeleton.joints),
        "limbs": [list(limb) for limb in skeleton.limbs],
    }
