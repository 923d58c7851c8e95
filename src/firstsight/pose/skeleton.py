"""Skeletons: the joints of a body, the limbs that connect them, and left-right pairs, as data.

All pose code takes a `Skeleton`; no code depends on a fixed joint number. `Skeleton.from_category` makes a skeleton
from a category of COCO keypoint annotations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from firstsight.documents.keypoints import decode_category
from firstsight.errors import DataError

Limb = tuple[int, int]

SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107,
    "knee": 0.087, "ankle": 0.089, "neck": 0.079, "head": 0.079, "head_top": 0.079,
}  # fmt: skip
"""Standard deviation of annotations of each joint, relative to the square root of the body's area.

The values are COCO's; those of neck and head are CrowdPose's.
"""
OTHER_SIGMA = 0.067
"""Sigma of joints with other names: the mean of COCO's."""


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Joints and limbs of one kind of body.

    Attributes
    ----------
    name : str
        Name of the skeleton, such as "coco-17".
    joints : tuple[str, ...]
        Names of the joints, in the order of the heatmaps.
    limbs : tuple[Limb, ...]
        Pairs of joints, in the order in which people are assembled. The first ``len(joints) - 1`` limbs form a tree:
        each leads from a joint that earlier limbs reach to a new one. The other limbs connect joints of the tree again
        and only fill in missing joints.
    flip_pairs : tuple[Limb, ...]
        Pairs of left and right joints, which are exchanged when an image is flipped horizontally.
    sigmas : tuple[float, ...]
        Sigma of each joint for object keypoint similarity, see `SIGMAS`.
    paf_channels : tuple[int, ...]
        Channel of the x component of each limb's part affinity field; y is the next channel. Defaults to the order of
        the limbs.

    Raises
    ------
    DataError
        If the limbs do not form such a tree, ``flip_pairs`` is not a set of disjoint pairs, or a length is wrong.
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
        try:
            self._check_joints()
            self._check_limbs()
            self._check_flip_pairs()
        except DataError as error:
            raise DataError(str(error)) from None

    def _check_joints(self) -> None:
        if len(self.joints) < 2:
            raise DataError(f"skeleton {self.name}: it must have at least two joints, got {len(self.joints)}")
        duplicates = [name for name in dict.fromkeys(self.joints) if self.joints.count(name) > 1]
        if duplicates:
            raise DataError(f"skeleton {self.name}: joint names must be unique, but '{duplicates[0]}' is repeated")
        if len(self.sigmas) != len(self.joints):
            raise DataError(
                f"skeleton {self.name}: there must be one sigma per joint, got {len(self.sigmas)} sigmas for"
                f" {len(self.joints)} joints"
            )
        if not all(0 < sigma < 1 for sigma in self.sigmas):
            raise DataError(f"skeleton {self.name}: sigmas must be between 0 and 1, got {self.sigmas}")
        channels = list(range(0, 2 * len(self.limbs), 2))
        if sorted(self.paf_channels) != channels:
            raise DataError(f"skeleton {self.name}: paf_channels must be a permutation of {channels}")

    def _check_limbs(self) -> None:
        reached: set[int] = set()
        for number, limb in enumerate(self.limbs):
            if not all(0 <= joint < len(self.joints) for joint in limb) or limb[0] == limb[1]:
                raise DataError(
                    f"skeleton {self.name}: limb {number + 1} is {limb}, but it must have two different joints from 0"
                    f" to {len(self) - 1}"
                )
            first, second = (self.joints[joint] for joint in limb)
            if number < len(self) - 1:
                if (reached and limb[0] not in reached) or limb[1] in reached:
                    raise DataError(
                        f"skeleton {self.name}: limb {number + 1} ({first} to {second}) must lead from a joint that"
                        " earlier limbs reach to a new joint"
                    )
                reached |= set(limb)
        if len(reached) < len(self):
            missing = ", ".join(name for i, name in enumerate(self.joints) if i not in reached)
            raise DataError(f"skeleton {self.name}: no limb leads to {missing}; limbs must connect all joints")

    def _check_flip_pairs(self) -> None:
        flipped = [joint for pair in self.flip_pairs for joint in pair]
        if len(flipped) != len(set(flipped)) or not all(0 <= joint < len(self) for joint in flipped):
            raise DataError(
                f"skeleton {self.name}: each joint from 0 to {len(self) - 1} may be in one of flip_pairs only,"
                f" got {self.flip_pairs}"
            )

    def __len__(self) -> int:
        """Return the number of joints."""
        return len(self.joints)

    @property
    def extra_limbs(self) -> tuple[Limb, ...]:
        """Return the limbs that are not in the tree."""
        return self.limbs[len(self) - 1 :]

    @property
    def flip(self) -> tuple[int, ...]:
        """Return the permutation of joints by a horizontal flip; it is its own inverse."""
        counterpart = dict(self.flip_pairs) | {b: a for a, b in self.flip_pairs}
        return tuple(counterpart.get(joint, joint) for joint in range(len(self)))

    def indices_in(self, other: "Skeleton") -> tuple[int, ...]:
        """Return, for each joint, the index of the joint of the same name in another skeleton, or -1.

        Parameters
        ----------
        other : Skeleton
            Skeleton to search.

        Returns
        -------
        tuple[int, ...]
            One index per joint of this skeleton.

        Examples
        --------
        >>> OPENPOSE_18.indices_in(COCO_17)[:4]
        (0, -1, 6, 8)
        """
        return tuple(other.joints.index(name) if name in other.joints else -1 for name in self.joints)

    @classmethod
    def from_category(cls, category: Mapping[str, Any]) -> "Skeleton":
        """Return the skeleton of a category of COCO keypoint annotations.

        Parameters
        ----------
        category : Mapping[str, Any]
            Required keys are ``keypoints``, the names of the joints, and ``skeleton``, pairs of joint numbers from 1 in
            any order and direction. Optional keys are ``sigmas`` (see `SIGMAS` for the defaults) and ``flip_pairs``
            (pairs of numbers from 1; by default, pairs of joints named ``left_...`` and ``right_...``).

        Returns
        -------
        Skeleton
            The skeleton, with its limbs ordered by `order_limbs`.

        Raises
        ------
        DataError
            If a key is missing or has a wrong value.
        """
        decoded = decode_category(category)
        name, joints, pairs = decoded.name, decoded.keypoints, decoded.skeleton
        if joints is None or pairs is None:
            raise DataError(
                f"category '{name}': it must have 'keypoints', a list of names, and 'skeleton', a list of pairs of"
                " numbers"
            )
        flip_pairs = decoded.flip_pairs
        return cls(
            name=decoded.skeleton_name or name,
            joints=tuple(joints),
            limbs=order_limbs([(a - 1, b - 1) for a, b in pairs]),
            flip_pairs=find_flip_pairs(joints) if flip_pairs is None else tuple((a - 1, b - 1) for a, b in flip_pairs),
            sigmas=tuple(decoded.sigmas if decoded.sigmas is not None else map(default_sigma, joints)),
        )

    def to_category(self) -> dict[str, Any]:
        """Return a category of COCO keypoint annotations; `from_category` restores the same joints and limbs."""
        return {
            "id": 1,
            "name": "person",
            "supercategory": "person",
            "skeleton_name": self.name,
            "keypoints": list(self.joints),
            "skeleton": [[a + 1, b + 1] for a, b in self.limbs],
            "flip_pairs": [[a + 1, b + 1] for a, b in self.flip_pairs],
            "sigmas": list(self.sigmas),
        }


