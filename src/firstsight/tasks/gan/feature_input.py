"""Input of a generator whose feature maps are drawn."""

from PIL import Image

from firstsight.errors import UsageError
from firstsight.tasks.feature_input import FeatureInput
from firstsight.tasks.gan.generator import Generator


def make_input(generator: Generator, image: Image.Image | None, *, seed: int | None) -> FeatureInput:
    """Return a random latent vector, and the image that the generator makes from it.

    Raises
    ------
    UsageError
        If an image is given.
    """
    if image is not None:
        raise UsageError("a generator takes no image: it makes one from a latent vector; choose the vector with `seed`")
    z = generator.draw(1, seed=seed or 0)
    return FeatureInput(generator.model, z, generator(z)[0].numpy(), "generated image", f"seed {seed or 0}")
