"""Image files in a folder or in zip files: their names as plain text, and their content up to a limit."""

import os
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from firstsight.data.image_io import MAX_FILE_BYTES, sniff_format
from firstsight.data.limits import describe_bytes, max_bytes
from firstsight.data.signatures import SUFFIXES
from firstsight.errors import DataError

CHUNK_BYTES = 1 << 16
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compression methods that are read. Python decompresses the others without a limit of memory."""
METHOD_NAMES = {9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ"}
UTF8_FLAG = 0x800
"""Bit of a zip member's flags: the name is UTF-8."""


@dataclass(frozen=True)
class ImageFile:
    """Image file in a data set.

    Parameters
    ----------
    parts : tuple[str, ...]
        Path components relative to the root of the data set, as plain text (see `plain_name`).
    source : Path | zipfile.ZipInfo
        The file, or the member of a zip file.
    archive : zipfile.ZipFile | None
        The zip file of a member.
    """

    parts: tuple[str, ...]
    source: Path | zipfile.ZipInfo
    archive: zipfile.ZipFile | None = None

    @property
    def name(self) -> str:
        """Path relative to the root of the data set, with slashes."""
        return "/".join(self.parts)


class ImageTree:
    """Image files below a folder or in a zip file; nothing is ever extracted.

    Links to folders are followed. Hidden files and folders are ignored. In a folder without images, zip files are read
    like folders: the only zip file of a folder like this folder, several like its subfolders. Zip files next to images
    are not read, since the images may be their content.

    Parameters
    ----------
    path : Path
        Folder or zip file.
    labeled : bool
        The images must be in class folders. Images in the folder of the zip files, or in a folder around it, are in no
        class folder, so they do not keep the zip files from being read.

    Attributes
    ----------
    files : list[ImageFile]
        Files whose suffix is one of `SUFFIXES`, sorted by name.
    other_images : list[ImageFile]
        Images in other files: those with another suffix or none, found by their first bytes.
    folders : set[tuple[str, ...]]
        Path components of all folders, including those without images.
    problems : list[str]
        Sentences on folders that cannot be listed.
    unread_zips : list[str]
        Names of the zip files in the folder that are not read: next to images, or without images.
    zip_folders : dict[tuple[str, ...], list[str]]
        Names of the zip files that are read like subfolders, by the path components of their folder.

    Raises
    ------
    DataError
        If a zip file cannot be read, or a member's path is outside of the archive.
    """

    def __init__(self, path: Path, *, labeled: bool = False) -> None:
        self.path = path
        self.folders: set[tuple[str, ...]] = set()
        self.problems: list[str] = []
        self.unread_zips: list[str] = []
        self.zip_folders: dict[tuple[str, ...], list[str]] = {}
        if path.is_file():
            self._sort(self._walk_zip(_open_zip(path), ()))
            return
        files: list[ImageFile] = []
        zips: list[ImageFile] = []
        for file in self._walk_folder(path):
            (zips if _suffix(file) == ".zip" else files).append(file)
        zips.sort(key=lambda file: file.parts)
        if _has_own_images(files, zips, labeled=labeled):
            self.unread_zips = [file.name for file in zips]
        else:
            files += self._walk_zips(zips)
        self._sort(files)

    def _sort(self, listed: Iterable[ImageFile]) -> None:
        """Set ``files`` and ``other_images``."""
        every = {file.parts: file for file in listed}  # of two members with one name, the last one is valid
        self.files: list[ImageFile] = []
        self.other_images: list[ImageFile] = []
        for file in (every[parts] for parts in sorted(every)):
            if _suffix(file) in SUFFIXES:
                self.files.append(file)
            elif sniff_format(self._start_of(file)):
                self.other_images.append(file)

    def _walk_folder(self, root: Path) -> Iterator[ImageFile]:
        """Yield the files below a folder; links to folders above them are not followed."""
        stack: list[tuple[Path, tuple[str, ...], frozenset[tuple[int, int]]]] = [(root, (), frozenset())]
        while stack:
            folder, parts, ancestors = stack.pop()
            try:
                status = folder.stat()
                identity = (status.st_dev, status.st_ino)
                entries = [] if identity in ancestors else [*os.scandir(folder)]
            except OSError as error:
                self.problems.append(f"{'/'.join(parts) or folder}: cannot be listed ({error.strerror or error})")
                continue
            for entry in entries:
                below = (*parts, plain_name(entry.name))
                path = Path(entry.path)
                if is_hidden(entry.name):
                    continue
                if path.is_dir():
                    self.folders.add(below)
                    stack.append((path, below, ancestors | {identity}))
                elif path.is_file() or path.is_symlink():
                    yield ImageFile(below, path)

    def _walk_zips(self, zips: Sequence[ImageFile]) -> Iterator[ImageFile]:
        """Yield the members of the zip files in a folder, without those that have no images if others have."""
        archives = {file: _open_zip(file.source) for file in zips if isinstance(file.source, Path)}
        with_images = {file: archive for file, archive in archives.items() if _has_images(archive)} or archives
        self.unread_zips = [file.name for file in zips if file not in with_images]
        folders = Counter(file.parts[:-1] for file in with_images)
        for file, archive in with_images.items():
            folder = file.parts[:-1]
            if folders[folder] == 1:
                yield from self._walk_zip(archive, folder)
            else:
                self.folders.add(file.parts)
                self.zip_folders.setdefault(folder, []).append(file.parts[-1])
                yield from self._walk_zip(archive, file.parts)

    def _walk_zip(self, archive: zipfile.ZipFile, prefix: tuple[str, ...]) -> Iterator[ImageFile]:
        """Yield the members of a zip file; ``prefix`` is the folder that it is read like."""
        for info, name in zip(archive.infolist(), _member_names(archive), strict=True):
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
                raise DataError(f"{archive.filename}: member '{name}' points outside the archive; refused")
            parts = tuple(plain_name(part) for part in path.parts)
            if not parts or any(is_hidden(part) for part in parts):
                continue
            is_folder = info.is_dir() or name.endswith("\\")
            self.folders.update((*prefix, *parts[:end]) for end in range(1, len(parts) + is_folder))
            if not is_folder:
                yield ImageFile((*prefix, *parts), info, archive)

    def read(self, file: ImageFile) -> bytes:
        """Return the content of an image file.

        Raises
        ------
        DataError
            If the file is too large or cannot be read.
        """
        limit = max_bytes(MAX_FILE_BYTES)
        try:
            source = file.source
            size = source.stat().st_size if isinstance(source, Path) else source.file_size
            chunks: list[bytes] = []
            left = limit + 1
            if size <= limit:
                with self._open(file) as stream:
                    while left > 0 and (chunk := stream.read(min(CHUNK_BYTES, left))):
                        chunks.append(chunk)
                        left -= len(chunk)
        except OSError as error:
            raise DataError(error.strerror or str(error)) from None
        except DataError:
            raise
        except Exception as error:  # zipfile and the decompressors have many types
            raise DataError(str(error) or type(error).__name__) from None
        if size > limit or left <= 0:
            raise DataError(f"too large; {describe_bytes(limit)}")
        return b"".join(chunks)

    def _start_of(self, file: ImageFile) -> bytes:
        """Return the first bytes of a file, or nothing if it cannot be read."""
        try:
            with self._open(file) as stream:
                return stream.read(16)
        except Exception:
            return b""

    def _open(self, file: ImageFile) -> IO[bytes]:
        if isinstance(file.source, Path):
            return file.source.open("rb")
        if file.source.compress_type not in METHODS:
            method = METHOD_NAMES.get(file.source.compress_type, "an unknown method")
            raise DataError(f"compressed with {method}; pack the zip file again with deflate, the usual method")
        assert file.archive is not None
        return file.archive.open(file.source)


