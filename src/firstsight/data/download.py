"""HTTP downloads that resume after an interruption, have a maximum size, and are verified by SHA-256."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import requests
from filelock import FileLock, Timeout

from firstsight.data.datasets import RemoteFile
from firstsight.data.limits import describe_bytes, max_bytes
from firstsight.documents.decode import one_line
from firstsight.errors import DataError

ATTEMPTS = 3
CHUNK = 1 << 16
TIMEOUT = (10.0, 30.0)
"""Seconds to wait for a connection, and for the next bytes."""
MAX_BYTES = 1_000_000_000
"""Limit of the size of a file whose size is not published."""
SIZE_TOLERANCE = 1_000_000
"""A file may be so many bytes larger than its published size, because some published sizes are rounded."""
MIN_SPEED = 1_000
"""Minimum speed in bytes per second, averaged over the time from `SLOW_SECONDS` on."""
SLOW_SECONDS = 60.0


class RefusedError(Exception):
    """Response of a server that another attempt would not change."""


class OtherFileError(Exception):
    """Response of a server that does not continue the partial file."""


class DiskError(Exception):
    """Fault of this machine, not of the server."""


def download(
    file: RemoteFile,
    mirrors: tuple[str, ...],
    folder: Path,
    *,
    notify: Callable[[str], None],
    hint: str,
    title: str = "",
) -> Path:
    """Download a file from the first mirror that has it with the published hash.

    Only one of several processes downloads; the others wait and use its file. An existing file of that name with
    another hash is deleted.

    Parameters
    ----------
    file : RemoteFile
        Name, hash and size of the file.
    mirrors : tuple[str, ...]
        Base URLs, tried in order.
    folder : Path
        Existing folder for the file.
    notify : Callable[[str], None]
        Called with one line for each mirror that is tried.
    hint : str
        What a user without a connection can do. It ends the error message.
    title : str
        See `fetch`.

    Returns
    -------
    Path
        The file in ``folder``.

    Raises
    ------
    DataError
        If every mirror fails, with the reason of each one, or if the file cannot be written.
    """
    target = folder / file.name
    failures: dict[str, str] = {}
    try:
        with _lock(folder, notify):
            if target.is_file() and file.matches(target):  # another process downloaded it
                return target
            target.unlink(missing_ok=True)
            for mirror in mirrors:
                size = f" ({file.size / 1e6:.1f} MB)" if file.size else ""
                notify(f"downloading {mirror}{file.name}{size}")
                failure = _try_mirror(mirror, file, folder / f"{file.name}.part")
                if not failure:
                    (folder / f"{file.name}.part").replace(target)
                    return target
                failures[mirror] = failure
    except (OSError, DiskError, NotImplementedError) as error:  # NotImplementedError: the file system has no locks
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(one_line(f"{folder}: cannot write {file.name} ({reason})")) from error
    raise DataError(f"{title or file.name} could not be downloaded ({_describe(failures)}); try again, or {hint}")


def _lock(folder: Path, notify: Callable[[str], None]) -> FileLock:
    """Return the acquired lock of a folder."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0.2)
    except Timeout:
        notify(f"waiting for another process that downloads to {folder}")
        lock.acquire()
    return lock


def _try_mirror(mirror: str, file: RemoteFile, part: Path) -> str:
    """Download and verify a file; return the reason of the failure, or an empty string.

    The partial file survives a lost connection and a killed process. It is deleted if the server's response shows that
    it belongs to another file, or if the complete file has the wrong hash.

    Parameters
    ----------
    mirror : str
        Base URL.
    file : RemoteFile
        Name, hash and size of the file.
    part : Path
        Path of the partial file.

    Raises
    ------
    DiskError
        If the partial file cannot be written.
    """
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            _resume(mirror + file.name, file, part)
        except DiskError:
            raise
        except OtherFileError as error:
            part.unlink(missing_ok=True)
            reason = str(error)
        except Exception as error:  # requests, urllib3 and http.client have many types
            reason = _short_reason(error)
            if isinstance(error, RefusedError | requests.HTTPError):
                break
        else:
            if file.matches(part):
                return ""
            part.unlink()
            return "the hash of the file differs from the published one"
    return reason


def _resume(url: str, file: RemoteFile, part: Path) -> None:
    """Append the missing bytes to the partial file, or download it from the start."""
    offset = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        content_range = response.headers.get("Content-Range", "")
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            if content_range.endswith(f"/{offset}"):
                return  # the partial file is already complete
            raise OtherFileError("the server's file is shorter than the partial download")
        response.raise_for_status()
        is_resumed = offset > 0 and response.status_code == requests.codes.partial_content
        if is_resumed and not content_range.startswith(f"bytes {offset}-"):
            raise OtherFileError("the server resumed at another byte than requested")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise RefusedError(f"the server sends it as {response.headers['Content-Encoding'][:20]}")
        length = response.headers.get("Content-Length", "")
        expected = int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None
        limit, description = _limit(file)
        limit -= offset if is_resumed else 0
        if limit < (expected or 0):
            raise RefusedError(f"the server's file is too large: {description}")
        received = _write(_chunks(response), part, limit=limit, append=is_resumed)
    if received > limit:
        part.unlink(missing_ok=True)
        raise RefusedError(f"the server's file is too large: {description}")
    if expected is not None and received != expected:
        raise requests.ConnectionError(f"the connection ended after {received:,} of {expected:,} bytes")


def _limit(file: RemoteFile) -> tuple[int, str]:
    """Return the maximum size of a file, and its description."""
    if file.size:
        return file.size + SIZE_TOLERANCE, f"it should have {file.size:,} bytes"
    limit = max_bytes(MAX_BYTES)
    return limit, describe_bytes(limit)


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the bytes of a response as they arrive; they are not decompressed.

    Raises
    ------
    RefusedError
        If the server is slower than `MIN_SPEED`.
    """
    start = time.monotonic()
    received = 0
    while chunk := response.raw.read1(CHUNK, decode_content=False):
        yield chunk
        received += len(chunk)
        seconds = time.monotonic() - start
        if seconds >= SLOW_SECONDS and received < MIN_SPEED * seconds:
            raise RefusedError(f"the server sends less than {MIN_SPEED:,} bytes per second")


def _write(chunks: Iterator[bytes], part: Path, *, limit: int, append: bool) -> int:
    """Write chunks to a file until there are more than ``limit`` bytes; return their number."""
    received = 0
    try:
        out = part.open("ab" if append else "wb")
    except OSError as error:
        raise DiskError(error.strerror or str(error)) from error
    with out:
        for chunk in chunks:
            received += len(chunk)
            if received > limit:
                break
            try:
                out.write(chunk)
                out.flush()
            except OSError as error:
                raise DiskError(error.strerror or str(error)) from error
    return received


def _describe(failures: Mapping[str, str]) -> str:
    """Return the reason why the mirrors failed if it is the same for all, else the reason of each."""
    reasons = set(failures.values())
    return reasons.pop() if len(reasons) == 1 else "; ".join(f"{url}: {reason}" for url, reason in failures.items())


def _short_reason(error: Exception) -> str:
    """Return the reason of a network error without the nested messages of the library."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout | TimeoutError) or "timed out" in str(error):
        return "no response in time"
    text = one_line(str(error))
    return text if text and len(text) < 100 and "object at" not in text else "no connection"
