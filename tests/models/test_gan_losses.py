"""Adversarial losses: values by hand, gradients, penalties."""

import math

import pytest
import torch

from firstsight.errors import UsageError
from firstsight.models.gan.losses import (
    LOSSES,
    GANLoss,
    fake_loss,
    generator_loss,
    gradient_penalty,
    r1_penalty,
    real_loss,
    register_loss,
    to_score,
)

HALF = math.log(2)


@pytest.mark.parametrize(
    ("loss", "real", "fake", "generator"),
    [
        ("non-saturating", HALF, HALF, HALF),
        ("saturating", HALF, HALF, -HALF),
        ("least-squares", 0.5, 0.0, 0.5),
        ("sigmoid-squares", 0.25, 0.25, 0.25),
        ("hinge", 1.0, 1.0, 0.0),
        ("wasserstein", 0.0, 0.0, 0.0),
    ],
)
def test_losses_at_a_logit_of_zero(loss: str, real: float, fake: float, generator: float) -> None:
    zero = torch.zeros(1, dtype=torch.float64)
    assert float(real_loss(loss, zero)) == pytest.approx(real)
    assert float(fake_loss(loss, zero)) == pytest.approx(fake)
    assert float(generator_loss(loss, zero)) == pytest.approx(generator)


@pytest.mark.parametrize("loss", LOSSES)
def test_discriminator_raises_real_logits_and_generator_raises_fake_logits(loss: str) -> None:
    """And the discriminator lowers fake logits; large logits overflow in no loss."""
    logits = torch.linspace(0.1, 0.9, 7, dtype=torch.float64, requires_grad=True)  # no loss is flat there
    for value, sign in (
        (real_loss(loss, logits), -1),
        (fake_loss(loss, logits), 1),
        (generator_loss(loss, logits), -1),
    ):
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        assert bool((gradient.sign() * sign >= 0).all()) and float(gradient.abs().sum()) > 0
    far = torch.tensor([-1e4, 1e4])
    assert all(bool(f(loss, far).isfinite().all()) for f in (real_loss, fake_loss, generator_loss))


def test_gradient_of_the_saturating_loss_vanishes_for_confident_discriminators() -> None:
    """That of the non-saturating loss, the default, does not."""
    confident = torch.tensor([-10.0], requires_grad=True)
    gradients = {}
    for loss in ("saturating", "non-saturating"):
        (gradients[loss],) = torch.autograd.grad(generator_loss(loss, confident), confident)
    assert abs(float(gradients["saturating"])) < 1e-4 and float(gradients["non-saturating"]) < -0.99


def test_label_smoothing_is_cross_entropy_with_that_target() -> None:
    logits = torch.tensor([0.3, -2.0], dtype=torch.float64)
    p = torch.sigmoid(logits)
    expected = -(0.9 * p.log() + 0.1 * (1 - p).log())
    torch.testing.assert_close(real_loss("non-saturating", logits, target=0.9), expected)
    each = torch.tensor([0.9, 0.0], dtype=torch.float64)
    torch.testing.assert_close(real_loss("non-saturating", logits, target=each)[1], -(1 - p[1]).log())


@pytest.mark.parametrize(
    ("loss", "smoothed", "flipped"),
    [
        ("non-saturating", 0.9 * math.log(4 / 3) + 0.1 * math.log(4), math.log(4 / 3)),
        ("saturating", 0.9 * math.log(4 / 3) + 0.1 * math.log(4), math.log(4 / 3)),
        ("least-squares", (math.log(3) - 0.9) ** 2 / 2, (math.log(3) - 1) ** 2 / 2),
        ("sigmoid-squares", 0.15**2, 0.25**2),
        ("hinge", 0.0, 1 + math.log(3)),
        ("wasserstein", -math.log(3), math.log(3)),
    ],
)
def test_losses_with_smoothed_and_flipped_labels(loss: str, smoothed: float, flipped: float) -> None:
    """The logit is log 3, whose sigmoid is 3/4; the last two losses ignore the target."""
    logits = torch.tensor([math.log(3)], dtype=torch.float64)
    assert float(real_loss(loss, logits, target=0.9)) == pytest.approx(smoothed)
    assert float(fake_loss(loss, logits, target=1.0)) == pytest.approx(flipped)
    assert float(fake_loss(loss, logits, target=torch.tensor(1.0))) == pytest.approx(flipped)


