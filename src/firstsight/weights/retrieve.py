"""Download of published weights: once, verified, by one process at a time, and converted to a weights file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from firstsight.data.datasets import RemoteFile
from firstsight.data.fetch import fetch, is_offline
from firstsight.errors import DataError, UsageError, WeightsError
from firstsight.text import one_line
from firstsight.weights.bundled import cache_dir, card_of

if TYPE_CHECKING:
    from firstsight.data.download import Limits


def retrieve(
    target: Path,
    files: tuple[RemoteFile, ...],
    url: str,
    *,
    convert: Callable[[Path], object],
    import_command: str,
    notify: Callable[[str], None],
    limits: "Limits | None" = None,
) -> Path:
    """Return the weights file of published weights in the cache; download and convert it if it is missing.

    Parameters
    ----------
    target : Path
        Weights file in the cache.
    files : tuple[RemoteFile, ...]
        Published files; they are deleted after the conversion.
    url : str
        Folder of the files, as a URL.
    convert : Callable[[Path], object]
        Function that writes ``target``, given the path of the first file.
    import_command : str
        Command that does the same for a file that was downloaded in another way.
    notify : Callable[[str], None]
        Called with a line for every download, and if another process downloads the same weights.
    limits : Limits | None
        Limits of a download, see `firstsight.data.fetch.fetch`.

    Raises
    ------
    WeightsError
        If a file cannot be downloaded or written, its hash differs from the published one, or it cannot be converted;
        then the download is deleted.
    """
    if card_of(target) is not None:
        return target
    folder = cache_dir() / "downloads"
    originals = [folder / file.name for file in files]
    addresses = " and ".join([url + files[0].name, *(Path(file.name).suffix for file in files[1:])])
    if is_offline() and not all(path.is_file() for path in originals):
        state = "damaged" if target.exists() else "not stored"
        raise WeightsError(
            f"{target.stem} is {state}, and FIRSTSIGHT_OFFLINE is set; download {addresses} and then: {import_command}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder / f"{target.stem}.lock", target.stem, notify):
            if card_of(target) is None:
                hint = f"download {addresses} in another way and then: {import_command}"
                for file in files:
                    fetch(file, (url,), folder, notify=notify, hint=hint, limits=limits)
                try:
                    convert(originals[0])
                except WeightsError as error:
                    if not isinstance(error.__cause__, OSError):  # the next call downloads it again
                        _remove(originals)
                    raise
                _remove(originals)
    except DataError as error:
        raise WeightsError(str(error)) from None
    except OSError as error:
        raise cannot_write(error, target) from error
    return target


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


@contextmanager
def _only_one(path: Path, name: str, notify: Callable[[str], None]) -> Iterator[None]:
    """Let one process after the other enter; say so if this one has to wait."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        notify(f"waiting for another process that downloads {name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def check_target(target: Path, file: Path, digest: str, *, force: bool, notify: Callable[[str], None]) -> None:
    """Refuse to replace weights that came from another file, and the file to import; name weights that are replaced.

    Parameters
    ----------
    target : Path
        Weights file to write.
    file : Path
        File to import.
    digest : str
        SHA-256 of ``file``.
    force : bool
        Whether to replace weights that came from another file.
    notify : Callable[[str], None]
        Called with a line if weights are replaced.

    Raises
    ------
    UsageError
        If ``target`` is ``file``, or came from another file and ``force`` is False.
    """
    if not target.exists():
        return
    if target.samefile(file):
        raise UsageError(f"{target}: is the file to import; choose another file with `out`")
    card = card_of(target)
    about = {} if card is None else card["about"]
    if about.get("sha256") == digest:
        notify(f"replacing {target}, which came from the same file")
        return
    origin = one_line(str(about.get("source", "an unknown file")).rpartition("/")[2], 100)
    if not force:
        raise UsageError(
            f"{target} exists already, from {origin}; replace it with `force`, or choose another file with `out`"
        )
    notify(f"replacing {target}, which came from {origin}")


def cannot_write(error: OSError, target: Path) -> WeightsError:
    """Return the error for a weights file that cannot be written."""
    reason = error.strerror or str(error)
    return WeightsError(f"{error.filename or target}: {reason}; choose another place with FIRSTSIGHT_HOME or `out`")
