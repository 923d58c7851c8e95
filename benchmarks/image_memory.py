"""Peak memory of reading the largest images that are allowed, one process per kind of file.

    python benchmarks/image_memory.py [KIND ...]

Each kind is written at its largest allowed size, smooth or as noise, and read by `firstsight.data.image_io.open_image`
in a new process, whose peak contains Python and torch. The first row is a process that reads a small image.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from firstsight.data.image_io import MAX_FILE_BYTES, read_header

READ = """
import sys
from pathlib import Path
import torch
from firstsight.data.image_io import open_image
image = open_image(Path(sys.argv[1]))
status = Path("/proc/self/status").read_text()
print(image.mode, *image.size, next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""
"""VmHWM is the peak of the program itself; ``ru_maxrss`` includes that of the process that started it."""
SIDE = 1024
"""Side of the small image whose header gives the largest allowed size of a kind, in pixels."""


@dataclass(frozen=True)
class Kind:
    """Kind of image file.

    Parameters
    ----------
    format : str
        Format of Pillow.
    mode : str
        Mode of Pillow.
    options : dict[str, Any]
        Options of ``Image.save``.
    noise : bool
        The image is noise, whose file is large. Otherwise it is smooth.
    orientation : int
        EXIF orientation.
    """

    format: str
    mode: str
    options: dict[str, Any] = field(default_factory=dict)
    noise: bool = False
    orientation: int = 1


FAST = {"compress_level": 1}
KINDS = {
    "PNG gray": Kind("PNG", "L", FAST),
    "PNG gray, rotated": Kind("PNG", "L", FAST, orientation=6),
    "PNG gray and alpha": Kind("PNG", "LA", FAST),
    "PNG bilevel": Kind("PNG", "1", FAST),
    "PNG palette": Kind("PNG", "P", FAST),
    "PNG palette, transparent": Kind("PNG", "P", FAST | {"transparency": 1}),
    "PNG 16 bits": Kind("PNG", "I;16", FAST),
    "PNG RGB": Kind("PNG", "RGB", FAST),
    "PNG RGB, noise": Kind("PNG", "RGB", FAST, noise=True),
    "PNG RGB, rotated": Kind("PNG", "RGB", FAST, orientation=6),
    "PNG RGBA": Kind("PNG", "RGBA", FAST),
    "PNG RGBA, rotated": Kind("PNG", "RGBA", FAST, orientation=6),
    "JPEG gray": Kind("JPEG", "L"),
    "JPEG": Kind("JPEG", "RGB"),
    "JPEG, noise": Kind("JPEG", "RGB", noise=True),
    "JPEG, rotated": Kind("JPEG", "RGB", orientation=6),
    "JPEG progressive": Kind("JPEG", "RGB", {"progressive": True}),
    "JPEG progressive, gray": Kind("JPEG", "L", {"progressive": True}),
    "JPEG progressive, 4:4:4": Kind("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
    "JPEG progressive, rotated": Kind("JPEG", "RGB", {"progressive": True}, orientation=6),
    "JPEG CMYK": Kind("JPEG", "CMYK"),
    "JPEG CMYK, progressive": Kind("JPEG", "CMYK", {"progressive": True}),
    "WebP": Kind("WEBP", "RGB", {"method": 0}),
    "WebP lossless": Kind("WEBP", "RGB", {"lossless": True, "method": 0}),
    "WebP lossless, noise": Kind("WEBP", "RGB", {"lossless": True, "method": 0}, noise=True),
    "WebP lossless, alpha": Kind("WEBP", "RGBA", {"lossless": True, "method": 0}),
    "WebP, rotated": Kind("WEBP", "RGB", {"method": 0}, orientation=6),
    "GIF": Kind("GIF", "P"),
    "GIF gray": Kind("GIF", "L"),
    "GIF transparent": Kind("GIF", "P", {"transparency": 1}),
    "GIF animated": Kind("GIF", "P", {"save_all": True}),
    "GIF on a large canvas": Kind("GIF", "P", {"canvas": True}),
    "BMP": Kind("BMP", "RGB"),
    "BMP gray": Kind("BMP", "L"),
    "BMP palette": Kind("BMP", "P"),
    "PPM": Kind("PPM", "RGB"),
    "PGM": Kind("PPM", "L"),
    "PGM 16 bits": Kind("PPM", "I;16"),
    "TIFF gray": Kind("TIFF", "L"),
    "TIFF CMYK": Kind("TIFF", "CMYK", {"compression": "tiff_lzw"}),
    "TIFF RGBA": Kind("TIFF", "RGBA", {"compression": "tiff_lzw"}),
    "TIFF 16 bits": Kind("TIFF", "I;16", {"compression": "tiff_lzw"}),
    "TIFF float32": Kind("TIFF", "F", {"compression": "tiff_lzw"}),
    "TIFF int32": Kind("TIFF", "I", {"compression": "tiff_lzw"}),
    **{
        f"TIFF {name}": Kind("TIFF", mode, {"compression": name})
        for name, mode in {
            "raw": "RGB", "tiff_lzw": "RGB", "tiff_adobe_deflate": "RGB", "packbits": "RGB", "jpeg": "RGB",
            "group3": "1", "group4": "1", "lzma": "RGB", "zstd": "RGB",
        }.items()
    },
    "TIFF, one strip": Kind("TIFF", "RGB", {"compression": "tiff_lzw", "strip_size": 1 << 30}),
    "TIFF, rotated": Kind("TIFF", "RGB", {"compression": "tiff_lzw"}, orientation=6),
}  # fmt: skip


def make_image(kind: Kind, width: int, height: int) -> Image.Image:
    """Return an image of a kind; a band of noise or a ramp is repeated."""
    rows = min(height, 64)
    bands = len(Image.new(kind.mode, (1, 1)).getbands())
    if kind.noise:
        values = np.random.default_rng(0).integers(0, 256, (rows, width, bands), np.uint8)
    else:
        ramp = np.linspace(0, 255, width)[None, :, None] * np.linspace(0.5, 1, rows)[:, None, None]
        values = np.repeat(ramp, bands, 2).astype(np.uint8)
    if kind.mode in ("F", "I"):
        band = Image.fromarray(values[..., 0].astype(np.float32 if kind.mode == "F" else np.int32))
    elif kind.mode == "I;16":
        band = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    elif kind.mode == "1":
        band = Image.fromarray(values[..., 0]).convert("1")
    elif kind.mode == "P":
        band = Image.fromarray(values[..., 0])
        band.putpalette([value for i in range(256) for value in (i, 255 - i, i // 2)])
    else:
        band = Image.fromarray(values[..., 0] if bands == 1 else values, kind.mode)
    image = Image.new(kind.mode, (width, height))
    if kind.mode == "P":
        image.putpalette(band.getpalette())
    for top in range(0, height, rows):
        image.paste(band, (0, top))
    return image


def write_image(kind: Kind, path: Path, width: int, height: int) -> None:
    """Write an image of a kind."""
    options = dict(kind.options)
    exif = Image.Exif()
    exif[0x0112] = kind.orientation
    if kind.orientation > 1:
        options["exif"] = exif
    if options.pop("canvas", False):
        image = make_image(kind, width // 2, height // 2)
        out = BytesIO()
        image.save(out, kind.format)
        content = bytearray(out.getvalue())
        content[6:10] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
        path.write_bytes(content)
        return
    image = make_image(kind, width, height)
    if options.get("save_all"):
        options["append_images"] = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    image.save(path, kind.format, **options)


def largest_size(kind: Kind, folder: Path) -> tuple[int, int]:
    """Return the width and the height of the largest allowed image, by a small image."""
    path = folder / "small"
    write_image(kind, path, SIDE, SIDE)
    header = read_header(path)
    per_pixel = path.stat().st_size / SIDE**2
    side = int(MAX_FILE_BYTES / per_pixel) ** 0.5
    for _ in range(20):  # a larger file allows fewer pixels
        side = (side + min(side, replace(header, num_bytes=round(per_pixel * side**2)).max_pixels ** 0.5)) / 2
    return int(side), int(side)


def measure(kind: Kind, folder: Path, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the file and the peak memory of reading it, both in bytes."""
    path = folder / "image"
    write_image(kind, path, *size)
    output = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=False)
    if output.returncode:
        raise RuntimeError(output.stderr.splitlines()[-1])
    return path.stat().st_size, int(output.stdout.split()[-1]) * 1024


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND")
    print("| Kind | Largest size | File | Peak |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _, peak = measure(KINDS["PNG RGB"], folder, (SIDE, SIDE))
        print(f"| small image | {SIDE} x {SIDE} | - | {peak / 1e6:.0f} MB |", flush=True)
        for name in parser.parse_args().kinds:
            width, height = largest_size(KINDS[name], folder)
            size, peak = measure(KINDS[name], folder, (width, height))
            print(f"| {name} | {width} x {height} | {size / 1e6:.1f} MB | {peak / 1e6:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
