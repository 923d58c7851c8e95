"""Horizontal flipping: the maps of a flipped image are converted back, so that they can be averaged.

Flipping exchanges left and right joints, and exchanges limbs and their directions.
"""

from functools import lru_cache

from torch import Tensor

from firstsight.errors import DataError
from firstsight.pose.skeleton import Skeleton


@lru_cache(maxsize=32)
def flip_limbs(skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """Return, for each limb, the index of its counterpart in a horizontally flipped image, and its direction.

    Parameters
    ----------
    skeleton : Skeleton
        Skeleton with L limbs.

    Returns
    -------
    tuple[tuple[int, int], ...]
        L pairs: index of the counterpart, and 1 if it has the same direction, -1 if it has the opposite direction.

    Raises
    ------
    DataError
        If a limb has no counterpart.

    Examples
    --------
    >>> from firstsight.pose.skeleton import LSP_14
    >>> flip_limbs(LSP_14)[:3]
    ((0, 1), (2, 1), (1, 1))
    """
    counterparts = []
    for a, b in skeleton.limbs:
        flipped_a = skeleton.flip[a]
        flipped_b = skeleton.flip[b]
        if (flipped_a, flipped_b) in skeleton.limbs:
            counterparts.append((skeleton.limbs.index((flipped_a, flipped_b)), 1))
        elif (flipped_b, flipped_a) in skeleton.limbs:
            counterparts.append((skeleton.limbs.index((flipped_b, flipped_a)), -1))
        else:
            raise DataError(
                f"skeleton {skeleton.name}: images cannot be flipped, because the limb from {skeleton.joints[a]} to"
                f" {skeleton.joints[b]} has no counterpart from {skeleton.joints[flipped_a]} to"
                f" {skeleton.joints[flipped_b]}"
            )
    return tuple(counterparts)


def unflip_maps(heatmaps: Tensor, pafs: Tensor, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Convert the maps of a horizontally flipped image to maps of the original image.

    Parameters
    ----------
    heatmaps : Tensor
        (..., K, H, W) or (..., K + 1, H, W) with the background last.
    pafs : Tensor
        (..., 2L, H, W) part affinity fields.
    skeleton : Skeleton
        Skeleton with K joints and L limbs.

    Returns
    -------
    tuple[Tensor, Tensor]
        Heatmaps and fields of the original image, of the same shapes.

    Raises
    ------
    DataError
        If a limb has no counterpart in the flipped image.
    """
    joints = [*skeleton.flip, *range(len(skeleton), heatmaps.shape[-3])]
    channels = [0] * pafs.shape[-3]
    signs = [1.0] * pafs.shape[-3]
    for channel, (limb, direction) in zip(skeleton.paf_channels, flip_limbs(skeleton), strict=True):
        channels[channel] = skeleton.paf_channels[limb]
        channels[channel + 1] = skeleton.paf_channels[limb] + 1
        signs[channel] = -direction  # x changes its sign
        signs[channel + 1] = direction
    flipped_pafs = pafs[..., channels, :, :].flip(-1) * pafs.new_tensor(signs)[:, None, None]
    return heatmaps[..., joints, :, :].flip(-1), flipped_pafs
