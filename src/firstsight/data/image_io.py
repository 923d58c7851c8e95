"""Pictures from files: checked before they are decoded, and brought to one form by stated rules.

Rules, in this order: the first frame of an animation; EXIF orientation applied; 16-bit scaled to 8 (value / 257),
floating point taken as [0, 1]; palettes resolved; transparent parts laid on white; CMYK, YCbCr, Lab and HSV to RGB;
grey by ITU-R 601 luma when one channel is wanted; the shorter side resized (bilinear with antialiasing) and the
centre cut out, to the pixel as torchvision's Resize and CenterCrop do on PIL pictures.
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
"""A picture that declares more pixels is refused before it is decoded (a decompression bomb)."""
MIN_SIDE = 4
"""A picture with a shorter side carries no shape to learn from."""
MAX_ASPECT = 50
"""Longest side over shortest; beyond it a centre cut shows almost nothing."""

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


def open_image(source: Path | bytes, *, name: str | None = None) -> Image.Image:
    """Read a picture as mode "L" or "RGB", after checking format and size from its header.

    Parameters
    ----------
    source : Path | bytes
        A path, or the bytes of a file.
    name : str | None
        What to call it in errors; the path if not given.

    Raises
    ------
    DataError
        Not a picture, too large, too small, too narrow, truncated or damaged.
    """
    name = name or (str(source) if isinstance(source, Path) else "picture")
    if isinstance(source, Path) and source.is_dir():
        raise DataError(f"{name}: is a folder; name the pictures in it, as in {name.rstrip('/')}/*.png")
    try:
        stream = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    except OSError as error:
        raise DataError(f"{name}: {error.strerror or error}") from error
    with stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own bomb warning and EXIF complaints; ours are errors below
        try:
            image = Image.open(stream, formats=FORMATS)
        except Image.DecompressionBombError:
            raise DataError(
                f"{name}: declares too many pixels; at most {MAX_PIXELS // 1_000_000} million are read"
            ) from None
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError):
            raise DataError(f"{name}: not a picture ({', '.join(FORMATS)} are read)") from None
        _check_size(image.size, name)
        try:
            image.load()
            return standard(image)
        except (OSError, ValueError, SyntaxError, EOFError, IndexError) as error:
            raise DataError(f"{name}: damaged picture ({error})") from None


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        raise DataError(f"{name}: declares {width}x{height} pixels; at most {limit} million are read")
    if min(size) < MIN_SIDE:
        raise DataError(f"{name}: {width}x{height} pixels is too small; at least {MIN_SIDE}x{MIN_SIDE} are needed")
    if max(size) > MAX_ASPECT * min(size):
        raise DataError(
            f"{name}: {width}x{height} pixels is too narrow; the sides may differ {MAX_ASPECT}-fold at most"
        )


def load_image(image: str | Path | Image.Image) -> Image.Image:
    """A picture from a path, or one that is in memory, as `standard` has it.

    Raises
    ------
    DataError
        The path cannot be read as a picture.
    """
    return standard(image) if isinstance(image, Image.Image) else open_image(Path(image))


def standard(image: Image.Image) -> Image.Image:
    """A picture of any mode as "L" (where it is stored as grey) or "RGB", the right way up."""
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
    grey = image.mode in GREY_MODES
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        coloured = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, coloured)
    return image.convert("L" if grey else "RGB")


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes a network's input; stored beside the weights, so that both stay together.

    Parameters
    ----------
    channels : int
        1 or 3.
    resize : int
        Side in pixels of the square that is cut from the resized picture.
    pad : int
        Border of zeros on every side, in pixels; the input is ``resize + 2 * pad`` wide.
    mean, std : tuple[float, ...]
        Of each channel, for values in [0, 1].
    shorter : int
        What the picture's shorter side is resized to before the square is cut, in pixels; 0 for ``resize``, which cuts
        as much as there is. The networks of ImageNet take 224 of 256.

    Raises
    ------
    DataError
        ``shorter`` is less than the square.
    """

    channels: int
    resize: int
    pad: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shorter: int = 0

    def __post_init__(self) -> None:
        if self.shorter and self.shorter < self.resize:
            raise DataError(f"a square of {self.resize} pixels cannot be cut from a side of {self.shorter}")

    @property
    def input_size(self) -> int:
        """Side of the network's input in pixels."""
        return self.resize + 2 * self.pad

    def picture(self, image: Image.Image) -> NDArray[np.uint8]:
        """A picture of mode "L" or "RGB" as (C, H, W) uint8, with its border."""
        pixels = to_pixels(image, channels=self.channels, size=self.resize, shorter=self.shorter)
        return np.pad(pixels, ((0, 0), (self.pad, self.pad), (self.pad, self.pad)))

    def normalize(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(N, C, H, W) uint8 to zero mean and unit deviation: (value / 255 - mean) / std."""
        scale, shift = _scale_and_shift(self.mean, self.std, dtype, images.device)
        return images.to(dtype).mul_(scale).sub_(shift)

    def pixels(self, images: Tensor) -> Tensor:
        """The inverse of `normalize`: normalised (N, C, H, W) to uint8, rounded and cut off at 0 and 255."""
        std = torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        return ((images.float() * std + mean) * 255).round_().clamp_(0, 255).to(torch.uint8)

    @staticmethod
    def fit(native: int, wanted: int) -> tuple[int, int]:
        """(resize, pad) that bring a set of ``native`` pixels to ``wanted``.

        A set of at least three quarters of the wanted side keeps its pixels and gets a border, where the border is
        even (28 to 32: two pixels a side, as LeNet's paper does); any other is resized.

        >>> Preprocess.fit(28, 32), Preprocess.fit(64, 32), Preprocess.fit(8, 32)
        ((28, 2), (32, 0), (32, 0))
        """
        if wanted * 3 / 4 <= native < wanted and (wanted - native) % 2 == 0:
            return native, (wanted - native) // 2
        return wanted, 0


@lru_cache(maxsize=64)
def _scale_and_shift(
    mean: tuple[float, ...], std: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """(1, C, 1, 1): by what bytes are multiplied, and what is taken away then."""
    deviation = torch.tensor(std, dtype=torch.float64)
    both = 1 / (255 * deviation), torch.tensor(mean, dtype=torch.float64) / deviation
    scale, shift = (values.to(dtype).view(1, -1, 1, 1).to(device) for values in both)
    return scale, shift


def frame(width: int, height: int, *, size: int, shorter: int = 0) -> tuple[int, int, int, int]:
    """Where the square is cut from a picture: (width, height) of the resized picture, (left, top) of the square.

    Parameters
    ----------
    width, height : int
        Of the picture, in pixels.
    size : int
        Side of the square.
    shorter : int
        What the shorter side is resized to; ``size`` if 0.

    >>> frame(640, 480, size=224, shorter=256)
    (341, 256, 58, 16)
    """
    shorter, least = shorter or size, min(width, height)
    wide, high = shorter * width // least, shorter * height // least
    return wide, high, round((wide - size) / 2), round((high - size) / 2)  # halves to even, as torchvision does


def to_pixels(image: Image.Image, *, channels: int, size: int, shorter: int = 0) -> NDArray[np.uint8]:
    """Resize the shorter side to ``shorter`` (``size`` if 0), cut out the centre; (channels, size, size) uint8."""
    image = image.convert("L" if channels == 1 else "RGB")
    wide, high, left, top = frame(*image.size, size=size, shorter=shorter)
    image = image.resize((wide, high), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
    pixels = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1))
