"""The maps of a mirrored picture turned back: joints change sides, limbs change sides and directions."""

from functools import lru_cache

from torch import Tensor

from firstsight.errors import DataError
from firstsight.pose.skeleton import Skeleton


@lru_cache(maxsize=32)
def mirrored_limbs(skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """For each limb the one that lies in its place in a mirror image, and 1, or -1 if that leads the other way.

    Raises
    ------
    DataError
        A limb has none.

    >>> from firstsight.pose.skeleton import LSP_14
    >>> mirrored_limbs(LSP_14)[:3]
    ((0, 1), (2, 1), (1, 1))
    """
    flip = skeleton.flip
    found = []
    for a, b in skeleton.limbs:
        one, other = flip[a], flip[b]
        if (one, other) in skeleton.limbs:
            found.append((skeleton.limbs.index((one, other)), 1))
        elif (other, one) in skeleton.limbs:
            found.append((skeleton.limbs.index((other, one)), -1))
        else:
            raise DataError(
                f"skeleton {skeleton.name}: the limb from {skeleton.joints[a]} to {skeleton.joints[b]} has no mirror"
                f" image (none from {skeleton.joints[one]} to {skeleton.joints[other]}), so pictures cannot be flipped"
            )
    return tuple(found)


def unmirrored(heatmaps: Tensor, pafs: Tensor, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """From the maps of a mirrored picture to those of the picture.

    Parameters
    ----------
    heatmaps : Tensor
        (..., K or K + 1, H, W); a map of the background comes last, and only mirrored.
    pafs : Tensor
        (..., 2 limbs, H, W).

    Raises
    ------
    DataError
        A limb has no mirror image.
    """
    joints, limbs = [*skeleton.flip, *range(len(skeleton), heatmaps.shape[-3])], mirrored_limbs(skeleton)
    order, signs = [0] * pafs.shape[-3], [1.0] * pafs.shape[-3]
    for channel, (limb, sign) in zip(skeleton.paf_channels, limbs, strict=True):
        order[channel], order[channel + 1] = skeleton.paf_channels[limb], skeleton.paf_channels[limb] + 1
        signs[channel], signs[channel + 1] = -sign, sign
    fields = pafs[..., order, :, :].flip(-1) * pafs.new_tensor(signs)[:, None, None]
    return heatmaps[..., joints, :, :].flip(-1), fields