def order_limbs(pairs: Sequence[Limb]) -> tuple[Limb, ...]:
    """Return limbs in an order and direction in which people can be assembled.

    The limbs of a spanning tree come first. Limbs that close a cycle come last.

    Parameters
    ----------
    pairs : Sequence[Limb]
        Pairs of joints, in any order and direction.

    Returns
    -------
    tuple[Limb, ...]
        The same limbs, ordered.

    Examples
    --------
    >>> order_limbs([(2, 1), (0, 1), (2, 0)])
    ((2, 1), (1, 0), (2, 0))
    """
    remaining = list(pairs)
    tree: list[Limb] = []
    extra: list[Limb] = []
    reached: set[int] = set()
    while remaining:
        limb = next((limb for limb in remaining if not reached or set(limb) & reached), remaining[0])
        remaining.remove(limb)
        a, b = limb
        if a in reached and b in reached:
            extra.append(limb)
            continue
        tree.append((b, a) if reached and a not in reached else (a, b))
        reached |= {a, b}
    return (*tree, *extra)


def find_flip_pairs(joints: Sequence[str]) -> tuple[Limb, ...]:
    """Return the pairs of joints whose names differ only in "left" and "right".

    Parameters
    ----------
    joints : Sequence[str]
        Names of the joints.

    Returns
    -------
    tuple[Limb, ...]
        Pairs of indices, left joint first.

    Examples
    --------
    >>> find_flip_pairs(("nose", "left_eye", "right_eye"))
    ((1, 2),)
    """
    indices = {name: i for i, name in enumerate(joints)}
    return tuple(
        (i, indices[other])
        for i, name in enumerate(joints)
        if "left" in name and (other := name.replace("left", "right")) in indices
    )


