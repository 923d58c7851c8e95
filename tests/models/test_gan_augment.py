"""Random shifts and noise before D: their distribution, their gradient, no random numbers when they are off."""

import torch

from firstsight.models.gan.augment import add_noise, random_translate


def test_images_are_shifted_uniformly_and_all_channels_alike() -> None:
    """One bright pixel in the middle: each of the 25 shifts about as often; nothing else changes."""
    images = torch.zeros(4000, 2, 9, 11)
    images[:, 0, 4, 5], images[:, 1, 4, 5] = 1.0, 0.5
    torch.manual_seed(0)
    moved = random_translate(images, 2)
    assert moved.shape == images.shape and torch.equal(moved[:, 0], 2 * moved[:, 1])
    image, row, column = moved[:, 0].nonzero(as_tuple=True)
    assert torch.equal(image, torch.arange(4000))
    counts = torch.zeros(5, 5)
    counts.index_put_((row - 2, column - 3), torch.ones(4000), accumulate=True)
    assert counts.min() > 110 and counts.max() < 210  # 160 expected, with a standard deviation of 12


def test_shifted_images_repeat_the_edge() -> None:
    """An image whose rows are 0, 1, 2, 3 has equal rows again; each is one of the shifts written out."""
    images = torch.arange(4.0).expand(200, 1, 3, 4).clone()
    shifted = random_translate(images, 1)
    assert {tuple(image[0, 0].tolist()) for image in shifted} == {(0, 1, 2, 3), (0, 0, 1, 2), (1, 2, 3, 3)}
    assert all((image[0] == image[0, 0]).all() for image in shifted)


def test_shift_is_differentiable_and_its_gradient_sums_to_the_number_of_pixels() -> None:
    images = torch.randn(3, 1, 6, 6, dtype=torch.float64, requires_grad=True)

    def shifted(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(7)
        return random_translate(x, 2)

    assert torch.autograd.gradcheck(shifted, (images,))
    shifted(images).sum().backward()
    assert images.grad is not None and images.grad.sum() == 3 * 36


def test_no_random_number_is_drawn_when_shift_and_noise_are_off() -> None:
    images = torch.randn(2, 1, 4, 4)
    state = torch.get_rng_state()
    assert random_translate(images, 0) is images and add_noise(images, 0.0) is images
    assert torch.equal(torch.get_rng_state(), state)
    random_translate(images, 1)
    assert not torch.equal(torch.get_rng_state(), state)


def test_noise_has_mean_zero_its_standard_deviation_and_no_correlation() -> None:
    """Each pixel is checked over 4,000 images, within 5 standard errors; the gradient is 1."""
    images = torch.rand(4000, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    added = add_noise(images, 0.4) - images
    assert added.mean(0).abs().max() < 5 * 0.4 / 4000**0.5
    assert (added.std(0) - 0.4).abs().max() < 5 * 0.4 / 8000**0.5
    assert added[:, 0, 0, 0].dot(added[:, 0, 0, 1]).abs() / 4000 < 5 * 0.16 / 4000**0.5  # of neighbors
    (gradient,) = torch.autograd.grad(add_noise(images, 0.4).sum(), images)
    assert torch.equal(gradient, torch.ones_like(images))
