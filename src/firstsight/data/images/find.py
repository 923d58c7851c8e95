"""Search for local copies of the named data sets, and identification of label files."""

import gzip
import hashlib
from importlib.resources import files
from pathlib import Path

from firstsight.arguments import expand_user
from firstsight.data.datasets import DATASETS, DatasetInfo
from firstsight.data.fetch import find_home
from firstsight.data.images.cifar import is_cifar
from firstsight.data.images.idx import find_idx

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

    The folder for downloads is searched before `SYSTEM_FOLDERS`.
    """
    if info.name == "digits":
        return embedded_folder()
    home = find_home()
    folders = [home / "data" / info.name] if home else []
    for root in (expand_user(folder) for folder in SYSTEM_FOLDERS):  # unchanged without a home directory
        folders += [root / info.name, root / info.name.replace("-", ""), root / info.title.split()[0] / "raw"]
    for folder in folders:
        if not folder.is_dir():
            continue
        if info.name == "cifar10":
            for path in (folder / "cifar-10-batches-bin", folder, folder / info.files[0].name):
                if path.exists() and is_cifar(path):
                    return path
        elif len(find_idx(folder)) == 2:
            return folder
    return None


def recognize(labels_path: Path) -> DatasetInfo | None:
    """Return the data set that a label file belongs to, or None.

    The SHA-256 of the file is compared, as stored and uncompressed.
    """
    content = labels_path.read_bytes()
    compressed_hash = hashlib.sha256(content).hexdigest()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    content_hash = hashlib.sha256(content).hexdigest()
    for info in DATASETS.values():
        if content_hash in info.label_hashes or compressed_hash in {file.sha256 for file in info.files}:
            return info
    return None
