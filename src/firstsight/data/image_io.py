"""Image files: checked before they are decoded, and converted to one form.

The rules are, in this order:

1. the first frame of an animation;
2. 16-bit values are divided by 257; floating-point and 32-bit values are in the smallest of the ranges `VALUE_RANGES`
   that has all of them (all of the images of a folder);
3. palettes are resolved;
4. transparent pixels are blended with white;
5. CMYK, YCbCr, Lab and HSV are converted to RGB, and RGB to gray by ITU-R 601 luma if one channel is wanted;
6. the EXIF orientation is applied; no other metadata are read;
7. the shorter side is resized (bilinear with antialiasing) and the center is cropped, with the same pixels as
   torchvision's Resize and CenterCrop on PIL images.
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from firstsight.data.image_memory import GRAY_MODES, estimate_memory, tile_size
from firstsight.data.image_metadata import read_orientation, split_metadata
from firstsight.data.limits import describe_bytes, describe_pixels, max_bytes, max_pixels
from firstsight.data.signatures import BRANDS, SIGNATURES
from firstsight.errors import DataError, FirstsightError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
MAX_PIXELS = 100_000_000
"""An image that declares more pixels is refused before it is decoded (a decompression bomb)."""
MAX_PIXEL_BYTES = 3.5
"""Memory for reading an image, in bytes per pixel of the limit: kinds of images that need more have a lower limit.

By default this is 350 MB, so a process with torch stays below 600 MB (``benchmarks/image_memory.py``).
"""
MAX_FILE_BYTES = 128_000_000
"""A larger image file is not read."""
MIN_SIDE = 4
"""Minimum width and height; smaller images have no usable content."""
MAX_ASPECT = 50
"""Maximum ratio of the longer to the shorter side; a center crop of a narrower image shows almost nothing."""
VALUE_RANGES = (1.0, 255.0, 65535.0)
"""Possible maxima of floating-point values; integers have the last two."""
STRIP_PIXELS = 1 << 18
"""Images are converted in strips of this many pixels, which limits the memory."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""Transposition for each EXIF orientation."""
TO_COLUMNS = frozenset({5, 6, 7, 8})
"""Orientations that make rows to columns."""
TO_THE_END = frozenset({3, 4, 6, 7})
"""Orientations that put the first row last."""
PILLOW_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
"""Filter of `warnings` for Pillow's warnings about sizes and metadata: all limits are checked here."""


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
    return read_header(source, name=name).decode()


def read_header(source: Path | bytes, *, name: str | None = None) -> "UndecodedImage":
    """Read the header of an image file, and check its format and size.

    Parameters
    ----------
    source : Path | bytes
        See `open_image`.
    name : str | None
        See `open_image`.

    Raises
    ------
    DataError
        If the file is not an image, or it is too large, too small or too narrow.
    """
    name = name or (str(source) if isinstance(source, Path) else "image")
    content = source if isinstance(source, bytes) else _read_file(source, name)
    signature = sniff_format(content)
    pixels, orientation = split_metadata(content)
    num_bytes = len(content)
    del content  # of a file; its pixels need the memory
    _prepare_pillow()
    try:
        image = Image.open(io.BytesIO(pixels), formats=FORMATS)
        header = UndecodedImage(image, orientation, name, num_bytes)
        header.check_size()
    except FirstsightError:
        raise
    except Image.DecompressionBombError:
        reason = f"declares too many pixels; {describe_pixels(max_pixels(MAX_PIXELS))}"
        raise DataError(f"{name}: {reason}") from None
    except UnidentifiedImageError:
        is_damaged = signature.removesuffix(" image") in FORMATS
        reason = f"damaged image (the header of the {signature} file is invalid)" if is_damaged else "not an image"
        hint = "" if is_damaged else f" (expected {', '.join(FORMATS)}{f', got {signature}' if signature else ''})"
        raise DataError(f"{name}: {reason}{hint}") from None
    except Exception as error:
        raise _damaged(name, error) from None
    return header


