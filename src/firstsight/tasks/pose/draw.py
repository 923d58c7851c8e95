"""Draw poses over an image."""

from collections.abc import Sequence

from PIL import Image

from firstsight.arguments import check_arguments
from firstsight.data.image_input import ImageLike, to_pil
from firstsight.errors import UsageError
from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import Skeleton
from firstsight.tasks.pose.result import PoseResult


def draw_poses(
    image: ImageLike,
    poses: PoseResult | Sequence[Pose],
    skeleton: Skeleton | None = None,
    *,
    identities: Sequence[int] | None = None,
    bgr: bool = False,
) -> Image.Image:
    """Draw poses over an image: limbs in colors, keypoints as dots.

    Parameters
    ----------
    image : ImageLike
        Image of any form; it is not changed.
    poses : PoseResult | Sequence[Pose]
        Poses in pixels of the image.
    skeleton : Skeleton | None
        Limbs to draw; None for those of a `PoseResult`.
    identities : Sequence[int] | None
        Number of each person, from 1: written above the person, who is drawn in one color.
    bgr : bool
        Channels of an array or a tensor are blue, green, red (OpenCV); images of other forms are not changed.

    Returns
    -------
    Image.Image
        Mode "RGB", of the same size.

    Raises
    ------
    UsageError
        If the skeleton is missing.
    DataError
        If the image cannot be read.
    """
    check_arguments(draw_poses, locals())
    from firstsight.plots import draw_people

    if isinstance(poses, PoseResult):
        people: Sequence[Pose] = poses.poses
        skeleton = skeleton or poses.skeleton
    else:
        people = poses
    if skeleton is None:
        raise UsageError("`skeleton` is needed to draw a list of poses, as in draw_poses(image, poses, model.skeleton)")
    return draw_people(to_pil(image, bgr=bgr), people, skeleton, identities=identities, color_by_person=True)
