"""Estimate of the memory for reading an image file with Pillow."""

from typing import NamedTuple

from PIL import Image

ONE_BYTE_MODES = frozenset({"1", "L", "P"})
"""Modes with one byte per pixel in memory. "I;16" has two, all others have four, also "RGB" and "LA"."""
GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
TIFF_STREAMS = frozenset({"lzma", "zstd", "webp"})
"""Compressions whose decoder keeps the decoded bytes."""
TILE_WIDTH, TILE_LENGTH, ROWS_PER_STRIP = 322, 323, 278


class Memory(NamedTuple):
    """Peak memory of reading an image.

    Parameters
    ----------
    decode : float
        Bytes per pixel for decoding.
    convert : float
        Bytes per pixel for conversion and orientation.
    decode_files : int
        Number of copies of the file during decoding.
    convert_files : int
        Number of copies of the file during conversion. Pillow keeps files that may have several frames.
    """

    decode: float
    convert: float
    decode_files: int
    convert_files: int


def estimate_memory(image: Image.Image, orientation: int) -> Memory:
    """Return the memory for decoding an image and converting it to mode "L" or "RGB".

    Parameters
    ----------
    image : Image.Image
        Image of Pillow, not loaded.
    orientation : int
        EXIF orientation.
    """
    base = _bytes_per_pixel(image.mode)
    result = 1 if image.mode in GRAY_MODES else 4
    is_converted = image.mode not in ("L", "RGB") or "transparency" in image.info
    convert = base + result if is_converted else base
    turn = result + min(result, 3) if orientation > 1 else 0
    decoder = _decoder_bytes(image, base)
    if image.format == "WEBP":
        return Memory(base + decoder, max(convert, turn) + decoder, 3, 3)
    return Memory(base + decoder, max(convert, turn), 1, int(image.format in ("GIF", "TIFF")))


def tile_size(image: Image.Image) -> tuple[int, int]:
    """Return the width and the height of the tiles or strips of a TIFF file in pixels; (0, 0) for other formats."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return 0, 0
    if TILE_WIDTH in tags:
        return int(tags[TILE_WIDTH]), int(tags[TILE_LENGTH])
    return image.width, min(int(tags.get(ROWS_PER_STRIP, image.height)), image.height)


def _bytes_per_pixel(mode: str) -> int:
    """Return the bytes per pixel of an image of Pillow."""
    if mode in ONE_BYTE_MODES:
        return 1
    return 2 if mode.startswith("I;16") else 4


def _decoder_bytes(image: Image.Image, base: int) -> float:
    """Return the bytes per pixel of the decoder's own memory."""
    if image.format == "WEBP":
        return 12  # two frames and a copy of one
    if image.info.get("progressive"):
        layers = [(layer[1], layer[2]) for layer in getattr(image, "layer", [])]
        maximum = max((h for h, _ in layers), default=1) * max((v for _, v in layers), default=1)
        return float(2 * sum(h * v for h, v in layers) / max(1, maximum))  # all coefficients, two bytes each
    if image.format == "TIFF":
        width, height = tile_size(image)
        share = min(1.0, width * height / (image.width * image.height))
        return base * (share + (str(image.info.get("compression")) in TIFF_STREAMS))
    tiles = getattr(image, "tile", [])
    decoder = tiles[0][0] if tiles else ""
    return 2 * base if decoder in ("ppm", "ppm_plain", "bmp_rle") else 0  # decoders in Python have two copies
