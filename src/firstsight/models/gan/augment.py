"""Pictures disturbed at random before the discriminator sees them, real and generated ones alike.

The gradient goes through, and what is done to both kinds leaves one answer: the generator learns pictures that are not
disturbed.

- Moved (Zhao 2020, DiffAugment: its translation). A discriminator that never sees a picture twice in the same place
  needs longer to learn it by heart. Differs from the published one: what a move uncovers repeats the edge instead of
  being zero, which in [-1, 1] is grey.
- Under noise (Sonderby 2017, Arjovsky 2017: instance noise). It makes real and generated pictures overlap: the
  discriminator can no longer be certain, and what it says stays something to learn from.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def noisy(images: Tensor, deviation: float) -> Tensor:
    """Add noise from N(0, ``deviation``) to every value.

    Parameters
    ----------
    images : Tensor
        Any shape.
    deviation : float
        Of the noise, in the units of the images; 0 adds nothing, and draws nothing.

    Returns
    -------
    Tensor
        Shaped as ``images``; can be differentiated.
    """
    return images + deviation * torch.randn_like(images) if deviation else images


def translated(images: Tensor, most: int) -> Tensor:
    """Move each picture, down or up and right or left, by a number of pixels drawn at random.

    Parameters
    ----------
    images : Tensor
        (N, C, H, W).
    most : int
        Largest move in pixels, in each direction; 0 moves nothing, and draws nothing.

    Returns
    -------
    Tensor
        (N, C, H, W); can be differentiated.

    Examples
    --------
    >>> translated(torch.ones(2, 1, 4, 4), 1).sum()
    tensor(32.)
    """
    if not most:
        return images
    n, channels, height, width = images.shape
    down, right = torch.randint(0, 2 * most + 1, (2, n, 1), device=images.device)
    wide = F.pad(images, (most, most, most, most), mode="replicate")
    rows = (down + torch.arange(height, device=images.device))[:, None, :, None]
    columns = (right + torch.arange(width, device=images.device))[:, None, None, :]
    wide = wide.gather(2, rows.expand(n, channels, height, width + 2 * most))
    return wide.gather(3, columns.expand(n, channels, height, width))
