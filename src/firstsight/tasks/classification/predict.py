"""Class predictions of trained weights."""

from collections.abc import Iterable
from pathlib import Path

from firstsight.data.image_input import ImageLike
from firstsight.tasks.classification.classifier import TOP, Classifier, Prediction
from firstsight.tasks.load import load_as


def predict(
    model: Classifier | str | Path,
    images: ImageLike | Iterable[ImageLike],
    *,
    top: int = TOP,
    bgr: bool = False,
    device: str | None = None,
) -> list[Prediction]:
    """Predict the classes of images.

    Parameters
    ----------
    model : Classifier | str | Path
        A `Classifier`, or what `firstsight.load` takes: "lenet-fashion", "resnet34", a run directory, a file.
    images : ImageLike | Iterable[ImageLike]
        One image or several: paths, bytes, file objects, PIL images, arrays (H, W) or (H, W, 3), tensors (C, H, W) or
        (N, C, H, W); of any size.
    top : int
        Number of classes to return for every image, at least 1.
    bgr : bool
        Channels of arrays are blue, green, red (OpenCV).
    device : str | None
        Device: "cpu", "cuda", "mps" or "auto". None leaves a `Classifier` where it is and is "auto" for a
        name.

    Returns
    -------
    list[Prediction]
        One for every image, in the same order.

    Raises
    ------
    UsageError
        If ``top`` is below 1, or the weights are unknown.
    WeightsError
        If the weights are not those of a classifier.
    DataError
        If an image cannot be read; then no image is classified.
    """
    classifier: Classifier = load_as("classification", model, device=device)
    return classifier.predict(images, top=top, bgr=bgr)
