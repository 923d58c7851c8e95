"""Download of published weights: once, verified, by one process at a time, and converted to a weights file."""

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from firstsight.data.datasets import RemoteFile
from firstsight.data.fetch import fetch, is_offline
from firstsight.errors import DataError, WeightsError
from firstsight.weights.bundled import cache_dir, card_of


def retrieve(
    target: Path,
    files: tuple[RemoteFile, ...],
    url: str,
    *,
    convert: Callable[[Path], object],
    import_command: str,
    notify: Callable[[str], None],
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
        Called with a line for every download.

    Raises
    ------
    WeightsError
        If a file cannot be downloaded or written, or its hash differs from the published one.
    """
    if card_of(target) is not None:
        return target
    folder = cache_dir() / "downloads"
    originals = [folder / file.name for file in files]
    addresses = " and ".join(url + file.name for file in files)
    if is_offline() and not all(path.is_file() for path in originals):
        raise WeightsError(
            f"{target.stem} is not stored in {cache_dir()}, and FIRSTSIGHT_OFFLINE is set;"
            f" download {addresses} and then: {import_command}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{target.stem}.lock"):  # only one of several processes downloads
            if card_of(target) is None:
                hint = f"download {addresses} in another way and then: {import_command}"
                for file in files:
                    fetch(file, (url,), folder, notify=notify, hint=hint)
                convert(originals[0])
                for path in originals:
                    path.unlink()
    except DataError as error:
        raise WeightsError(str(error)) from None
    except OSError as error:
        raise cannot_write(error, target) from error
    return target


def cannot_write(error: OSError, target: Path) -> WeightsError:
    """Return the error for a weights file that cannot be written."""
    reason = error.strerror or str(error)
    return WeightsError(f"{error.filename or target}: {reason}; choose another place with FIRSTSIGHT_HOME or `out`")
