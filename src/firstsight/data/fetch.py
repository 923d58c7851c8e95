"""Local copies of published files: found in the download folder, or downloaded once and verified."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from firstsight.arguments import expand_user, ignore
from firstsight.data.datasets import RemoteFile
from firstsight.errors import DataError, UsageError

if TYPE_CHECKING:
    from firstsight.data.download import Limits


def find_home() -> Path | None:
    """Return the folder for downloads, see `get_home`; None if it is not set and the user has no home directory."""
    home = expand_user(os.environ.get("FIRSTSIGHT_HOME") or "~/.cache/firstsight")
    return None if home.parts[:1] and home.parts[0].startswith("~") else home  # the user has no home directory


def get_home() -> Path:
    """Return the folder for downloads: ``$FIRSTSIGHT_HOME``, or ``~/.cache/firstsight``.

    Raises
    ------
    UsageError
        If ``FIRSTSIGHT_HOME`` is not set, and the user has no home directory.
    """
    home = find_home()
    if home is None:
        raise UsageError("the home directory is not known; set FIRSTSIGHT_HOME to a folder for downloads")
    return home


def is_offline() -> bool:
    """Return whether ``FIRSTSIGHT_OFFLINE`` is set to anything but 0."""
    return os.environ.get("FIRSTSIGHT_OFFLINE", "0") not in ("", "0")


def fetch(
    file: RemoteFile,
    mirrors: tuple[str, ...],
    folder: Path,
    *,
    notify: Callable[[str], None] = ignore,
    hint: str = "pass a folder that has the files as `data`",
    title: str = "",
    limits: "Limits | None" = None,
) -> Path:
    """Return the path of a published file, after downloading it if necessary.

    A file that is already in ``folder`` with the right hash is returned at once. An interrupted download is resumed.
    The file is moved to its final name only after its hash is verified.

    Parameters
    ----------
    file : RemoteFile
        Name, hash and size of the file.
    mirrors : tuple[str, ...]
        Base URLs, tried in order. The URL of the file is the base URL followed by the file name.
    folder : Path
        Existing folder for the file.
    notify : Callable[[str], None]
        Called with one line for each download.
    hint : str
        What a user without a connection can do. It ends the error messages.
    title : str
        Name of the data set or the weights in error messages; by default the name of the file.
    limits : Limits | None
        Limits of a download; None for those of `firstsight.data.download.LIMITS`.

    Returns
    -------
    Path
        The file in ``folder``.

    Raises
    ------
    DataError
        If the file is absent and ``FIRSTSIGHT_OFFLINE`` is set, or no mirror has a file with the published hash.
    """
    target = folder / file.name
    if target.is_file() and file.matches(target):
        return target
    if is_offline():
        raise DataError(f"{file.name} is not in {folder}, and FIRSTSIGHT_OFFLINE is set; unset it, or {hint}")
    from firstsight.data.download import LIMITS, download  # imports requests, which opens a socket at its import

    return download(file, mirrors, folder, notify=notify, hint=hint, title=title, limits=limits or LIMITS)
