"""Input of a classifier whose feature maps are drawn."""

from PIL import Image

from firstsight.data.image_input import to_pil
from firstsight.data.sample_image import sample_photo
from firstsight.tasks.classification.classifier import Classifier
from firstsight.tasks.feature_input import FeatureInput, refuse_seed


def make_input(classifier: Classifier, image: Image.Image | None, *, seed: int | None) -> FeatureInput:
    """Return the input of a classifier: an image, or a sample photograph."""
    refuse_seed(seed)
    name = "" if image else sample_photo().name
    pixels = classifier.to_pixels(image or to_pil(sample_photo()))
    inputs = classifier.preprocess.normalize(pixels[None])
    return FeatureInput(classifier.model, inputs, pixels.numpy(), "input image", name)