@pytest.mark.parametrize(
    ("loss", "score"),
    [
        ("non-saturating", 0.75),
        ("saturating", 0.75),
        ("least-squares", 1.0),
        ("sigmoid-squares", 0.75),
        ("hinge", math.log(3)),
        ("wasserstein", math.log(3)),
    ],
)
def test_scores_of_logits(loss: str, score: float) -> None:
    """The sigmoid, the logit clamped to [0, 1], or the logit itself."""
    assert float(to_score(loss, torch.tensor([math.log(3)], dtype=torch.float64))) == pytest.approx(score)
    assert float(to_score("least-squares", torch.tensor(-0.5))) == 0


def test_gradient_penalty_is_taken_between_real_and_generated_images() -> None:
    """The gradient of |x|^2 / 2 is x itself: (3, 4) for real, 0 for generated images, and a part of (3, 4) between."""
    real = torch.tensor([3.0, 4.0]).view(1, 1, 1, 2).expand(3, 1, 1, 2)
    penalty = gradient_penalty(
        lambda x: x.square().flatten(1).sum(1) / 2, real, torch.zeros(3, 1, 1, 2), torch.tensor([1.0, 0.4, 0.0])
    )
    torch.testing.assert_close(penalty, torch.tensor([(5.0 - 1) ** 2, (2.0 - 1) ** 2, (0.0 - 1) ** 2]))


def test_gradient_penalty_of_a_linear_discriminator_is_that_of_its_weights() -> None:
    """(|w| - 1)^2, here (3 - 1)^2."""
    weight = torch.tensor([1.0, 2.0, 2.0, 0.0]).view(1, 1, 2, 2).requires_grad_()
    real, fake = torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2)
    penalty = gradient_penalty(lambda x: (x * weight).flatten(1).sum(1), real, fake, torch.rand(3))
    torch.testing.assert_close(penalty, torch.full((3,), 4.0))
    (gradient,) = torch.autograd.grad(penalty.mean(), weight)
    torch.testing.assert_close(gradient, 2 * (3 - 1) * weight.detach() / 3)


def test_r1_penalty_is_the_squared_length_of_the_gradient_at_real_images() -> None:
    """The gradient of half the squared length of an image is the image; of a linear discriminator, its weights."""
    weight = torch.tensor([1.0, 2.0, 2.0, 0.0]).view(1, 1, 2, 2).requires_grad_()
    real = torch.randn(3, 1, 2, 2)
    quadratic = r1_penalty(lambda x: x.square().flatten(1).sum(1) / 2, real)
    torch.testing.assert_close(quadratic, real.square().flatten(1).sum(1))
    linear = r1_penalty(lambda x: (x * weight).flatten(1).sum(1), real)
    torch.testing.assert_close(linear, torch.full((3,), 9.0))
    (gradient,) = torch.autograd.grad(linear.mean(), weight)
    torch.testing.assert_close(gradient, 2 * weight.detach())


def test_a_new_loss_is_one_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    """RaLSGAN's absolute form for one image, trained through the settings of a recipe."""
    from dataclasses import replace

    from firstsight.recipes import find_recipe

    settings = replace(find_recipe("gan-digits").settings, loss="absolute")
    with pytest.raises(UsageError, match=r"`loss` must be one of non-saturating, .*; got absolute"):
        settings.validate()
    monkeypatch.setitem(LOSSES, "absolute", LOSSES["hinge"])  # restores the table afterwards
    register_loss(
        GANLoss(
            name="absolute",
            real=lambda logits, target: (logits - target).abs(),
            fake=lambda logits, target: (logits - target).abs(),
            generator=lambda logits: (logits - 1).abs(),
        )
    )
    settings.validate()
    assert real_loss("absolute", torch.tensor([0.5])).tolist() == [0.5]
    assert fake_loss("absolute", torch.tensor([0.5]), target=0.0).tolist() == [0.5]
    assert generator_loss("absolute", torch.tensor([3.0])).tolist() == [2.0]
