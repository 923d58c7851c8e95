"""Images in memory, in any of the usual forms, as PIL images."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from firstsight.data.image_io import MAX_FILE_BYTES, open_image, to_gray_or_rgb
from firstsight.data.images.image_set import ImageSet, LabeledImage
from firstsight.data.limits import describe_bytes, max_bytes
from firstsight.errors import DataError, UsageError

ImageLike: TypeAlias = str | Path | bytes | BinaryIO | Image.Image | NDArray[Any] | Tensor | LabeledImage
"""A path, the bytes of an image file, an open binary file, a PIL image, a NumPy array, a tensor, or an image of a set.

An `ImageSet` is an iterable of these.
"""
FORMS = (
    "a path, bytes, a file object, a PIL image, an array (H, W), (H, W, 1) or (H, W, 3),"
    " a tensor (H, W) or (C, H, W), or an image of an ImageSet"
)
SEVERAL_FORMS = (
    "a path, bytes, a file object, a PIL image, an array (H, W), (H, W, 1), (H, W, 3) or (N, H, W, C),"
    " a tensor (H, W), (C, H, W) or (N, C, H, W), an image of an ImageSet, or a list of these"
)


def to_pil(image: ImageLike, *, bgr: bool = False) -> Image.Image:
    """Return an image of any form as a PIL image of mode "L" or "RGB".

    Parameters
    ----------
    image : ImageLike
        - a path, the bytes of an image file, or a binary file object (read from its position);
        - a PIL image of any mode; its EXIF orientation is applied;
        - a NumPy array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4);
        - a tensor (H, W), (1, H, W) or (3, H, W), on any device;
        - an image of an `ImageSet`, as in ``data[0]``.

        Arrays and tensors are uint8 in [0, 255], uint16 in [0, 65535], or floating point in [0, 1]. The fourth channel
        of an array is its opacity.
    bgr : bool
        The channels of an array or a tensor are blue, green, red, as in OpenCV. Files and PIL images have a known order
        of channels, and are not changed.

    Raises
    ------
    UsageError
        If it is of another type.
    DataError
        If the file cannot be read, or the array has another shape or other values.
    """
    if isinstance(image, LabeledImage):
        image, bgr = image.image, False
    if isinstance(image, Image.Image):
        return _from_pil(image)
    if isinstance(image, str | Path):
        return open_image(Path(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return open_image(bytes(image))
    if isinstance(image, Tensor):
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[0] not in (1, 3)):
            raise DataError(
                f"`image`: expected a tensor of shape (H, W), (1, H, W) or (3, H, W); got {tuple(image.shape)}"
                f"{' (channels last; use .permute(2, 0, 1))' if image.shape[-1:] in ((1,), (3,)) else ''}"
            )
        tensor = image.detach().cpu()
        tensor = tensor.float() if tensor.is_floating_point() else tensor  # NumPy has no bfloat16
        return _from_array((tensor.permute(1, 2, 0) if tensor.ndim == 3 else tensor).numpy(), bgr=bgr)
    if isinstance(image, np.ndarray):
        return _from_array(image, bgr=bgr)
    if hasattr(image, "read"):
        limit = max_bytes(MAX_FILE_BYTES)
        content = image.read(limit + 1)
        if not isinstance(content, bytes):
            raise UsageError("`image` is a text file; open it in binary mode, as in open(path, 'rb')")
        name = str(getattr(image, "name", "image"))
        if len(content) > limit:
            raise DataError(f"{name}: too large; {describe_bytes(limit)}")
        return open_image(content, name=name)
    if isinstance(image, ImageSet):
        raise UsageError(f"`image` must be one image, not a set of {len(image):,}; choose one, as in data[0]")
    raise UsageError(f"`image` must be {FORMS}; got {type(image).__name__}")


def _from_pil(image: Image.Image) -> Image.Image:
    try:
        image.load()
        converted = to_gray_or_rgb(image)
    except DataError as error:
        raise DataError(f"`image`: {error}") from None
    except Exception as error:  # the file of an image that was opened, but not loaded
        raise DataError(f"`image`: damaged image ({str(error) or type(error).__name__})") from None
    return image.copy() if converted is image else converted


def _from_array(array: NDArray[Any], *, bgr: bool) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)) or 0 in array.shape:
        is_first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        hint = " (channels first; use .transpose(1, 2, 0))" if is_first else ""
        forms = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        raise DataError(f"`image`: expected an array of shape {forms}; got {array.shape}{hint}")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise DataError("`image`: floating-point values must be in [0, 1]; some are NaN or infinite")
        if array.min() < 0 or array.max() > 1:
            raise DataError(
                f"`image`: floating-point values must be in [0, 1]; got {array.min():g} to {array.max():g}"
                " (give the image without normalization, as uint8 or divided by 255)"
            )
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype == np.uint16:
        array = np.rint(array / 257).astype(np.uint8)  # as a PNG file of 16 bits
    elif array.dtype != np.uint8:
        raise DataError(
            f"`image`: expected uint8, uint16 or floating-point values; got {array.dtype}; if they are in [0, 255],"
            " convert with .astype('uint8') (a tensor with .to(torch.uint8))"
        )
    if bgr and array.ndim == 3:
        array = array[..., [2, 1, 0, 3][: array.shape[2]]]
    return to_gray_or_rgb(Image.fromarray(np.ascontiguousarray(array)))


def is_single(images: Any) -> bool:
    """Return whether this is one image rather than several."""
    if isinstance(images, np.ndarray | Tensor):
        return images.ndim < 4
    return isinstance(images, str | Path | bytes | bytearray | memoryview | Image.Image | LabeledImage) or hasattr(
        images, "read"
    )


def named_images(images: ImageLike | Iterable[ImageLike], *, bgr: bool = False) -> Iterator[tuple[str, Image.Image]]:
    """Yield (name, PIL image) of one image or several.

    Parameters
    ----------
    images : ImageLike | Iterable[ImageLike]
        One image, see `to_pil`; an iterable of images, such as an `ImageSet`; an array (N, H, W, C) or a
        tensor (N, C, H, W).
    bgr : bool
        See `to_pil`.

    Yields
    ------
    tuple[str, Image.Image]
        Name for messages (the path, or "image") and image.

    Raises
    ------
    UsageError
        If it is of another type.
    DataError
        If an image cannot be read.
    """
    sequence: Any = [images] if is_single(images) else images
    if not isinstance(sequence, Iterable):
        raise UsageError(f"`images` must be {SEVERAL_FORMS}; got {type(images).__name__}")
    for image in sequence:
        yield image_name(image), to_pil(image, bgr=bgr)


def image_name(image: Any) -> str:
    """Return a name of an image for messages: its path if it has one, else "image"."""
    if isinstance(image, str | Path):
        return str(image)
    return str(getattr(image, "filename", "") or getattr(image, "name", "") or "image")
