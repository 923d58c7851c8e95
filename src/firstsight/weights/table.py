"""Table of published weights: files, URLs, hashes, accuracy and terms."""

import os
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from firstsight.data.datasets import RemoteFile
from firstsight.errors import UsageError, WeightsError, unknown_name
from firstsight.models.registry import CLASSIFICATION_MODELS
from firstsight.weights.bundled import cache_dir

BASE_URL = "https://download.pytorch.org/models/"
ACCURACY_SOURCE = "torchvision 0.29, documentation of its weights IMAGENET1K_V1: acc@1 on ImageNet-1K, one center crop"
TERMS = (
    "published with torchvision (BSD-3-Clause); trained on ImageNet (ILSVRC 2012), whose images are available for"
    " non-commercial research and education"
)
NAMED_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


@dataclass(frozen=True)
class Published:
    """Published weights of a network, trained on the 1000 classes of ImageNet.

    Parameters
    ----------
    model : str
        Name of the network in the model registry.
    file : str
        Name of the file; it ends in the first eight hex digits of its SHA-256.
    megabytes : float
        Size of the file.
    accuracy : float
        Top-1 accuracy on the ImageNet validation set in percent (see `ACCURACY_SOURCE`).
    base_url : str
        Folder of the file, as a URL.
    mean : tuple[float, float, float]
        Mean of each channel, for normalization.
    std : tuple[float, float, float]
        Standard deviation of each channel, for normalization.
    size : int
        Side of the square that is cropped from the center.
    shorter : int
        Shorter side that images are resized to before.
    """

    model: str
    file: str
    megabytes: float
    accuracy: float
    base_url: str = BASE_URL
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    size: int = 224
    shorter: int = 256

    @property
    def name(self) -> str:
        """Name of the weights."""
        return f"{self.model}-imagenet"

    @property
    def target(self) -> Path:
        """File in the cache."""
        return cache_dir() / f"{self.name}.safetensors"

    @property
    def sha256(self) -> str:
        """First eight hex digits of the SHA-256 of the published file."""
        return self.file.rpartition("-")[2].partition(".")[0]

    @property
    def download_url(self) -> str:
        """Folder to download from: the mirror ``$FIRSTSIGHT_WEIGHTS_URL`` if it is set, else ``base_url``."""
        mirror = os.environ.get("FIRSTSIGHT_WEIGHTS_URL", "")
        return f"{mirror.rstrip('/')}/" if mirror else self.base_url

    @property
    def url(self) -> str:
        """URL to download from."""
        return self.download_url + self.file

    @property
    def remote(self) -> RemoteFile:
        """File to download, with its hash and size."""
        return RemoteFile(self.file, self.sha256, round(self.megabytes * 1e6))


def named_hash(file: str) -> str:
    """Return the beginning of the SHA-256 that a file name contains, in hex; an empty string if it contains none.

    Eight decimal digits are taken as a date, unless the file is in the table of published weights.

    >>> named_hash("resnet34-b627a593.pth"), named_hash("resnet34-20260131.pth"), named_hash("vgg13-19584684.pth")
    ('b627a593', '', '19584684')
    """
    match = NAMED_HASH.search(file)
    if not match or (match[1].isdecimal() and file not in {info.file for info in PUBLISHED.values()}):
        return ""
    return match[1]


HALF = (0.5, 0.5, 0.5)
"""Mean and standard deviation of GoogLeNet's inputs. torchvision's port normalizes with those of ImageNet and converts
to these inside the network (``transform_input``)."""

PUBLISHED: dict[str, Published] = {
    info.model: info
    for info in (
        Published("alexnet", "alexnet-owt-7be5be79.pth", 244.4, 56.522),
        Published("vgg11", "vgg11-8a719046.pth", 531.5, 69.020),
        Published("vgg11_bn", "vgg11_bn-6002323d.pth", 531.5, 70.370),
        Published("vgg13", "vgg13-19584684.pth", 532.2, 69.928),
        Published("vgg13_bn", "vgg13_bn-abd245e5.pth", 532.2, 71.586),
        Published("vgg16", "vgg16-397923af.pth", 553.4, 71.592),
        Published("vgg16_bn", "vgg16_bn-6c64b313.pth", 553.5, 73.360),
        Published("vgg19", "vgg19-dcbb9e9d.pth", 574.7, 72.376),
        Published("vgg19_bn", "vgg19_bn-c79401a0.pth", 574.8, 74.218),
        Published("googlenet", "googlenet-1378be20.pth", 52.1, 69.778, mean=HALF, std=HALF),
        Published("resnet18", "resnet18-f37072fd.pth", 46.8, 69.758),
        Published("resnet34", "resnet34-b627a593.pth", 87.3, 73.314),
        Published("resnet50", "resnet50-0676ba61.pth", 102.5, 76.130),
        Published("resnet101", "resnet101-63fe2227.pth", 178.8, 77.374),
        Published("resnet152", "resnet152-394f9c45.pth", 241.6, 78.312),
    )
}
"""Published weights by network; `tools/make_imagenet_classes.py` compares the table with torchvision."""


def find_published(name: str) -> Published:
    """Return published weights by the name of their network ("resnet34") or their own ("resnet34-imagenet").

    Raises
    ------
    UsageError
        If nothing is published under that name.
    """
    model = name.removesuffix("-imagenet")
    if model in PUBLISHED:
        return PUBLISHED[model]
    if model in CLASSIFICATION_MODELS:
        raise UsageError(f"no weights of {model} are published (see: firstsight weights list)")
    raise unknown_name("published weights", name, PUBLISHED, "see: firstsight weights list")


def imagenet_classes() -> tuple[str, ...]:
    """Return the names of the 1000 ImageNet classes, in the order of the logits (as torchvision writes them)."""
    return tuple((files("firstsight.weights") / "imagenet-classes.txt").read_text(encoding="utf-8").splitlines())


def read_classes(path: Path) -> tuple[str, ...]:
    """Read class names from a text file, one per line.

    Raises
    ------
    UsageError
        If the file does not exist.
    WeightsError
        If it is not UTF-8 text, or has an empty line between others.
    """
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except UnicodeDecodeError:
        raise WeightsError(f"{path}: not a text file in UTF-8") from None
    if not all(lines) or not lines:
        number = lines.index("") + 1 if lines else 1
        raise WeightsError(f"{path}: line {number} is empty; expected one class name per line")
    return tuple(lines)
