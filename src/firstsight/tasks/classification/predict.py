"""Class predictions of trained weights."""

from collections.abc import Iterable

from firstsight.arguments import ModelSource, check_arguments
from firstsight.data.image_input import ImageLike
from firstsight.tasks.classification.classifier import TOP, Classifier, Prediction
from firstsight.tasks.classification.prepare import Invert
from firstsight.tasks.classification.stream import OnError
from firstsight.tasks.load import load_as


def predict(
    model: Classifier | ModelSource,
    images: ImageLike | Iterable[ImageLike],
    *,
    top: int = TOP,
    bgr: bool = False,
    batch_size: int | None = None,
    invert: Invert = "auto",
    on_error: OnError | None = None,
    device: str | None = None,
) -> list[Prediction]:
    """Predict the classes of images.

    Parameters
    ----------
    model : Classifier | ModelSource
        A `Classifier`, or what `firstsight.load` takes: "lenet-fashion", "resnet34", a run directory, a file, the
        result of `firstsight.train`.
    images : ImageLike | Iterable[ImageLike]
        One image or several: paths, bytes, file objects, PIL images, arrays (H, W) or (H, W, 3), tensors (C, H, W) or
        (N, C, H, W), an `ImageSet` or an image of one; of any size. A path may also be a folder, a zip file, or a
        pattern such as ``photos/*.jpg``.
    top : int
        Number of classes to return for every image, at least 1.
    bgr : bool
        Channels of arrays and tensors are blue, green, red (OpenCV); images of other forms are not changed.
    batch_size : int | None
        Images per batch; None for as many as fit the size of the input.
    invert : Invert
        For networks of light digits on black. "auto": a digit on a plain background is cropped, inverted if it is
        dark, and placed as in the training images; images that have this form are unchanged. "yes": the digit is dark.
        "no": the image is not changed.
    on_error : OnError | None
        Called with the `DataError` of each image that cannot be read, which is left out. None raises it. Its ``index``
        is the position of the image, as ``Prediction.index`` is that of the others.
    device : str | None
        Device: "cpu", "cuda", "mps" or "auto". None leaves a `Classifier` where it is and is "auto" for a
        name.

    Returns
    -------
    list[Prediction]
        One for every image that can be read, in the same order.

    Raises
    ------
    UsageError
        If an argument has a wrong type or value, or the weights are unknown.
    WeightsError
        If the weights are not those of a classifier.
    DataError
        If an image cannot be read and ``on_error`` is None.

    Examples
    --------
    >>> import torch
    >>> [prediction.image for prediction in predict("lenet-digits", torch.zeros(2, 1, 32, 32))]
    ['image', 'image']
    """
    check_arguments(predict, locals())
    classifier: Classifier = load_as("classification", model, device=device)
    return classifier.predict(images, top=top, bgr=bgr, batch_size=batch_size, invert=invert, on_error=on_error)
