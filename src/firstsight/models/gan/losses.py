"""Adversarial losses by name, on logits: what the discriminator minimises, and what the generator minimises.

With D the discriminator's logit, s the sigmoid, r real and f generated images, means over the batch::

    name            discriminator                              generator
    non-saturating  -log s(D(r)) - log(1 - s(D(f)))            -log s(D(f))            Goodfellow 2014, section 3
    saturating      the same                                   log(1 - s(D(f)))        Goodfellow 2014, equation 1
    least-squares   (D(r) - 1)^2 / 2 + D(f)^2 / 2              (D(f) - 1)^2 / 2        Mao 2017, equation 9
    sigmoid-squares (s(D(r)) - 1)^2 + s(D(f))^2                (s(D(f)) - 1)^2         the study's, kept for gan-stuck
    hinge           max(0, 1 - D(r)) + max(0, 1 + D(f))        -D(f)                   Lim and Ye 2017
    wasserstein     D(f) - D(r), with a gradient penalty       -D(f)                   Gulrajani 2017

With a target for real images other than 1 (one-sided label smoothing, Salimans 2016), the first term of the first four
is held against that target.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from firstsight.models.gan.infogan import CodePrediction

Loss = Literal["non-saturating", "saturating", "least-squares", "sigmoid-squares", "hinge", "wasserstein"]
LOSSES: tuple[Loss, ...] = get_args(Loss)
CodeStd = float | Sequence[float] | Literal["learned"]
WITHOUT_SCALE: tuple[Loss, ...] = ("hinge", "wasserstein")
"""Losses whose discriminator is asked for a difference, not for a number between 0 and 1."""


def real_loss(loss: Loss, logits: Tensor, *, target: Tensor | float = 1.0) -> Tensor:
    """What the discriminator pays for real images.

    Parameters
    ----------
    logits : Tensor
        Of the discriminator, any shape.
    target : Tensor | float
        What it should say, 1 for "real"; a number, or one for each logit.

    Returns
    -------
    Tensor
        The loss of each image, shaped as ``logits``.
    """
    if loss in ("non-saturating", "saturating"):
        return F.binary_cross_entropy_with_logits(logits, _filled(logits, target), reduction="none")
    if loss == "least-squares":
        return (logits - target).square() / 2
    if loss == "sigmoid-squares":
        return (torch.sigmoid(logits) - target).square()
    if loss == "hinge":
        return F.relu(1 - logits)
    return -logits


def fake_loss(loss: Loss, logits: Tensor, *, target: Tensor | float = 0.0) -> Tensor:
    """What the discriminator pays for generated images; shapes as in `real_loss`."""
    if loss in ("non-saturating", "saturating"):
        return F.binary_cross_entropy_with_logits(logits, _filled(logits, target), reduction="none")
    if loss == "least-squares":
        return (logits - target).square() / 2
    if loss == "sigmoid-squares":
        return (torch.sigmoid(logits) - target).square()
    if loss == "hinge":
        return F.relu(1 + logits)
    return logits


def answer(loss: Loss, logits: Tensor) -> Tensor:
    """What the discriminator says: from 0 ("generated") to 1 ("real") where the loss has that scale, else its logits.

    Parameters
    ----------
    logits : Tensor
        Of any shape, which the answer has too.
    """
    if loss == "least-squares":
        return logits.clamp(0, 1)
    return logits if loss in WITHOUT_SCALE else torch.sigmoid(logits)


def generator_loss(loss: Loss, logits: Tensor) -> Tensor:
    """What the generator pays for the discriminator's logits of its images; of each image, in any shape."""
    if loss == "non-saturating":
        return F.softplus(-logits)
    if loss == "saturating":
        return -F.softplus(logits)
    if loss == "least-squares":
        return (logits - 1).square() / 2
    if loss == "sigmoid-squares":
        return (torch.sigmoid(logits) - 1).square()
    return -logits


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """How far the discriminator's slope is from one, between real and generated images (Gulrajani 2017, equation 3).

    Parameters
    ----------
    real, fake : Tensor
        (N, C, H, W); ``fake`` without gradient.
    mix : Tensor
        (N,) in [0, 1]: where between them each slope is taken.

    Returns
    -------
    Tensor
        (N,) the squared differences; can be differentiated.
    """
    share = mix.view(-1, 1, 1, 1)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square()


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """The discriminator's squared slope at real images: R1 (Mescheder 2018, equation 9, without its half).

    Parameters
    ----------
    real : Tensor
        (N, C, H, W).

    Returns
    -------
    Tensor
        (N,); can be differentiated.
    """
    real = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return slope.flatten(1).square().sum(1)


def information_loss(
    reading: CodePrediction, categories: Sequence[Tensor], values: Tensor, *, code_std: CodeStd = 1.0
) -> Tensor:
    """How badly Q reads the codes off generated pictures: -log Q(codes | picture), of each picture (Chen 2016, eq. 5).

    Cross entropy for the categories, a normal density for the continuous codes (without its constant).

    Parameters
    ----------
    reading : CodePrediction
        Q's answer; categories, values : the codes the pictures were made with, as `Latent.codes` gives them.
    code_std : CodeStd
        The normal densities' deviation, of values in [-1, 1]: one, as in the authors' code; a smaller one, which makes
        reading the continuous codes matter more beside the categories; one for each code, which lets one matter more
        than another; or what Q says. Learned, there is no end to what a continuous code gains by being read better,
        while a category's gain ends at zero.

    Returns
    -------
    Tensor
        (N,)
    """
    learned = reading.log_variances
    if code_std == "learned":
        logs = learned
    else:
        logs = torch.zeros_like(learned)
        for code in range(learned.shape[1]):  # filled where they are: nothing waits for the device
            logs[:, code] = 2 * math.log(code_std if isinstance(code_std, float | int) else code_std[code])
    total = (0.5 * logs + (values - reading.means).square() / (2 * logs.exp())).sum(1)
    for logits, chosen in zip(reading.categories, categories, strict=True):
        total = total + F.cross_entropy(logits, chosen, reduction="none")
    return total


def _filled(logits: Tensor, target: Tensor | float) -> Tensor:
    return target.expand_as(logits) if isinstance(target, Tensor) else torch.full_like(logits, target)
