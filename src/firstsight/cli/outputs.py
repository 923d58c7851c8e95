"""Files that a command writes: checked before the work, never an input, replaced with ``--force`` only, atomic."""

import os
from collections.abc import Iterable
from pathlib import Path

from firstsight.arguments import expand_user
from firstsight.errors import UsageError

FIGURES = (".png", ".jpg", ".jpeg", ".svg", ".pdf")
"""Suffixes of figures, see `firstsight.plots.encode_figure`."""


def check_outputs(
    paths: Iterable[Path],
    *,
    inputs: Iterable[str | Path | None] = (),
    force: bool,
    option: str = "out",
    suffixes: tuple[str, ...] = (),
    makes_folder: bool = False,
) -> None:
    """Refuse files that must not be written. A command calls this before it computes anything.

    Parameters
    ----------
    paths : Iterable[Path]
        Files that the command will write.
    inputs : Iterable[str | Path | None]
        Files that the command reads. Names of weights and data sets, and None, are ignored. A link to an input and
        another spelling of its path are recognized.
    force : bool
        Whether to replace files that exist. Inputs are never replaced.
    option : str
        Option that names the files.
    suffixes : tuple[str, ...]
        Suffixes that the files may have, in lower case; empty for any.
    makes_folder : bool
        Whether the command creates the folder of the files.

    Raises
    ------
    UsageError
        If a file has another suffix, is an input or a folder, is in a folder that does not exist or cannot be created,
        or exists and ``force`` is False.
    """
    files = list(paths)
    names = [expand_user(name) for name in inputs if name is not None]
    read = [name for name in names if os.path.exists(name)]  # noqa: PTH110 - Path.exists refuses long names
    for path in files:
        if suffixes and path.suffix.lower() not in suffixes:
            raise UsageError(f"`{option}` must be a {_alternatives(suffixes)} file; got {path}")
        if not makes_folder and not path.parent.is_dir():
            raise UsageError(f"`{option}={path}`: the folder {path.parent} does not exist")
        if makes_folder:
            _check_folder(path.parent, option)
        if path.is_dir():
            raise UsageError(f"`{option}={path}`: is a folder; name a file")
        if path.exists() and any(path.samefile(name) for name in read):
            raise UsageError(f"`{option}={path}`: is an input of this command; choose another name")
    existing = [path for path in files if path.is_file()]
    if existing and not force:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise UsageError(
            f"{existing[0]}{more}: exists; replace it with `force`, or choose another name with `{option}`"
        )


def _alternatives(words: tuple[str, ...]) -> str:
    """Return words with commas and "or".

    >>> _alternatives((".png", ".jpg", ".svg"))
    '.png, .jpg or .svg'
    """
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def choose_output(out: Path | None, default: str, *, force: bool) -> Path:
    """Return the file to write: ``out``, or else the default name, with a number if such a file exists.

    Nothing is printed, because the command can still fail; `report_output` has the note for a file that was written.

    Parameters
    ----------
    out : Path | None
        File that the user named.
    default : str
        Name to use without it.
    force : bool
        Whether to replace an existing file of the default name.
    """
    if out is not None:
        return out
    path = first = Path(default)
    number = 1
    while os.path.lexists(path) and not force:
        number += 1
        path = first.with_name(f"{first.stem}-{number}{first.suffix}")
    return path


def report_output(path: Path, out: Path | None, default: str) -> None:
    """Print a line on stderr if a file that was written has the default name with a number.

    Parameters
    ----------
    path : Path
        File that `choose_output` returned.
    out : Path | None
        File that the user named.
    default : str
        Name to use without it.
    """
    if out is None and path != Path(default):
        from firstsight.cli.console import log

        log(f"{default} exists: the file is {path} (--force replaces {default})")


def _check_folder(folder: Path, option: str) -> None:
    """Refuse a folder if a file has its name, or that of one of its parents."""
    existing = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), None)
    if existing is not None and not existing.is_dir():
        raise UsageError(f"`{option}={existing}`: a file has this name; name a folder")


def make_folder(folder: Path) -> None:
    """Create a folder for files of a command, with its parents, unless it exists.

    Raises
    ------
    UsageError
        If a file has this name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"`out={folder}`: a file has this name; name a folder") from None
