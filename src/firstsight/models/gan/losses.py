"""Adversarial losses by name, on logits: the losses that the discriminator and the generator minimize.

D is the discriminator's logit, s the sigmoid, r a real and f a generated image; losses are averaged over the batch::

    name            discriminator                              generator
    non-saturating  -log s(D(r)) - log(1 - s(D(f)))            -log s(D(f))            Goodfellow 2014, Section 3
    saturating      the same                                   log(1 - s(D(f)))        Goodfellow 2014, Equation 1
    least-squares   (D(r) - 1)^2 / 2 + D(f)^2 / 2              (D(f) - 1)^2 / 2        Mao 2017, Equation 9
    sigmoid-squares (s(D(r)) - 1)^2 + s(D(f))^2                (s(D(f)) - 1)^2         the study of recipe gan-stuck
    hinge           max(0, 1 - D(r)) + max(0, 1 + D(f))        -D(f)                   Lim and Ye 2017
    wasserstein     D(f) - D(r), with a gradient penalty       -D(f)                   Gulrajani 2017

The first four losses accept a target for real images other than 1 (one-sided label smoothing, Salimans 2016).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from firstsight.errors import UsageError
from firstsight.models.gan.infogan import CodePrediction

CodeStd = float | Sequence[float] | Literal["learned"]
Target = Tensor | float


@dataclass(frozen=True, kw_only=True)
class GANLoss:
    """An adversarial loss. All functions are elementwise on the logits of D.

    Parameters
    ----------
    name : str
        Name in the settings.
    real : Callable[[Tensor, Target], Tensor]
        Loss of D for real images: ``(logits, target)``, target 1 unless labels are smoothed or flipped.
    fake : Callable[[Tensor, Target], Tensor]
        Loss of D for generated images: ``(logits, target)``, target 0 unless labels are flipped.
    generator : Callable[[Tensor], Tensor]
        Loss of G.
    score : Callable[[Tensor], Tensor]
        Converts logits to scores from 0 ("generated") to 1 ("real"), for the learning curves.
    has_targets : bool
        Whether ``real`` and ``fake`` use their target.
    has_gradient_penalty : bool
        Whether D gets the gradient penalty of Gulrajani 2017.
    """

    name: str
    real: Callable[[Tensor, Target], Tensor]
    fake: Callable[[Tensor, Target], Tensor]
    generator: Callable[[Tensor], Tensor]
    score: Callable[[Tensor], Tensor] = torch.sigmoid
    has_targets: bool = True
    has_gradient_penalty: bool = False


def _cross_entropy(logits: Tensor, target: Target) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, _expand_target(logits, target), reduction="none")


def _squared_error(logits: Tensor, target: Target) -> Tensor:
    return (logits - target).square() / 2


def _squared_error_of_sigmoid(logits: Tensor, target: Target) -> Tensor:
    return (torch.sigmoid(logits) - target).square()


def _identity(logits: Tensor) -> Tensor:
    return logits


LOSSES: dict[str, GANLoss] = {}
"""Adversarial losses by name."""


def register_loss(loss: GANLoss) -> None:
    """Add an adversarial loss; one of the same name is replaced."""
    LOSSES[loss.name] = loss


register_loss(
    GANLoss(
        name="non-saturating",
        real=_cross_entropy,
        fake=_cross_entropy,
        generator=lambda logits: F.softplus(-logits),
    )
)
register_loss(
    GANLoss(
        name="saturating",
        real=_cross_entropy,
        fake=_cross_entropy,
        generator=lambda logits: -F.softplus(logits),
    )
)
register_loss(
    GANLoss(
        name="least-squares",
        real=_squared_error,
        fake=_squared_error,
        generator=lambda logits: (logits - 1).square() / 2,
        score=lambda logits: logits.clamp(0, 1),
    )
)
register_loss(
    GANLoss(
        name="sigmoid-squares",
        real=_squared_error_of_sigmoid,
        fake=_squared_error_of_sigmoid,
        generator=lambda logits: (torch.sigmoid(logits) - 1).square(),
    )
)
register_loss(
    GANLoss(
        name="hinge",
        real=lambda logits, target: F.relu(1 - logits),
        fake=lambda logits, target: F.relu(1 + logits),
        generator=lambda logits: -logits,
        score=_identity,
        has_targets=False,
    )
)
register_loss(
    GANLoss(
        name="wasserstein",
        real=lambda logits, target: -logits,
        fake=lambda logits, target: logits,
        generator=lambda logits: -logits,
        score=_identity,
        has_targets=False,
        has_gradient_penalty=True,
    )
)


def get_loss(name: str) -> GANLoss:
    """Return the adversarial loss of this name.

    Raises
    ------
    UsageError
        If there is none.
    """
    if name not in LOSSES:
        raise UsageError(f"`loss` must be one of {', '.join(LOSSES)}; got {name}")
    return LOSSES[name]


def real_loss(loss: str, logits: Tensor, *, target: Target = 1.0) -> Tensor:
    """Compute the discriminator's loss of real images.

    Parameters
    ----------
    loss : str
        Name of the loss.
    logits : Tensor
        Discriminator's logits of real images, any shape.
    target : Target
        Label of real images: a number, or one for each logit. Ignored by "hinge" and "wasserstein".

    Returns
    -------
    Tensor
        Loss of each image, shaped as ``logits``.
    """
    return get_loss(loss).real(logits, target)


def fake_loss(loss: str, logits: Tensor, *, target: Target = 0.0) -> Tensor:
    """Compute the discriminator's loss of generated images.

    Parameters
    ----------
    loss : str
        Name of the loss.
    logits : Tensor
        Discriminator's logits of generated images, any shape.
    target : Target
        Label of generated images: a number, or one for each logit. Ignored by "hinge" and "wasserstein".

    Returns
    -------
    Tensor
        Loss of each image, shaped as ``logits``.
    """
    return get_loss(loss).fake(logits, target)


def to_score(loss: str, logits: Tensor) -> Tensor:
    """Convert the discriminator's logits to scores from 0 ("generated") to 1 ("real").

    Parameters
    ----------
    loss : str
        Name of the loss that the discriminator minimizes.
    logits : Tensor
        Discriminator's logits, any shape.

    Returns
    -------
    Tensor
        Scores, shaped as ``logits``. For "hinge" and "wasserstein", which have no such scale, the logits themselves.
    """
    return get_loss(loss).score(logits)


def generator_loss(loss: str, logits: Tensor) -> Tensor:
    """Compute the generator's loss.

    Parameters
    ----------
    loss : str
        Name of the loss.
    logits : Tensor
        Discriminator's logits of generated images, any shape.

    Returns
    -------
    Tensor
        Loss of each image, shaped as ``logits``.
    """
    return get_loss(loss).generator(logits)


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Compute the gradient penalty ``(|gradient| - 1)^2`` between real and generated images (Gulrajani 2017, Eq. 3).

    Parameters
    ----------
    discriminator : Callable[[Tensor], Tensor]
        Function from images (N, C, H, W) to logits.
    real : Tensor
        Real images (N, C, H, W).
    fake : Tensor
        Generated images (N, C, H, W), without gradient.
    mix : Tensor
        Weights (N,) of the real images in the interpolation, in [0, 1].

    Returns
    -------
    Tensor
        Penalty (N,) of each interpolated image; differentiable.
    """
    weight = mix.view(-1, 1, 1, 1)
    interpolated = (weight * real + (1 - weight) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(interpolated).sum(), interpolated, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square()


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Compute the R1 gradient penalty ``|gradient|^2`` at real images (Mescheder 2018, Eq. 9, without the factor 1/2).

    Parameters
    ----------
    discriminator : Callable[[Tensor], Tensor]
        Function from images (N, C, H, W) to logits.
    real : Tensor
        Real images (N, C, H, W).

    Returns
    -------
    Tensor
        Penalty (N,) of each image; differentiable.
    """
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gradient.flatten(1).square().sum(1)


def information_loss(
    prediction: CodePrediction, categories: Sequence[Tensor], continuous: Tensor, *, code_std: CodeStd = 1.0
) -> Tensor:
    """Compute the mutual-information loss -log Q(codes | image) of InfoGAN (Chen 2016, Equation 5).

    It is the cross entropy of the categorical codes plus the negative log-likelihood of the continuous codes under
    normal distributions, without its constant.

    Parameters
    ----------
    prediction : CodePrediction
        Q's prediction for the generated images.
    categories : Sequence[Tensor]
        True values (N,) of each categorical code, as returned by `Latent.codes`.
    continuous : Tensor
        True values (N, codes) of the continuous codes, as returned by `Latent.codes`.
    code_std : CodeStd
        Standard deviation of the normal distributions, for codes in [-1, 1]. One number for all codes, as in the
        authors' code (1), or one for each code; a smaller value gives a code more weight. "learned" uses Q's
        variances. The loss of a continuous code then has no lower bound, while that of a category ends at zero.

    Returns
    -------
    Tensor
        Loss (N,) of each image.
    """
    if code_std == "learned":
        log_variances = prediction.log_variances
    else:
        log_variances = torch.zeros_like(prediction.log_variances)
        for code in range(log_variances.shape[1]):  # filled on the device, without synchronization
            log_variances[:, code] = 2 * math.log(code_std if isinstance(code_std, float | int) else code_std[code])
    squared_errors = (continuous - prediction.means).square()
    total = (0.5 * log_variances + squared_errors / (2 * log_variances.exp())).sum(1)
    for logits, values in zip(prediction.categories, categories, strict=True):
        total = total + F.cross_entropy(logits, values, reduction="none")
    return total


def _expand_target(logits: Tensor, target: Tensor | float) -> Tensor:
    """Return the target in the shape of the logits."""
    return target.expand_as(logits) if isinstance(target, Tensor) else torch.full_like(logits, target)
