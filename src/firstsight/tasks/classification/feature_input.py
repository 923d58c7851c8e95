"""Input of a classifier whose feature maps are drawn."""

from PIL import Image

from firstsight.tasks.classification.classifier import Classifier
from firstsight.tasks.classification.sample import find_sample
from firstsight.tasks.feature_input import FeatureInput, refuse_seed


def make_input(classifier: Classifier, image: Image.Image | None, *, seed: int | None) -> FeatureInput:
    """Return the input of a classifier: an image, or a sample of its training data (see `find_sample`)."""
    refuse_seed(seed)
    name = ""
    if image is None:
        image, name = find_sample(classifier.source, classifier.card["about"])
    pixels = classifier.to_pixels(image)
    inputs = classifier.preprocess.normalize(pixels[None])
    return FeatureInput(classifier.model, inputs, pixels.numpy(), "input image", name)
