"""Latent vectors: noise, categories and continuous codes, their distributions, spherical interpolation."""

import math
from typing import Literal

import pytest
import torch

from firstsight.models.gan.latent import Latent, slerp

LATENT = Latent(62, (10, 3), 2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_latent_vector_is_noise_then_one_hot_categories_then_continuous_codes() -> None:
    z = LATENT.draw(2000, generator=seeded())
    assert z.shape == (2000, 62 + 10 + 3 + 2) == (2000, LATENT.length)
    (first, second), values = LATENT.codes(z)
    assert torch.equal(z[:, 62:72].sum(1), torch.ones(2000)) and torch.equal(z[:, 62:72].argmax(1), first)
    assert torch.equal(z[:, 72:75].argmax(1), second)
    assert torch.equal(z[:, 75:], values)
    assert first.bincount(minlength=10).min() > 130 and second.bincount(minlength=3).min() > 550
    assert values.min() >= -1 and values.max() < 1 and abs(float(values.mean())) < 0.05
    assert float(z[:, :62].std()) == pytest.approx(1, abs=0.01)


def test_uniform_noise_lies_in_minus_one_to_one() -> None:
    z = Latent(50, kind="uniform").draw(1000, generator=seeded())
    assert z.shape == (1000, 50) and float(z.std()) == pytest.approx(1 / math.sqrt(3), abs=0.01)
    assert z.min() >= -1 and z.max() < 1


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_all_parts_are_drawn_on_the_device_and_in_the_data_type(kind: Literal["normal", "uniform"]) -> None:
    """The device "meta" computes only shapes, but refuses to concatenate tensors of different devices."""
    z = Latent(5, (3,), 2, kind=kind).draw(4, device="meta", dtype=torch.float64)
    assert (z.device.type, z.dtype, z.shape) == ("meta", torch.float64, (4, 10))


def test_same_seed_draws_the_same_latent_vectors() -> None:
    assert torch.equal(LATENT.draw(5, generator=seeded(3)), LATENT.draw(5, generator=seeded(3)))
    assert not torch.equal(LATENT.draw(5, generator=seeded(3)), LATENT.draw(5, generator=seeded(4)))


def test_setting_codes_changes_nothing_else() -> None:
    z = LATENT.draw(4, generator=seeded())
    changed = LATENT.with_category(LATENT.with_continuous(z, 1, 0.25), 1, torch.tensor([0, 1, 2, 0]))
    (first, second), values = LATENT.codes(changed)
    assert second.tolist() == [0, 1, 2, 0] and values[:, 1].tolist() == [0.25] * 4
    same = [i for i in range(LATENT.length) if not 72 <= i < 75 and i != 76]
    assert torch.equal(changed[:, same], z[:, same]) and torch.equal(first, LATENT.codes(z)[0][0])


def test_slerp_follows_the_great_circle_and_interpolates_lengths() -> None:
    """A quarter of a circle by hand; between vectors of the same direction, a straight line."""
    a, b = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 3.0, 0.0])
    path = slerp(a, b, torch.tensor([0.0, 0.5, 1.0]))
    half = 2 * math.sqrt(0.5)
    torch.testing.assert_close(path, torch.tensor([[1.0, 0, 0], [half, half, 0], [0, 3, 0]]), atol=1e-6, rtol=0)
    straight = slerp(a, 5 * a, torch.tensor([0.25]))
    torch.testing.assert_close(straight, 2 * a[None])


def test_slerp_with_a_zero_vector_is_linear() -> None:
    """A zero vector has no direction; the formula would divide by its length."""
    zero, a, t = torch.zeros(3), torch.tensor([1.0, 2.0, 2.0]), torch.tensor([0.0, 0.25, 1.0])
    torch.testing.assert_close(slerp(zero, a, t), t[:, None] * a)
    torch.testing.assert_close(slerp(a, zero, t), (1 - t[:, None]) * a)
    assert torch.equal(slerp(zero, zero, t), torch.zeros(3, 3))
    torch.testing.assert_close(slerp(a, -a, t), (1 - 2 * t[:, None]) * a)
    assert slerp(zero[:0], a[:0], t).shape == (3, 0)


def test_slerp_refuses_other_shapes() -> None:
    a, t = torch.ones(3), torch.tensor([0.5])
    for one, two, at in ((a, a[:2], t), (a[None], a[None], t), (a, a, t[0])):
        with pytest.raises(ValueError, match=r"same shape \(d,\) and `t` \(n,\), got"):
            slerp(one, two, at)
