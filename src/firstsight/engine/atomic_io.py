"""Files that are whole or not there: written beside, flushed to disk, renamed."""

import errno
import os
import re
from pathlib import Path

from firstsight.errors import RunError


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk (a rename is only durable after this)."""
    if os.name == "nt":  # Windows has no such call, and renames durably
        return
    descriptor = os.open(folder, os.O_RDONLY)
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


def replace_file(path: Path, content: bytes) -> None:
    """Write ``content`` so that a reader, or a crash, sees the old file or the new one, never a part.

    Raises
    ------
    OSError
        As from the system; nothing is left behind.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_synced(beside, content)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that `replace_file` left in a folder, or one below, when its process was killed.

    Call this only while no other process writes there.
    """
    for pattern in (".*.tmp", "*/.*.tmp"):
        for path in folder.glob(pattern):
            if re.fullmatch(r"\..+\.\d+\.tmp", path.name) and path.is_file():
                path.unlink(missing_ok=True)


def to_run_error(error: OSError, path: Path, saved: str = "") -> RunError:
    """One sentence for a fault of the file system; ``saved`` tells what is safe."""
    where = error.filename2 or error.filename or path  # of a rename, the new name
    reasons = {
        errno.ENOSPC: "the disk is full; free some space",
        getattr(errno, "EDQUOT", -1): "the quota is used up; free some space",
        errno.EROFS: "the file system is read-only; choose another place with --out",
        errno.EACCES: "no permission to write there; choose another place with --out",
        errno.EPERM: "no permission to write there; choose another place with --out",
        errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place with --out",
    }
    reason = reasons.get(error.errno or 0, error.strerror or str(error))
    return RunError(f"{where}: {reason}{f' ({saved})' if saved else ''}")
