"""Image files of keypoint data sets that cannot be used."""

import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

DAMAGES = {
    "damaged": "damaged image",
    "cut": "damaged image (image file is truncated",
    "missing": "No such file or directory",
    "no image": "not an image",
    "empty": "not an image",
    "other format": "not an image (expected",
    "other size": "is 90x100 pixels, but the annotations say 96x120",
    "rotated": "is 120x96 pixels, but the annotations say 96x120",
    "folder": "is a folder",
    "bomb": "declares 12000x12000 pixels",
}
"""Part of the message of each kind of damage to an image of 96x120 pixels."""


def damage(file: Path, kind: str) -> None:
    """Damage a PNG file of 96x120 pixels."""
    content = file.read_bytes()
    if kind in ("missing", "folder"):
        file.unlink()
    if kind == "folder":
        file.mkdir()
    elif kind == "damaged":
        start = content.index(b"IDAT") + 4
        file.write_bytes(content[:start] + b"\xff\xff" + content[start + 2 :])  # no stream of zlib
    elif kind == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif kind == "no image":
        file.write_text("I am a text")
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "other format":
        file.write_bytes(bytes(4) + b"ftypheic" + bytes(50))
    elif kind == "other size":
        Image.new("RGB", (90, 100)).save(file)
    elif kind == "rotated":
        Image.open(file).rotate(90, expand=True).save(file)
    elif kind == "bomb":
        header = content[12:16] + struct.pack(">II", 12_000, 12_000) + content[24:29]
        file.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])


def remove_images(path: Path, ids: Sequence[int]) -> None:
    """Remove images and their people from an annotation file."""
    content = json.loads(path.read_text())
    content["images"] = [image for image in content["images"] if image["id"] not in ids]
    content["annotations"] = [person for person in content["annotations"] if person["image_id"] not in ids]
    path.write_text(json.dumps(content))