@dataclass(frozen=True)
class UndecodedImage:
    """Image file whose header was read and checked.

    Parameters
    ----------
    image : Image.Image
        Image of Pillow, not loaded.
    orientation : int
        EXIF orientation.
    name : str
        Name for error messages.
    num_bytes : int
        Size of the file.
    """

    image: Image.Image
    orientation: int
    name: str
    num_bytes: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) of the decoded image, to which the orientation is applied."""
        width, height = self.image.size
        return (height, width) if self.orientation in TO_COLUMNS else (width, height)

    @property
    def max_pixels(self) -> int:
        """Maximum number of pixels of such a file, by the memory that decoding and converting it need."""
        limit = max_pixels(MAX_PIXELS)
        need = estimate_memory(self.image, self.orientation)
        file = min(self.num_bytes, MAX_FILE_BYTES) * min(1, limit / MAX_PIXELS)
        memory = MAX_PIXEL_BYTES * limit
        decode = (memory - need.decode_files * file) / need.decode
        convert = (memory - need.convert_files * file) / need.convert
        return max(0, int(min(limit, decode, convert)))

    def check_size(self) -> None:
        """Check the size that the header declares.

        Raises
        ------
        DataError
            If the image is too large, too small or too narrow.
        """
        image, name = self.image, self.name
        width, height = size = image.size
        limit, allowed = max_pixels(MAX_PIXELS), self.max_pixels
        if width * height > allowed:
            kind = f" of such a {image.format} file" if allowed < limit else ""
            reason = f"declares {width}x{height} pixels{kind}; {describe_pixels(allowed)}"
            raise DataError(f"{name}: {reason}")
        tile = tile_size(image)
        if tile[0] * tile[1] > max(allowed, width * height):
            reason = f"declares tiles of {tile[0]}x{tile[1]} pixels; {describe_pixels(allowed)}"
            raise DataError(f"{name}: {reason}")
        if min(size) < MIN_SIDE:
            reason = f"{width}x{height} pixels is too small; the minimum is {MIN_SIDE}x{MIN_SIDE}"
            raise DataError(f"{name}: {reason}")
        if max(size) > MAX_ASPECT * min(size):
            reason = f"{width}x{height} pixels is too narrow; the maximum aspect ratio is {MAX_ASPECT}"
            raise DataError(f"{name}: {reason}")

    @property
    def has_value_range(self) -> bool:
        """True if the format does not define the range of the values (floating-point and 32-bit TIFF)."""
        return self.image.mode in ("F", "I") and self.image.format != "PPM"

    def find_value_range(self) -> float:
        """Decode the image, and return the range of its values, see `find_value_range`.

        Raises
        ------
        DataError
            If the file is damaged, or no range has all values.
        """
        try:
            self.image.load()
            return find_value_range(self.image)
        except DataError as error:
            raise DataError(f"{self.name}: {error}") from None
        except Exception as error:
            raise _damaged(self.name, error) from None

    def decode(self, *, value_range: float | None = None) -> Image.Image:
        """Decode the image to mode "L" or "RGB". This can be done once: the memory of the file's mode is freed.

        Parameters
        ----------
        value_range : float | None
            See `to_gray_or_rgb`.

        Raises
        ------
        DataError
            If the file is truncated or damaged.
        """
        try:
            image = self.image
            image.load()
            image.info.pop("exif", None)  # its orientation is read
            result = to_gray_or_rgb(image, orientation=1, value_range=value_range)
            if result is not image:
                image.close()
            return _turn(result, self.orientation)
        except DataError as error:
            raise DataError(f"{self.name}: {error}") from None
        except Exception as error:
            raise _damaged(self.name, error) from None


def sniff_format(content: bytes) -> str:
    """Return the format of an image file by its first 16 bytes, or "" if they are of no known format.

    Examples
    --------
    >>> sniff_format(b"GIF89a"), sniff_format(bytes(4) + b"ftypheic"), sniff_format(b"text")
    ('GIF', 'HEIC', '')
    """
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[4:8] == b"ftyp":
        return BRANDS.get(bytes(content[8:12]), "")
    return next((kind for start, kind in SIGNATURES.items() if content.startswith(start)), "")


def _read_file(path: Path, name: str) -> bytes:
    """Return the content of a file of at most the allowed size."""
    limit = max_bytes(MAX_FILE_BYTES)
    try:
        if path.is_dir():
            raise DataError(f"{name}: is a folder; pass the images in it, as in {name.rstrip('/')}/*.png")
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: the name has a null byte
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{name}: {reason}") from error
    if len(content) > limit:
        raise DataError(f"{name}: too large; {describe_bytes(limit)}")
    return content


def _damaged(name: str, error: Exception) -> DataError:
    """Return the error for an exception of Pillow, which has many types."""
    reason = "not enough memory" if isinstance(error, MemoryError) else str(error) or type(error).__name__
    return DataError(f"{name}: damaged image ({reason})")


def _prepare_pillow() -> None:
    """Turn off Pillow's own limit and warnings.

    This is permanent: the filters belong to all threads, so a context manager in one changes them for the others.
    """
    limit = max_pixels(MAX_PIXELS)
    if Image.MAX_IMAGE_PIXELS is not None and limit > 2 * Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = limit
    if PILLOW_WARNINGS not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")


def to_gray_or_rgb(
    image: Image.Image, *, orientation: int | None = None, value_range: float | None = None
) -> Image.Image:
    """Convert an image of any mode to "L" (if it is gray) or "RGB", and apply its EXIF orientation.

    Parameters
    ----------
    image : Image.Image
        Loaded image. The result may share its memory.
    orientation : int | None
        EXIF orientation. None means that of the image's EXIF data.
    value_range : float | None
        Maximum of floating-point and 32-bit values. None means `find_value_range`.

    Raises
    ------
    DataError
        If floating-point or 32-bit values are in no range.
    """
    if orientation is None:
        exif = image.info.get("exif")
        orientation = read_orientation(exif) if isinstance(exif, bytes) else 1
    if image.mode.startswith(("I", "F")):
        image = _scale_values(image, value_range)
    elif "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        image = _map_strips(image, _blend_with_white, "L" if image.mode in GRAY_MODES else "RGB")
    else:
        mode = "L" if image.mode in GRAY_MODES else "RGB"
        image = image if image.mode == mode else image.convert(mode)
    if orientation in TURNS:
        image = image.transpose(TURNS[orientation])
    if "exif" in image.info:
        image = image.copy()
        del image.info["exif"]  # it was applied
    return image


def find_value_range(image: Image.Image) -> float:
    """Return the smallest of the `VALUE_RANGES` that has all values of an image of mode "F" or "I".

    Floating-point values may be a little outside, as after an interpolation: at most twice the range, and not below a
    tenth of the maximum under zero.

    Raises
    ------
    DataError
        If there is none, or a value is not finite.
    """
    low, high = image.getextrema()
    low, high = float(low), float(high)  # type: ignore[arg-type]  # one channel has numbers, not pairs
    tolerance = 2.0 if image.mode == "F" else 1.0
    ranges = VALUE_RANGES if image.mode == "F" else VALUE_RANGES[1:]
    fitting = [maximum for maximum in ranges if high <= tolerance * maximum]
    if not fitting or low < -0.1 * high:
        expected = ", ".join(f"0 to {maximum:g}" for maximum in ranges)
        raise DataError(f"values from {low:g} to {high:g} cannot be displayed (expected {expected})")
    return fitting[0]


def _scale_values(image: Image.Image, value_range: float | None) -> Image.Image:
    """Return an image of mode "I;16", "I" or "F" as mode "L"."""
    if image.mode.startswith("I;16") or image.format == "PPM":
        scale = 1 / 257
    else:
        scale = 255 / (value_range or find_value_range(image))

    def convert(strip: Image.Image, mode: str) -> Image.Image:
        values = np.asarray(strip, dtype=np.float64)
        if not np.isfinite(values).all():
            raise DataError("damaged image (it has values that are not finite)")
        return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8)).convert(mode)

    return _map_strips(image, convert, "L")


def _turn(image: Image.Image, orientation: int) -> Image.Image:
    """Apply an EXIF orientation. A large color image is closed, and its strips are turned: this needs less memory."""
    if orientation not in TURNS:
        return image
    width, height = image.size
    rows = max(1, STRIP_PIXELS // width)
    if rows >= height or image.mode != "RGB":
        return image.transpose(TURNS[orientation])
    is_turned = orientation in TO_COLUMNS
    result = np.empty((width, height, 3) if is_turned else (height, width, 3), np.uint8)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = np.asarray(image.crop((0, top, width, bottom)).transpose(TURNS[orientation]))
        place = slice(height - bottom, height - top) if orientation in TO_THE_END else slice(top, bottom)
        result[(slice(None), place) if is_turned else place] = strip
    image.close()
    return Image.fromarray(result)


def _blend_with_white(strip: Image.Image, mode: str) -> Image.Image:
    background = Image.new("RGBA", strip.size, "white")
    return Image.alpha_composite(background, strip.convert("RGBA")).convert(mode)


def _map_strips(image: Image.Image, function: Callable[[Image.Image, str], Image.Image], mode: str) -> Image.Image:
    """Apply a function to strips of an image, and return the image of mode ``mode`` that consists of the results."""
    width, height = image.size
    rows = max(1, STRIP_PIXELS // width)
    if rows >= height:
        return function(image, mode)
    result = Image.new(mode, image.size)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        result.paste(function(strip, mode), (0, top))
    return result


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
    letterbox : bool
        Resize the longer side to ``resize`` and pad the shorter side with black, instead of the crop.

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
    letterbox: bool = False

    def __post_init__(self) -> None:
        if self.shorter and self.shorter < self.resize:
            raise DataError(f"cannot crop {self.resize} pixels from a side of {self.shorter}")

    @property
    def input_size(self) -> int:
        """Side of the network's input in pixels."""
        return self.resize + 2 * self.pad

    def to_pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """Resize, crop and pad an image of mode "L" or "RGB"; return (C, H, W) uint8."""
        pixels = resize_to_square(
            image, channels=self.channels, size=self.resize, shorter=self.shorter, letterbox=self.letterbox
        )
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


