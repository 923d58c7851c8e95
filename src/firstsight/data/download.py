"""HTTP downloads that resume after an interruption and are verified by SHA-256.

A server may be slow, endless, redirect for ever or lie about lengths: every download ends with the published file or an
error. `Limits` bounds its time and its size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

import pooch
import requests

from firstsight.data.datasets import RemoteFile
from firstsight.data.limits import describe_bytes, max_bytes
from firstsight.errors import DataError
from firstsight.text import one_line

ATTEMPTS = 3
CHUNK = 1 << 16
MARGIN = 1_000_000
"""Number of bytes by which a file may be larger than its entry in the table, where sizes are rounded."""
MAX_UNKNOWN_SIZE = 2 * 10**9
"""Default limit of a file whose size is not known, in bytes."""


@dataclass(frozen=True)
class Limits:
    """Limits of a download.

    Parameters
    ----------
    connect : float
        Seconds to wait for a connection.
    read : float
        Seconds to wait for the next bytes.
    response : float
        Seconds to wait for the end of the response's headers, redirects included.
    window : float
        Seconds in which at least ``min_bytes`` must arrive.
    min_bytes : int
        See ``window``.
    """

    connect: float = 10.0
    read: float = 30.0
    response: float = 60.0
    window: float = 60.0
    min_bytes: int = 10_000


LIMITS = Limits()


class HashMismatch(Exception):
    """Complete download with another hash than the published one."""


class TooLarge(Exception):
    """Response with more bytes than the published file has, or than the limit; the message says which."""


def download(
    file: RemoteFile,
    mirrors: tuple[str, ...],
    folder: Path,
    *,
    notify: Callable[[str], None],
    hint: str,
    title: str = "",
    limits: Limits = LIMITS,
) -> Path:
    """Download a file from the first mirror that has it with the published hash.

    An existing file of that name is deleted: `fetch` calls this function only if its hash is wrong.

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
    limits : Limits
        Limits of each attempt.

    Returns
    -------
    Path
        The file in ``folder``.

    Raises
    ------
    DataError
        If every mirror fails, with the reason of each one, or if the file cannot be written.
    """
    pooch.get_logger().setLevel("WARNING")  # notify reports the downloads
    target = folder / file.name
    target.unlink(missing_ok=True)
    failures: dict[str, str] = {}
    for mirror in mirrors:
        size = f" ({file.size / 1e6:.1f} MB)" if file.size else ""
        notify(f"downloading {mirror}{file.name}{size}")
        try:
            pooch.retrieve(
                mirror + file.name,
                known_hash=None,  # the downloader checks it
                fname=file.name,
                path=folder,
                downloader=ResumingDownloader(folder / f"{file.name}.part", file, limits),
            )
            return target
        except Exception as error:
            if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
                raise DataError(f"{folder}: cannot write {file.name} ({error.strerror or error})") from error
            failures[mirror] = _short_reason(error)
    raise DataError(f"{title or file.name} could not be downloaded ({_describe(failures)}); try again, or {hint}")


class ResumingDownloader:
    """Downloader for ``pooch.retrieve`` that resumes a partial file.

    The partial file survives a lost connection and a killed process. It is deleted if the server's response shows that
    it belongs to another file, or if the complete file has the wrong hash.

    Parameters
    ----------
    part : Path
        Path of the partial file.
    file : RemoteFile
        The file to download, with its published hash.
    limits : Limits
        Limits of each attempt.
    """

    def __init__(self, part: Path, file: RemoteFile, limits: Limits = LIMITS) -> None:
        self.part = part
        self.file = file
        self.limits = limits
        self.max_size = file.size + MARGIN if file.size else max_bytes(MAX_UNKNOWN_SIZE)

    def __call__(self, url: str, output_file: str, caller: object, check_only: bool = False) -> bool | None:
        """Download ``url``, verify it and move it to ``output_file``, as pooch requires of a downloader.

        Parameters
        ----------
        url : str
            URL of the file.
        output_file : str
            Path of the complete file.
        caller : object
            The calling pooch object, which is not used.
        check_only : bool
            Return whether the URL is available, without downloading it.

        Raises
        ------
        HashMismatch
            If the hash of the file differs from the published one, also after a download from the start.
        TooLarge
            If the server sends more bytes than the file has, or than the limit if its size is not known.
        """
        if check_only:
            return requests.head(url, timeout=(self.limits.connect, self.limits.read), allow_redirects=True).ok
        for attempt in range(ATTEMPTS):
            is_last = attempt == ATTEMPTS - 1
            try:
                is_resumed = self._resume(url)
            except (requests.ConnectionError, requests.Timeout):
                if is_last:
                    raise
                continue
            except TooLarge:
                self.part.unlink(missing_ok=True)
                raise
            if self.file.matches(self.part):
                self.part.replace(output_file)
                return None
            self.part.unlink()
            if not is_resumed or is_last:  # else its beginning was of another file
                break
        raise HashMismatch

    def _resume(self, url: str) -> bool:
        """Append the missing bytes to the partial file, or download it from the start; return whether it is resumed."""
        offset = self.part.stat().st_size if self.part.exists() else 0
        if offset > self.max_size:
            self.part.unlink()
            offset = 0
        with self._open(url, offset) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable and offset:
                if response.headers.get("Content-Range", "").endswith(f"/{offset}"):
                    return True  # the partial file is already complete
                self.part.unlink()
                raise requests.ConnectionError("the server's file is shorter than the partial download")
            response.raise_for_status()
            is_resumed = offset > 0 and response.status_code == requests.codes.partial_content
            if is_resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                self.part.unlink()
                raise requests.ConnectionError("the server resumed at another byte than requested")
            length = response.headers.get("Content-Length", "")
            expected = int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else None
            start = offset if is_resumed else 0
            if start + (expected or 0) > self.max_size:
                raise self._too_large()
            received = self._receive(response, start)
        if expected is not None and received != expected:
            raise requests.ConnectionError(f"the connection ended after {received:,} of {expected:,} bytes")
        return is_resumed

    def _too_large(self) -> TooLarge:
        if self.file.size:
            return TooLarge("the server sends more bytes than the published file has")
        return TooLarge(f"the file is too large; {describe_bytes(self.max_size)}")

    def _open(self, url: str, offset: int) -> requests.Response:
        """Return the response, of which only the headers are read."""
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
        timeout = (self.limits.connect, self.limits.read)
        return call_within(
            self.limits.response, lambda: requests.get(url, headers=headers, stream=True, timeout=timeout)
        )

    def _receive(self, response: requests.Response, start: int) -> int:
        """Write the body to the partial file from byte ``start``; return the number of bytes received."""
        received = 0
        begin, received_before = monotonic(), 0
        with self.part.open("ab" if start else "wb") as out:
            while chunk := _read(response):
                received += len(chunk)
                if start + received > self.max_size:
                    raise self._too_large()
                out.write(chunk)
                if monotonic() - begin > self.limits.window:
                    if received - received_before < self.limits.min_bytes:
                        raise requests.Timeout("the server is too slow")
                    begin, received_before = monotonic(), received
        return received


def call_within(seconds: float, function: Callable[[], requests.Response]) -> requests.Response:
    """Return the result of a function that runs in another thread; the thread is left alone if it takes longer.

    Timeouts of sockets begin again at every byte, so a server can send headers for hours.

    Parameters
    ----------
    seconds : float
        Time to wait.
    function : Callable[[], requests.Response]
        Function to call.

    Raises
    ------
    requests.Timeout
        If it takes longer.
    requests.RequestException
        If the function fails.
    """
    results: SimpleQueue[Any] = SimpleQueue()

    def run() -> None:
        try:
            results.put(function())
        except Exception as error:
            results.put(error)

    Thread(target=run, daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except Empty:
        raise requests.Timeout("no response in time") from None
    if isinstance(result, requests.RequestException):
        raise result
    if isinstance(result, Exception):  # an invalid URL in a redirect
        raise requests.RequestException(str(result) or type(result).__name__)
    response: requests.Response = result
    return response


def _read(response: requests.Response) -> bytes:
    """Return the next bytes of a body, as soon as there are some; empty at its end."""
    read = getattr(response.raw, "read1", response.raw.read)  # urllib3 before 2.2 has no read1
    try:
        chunk: bytes = read(CHUNK, decode_content=False)
    except Exception as error:
        raise requests.ConnectionError(str(error)) from None
    return chunk


def _describe(failures: Mapping[str, str]) -> str:
    """Return the reason why the mirrors failed if it is the same for all, else the reason of each."""
    reasons = set(failures.values())
    return reasons.pop() if len(reasons) == 1 else "; ".join(f"{url}: {reason}" for url, reason in failures.items())


def _short_reason(error: Exception) -> str:
    """Return the reason of a network error without the nested messages of the library."""
    if isinstance(error, HashMismatch):
        return "the hash of the file differs from the published one"
    if isinstance(error, TooLarge):
        return str(error)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "the server is too slow" if "slow" in str(error) else "no response in time"
    text = one_line(str(error))
    return text if len(text) < 100 and "object at" not in text else "no connection"
