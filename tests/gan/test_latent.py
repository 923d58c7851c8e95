"""Latent vectors: their parts, their distributions, the great circle between two."""

import math

import pytest
import torch

from firstsight.gan.latent import Latent, slerp

LATENT = Latent(62, (10, 3), 2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_parts_lie_one_after_the_other() -> None:
    z = LATENT.draw(2000, generator=seeded())
    assert z.shape == (2000, 62 + 10 + 3 + 2) == (2000, LATENT.length)
    (first, second), values = LATENT.codes(z)
    assert torch.equal(z[:, 62:72].sum(1), torch.ones(2000)) and torch.equal(z[:, 62:72].argmax(1), first)
    assert torch.equal(z[:, 72:75].argmax(1), second)
    assert torch.equal(z[:, 75:], values)
    assert first.bincount(minlength=10).min() > 130 and second.bincount(minlength=3).min() > 550
    assert values.min() >= -1 and values.max() < 1 and abs(float(values.mean())) < 0.05
    assert float(z[:, :62].std()) == pytest.approx(1, abs=0.01)


def test_uniform_noise() -> None:
    z = Latent(50, kind="uniform").draw(1000, generator=seeded())
    assert z.shape == (1000, 50) and float(z.std()) == pytest.approx(1 / math.sqrt(3), abs=0.01)
    assert z.min() >= -1 and z.max() < 1


def test_the_same_seed_gives_the_same_vectors() -> None:
    assert torch.equal(LATENT.draw(5, generator=seeded(3)), LATENT.draw(5, generator=seeded(3)))
    assert not torch.equal(LATENT.draw(5, generator=seeded(3)), LATENT.draw(5, generator=seeded(4)))


def test_codes_are_set_and_nothing_else() -> None:
    z = LATENT.draw(4, generator=seeded())
    changed = LATENT.with_category(LATENT.with_continuous(z, 1, 0.25), 1, torch.tensor([0, 1, 2, 0]))
    (first, second), values = LATENT.codes(changed)
    assert second.tolist() == [0, 1, 2, 0] and values[:, 1].tolist() == [0.25] * 4
    same = [i for i in range(LATENT.length) if not 72 <= i < 75 and i != 76]
    assert torch.equal(changed[:, same], z[:, same]) and torch.equal(first, LATENT.codes(z)[0][0])


def test_the_way_along_the_sphere() -> None:
    """A quarter of a circle by hand; lengths go from one's to the other's; the same direction is a straight line."""
    a, b = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 3.0, 0.0])
    way = slerp(a, b, torch.tensor([0.0, 0.5, 1.0]))
    half = 2 * math.sqrt(0.5)
    torch.testing.assert_close(way, torch.tensor([[1.0, 0, 0], [half, half, 0], [0, 3, 0]]), atol=1e-6, rtol=0)
    straight = slerp(a, 5 * a, torch.tensor([0.25]))
    torch.testing.assert_close(straight, 2 * a[None])