def letterbox_box(width: int, height: int, *, size: int) -> tuple[int, int, int, int]:
    """Compute the resize and the position of a whole image in a square of ``size`` pixels.

    Parameters
    ----------
    width : int
        Width of the image in pixels.
    height : int
        Height of the image in pixels.
    size : int
        Side of the square in pixels.

    Returns
    -------
    tuple[int, int, int, int]
        Width and height of the resized image, its left and top in the square.

    Examples
    --------
    >>> letterbox_box(640, 480, size=64)
    (64, 48, 0, 8)
    """
    longer = max(width, height)
    new_width, new_height = max(1, round(width * size / longer)), max(1, round(height * size / longer))
    return new_width, new_height, (size - new_width) // 2, (size - new_height) // 2


def resize_to_square(
    image: Image.Image, *, channels: int, size: int, shorter: int = 0, letterbox: bool = False
) -> NDArray[np.uint8]:
    """Resize an image and crop its center, or pad it.

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
    letterbox : bool
        Resize the longer side to ``size`` and pad the shorter side with black, instead of the crop.

    Returns
    -------
    NDArray[np.uint8]
        (channels, size, size) array.
    """
    mode = "L" if channels == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    if letterbox:
        width, height, left, top = letterbox_box(*image.size, size=size)
        square = Image.new(mode, (size, size))
        square.paste(image.resize((width, height), Image.Resampling.BILINEAR), (left, top))
        image = square
    else:
        width, height, left, top = center_crop_box(*image.size, size=size, shorter=shorter)
        image = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
    return to_channels(image)


def to_channels(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels of an image of mode "L" or "RGB" as (channels, height, width)."""
    pixels = np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
