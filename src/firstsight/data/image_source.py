"""Image files of folders, zip files and patterns, listed by name and read one at a time."""

import glob
import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from firstsight.arguments import expand_user
from firstsight.data.image_io import read_header
from firstsight.data.images.tree import ImageFile, ImageTree
from firstsight.errors import DataError

LARGE_PIXELS = 4_000_000
"""Images with more pixels are decoded one at a time, which limits the memory."""
ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class ImageSource:
    """An image file that is read when it is needed.

    Parameters
    ----------
    name : str
        Path of the file; that of a zip file's member follows the path of the zip file.
    path : Path
        The file, or the folder or zip file that has it.
    tree : ImageTree | None
        Content of the folder or the zip file; None for a file.
    member : ImageFile | None
        File in ``tree``.
    """

    name: str
    path: Path
    tree: ImageTree | None = field(default=None, repr=False)
    member: ImageFile | None = field(default=None, repr=False)

    def check_exists(self) -> None:
        """Raise an error if the file does not exist.

        Raises
        ------
        DataError
            If there is no such file.
        """
        try:
            self.path.stat()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise DataError(f"{self.name}: {reason}") from None

    def open(self) -> Image.Image:
        """Read the image as mode "L" or "RGB"; several threads may call this at once.

        Raises
        ------
        DataError
            If it cannot be read; the message begins with the name.
        """
        if self.tree is None or self.member is None:
            header = read_header(self.path, name=self.name)
        else:
            try:
                content = self.tree.read(self.member)
            except DataError as error:
                raise DataError(f"{self.name}: {error}") from None
            header = read_header(content, name=self.name)
        width, height = header.image.size
        with _one_at_a_time if width * height > LARGE_PIXELS else nullcontext():
            return header.decode()


def find_images(path: str | Path) -> list[ImageSource]:
    """List the images of a folder (with its subfolders), of a zip file, or of a pattern; or one image file.

    Parameters
    ----------
    path : str | Path
        Folder, zip file, image file, or a pattern with ``*``, ``?`` or ``[...]`` if no file has this name (``**`` for
        any number of folders). Hidden files are ignored.

    Returns
    -------
    list[ImageSource]
        Sorted by name. A file that exists is not read, so it may be no image.

    Raises
    ------
    DataError
        If there is no such file, the pattern matches nothing, or the folder or the zip file has no images.

    Examples
    --------
    >>> find_images("no-such-folder/*.png")
    Traceback (most recent call last):
    firstsight.errors.DataError: no-such-folder/*.png: no file matches this pattern
    """
    name, target = str(path), expand_user(path)
    try:
        is_folder, is_file = target.is_dir(), target.is_file()
    except (OSError, ValueError):  # a name that no file can have
        is_folder = is_file = False
    if not is_folder and not is_file and glob.has_magic(name):
        matches = sorted(glob.glob(str(target), recursive=True))  # noqa: PTH207 - Path.glob refuses absolute patterns
        sources = [source for match in matches for source in _of_match(Path(match))]
        if not sources:
            raise DataError(f"{name}: no file matches this pattern")
        return sources
    if is_folder or (is_file and _is_zip(target)):
        return _of_tree(name, target)
    return [ImageSource(name, target)]


def _of_match(path: Path) -> list[ImageSource]:
    """Return the images of a file or a zip file that a pattern matches; folders are ignored."""
    if path.is_dir():
        return []
    return _of_tree(str(path), path) if _is_zip(path) else [ImageSource(str(path), path)]


def _of_tree(name: str, path: Path) -> list[ImageSource]:
    tree = ImageTree(path)
    files = sorted([*tree.files, *tree.other_images], key=lambda file: file.parts)
    if not files:
        kind = "folder" if path.is_dir() else "zip file"
        reason = f" ({tree.problems[0]})" if tree.problems else ""
        raise DataError(f"{name}: there are no images in this {kind}{reason}")
    base = name.rstrip("/\\") or name
    return [
        ImageSource(f"{base}/{file.name}", file.source)
        if isinstance(file.source, Path)
        else ImageSource(f"{base}/{file.name}", path, tree, file)
        for file in files
    ]


def _is_zip(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) in ZIP_SIGNATURES
    except OSError:
        return False
