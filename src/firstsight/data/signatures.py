"""Suffixes and first bytes of image files. The module imports neither torch nor NumPy."""

from pathlib import Path

SUFFIXES = frozenset({
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".gif", ".bmp", ".dib", ".tif",
    ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm",
})  # fmt: skip
SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF",
    b"II+\0": "TIFF", b"MM\0+": "TIFF", b"\0\0\0\x0cjP  ": "JPEG 2000", b"\0\0\0\x0cJXL ": "JPEG XL",
}  # fmt: skip
"""First bytes of image files."""
BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC"}
"""Formats of image files that begin with a box of the type ``ftyp``."""


def is_image_file(path: Path) -> bool:
    """Return whether a file exists and begins as an image file does; a missing one is none."""
    try:
        with path.open("rb") as stream:
            start = stream.read(12)
    except (OSError, ValueError):  # a name that no file can have
        return False
    if start.startswith(tuple(SIGNATURES)) or (start[4:8] == b"ftyp" and start[8:12] in BRANDS):
        return True
    is_other = start[:2] in (b"BM", *(b"P%d" % i for i in range(1, 7))) or (start[:4], start[8:]) == (b"RIFF", b"WEBP")
    return is_other and path.suffix.lower() in SUFFIXES
