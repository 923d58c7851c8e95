"""Search for local copies of the named data sets, and identification of label files."""

import hashlib
import struct
from importlib.resources import files
from pathlib import Path

from firstsight.arguments import expand_user
from firstsight.data.checksum import sha256_of
from firstsight.data.datasets import DATASETS, DatasetInfo
from firstsight.data.fetch import find_home
from firstsight.data.images.cifar import PICKLED, find_cifar
from firstsight.data.images.idx import UNSIGNED_BYTE, find_idx, read_idx
from firstsight.errors import DataError, UsageError, similar_names, suggest

SYSTEM_FOLDERS = (
    Path("data"),
    Path("~/data"),
    Path("~/datasets"),
    Path("/usr/local/share/datasets"),
    Path("/usr/share/datasets"),
)


def embedded_folder() -> Path:
    """Return the folder of the data that the package contains."""
    return Path(str(files("firstsight.data") / "embedded"))


def find_dataset(info: DatasetInfo) -> Path | None:
    """Return the path of a data set on this machine, or None.

    The folder for downloads is searched before `SYSTEM_FOLDERS`. A folder whose files are incomplete is not used, since
    another process may be downloading them.
    """
    if info.name == "digits":
        return embedded_folder()
    home = find_home()
    folders = [home / "data" / info.name] if home else []
    for root in (expand_user(folder) for folder in SYSTEM_FOLDERS):  # unchanged without a home directory
        torchvision_names = (info.title.split()[0].replace("-", ""), info.name.upper())
        folders += [root / name for name in (info.name, info.name.replace("-", ""), *torchvision_names)]
        folders += [root] if info.name == "cifar10" else []
    for folder in folders:
        path = find_cifar(folder) if info.name == "cifar10" else folder
        if path is not None and path.name not in PICKLED and _is_complete(path, info):
            return path
    return None


def has_split(info: DatasetInfo, split: str) -> bool:
    """Return whether a split of a data set is on this machine, so that `load_data` downloads nothing.

    Parameters
    ----------
    info : DatasetInfo
        The data set.
    split : str
        "train" or "test".
    """
    if find_dataset(info) is not None:
        return True
    home = find_home()
    paths = [(file, home / "data" / info.name / file.name) for file in info.split_files(split)] if home else []
    return bool(paths) and all(path.is_file() and file.matches(path) for file, path in paths)


def check_exists(name_or_path: str) -> None:
    """Check that a data set of that name or a path exists.

    Raises
    ------
    UsageError
        If neither exists. The message suggests similar names.
    """
    path = expand_user(name_or_path)
    if name_or_path in DATASETS or path.exists():
        return
    if not ({"/", "\\"} & set(name_or_path) or path.suffix):
        hint = suggest(similar_names(name_or_path, DATASETS))
        raise UsageError(
            f"'{name_or_path}' is neither a data set (see: firstsight data) nor an existing path"
            f"{f'; {hint}' if hint else ''}"
        )
    raise UsageError(f"no such file or folder: {path}")


def _is_complete(path: Path, info: DatasetInfo) -> bool:
    """Return whether a path has all files of a data set."""
    if info.name == "cifar10":
        return path.exists()
    try:
        return path.is_dir() and len(find_idx(path)) == 2
    except DataError:
        return False


def recognize(labels_path: Path) -> DatasetInfo | None:
    """Return the data set that a label file belongs to, or None.

    The SHA-256 of the file is compared, as stored and uncompressed. A damaged file belongs to none.
    """
    try:
        labels = read_idx(labels_path)
    except DataError:
        return None
    file_hash = sha256_of(labels_path)
    header = struct.pack(">HBBI", 0, UNSIGNED_BYTE, 1, len(labels))
    content_hash = hashlib.sha256(header + labels.tobytes()).hexdigest()
    for info in DATASETS.values():
        if content_hash in info.label_hashes or file_hash in {file.sha256 for file in info.files}:
            return info
    return None
