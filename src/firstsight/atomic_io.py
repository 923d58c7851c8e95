"""Atomic file writes: a file is written under a temporary name, flushed to disk and renamed."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from firstsight.errors import RunError

MAX_NAME = 40
"""Number of characters of a file's name that the name of its temporary file repeats; a longer name would not fit."""
TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<process>[0-9]{1,10})\.tmp", re.DOTALL)
"""Name of a temporary file: that of the file that is being written, and the number of the process."""


def sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk; a rename is durable only after this."""
    if os.name == "nt":  # Windows has no such call; its renames are durable
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written but not listed
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file and flush it to disk."""
    with path.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context manager that gives the path of a temporary file next to ``path``, which replaces it at the end.

    The temporary file is flushed to disk and renamed if the block ends normally, and removed otherwise. So a file that
    exists is not touched before the new one is complete. Temporary files of this file that killed processes left are
    removed. A link is followed: the file that it points to is replaced. A
    device or a pipe has no content to keep; its own path is given.

    Parameters
    ----------
    path : Path
        File to create or replace.

    Raises
    ------
    OSError
        If the system cannot write the file; the error names ``path``.
    """
    target = Path(os.path.realpath(path))  # unlike Path.resolve, it accepts links that form a circle
    is_device = target.exists() and not target.is_file() and not target.is_dir()
    temporary = target if is_device else target.with_name(f".{target.name[:MAX_NAME]}.{os.getpid()}.tmp")
    _remove_temporaries_of_the_dead(target)
    try:
        yield temporary
        if not is_device:
            _replace(temporary, target)
    except BaseException as error:
        if not is_device:
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise


def _replace(temporary: Path, target: Path) -> None:
    """Flush a file to disk, give it the permissions of the file that it replaces, and rename it."""
    with temporary.open("rb+") as written:
        os.fsync(written.fileno())
    if target.is_file():
        with suppress(OSError):  # some file systems have no permissions
            shutil.copymode(target, temporary)
    temporary.replace(target)
    sync_folder(target.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file atomically: after a crash it has either its old or its new content; see `replacing`.

    Parameters
    ----------
    path : Path
        File to create or replace.
    content : bytes
        New content.

    Raises
    ------
    OSError
        If the system cannot write the file; the error names ``path``, and the temporary file is removed.
    """
    with replacing(path) as temporary, temporary.open("wb") as out:
        out.write(content)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left in a folder or in its direct subfolders.

    Call this only while no other process writes to the folder.
    """
    for pattern in (".*.tmp", "*/.*.tmp"):
        for path in folder.glob(pattern):
            if TEMPORARY.fullmatch(path.name) and path.is_file():
                path.unlink(missing_ok=True)


def _remove_temporaries_of_the_dead(target: Path) -> None:
    """Remove the temporary files of one file whose processes have ended; those of running processes are kept."""
    with suppress(OSError):  # a folder that may be written but not listed
        for path in target.parent.iterdir():
            match = TEMPORARY.fullmatch(path.name)
            if match and match["name"] == target.name[:MAX_NAME] and not _is_running(int(match["process"])):
                path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if os.name == "nt":  # os.kill ends processes there
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it runs, for another user
        return True
    return True


def to_run_error(error: OSError, path: Path, saved: str = "") -> RunError:
    """Convert an error of the file system to a `RunError` with a one-sentence message.

    Parameters
    ----------
    error : OSError
        The error.
    path : Path
        Path to name in the message if the error names none.
    saved : str
        What is saved already, added in parentheses.
    """
    location = error.filename2 or error.filename or path  # filename2: the target of a rename
    reasons = {
        errno.ENOSPC: "the disk is full; free some space",
        getattr(errno, "EDQUOT", -1): "the quota is used up; free some space",
        errno.EROFS: "the file system is read-only; choose another folder with `out`",
        errno.EACCES: "no permission to write here; choose another folder with `out`",
        errno.EPERM: "no permission to write here; choose another folder with `out`",
        errno.ENOTDIR: "a part of the path is a file, not a folder; choose another folder with `out`",
    }
    reason = reasons.get(error.errno or 0, error.strerror or str(error))
    return RunError(f"{location}: {reason}{f' ({saved})' if saved else ''}")
