"""Downloads over HTTP: resumed where they broke off, verified by SHA-256, put in place in one step."""

from collections.abc import Callable
from pathlib import Path

import pooch
import requests

from firstsight.data.datasets import RemoteFile
from firstsight.data.fetch import sha256_of
from firstsight.errors import DataError

ATTEMPTS = 3
CHUNK = 1 << 16
TIMEOUT = (10.0, 30.0)
"""Seconds to wait for a connection, and for the next bytes."""


def download(
    file: RemoteFile, mirrors: tuple[str, ...], folder: Path, *, notify: Callable[[str], None], otherwise: str
) -> Path:
    """Get a file from the first mirror that has it with the published hash; ``otherwise`` ends the error.

    Raises
    ------
    DataError
        None has; each mirror's failure is told.
    """
    pooch.get_logger().setLevel("WARNING")  # what is fetched is told by notify
    target = folder / file.name
    target.unlink(missing_ok=True)  # `fetch` found it unfit
    failures = []
    for mirror in mirrors:
        notify(f"downloading {mirror}{file.name} ({file.size / 1e6:.1f} MB)")
        try:
            pooch.retrieve(
                mirror + file.name, known_hash=None, fname=file.name, path=folder,  # checked by the downloader
                downloader=ResumingDownloader(folder / f"{file.name}.part", file),
            )  # fmt: skip
            return target
        except (requests.RequestException, ConnectionError) as error:
            failures.append(f"{mirror}: {_plain(error)}")
        except ValueError:
            failures.append(f"{mirror}: the file has another hash than the published one")
        except OSError as error:
            raise DataError(f"{folder}: cannot write {file.name} ({error.strerror or error})") from error
    told = f"{file.name} could not be downloaded ({'; '.join(failures)})"
    raise DataError(f"{told}; try again, or {otherwise}")


class ResumingDownloader:
    """Fetch an address into a part file, continuing what is there; for ``pooch.retrieve``, which places it.

    The part file outlives a broken connection and a killed process. It is dropped when the server's answer shows that
    it belongs to another file, and when the whole file turns out to have the wrong hash.
    """

    def __init__(self, part: Path, file: RemoteFile) -> None:
        self.part, self.file = part, file

    def __call__(self, url: str, output_file: str, caller: object, check_only: bool = False) -> bool | None:
        """Download ``url``, check it, move it to ``output_file`` (pooch's protocol: ValueError for a wrong hash)."""
        if check_only:
            return requests.head(url, timeout=TIMEOUT, allow_redirects=True).ok
        for attempt in range(ATTEMPTS):
            try:
                self._continue(url)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                if attempt == ATTEMPTS - 1:
                    raise
        if not self.file.fits(sha256_of(self.part)):
            self.part.unlink()
            raise ValueError(f"{url} has another hash than the published one")
        self.part.replace(output_file)
        return None

    def _continue(self, url: str) -> None:
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                if answer.headers.get("Content-Range", "").endswith(f"/{have}"):
                    return  # the part file is already whole
                self.part.unlink()
                raise requests.ConnectionError("the server's file is shorter than what was downloaded before")
            answer.raise_for_status()
            resumed = have > 0 and answer.status_code == requests.codes.partial_content
            if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                self.part.unlink()
                raise requests.ConnectionError("the server continued at another place than asked")
            expected = int(answer.headers["Content-Length"]) if "Content-Length" in answer.headers else None
            received = 0
            with self.part.open("ab" if resumed else "wb") as out:
                for chunk in answer.iter_content(CHUNK):
                    out.write(chunk)
                    received += len(chunk)
        if expected is not None and received != expected:
            raise requests.ConnectionError(f"the connection ended after {received:,} of {expected:,} bytes")


def _plain(error: Exception) -> str:
    """An error of the network without the library's nesting."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    text = str(error)
    return text if len(text) < 100 and "object at" not in text else "no connection"
