"""Random changes of the discriminator's input, the same for real and generated images.

Both functions are differentiable. Because they change real and generated images alike, the generator still learns
unchanged images.

- `random_translate`: the translation of DiffAugment (Zhao 2020). The discriminator never sees an image twice at the
  same position, so it overfits later. Differs from the published version: uncovered pixels repeat the edge instead of
  being zero, which is gray in [-1, 1].
- `add_noise`: instance noise (Sønderby 2017, Arjovsky 2017). The distributions of real and generated images then
  overlap, so the discriminator cannot become certain and its gradient stays informative.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def add_noise(images: Tensor, std: float) -> Tensor:
    """Add Gaussian noise to every value.

    Parameters
    ----------
    images : Tensor
        Images of any shape.
    std : float
        Standard deviation of the noise, in the units of the images. With 0 no random numbers are drawn.

    Returns
    -------
    Tensor
        Noisy images, shaped as ``images``; differentiable.
    """
    return images + std * torch.randn_like(images) if std else images


def random_translate(images: Tensor, max_shift: int) -> Tensor:
    """Shift each image vertically and horizontally by a random number of pixels.

    Parameters
    ----------
    images : Tensor
        Images (N, C, H, W).
    max_shift : int
        Largest shift in pixels, in each direction. With 0 no random numbers are drawn.

    Returns
    -------
    Tensor
        Shifted images (N, C, H, W); differentiable.

    Examples
    --------
    >>> random_translate(torch.ones(2, 1, 4, 4), 1).sum()
    tensor(32.)
    """
    if not max_shift:
        return images
    n, c, h, w = images.shape
    shift_y, shift_x = torch.randint(0, 2 * max_shift + 1, (2, n, 1), device=images.device)
    padded = F.pad(images, (max_shift, max_shift, max_shift, max_shift), mode="replicate")
    rows = (shift_y + torch.arange(h, device=images.device))[:, None, :, None]
    columns = (shift_x + torch.arange(w, device=images.device))[:, None, None, :]
    x = padded.gather(2, rows.expand(n, c, h, w + 2 * max_shift))  # (N, C, H, W + 2 * max_shift)
    return x.gather(3, columns.expand(n, c, h, w))  # (N, C, H, W)
