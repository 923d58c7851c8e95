"""Metadata of image files: the EXIF orientation is read, and everything else is removed before Pillow reads the file.

Profiles, texts, thumbnails and tags do not change the pixels, but Pillow parses them, and many cameras and programs
write them with errors. An unusual tag must not make an intact image unreadable.
"""

import io
import struct
import zlib
from collections.abc import Iterator

ORIENTATION = 0x0112
EXIF_HEADER = b"Exif\0\0"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
TIFF_PIXEL_TAGS = frozenset(
    (
        *range(256, 260), 262, 266, 273, *range(277, 280), 284, 292, 293, 317, 320, *range(322, 326), 338, 339, 347,
        *range(512, 522), *range(529, 533),
    )
)  # fmt: skip
"""Tags that describe how the pixels are stored."""
TYPE_FORMATS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
"""Integer types of TIFF tags, as codes of `struct`."""
MAX_TEXT = 1 << 20
"""Maximum size in bytes of a compressed EXIF text in a PNG file; larger ones have no orientation."""


def split_metadata(content: bytes) -> tuple[bytes, int]:
    """Remove the metadata of an image file, and return its orientation.

    Files of unknown formats and damaged files are returned unchanged from the damage on, so the decoder reports it.

    Parameters
    ----------
    content : bytes
        Content of the file. PNG, JPEG, TIFF and WebP have metadata that matter here.

    Returns
    -------
    tuple[bytes, int]
        The content without metadata, and the EXIF orientation from 1 to 8 (1: as stored).
    """
    if content.startswith(PNG_SIGNATURE):
        return _split_png(content)
    if content.startswith(b"\xff\xd8"):
        return _split_jpeg(content)
    if content.startswith(TIFF_SIGNATURES):
        return _split_tiff(content), read_orientation(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        exif = next((body for kind, body in _riff_chunks(content) if kind == b"EXIF"), b"")
        return content, read_orientation(bytes(exif))
    return content, 1


def read_orientation(exif: bytes) -> int:
    """Return the orientation of EXIF data, from 1 to 8.

    Parameters
    ----------
    exif : bytes
        EXIF data, with or without their header; they have the structure of a TIFF file. Damaged data and values outside
        of the range give 1.
    """
    data = exif.removeprefix(EXIF_HEADER)
    for entry in _Ifd(data).entries:
        if entry.tag == ORIENTATION:
            return entry.value if 1 <= entry.value <= 8 else 1
    return 1


class _Entry:
    """Entry of a directory of TIFF tags, with its bytes and its first value (0 if that is not an integer)."""

    def __init__(self, raw: bytes, order: str, *, is_big: bool) -> None:
        self.raw = raw
        self.tag, kind = struct.unpack_from(order + "HH", raw)
        code = TYPE_FORMATS.get(kind)
        fits = code is not None and (is_big or code != "Q")
        self.value = int(struct.unpack_from(order + (code or "B"), raw, 12 if is_big else 8)[0]) if fits else 0


class _Ifd:
    """First directory of tags of a TIFF file or of EXIF data; without entries if it is damaged."""

    def __init__(self, data: bytes) -> None:
        self.order = "<" if data[:2] == b"II" else ">"
        self.is_big = data[2:4] in (b"+\0", b"\0+")
        self.count_format, entry_size = ("Q", 20) if self.is_big else ("H", 12)
        offset_format, offset_at = ("Q", 8) if self.is_big else ("I", 4)
        self.entries: list[_Entry] = []
        self.start = 0
        if not data.startswith(TIFF_SIGNATURES) or len(data) < offset_at + struct.calcsize(offset_format):
            return
        self.start = int(struct.unpack_from(self.order + offset_format, data, offset_at)[0])
        first = self.start + struct.calcsize(self.count_format)
        if first > len(data):
            return
        count = int(struct.unpack_from(self.order + self.count_format, data, self.start)[0])
        count = min(count, (len(data) - first) // entry_size)
        raw = (data[i : i + entry_size] for i in range(first, first + count * entry_size, entry_size))
        self.entries = [_Entry(each, self.order, is_big=self.is_big) for each in raw]


def _split_tiff(content: bytes) -> bytes:
    """Return a TIFF file whose first directory has only `TIFF_PIXEL_TAGS`, and no directory follows."""
    ifd = _Ifd(content)
    kept = [entry.raw for entry in ifd.entries if entry.tag in TIFF_PIXEL_TAGS]
    if not kept:
        return content
    directory = struct.pack(ifd.order + ifd.count_format, len(kept)) + b"".join(kept) + bytes(8 if ifd.is_big else 4)
    end = ifd.start + len(directory)
    return b"".join((memoryview(content)[: ifd.start], directory, memoryview(content)[end:]))


def _split_png(content: bytes) -> tuple[bytes, int]:
    """Return the critical chunks and the transparency of a PNG file, and its orientation."""
    view = memoryview(content)
    kept = io.BytesIO()
    kept.write(PNG_SIGNATURE)
    exif = b""
    position = len(PNG_SIGNATURE)
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        body = view[position + 8 : position + 8 + length]
        end = position + 12 + length
        if kind == b"eXIf":
            exif = bytes(body)
        elif kind in (b"tEXt", b"zTXt") and bytes(body[:21]) == b"Raw profile type exif":
            exif = exif or _text_exif(bytes(body[22:]), is_compressed=kind == b"zTXt")
        if kind[:1].isupper() or kind == b"tRNS" or not kind.isalpha():
            kept.write(view[position:end])
        position = end
    kept.write(view[position:])
    return kept.getvalue(), read_orientation(exif)


def _text_exif(text: bytes, *, is_compressed: bool) -> bytes:
    """Return the EXIF data of a text that older versions of ImageMagick write: name, length and hexadecimal digits."""
    try:
        if is_compressed:
            text = zlib.decompressobj().decompress(text[1:], MAX_TEXT)
        return bytes.fromhex("".join(text[:MAX_TEXT].decode("ascii").split()[2:]))
    except (zlib.error, ValueError):
        return b""


def _split_jpeg(content: bytes) -> tuple[bytes, int]:
    """Return a JPEG file without comments and application segments, except those that define its colors."""
    view = memoryview(content)
    kept = io.BytesIO()
    kept.write(b"\xff\xd8")
    exif = b""
    position = 2
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker, length = struct.unpack_from(">xBH", content, position)
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker == 0xDA or not 0xC0 <= marker <= 0xFE or 0xD0 <= marker <= 0xD9 or length < 2:
            break  # the pixels, or damage
        segment = view[position : position + 2 + length]
        is_metadata = marker == 0xFE or (0xE0 <= marker <= 0xEF and marker not in (0xE0, 0xEE))
        if marker == 0xE1 and bytes(segment[4:10]) == EXIF_HEADER:
            exif += bytes(segment[10:])
        if not is_metadata:
            kept.write(segment)
        position += 2 + length
    kept.write(view[position:])
    return kept.getvalue(), read_orientation(exif)


def _riff_chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the kind and the content of each chunk of a WebP file."""
    position = 12
    while position + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, position)
        yield kind, memoryview(content)[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
