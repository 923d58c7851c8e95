"""Image files: checked before they are decoded, and converted to one form.

The rules are, in this order:

1. the first frame of an animation;
2. the EXIF orientation is applied;
3. 16-bit values are divided by 257, floating-point values are taken as [0, 1];
4. palettes are resolved;
5. transparent pixels are blended with white;
6. CMYK, YCbCr, Lab and HSV are converted to RGB, and RGB to gray by ITU-R 601 luma if one channel is wanted;
7. the shorter side is resized (bilinear with antialiasing) and the center is cropped, with the same pixels as
   torchvision's Resize and CenterCrop on PIL images.
"""

import io
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from firstsight.errors import DataError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm"})
MAX_PIXELS = 100_000_000
"""An image that declares more pixels is refused before it is decoded (a decompression bomb)."""
MIN_SIDE = 4
"""Minimum width and height; smaller images have no usable content."""
MAX_ASPECT = 50
"""Maximum ratio of the longer to the shorter side; a center crop of a narrower image shows almost nothing."""

GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


def open_image(source: Path | bytes, *, name: str | None = None) -> Image.Image:
    """Read an image file as mode "L" or "RGB", after checking format and size in its header.

    Parameters
    ----------
    source : Path | bytes
        Path, or the content of a file.
    name : str | None
        Name for error messages. None means the path.

    Returns
    -------
    Image.Image
        Image of mode "L" or "RGB".

    Raises
    ------
    DataError
        If the file is not an image, or it is too large, too small, too narrow, truncated or damaged.
    """
    name = name or (str(source) if isinstance(source, Path) else "image")
    if isinstance(source, Path) and source.is_dir():
        raise DataError(f"{name}: is a folder; pass the images in it, as in {name.rstrip('/')}/*.png")
    try:
        stream = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    except OSError as error:
        raise DataError(f"{name}: {error.strerror or error}") from error
    with stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings about size and EXIF; _check_size raises errors instead
        try:
            image = Image.open(stream, formats=FORMATS)
        except Image.DecompressionBombError:
            raise DataError(
                f"{name}: declares too many pixels; the limit is {MAX_PIXELS // 1_000_000} million"
            ) from None
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError):
            raise DataError(f"{name}: not an image (expected {', '.join(FORMATS)})") from None
        _check_size(image.size, name)
        try:
            image.load()
            return to_gray_or_rgb(image)
        except (OSError, ValueError, SyntaxError, EOFError, IndexError) as error:
            raise DataError(f"{name}: damaged image ({error})") from None


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        raise DataError(f"{name}: declares {width}x{height} pixels; the limit is {limit} million")
    if min(size) < MIN_SIDE:
        raise DataError(f"{name}: {width}x{height} pixels is too small; the minimum is {MIN_SIDE}x{MIN_SIDE}")
    if max(size) > MAX_ASPECT * min(size):
        raise DataError(f"{name}: {width}x{height} pixels is too narrow; the maximum aspect ratio is {MAX_ASPECT}")


def to_gray_or_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to "L" (if it is gray) or "RGB", and apply its EXIF orientation."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, dtype=np.float64)
        if image.mode == "F":
            scaled = values * 255
        elif image.mode.startswith("I;16") or values.max(initial=0) > 255:
            scaled = values / 257
        else:
            scaled = values
        return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
    is_gray = image.mode in GRAY_MODES
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        background = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(background, image.convert("RGBA"))
    return image.convert("L" if is_gray else "RGB")


