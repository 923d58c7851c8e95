"""Adversarial losses: values by hand, slopes, and the game's known facts."""

import math

import pytest
import torch

from firstsight.gan.losses import LOSSES, Loss, fake_loss, generator_loss, gradient_penalty, real_loss, real_slope

HALF = math.log(2)


@pytest.mark.parametrize(
    ("loss", "real", "fake", "generator"),
    [
        ("non-saturating", HALF, HALF, HALF),
        ("saturating", HALF, HALF, -HALF),
        ("least-squares", 0.5, 0.0, 0.5),
        ("hinge", 1.0, 1.0, 0.0),
        ("wasserstein", 0.0, 0.0, 0.0),
    ],
)
def test_values_of_an_undecided_discriminator(loss: Loss, real: float, fake: float, generator: float) -> None:
    """At logit 0."""
    zero = torch.zeros(1, dtype=torch.float64)
    assert float(real_loss(loss, zero)) == pytest.approx(real)
    assert float(fake_loss(loss, zero)) == pytest.approx(fake)
    assert float(generator_loss(loss, zero)) == pytest.approx(generator)


@pytest.mark.parametrize("loss", LOSSES)
def test_who_wants_what(loss: Loss) -> None:
    """The discriminator wants real up and generated down, the generator wants its own up; nothing overflows."""
    logits = torch.linspace(0.1, 0.9, 7, dtype=torch.float64, requires_grad=True)  # where all of them pull
    for value, sign in (
        (real_loss(loss, logits), -1),
        (fake_loss(loss, logits), 1),
        (generator_loss(loss, logits), -1),
    ):
        (slope,) = torch.autograd.grad(value.sum(), logits)
        assert bool((slope.sign() * sign >= 0).all()) and float(slope.abs().sum()) > 0
    far = torch.tensor([-1e4, 1e4])
    assert all(bool(f(loss, far).isfinite().all()) for f in (real_loss, fake_loss, generator_loss))


def test_saturating_gives_no_slope_where_it_is_needed() -> None:
    """When the discriminator is sure that a picture is generated: why the other one is the default."""
    sure = torch.tensor([-10.0], requires_grad=True)
    slopes = {}
    for loss in ("saturating", "non-saturating"):
        (slopes[loss],) = torch.autograd.grad(generator_loss(loss, sure), sure)
    assert abs(float(slopes["saturating"])) < 1e-4 and float(slopes["non-saturating"]) < -0.99


def test_label_smoothing_is_cross_entropy_with_that_target() -> None:
    logits = torch.tensor([0.3, -2.0], dtype=torch.float64)
    p = torch.sigmoid(logits)
    expected = -(0.9 * p.log() + 0.1 * (1 - p).log())
    torch.testing.assert_close(real_loss("non-saturating", logits, target=0.9), expected)
    each = torch.tensor([0.9, 0.0], dtype=torch.float64)
    torch.testing.assert_close(real_loss("non-saturating", logits, target=each)[1], -(1 - p[1]).log())


def test_penalty_of_a_linear_discriminator() -> None:
    """Its slope is its weights everywhere: (|w| - 1)^2, here (3 - 1)^2."""
    weight = torch.tensor([1.0, 2.0, 2.0, 0.0]).view(1, 1, 2, 2).requires_grad_()
    real, fake = torch.randn(3, 1, 2, 2), torch.randn(3, 1, 2, 2)
    penalty = gradient_penalty(lambda x: (x * weight).flatten(1).sum(1), real, fake, torch.rand(3))
    torch.testing.assert_close(penalty, torch.full((3,), 4.0))
    (slope,) = torch.autograd.grad(penalty.mean(), weight)
    torch.testing.assert_close(slope, 2 * (3 - 1) * weight.detach() / 3)


def test_slope_at_real_pictures() -> None:
    """Of half the squared length of a picture the slope is the picture; of a linear discriminator its weights."""
    weight = torch.tensor([1.0, 2.0, 2.0, 0.0]).view(1, 1, 2, 2).requires_grad_()
    real = torch.randn(3, 1, 2, 2)
    found = real_slope(lambda x: x.square().flatten(1).sum(1) / 2, real)
    torch.testing.assert_close(found, real.square().flatten(1).sum(1))
    found = real_slope(lambda x: (x * weight).flatten(1).sum(1), real)
    torch.testing.assert_close(found, torch.full((3,), 9.0))
    (change,) = torch.autograd.grad(found.mean(), weight)
    torch.testing.assert_close(change, 2 * weight.detach())