def is_hidden(name: str) -> bool:
    """Return whether a file or a folder of that name is ignored."""
    return name.startswith((".", "__MACOSX"))


def plain_name(name: str) -> str:
    r"""Return a file name as text that can be printed and encoded, in Unicode's composed form (NFC).

    macOS stores decomposed names (NFD), so the same name may have both forms. Bytes that are not UTF-8, and control
    characters, are escaped.

    Parameters
    ----------
    name : str
        Name of a file or folder, as Python returns it.

    Examples
    --------
    >>> plain_name("cafe\u0301"), plain_name("caf\udce9"), plain_name("a\nb")
    ('café', 'caf\\xe9', 'a\\x0ab')
    """
    if name.isascii() and name.isprintable():
        return name
    text = name.encode("utf-8", "surrogateescape" if _is_escaped(name) else "backslashreplace")
    composed = unicodedata.normalize("NFC", text.decode("utf-8", "backslashreplace"))
    return "".join(f"\\x{ord(char):02x}" if unicodedata.category(char) == "Cc" else char for char in composed)


def _is_escaped(name: str) -> bool:
    """Return whether all surrogates of a name stand for bytes that are not UTF-8."""
    return all("\udc80" <= char <= "\udcff" for char in name if "\ud800" <= char <= "\udfff")


def _suffix(file: ImageFile) -> str:
    return PurePosixPath(file.parts[-1]).suffix.lower()


def _has_own_images(files: Sequence[ImageFile], zips: Sequence[ImageFile], *, labeled: bool) -> bool:
    """Return whether a folder has images that keep its zip files from being read."""
    folders = {file.parts[:-1] for file in files if _suffix(file) in SUFFIXES}
    if labeled:  # an image next to all zip files, or in a folder around them, is in no class folder
        folders = {folder for folder in folders if any(file.parts[: len(folder)] != folder for file in zips)}
    return bool(folders)


def _has_images(archive: zipfile.ZipFile) -> bool:
    """Return whether a zip file has a member with the suffix of an image that is not hidden."""
    paths = (PurePosixPath(name.replace("\\", "/")) for name in archive.namelist())
    return any(path.suffix.lower() in SUFFIXES and not any(map(is_hidden, path.parts)) for path in paths)


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # zipfile has many types
        raise DataError(f"{path}: not a readable zip file ({error or type(error).__name__})") from None


def _member_names(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of all members; those that are not marked as UTF-8 have one of several encodings.

    macOS does not mark UTF-8. Korean Windows writes CP949, and zip files of MS-DOS have CP437, which Python assumes.
    """
    infos = archive.infolist()
    unmarked = b"\n".join(info.filename.encode("cp437") for info in infos if not info.flag_bits & UTF8_FLAG)
    encoding = _guess_encoding(unmarked)
    return [
        info.filename if info.flag_bits & UTF8_FLAG else info.filename.encode("cp437").decode(encoding)
        for info in infos
    ]


def _guess_encoding(names: bytes) -> str:
    """Return "utf-8", "cp949" or "cp437" for the names of an archive.

    Examples
    --------
    >>> names = "고양이".encode(), "고양이".encode("cp949"), "café".encode("cp437")
    >>> [_guess_encoding(name) for name in names]
    ['utf-8', 'cp949', 'cp437']
    """
    try:
        names.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        characters = [char for char in names.decode("cp949") if not char.isascii()]
    except UnicodeDecodeError:
        return "cp437"
    hangul = sum("가" <= char <= "힣" and len(char.encode("euc_kr", "ignore")) == 2 for char in characters)
    return "cp949" if 2 * hangul > len(characters) else "cp437"
