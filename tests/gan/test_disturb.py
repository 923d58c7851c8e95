"""Pictures moved and under noise before D sees them: by hand, differentiable, drawn only when asked for."""

import torch

from firstsight.gan.disturb import noisy, translated


def test_each_picture_is_moved_as_a_whole() -> None:
    """One bright pixel in the middle lands within reach, every place of it about as often; nothing else changes."""
    images = torch.zeros(4000, 2, 9, 11)
    images[:, 0, 4, 5], images[:, 1, 4, 5] = 1.0, 0.5
    torch.manual_seed(0)
    moved = translated(images, 2)
    assert moved.shape == images.shape and torch.equal(moved[:, 0], 2 * moved[:, 1])
    picture, row, column = moved[:, 0].nonzero(as_tuple=True)
    assert torch.equal(picture, torch.arange(4000))
    counts = torch.zeros(5, 5)
    counts.index_put_((row - 2, column - 3), torch.ones(4000), accumulate=True)
    assert counts.min() > 110 and counts.max() < 210  # 160 expected, with a deviation of 12


def test_the_edge_is_repeated() -> None:
    """A picture of columns 0, 1, 2, 3 in every row stays of columns; each is one of the moves written out."""
    images = torch.arange(4.0).expand(200, 1, 3, 4).clone()
    found = {tuple(picture[0, 0].tolist()) for picture in translated(images, 1)}
    assert found == {(0, 1, 2, 3), (0, 0, 1, 2), (1, 2, 3, 3)}
    assert all((picture[0] == picture[0, 0]).all() for picture in translated(images, 1))


def test_the_gradient_goes_through() -> None:
    """What is moved out of sight has none; the rest has as much as the pixels that show it."""
    images = torch.randn(3, 1, 6, 6, dtype=torch.float64, requires_grad=True)

    def moved(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(7)
        return translated(x, 2)

    assert torch.autograd.gradcheck(moved, (images,))
    moved(images).sum().backward()
    assert images.grad is not None and images.grad.sum() == 3 * 36


def test_nothing_is_drawn_when_off() -> None:
    images = torch.randn(2, 1, 4, 4)
    state = torch.get_rng_state()
    assert translated(images, 0) is images and noisy(images, 0.0) is images
    assert torch.equal(torch.get_rng_state(), state)
    translated(images, 1)
    assert not torch.equal(torch.get_rng_state(), state)


def test_noise_has_its_deviation_everywhere_and_no_mean() -> None:
    """Over 4,000 pictures each pixel's mean is within 5 deviations of the mean's own; the gradient is that of a sum."""
    images = torch.rand(4000, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    added = noisy(images, 0.4) - images
    assert added.mean(0).abs().max() < 5 * 0.4 / 4000**0.5
    assert (added.std(0) - 0.4).abs().max() < 5 * 0.4 / 8000**0.5
    assert added[:, 0, 0, 0].dot(added[:, 0, 0, 1]).abs() / 4000 < 5 * 0.16 / 4000**0.5  # of neighbours: independent
    (slope,) = torch.autograd.grad(noisy(images, 0.4).sum(), images)
    assert torch.equal(slope, torch.ones_like(images))
