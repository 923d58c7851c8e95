"""What a body is made of: joints, the limbs that bind them, and how to mirror them; as data.

Everything in this room takes a `Skeleton`; nothing knows a joint by its number. One of your own is a few lines of a
COCO category (`Skeleton.from_category`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstsight.errors import DataError

Limb = tuple[int, int]

SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107,
    "knee": 0.087, "ankle": 0.089, "neck": 0.079, "head": 0.079, "head_top": 0.079,
}  # fmt: skip
"""How far people who annotate a joint scatter, over the root of the body's area: COCO's, and CrowdPose's for neck and
head. A joint of another name gets the mean of COCO's."""
OTHER_SIGMA = 0.067


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Joints and limbs of one kind of body.

    Parameters
    ----------
    name : str
        Of the kind, as "coco-17".
    joints : tuple[str, ...]
        Their names, in the order of the heatmaps.
    limbs : tuple[Limb, ...]
        Pairs of joints, in the order in which people are put together. The first ``len(joints) - 1`` are a tree that
        grows: each goes from a joint that is reached already to a new one. Those after it bind joints of the tree once
        more, and only fill in what was not found.
    flip_pairs : tuple[Limb, ...]
        Left and right joints that change places in a mirror image.
    sigmas : tuple[float, ...]
        Of each joint, for object keypoint similarity (see `SIGMAS`).
    paf_channels : tuple[int, ...]
        Of each limb, the channel of its field's x; y is the next one. In the limbs' order if left out.

    Raises
    ------
    DataError
        The limbs are no such tree, a pair is no mirroring, or a length is wrong.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[Limb, ...]
    flip_pairs: tuple[Limb, ...]
    sigmas: tuple[float, ...]
    paf_channels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.paf_channels:
            object.__setattr__(self, "paf_channels", tuple(range(0, 2 * len(self.limbs), 2)))
        self._check_joints()
        self._check_limbs()
        self._check_flips()

    def _check_joints(self) -> None:
        if len(self.joints) < 2:
            raise DataError(f"skeleton {self.name}: needs at least two joints; got {len(self.joints)}")
        twice = [name for name in dict.fromkeys(self.joints) if self.joints.count(name) > 1]
        if twice:
            raise DataError(f"skeleton {self.name}: the joint '{twice[0]}' is there twice")
        if len(self.sigmas) != len(self.joints):
            raise DataError(f"skeleton {self.name}: {len(self.joints)} joints, but {len(self.sigmas)} sigmas")
        if not all(0 < sigma < 1 for sigma in self.sigmas):
            raise DataError(f"skeleton {self.name}: sigmas must lie between 0 and 1; got {self.sigmas}")
        wanted = list(range(0, 2 * len(self.limbs), 2))
        if sorted(self.paf_channels) != wanted:
            raise DataError(f"skeleton {self.name}: paf_channels must be {wanted} in some order")

    def _check_limbs(self) -> None:
        reached: set[int] = set()
        for number, limb in enumerate(self.limbs):
            if not all(0 <= joint < len(self.joints) for joint in limb) or limb[0] == limb[1]:
                raise DataError(f"skeleton {self.name}: limb {number + 1} is {limb}; joints are 0 to {len(self) - 1}")
            first, second = (self.joints[joint] for joint in limb)
            if number < len(self) - 1:
                if (reached and limb[0] not in reached) or limb[1] in reached:
                    raise DataError(
                        f"skeleton {self.name}: limb {number + 1} ({first} to {second}) must lead from a joint that the"
                        " limbs before it reach to a new one"
                    )
                reached |= set(limb)
        if len(reached) < len(self):
            missing = ", ".join(name for i, name in enumerate(self.joints) if i not in reached)
            raise DataError(f"skeleton {self.name}: no limb leads to {missing}")

    def _check_flips(self) -> None:
        moved = [joint for pair in self.flip_pairs for joint in pair]
        wrong = len(moved) != len(set(moved)) or not all(0 <= joint < len(self) for joint in moved)
        if wrong:
            raise DataError(f"skeleton {self.name}: a joint has one mirror image; got flip_pairs {self.flip_pairs}")

    def __len__(self) -> int:
        """How many joints there are."""
        return len(self.joints)

    @property
    def filling(self) -> tuple[Limb, ...]:
        """The limbs after the tree."""
        return self.limbs[len(self) - 1 :]

    @property
    def flip(self) -> tuple[int, ...]:
        """For each joint the one that takes its place in a mirror image; its own inverse."""
        other = dict(self.flip_pairs) | {b: a for a, b in self.flip_pairs}
        return tuple(other.get(joint, joint) for joint in range(len(self)))

    def places_in(self, other: "Skeleton") -> tuple[int, ...]:
        """For each joint its number in ``other``, by name; -1 where it has none.

        >>> OPENPOSE_18.places_in(COCO_17)[:4]
        (0, -1, 6, 8)
        """
        return tuple(other.joints.index(name) if name in other.joints else -1 for name in self.joints)

    @classmethod
    def from_category(cls, category: Mapping[str, Any]) -> "Skeleton":
        """Of a category as in COCO's keypoint annotations.

        Parameters
        ----------
        category : Mapping[str, Any]
            With ``keypoints``, the names of the joints, and ``skeleton``, pairs of numbers from 1 in any order and
            direction. ``sigmas`` and ``flip_pairs`` (from 1) may be given; else joints named ``left_...`` and
            ``right_...`` are mirror images, and sigmas go by `SIGMAS`.

        Raises
        ------
        DataError
            Something is missing or contradicts itself.
        """
        name = str(category.get("name", "skeleton"))
        joints, pairs = category.get("keypoints"), category.get("skeleton")
        if joints is None or pairs is None or not _is_list(joints, str) or not _is_pairs(pairs):
            raise DataError(
                f"category '{name}': needs 'keypoints', a list of names, and 'skeleton', a list of pairs of numbers"
            )
        joints = tuple(joints)
        flips = category.get("flip_pairs", [[a + 1, b + 1] for a, b in mirrored(joints)])
        sigmas = category.get("sigmas", [usual_sigma(joint) for joint in joints])
        if not _is_pairs(flips) or not _is_list(sigmas, int | float):
            raise DataError(f"category '{name}': 'flip_pairs' are pairs of numbers, and 'sigmas' numbers")
        return cls(
            name=str(category.get("skeleton_name", name)),
            joints=joints,
            limbs=grown([(a - 1, b - 1) for a, b in pairs]),
            flip_pairs=tuple((a - 1, b - 1) for a, b in flips),
            sigmas=tuple(float(sigma) for sigma in sigmas),
        )

    def category(self) -> dict[str, Any]:
        """As a category of COCO's keypoint annotations; `from_category` brings back the same joints and limbs."""
        return {
            "id": 1, "name": "person", "supercategory": "person", "skeleton_name": self.name,
            "keypoints": list(self.joints), "skeleton": [[a + 1, b + 1] for a, b in self.limbs],
            "flip_pairs": [[a + 1, b + 1] for a, b in self.flip_pairs], "sigmas": list(self.sigmas),
        }  # fmt: skip