def default_sigma(joint: str) -> float:
    """Return the sigma of a joint by its name, without the side (see `SIGMAS`)."""
    return SIGMAS.get(joint.removeprefix("left_").removeprefix("right_"), OTHER_SIGMA)


def _make_skeleton(
    name: str, joints: str, limbs: Sequence[Limb], paf_channels: tuple[int, ...] = (), *, order: bool = False
) -> Skeleton:
    """Return a built-in skeleton; its flip pairs and sigmas follow from the names of the joints."""
    names = tuple(joints.split())
    return Skeleton(
        name=name,
        joints=names,
        limbs=order_limbs(limbs) if order else tuple(limbs),
        flip_pairs=find_flip_pairs(names),
        sigmas=tuple(default_sigma(joint) for joint in names),
        paf_channels=paf_channels,
    )


COCO_17 = _make_skeleton(
    "coco-17",
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist"
    " right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle",
    [
        (5, 6), (5, 11), (6, 12), (5, 7), (6, 8), (7, 9), (8, 10), (11, 13), (12, 14), (13, 15), (14, 16), (3, 5),
        (4, 6), (1, 3), (2, 4), (0, 1), (11, 12), (0, 2), (1, 2),
    ],
    order=True,
)  # fmt: skip
"""The 17 joints of COCO; the limbs are those of its annotations, ordered from the shoulders outwards."""

OPENPOSE_18 = _make_skeleton(
    "openpose-18",
    "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee"
    " right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear",
    [
        (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
        (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17),
    ],
    (12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26),
)  # fmt: skip
"""The 18 joints of OpenPose: COCO's, and the neck between the shoulders (Cao 2017).

Limbs and channels have the order of the published weights.
"""

LSP_14 = _make_skeleton(
    "lsp-14",
    "right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow right_shoulder"
    " left_shoulder left_elbow left_wrist neck head_top",
    [
        (12, 13), (12, 8), (12, 9), (8, 7), (7, 6), (9, 10), (10, 11), (12, 2), (12, 3), (2, 1), (1, 0), (3, 4), (4, 5),
    ],
)  # fmt: skip
"""The 14 joints of Leeds Sports Poses (Johnson 2010); limbs are ordered from the neck outwards."""

MPII_16 = _make_skeleton(
    "mpii-16",
    "right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax neck head_top right_wrist"
    " right_elbow right_shoulder left_shoulder left_elbow left_wrist",
    [
        (7, 8), (8, 9), (7, 12), (7, 13), (12, 11), (11, 10), (13, 14), (14, 15), (7, 6), (6, 2), (6, 3), (2, 1),
        (1, 0), (3, 4), (4, 5),
    ],
)  # fmt: skip
"""The 16 joints of MPII Human Pose (Andriluka 2014), on which stacked hourglasses were published."""

SKELETONS = {skeleton.name: skeleton for skeleton in (COCO_17, OPENPOSE_18, LSP_14)}
"""Built-in skeletons by name."""