@dataclass(frozen=True)
class Preprocess:
    """Preprocessing of images for a network; the card of the weights stores it.

    Parameters
    ----------
    channels : int
        1 or 3.
    resize : int
        Side of the center crop in pixels.
    pad : int
        Zero padding on each side in pixels. The input of the network has ``resize + 2 * pad`` pixels a side.
    mean : tuple[float, ...]
        Mean of each channel, for values in [0, 1].
    std : tuple[float, ...]
        Standard deviation of each channel, for values in [0, 1].
    shorter : int
        Size in pixels of the shorter side before the crop. 0 means ``resize``, the largest possible crop. Networks for
        ImageNet crop 224 of 256 pixels.

    Raises
    ------
    DataError
        If ``shorter`` is less than ``resize``.
    """

    channels: int
    resize: int
    pad: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shorter: int = 0

    def __post_init__(self) -> None:
        if self.shorter and self.shorter < self.resize:
            raise DataError(f"cannot crop {self.resize} pixels from a side of {self.shorter}")

    @property
    def input_size(self) -> int:
        """Side of the network's input in pixels."""
        return self.resize + 2 * self.pad

    def to_pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize, crop and pad an image of mode "L" or "RGB"; return (C, H, W) uint8."""
        pixels = resize_and_crop(image, channels=self.channels, size=self.resize, shorter=self.shorter)
        return np.pad(pixels, ((0, 0), (self.pad, self.pad), (self.pad, self.pad)))

    def normalize(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Compute ``(images / 255 - mean) / std``.

        Parameters
        ----------
        images : Tensor
            (N, C, H, W) uint8.
        dtype : torch.dtype
            Data type of the result.
        """
        scale, shift = _scale_and_shift(self.mean, self.std, dtype, images.device)
        return images.to(dtype).mul_(scale).sub_(shift)

    def denormalize(self, images: Tensor) -> Tensor:
        """Invert `normalize`: convert (N, C, H, W) to uint8, rounded and clamped to [0, 255]."""
        std = torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        return ((images.float() * std + mean) * 255).round_().clamp_(0, 255).to(torch.uint8)

    @staticmethod
    def fit(size: int, target: int) -> tuple[int, int]:
        """Return (resize, pad) for images of ``size`` pixels and a network input of ``target`` pixels.

        Images with at least three quarters of the target size are padded if the padding is even (28 to 32: two pixels
        on each side, as in the LeNet paper). Other images are resized.

        Parameters
        ----------
        size : int
            Side of the images in pixels.
        target : int
            Side of the network's input in pixels.

        Returns
        -------
        tuple[int, int]
            ``resize`` and ``pad`` of `Preprocess`.

        Examples
        --------
        >>> Preprocess.fit(28, 32), Preprocess.fit(64, 32), Preprocess.fit(8, 32)
        ((28, 2), (32, 0), (32, 0))
        """
        if target * 3 / 4 <= size < target and (target - size) % 2 == 0:
            return size, (target - size) // 2
        return target, 0


@lru_cache(maxsize=64)
def _scale_and_shift(
    mean: tuple[float, ...], std: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the factor 1 / (255 std) and the subtrahend mean / std of `Preprocess.normalize`, each (1, C, 1, 1)."""
    std_values = torch.tensor(std, dtype=torch.float64)
    both = 1 / (255 * std_values), torch.tensor(mean, dtype=torch.float64) / std_values
    scale, shift = (values.to(dtype).view(1, -1, 1, 1).to(device) for values in both)
    return scale, shift


def center_crop_box(width: int, height: int, *, size: int, shorter: int = 0) -> tuple[int, int, int, int]:
    """Compute the resize and the center crop of an image.

    Parameters
    ----------
    width : int
        Width of the image in pixels.
    height : int
        Height of the image in pixels.
    size : int
        Side of the square crop in pixels.
    shorter : int
        Size of the shorter side after the resize in pixels. 0 means ``size``.

    Returns
    -------
    tuple[int, int, int, int]
        Width and height of the resized image, left and top of the crop.

    Examples
    --------
    >>> center_crop_box(640, 480, size=224, shorter=256)
    (341, 256, 58, 16)
    """
    shorter = shorter or size
    shorter_side = min(width, height)
    new_width, new_height = shorter * width // shorter_side, shorter * height // shorter_side
    left, top = round((new_width - size) / 2), round((new_height - size) / 2)  # halves to even, as torchvision does
    return new_width, new_height, left, top


def resize_and_crop(image: Image.Image, *, channels: int, size: int, shorter: int = 0) -> NDArray[np.uint8]:
    """Resize the shorter side of an image and crop its center.

    Parameters
    ----------
    image : Image.Image
        Image of mode "L" or "RGB".
    channels : int
        1 or 3.
    size : int
        Side of the crop in pixels.
    shorter : int
        Size of the shorter side after the resize in pixels. 0 means ``size``.

    Returns
    -------
    NDArray[np.uint8]
        (channels, size, size) array.
    """
    image = image.convert("L" if channels == 1 else "RGB")
    width, height, left, top = center_crop_box(*image.size, size=size, shorter=shorter)
    image = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
    pixels = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1))
