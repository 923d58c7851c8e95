"""HTTP downloads that resume after an interruption and are verified by SHA-256."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pooch
import requests

from firstsight.data.datasets import RemoteFile
from firstsight.errors import DataError

ATTEMPTS = 3
CHUNK = 1 << 16
TIMEOUT = (10.0, 30.0)
"""Seconds to wait for a connection, and for the next bytes."""


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
                downloader=ResumingDownloader(folder / f"{file.name}.part", file),
            )
            return target
        except (requests.RequestException, ConnectionError) as error:
            failures[mirror] = _short_reason(error)
        except ValueError:
            failures[mirror] = "the hash of the file differs from the published one"
        except OSError as error:
            raise DataError(f"{folder}: cannot write {file.name} ({error.strerror or error})") from error
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
    """

    def __init__(self, part: Path, file: RemoteFile) -> None:
        self.part = part
        self.file = file

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
        ValueError
            If the hash of the file differs from the published one.
        """
        if check_only:
            return requests.head(url, timeout=TIMEOUT, allow_redirects=True).ok
        for attempt in range(ATTEMPTS):
            try:
                self._resume(url)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                if attempt == ATTEMPTS - 1:
                    raise
        if not self.file.matches(self.part):
            self.part.unlink()
            raise ValueError(f"{url}: the hash of the file differs from the published one")
        self.part.replace(output_file)
        return None

    def _resume(self, url: str) -> None:
        """Append the missing bytes to the partial file, or download it from the start."""
        offset = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                if response.headers.get("Content-Range", "").endswith(f"/{offset}"):
                    return  # the partial file is already complete
                self.part.unlink()
                raise requests.ConnectionError("the server's file is shorter than the partial download")
            response.raise_for_status()
            is_resumed = offset > 0 and response.status_code == requests.codes.partial_content
            if is_resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                self.part.unlink()
                raise requests.ConnectionError("the server resumed at another byte than requested")
            expected = int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
            received = 0
            with self.part.open("ab" if is_resumed else "wb") as out:
                for chunk in response.iter_content(CHUNK):
                    out.write(chunk)
                    received += len(chunk)
        if expected is not None and received != expected:
            raise requests.ConnectionError(f"the connection ended after {received:,} of {expected:,} bytes")


def _describe(failures: Mapping[str, str]) -> str:
    """Return the reason why the mirrors failed if it is the same for all, else the reason of each."""
    reasons = set(failures.values())
    return reasons.pop() if len(reasons) == 1 else "; ".join(f"{url}: {reason}" for url, reason in failures.items())


def _short_reason(error: Exception) -> str:
    """Return the reason of a network error without the nested messages of the library."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no response in time"
    text = str(error)
    return text if len(text) < 100 and "object at" not in text else "no connection"
