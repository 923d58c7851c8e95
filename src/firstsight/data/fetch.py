"""Published files on this machine: found, or downloaded once and verified; never when offline."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from firstsight.data.datasets import RemoteFile
from firstsight.errors import DataError


def home() -> Path:
    """Where firstsight keeps what it downloads: ``$FIRSTSIGHT_HOME``, or ``~/.cache/firstsight``."""
    return Path(os.environ.get("FIRSTSIGHT_HOME") or Path.home() / ".cache" / "firstsight").expanduser()


def offline() -> bool:
    """Is ``FIRSTSIGHT_OFFLINE`` set (to anything but 0)?"""
    return os.environ.get("FIRSTSIGHT_OFFLINE", "0") not in ("", "0")


def fetch(
    file: RemoteFile, mirrors: tuple[str, ...], folder: Path, *, notify: Callable[[str], None] = lambda line: None,
    otherwise: str = "name a folder that has the files with --data",
) -> Path:  # fmt: skip
    """Get one published file; the mirrors are tried in order.

    A file that is already in ``folder`` with the right hash is returned at once. What a broken connection left behind
    is continued, not begun again; a file with a wrong hash never appears under its name.

    Parameters
    ----------
    mirrors : tuple[str, ...]
        Places; a file's address is the place plus its name.
    notify : Callable[[str], None]
        Called with a line for every download.
    otherwise : str
        What a user without connection can do; the end of the errors.

    Raises
    ------
    DataError
        Offline, no mirror answered, or no mirror's file had the published hash.
    """
    target = folder / file.name
    if target.is_file() and file.fits(sha256_of(target)):
        return target
    if offline():
        missing = f"{file.name} is not at {folder}, and FIRSTSIGHT_OFFLINE is set"
        raise DataError(f"{missing}; unset it, or {otherwise}")
    from firstsight.data.download import download  # the network's libraries open a socket when they are imported

    return download(file, mirrors, folder, notify=notify, otherwise=otherwise)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