def grown(pairs: Sequence[Limb]) -> tuple[Limb, ...]:
    """Limbs in an order and direction in which people can be put together; what closes a circle comes last.

    >>> grown([(2, 1), (0, 1), (2, 0)])
    ((2, 1), (1, 0), (2, 0))
    """
    left, tree, filling = list(pairs), [], []
    reached: set[int] = set()
    while left:
        limb = next((limb for limb in left if not reached or set(limb) & reached), left[0])
        left.remove(limb)
        a, b = limb
        if a in reached and b in reached:
            filling.append(limb)
            continue
        tree.append((b, a) if reached and a not in reached else (a, b))
        reached |= {a, b}
    return (*tree, *filling)


def mirrored(joints: Sequence[str]) -> tuple[Limb, ...]:
    """Pairs of joints whose names differ in "left" and "right" alone.

    >>> mirrored(("nose", "left_eye", "right_eye"))
    ((1, 2),)
    """
    places = {name: i for i, name in enumerate(joints)}
    return tuple(
        (i, places[other])
        for i, name in enumerate(joints)
        if "left" in name and (other := name.replace("left", "right")) in places
    )


def usual_sigma(joint: str) -> float:
    """By the joint's name, whatever its side."""
    return SIGMAS.get(joint.removeprefix("left_").removeprefix("right_"), OTHER_SIGMA)


def _is_list(value: Any, kind: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, kind) for item in value)


def _is_pairs(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_is_list(pair, int) and len(pair) == 2 for pair in value)


def _built_in(
    name: str, joints: str, limbs: Sequence[Limb], paf_channels: tuple[int, ...] = (), *, grow: bool = False
) -> Skeleton:
    names = tuple(joints.split())
    return Skeleton(
        name=name, joints=names, limbs=grown(limbs) if grow else tuple(limbs), flip_pairs=mirrored(names),
        sigmas=tuple(usual_sigma(joint) for joint in names), paf_channels=paf_channels,
    )  # fmt: skip


COCO_17 = _built_in(
    "coco-17",
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist"
    " right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle",
    [
        (5, 6), (5, 11), (6, 12), (5, 7), (6, 8), (7, 9), (8, 10), (11, 13), (12, 14), (13, 15), (14, 16), (3, 5),
        (4, 6), (1, 3), (2, 4), (0, 1), (11, 12), (0, 2), (1, 2),
    ],
    grow=True,
)  # fmt: skip
"""COCO's seventeen joints; the limbs are those of its annotations, from the shoulders outwards."""

OPENPOSE_18 = _built_in(
    "openpose-18",
    "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee"
    " right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear",
    [
        (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
        (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17),
    ],
    (12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26),
)  # fmt: skip
"""OpenPose's eighteen: COCO's, and the neck between the shoulders; limbs and channels as the published weights have
them (Cao 2017)."""

LSP_14 = _built_in(
    "lsp-14",
    "right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow right_shoulder"
    " left_shoulder left_elbow left_wrist neck head_top",
    [
        (12, 13), (12, 8), (12, 9), (8, 7), (7, 6), (9, 10), (10, 11), (12, 2), (12, 3), (2, 1), (1, 0), (3, 4), (4, 5),
    ],
)  # fmt: skip
"""The fourteen joints of Leeds Sports Poses (Johnson 2010), from the neck outwards."""

SKELETONS = {skeleton.name: skeleton for skeleton in (COCO_17, OPENPOSE_18, LSP_14)}
