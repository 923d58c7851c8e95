"""The published weights: which files there are, where, their hashes, what they reach, their terms."""

import os
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from firstsight.data.datasets import RemoteFile
from firstsight.errors import UsageError, WeightsError, unknown_name
from firstsight.models.registry import CLASSIFICATION_MODELS
from firstsight.weights.bundled import cache_dir

PLACE = "https://download.pytorch.org/models/"
ACCURACY_SOURCE = "torchvision 0.29, documentation of its weights IMAGENET1K_V1: acc@1 on ImageNet-1K, one centre crop"
TERMS = (
    "published with torchvision (BSD-3-Clause); trained on ImageNet (ILSVRC 2012), whose pictures are given for"
    " non-commercial research and education"
)
NAMED_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


@dataclass(frozen=True)
class Published:
    """Weights of a network trained on the 1000 classes of ImageNet.

    Parameters
    ----------
    model : str
        The network, as in `CLASSIFICATION_MODELS`.
    file : str
        The file's name, which ends in the first eight hex digits of its SHA-256.
    megabytes : float
        Its size.
    accuracy : float
        Share of ImageNet's 50,000 validation pictures named rightly, in percent (see `ACCURACY_SOURCE`).
    place : str
        The folder that the file is published in, as a URL (see `url`).
    mean, std : tuple[float, float, float]
        Of each channel, that pictures are normalised by.
    size, shorter : int
        A square of ``size`` pixels is cut from pictures whose shorter side is resized to ``shorter``.
    """

    model: str
    file: str
    megabytes: float
    accuracy: float
    place: str = PLACE
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    size: int = 224
    shorter: int = 256

    @property
    def name(self) -> str:
        """What the weights are called."""
        return f"{self.model}-imagenet"

    @property
    def target(self) -> Path:
        """Where they are stored."""
        return cache_dir() / f"{self.name}.safetensors"

    @property
    def sha256(self) -> str:
        """The first eight hex digits of the file's SHA-256."""
        return self.file.rpartition("-")[2].partition(".")[0]

    @property
    def base_url(self) -> str:
        """The folder to download from: the mirror ``$FIRSTSIGHT_WEIGHTS_URL`` if it is set, else ``place``."""
        mirror = os.environ.get("FIRSTSIGHT_WEIGHTS_URL", "")
        return f"{mirror.rstrip('/')}/" if mirror else self.place

    @property
    def url(self) -> str:
        """The address to download from."""
        return self.base_url + self.file

    @property
    def remote(self) -> RemoteFile:
        """The file to fetch."""
        return RemoteFile(self.file, self.sha256, round(self.megabytes * 1e6))


def named_hash(file: str) -> str:
    """The beginning of a file's SHA-256 that its name carries, in hex; an empty string if it carries none.

    Eight decimal digits are a date rather than a hash, unless the table below has the file.

    >>> named_hash("resnet34-b627a593.pth"), named_hash("resnet34-20260131.pth"), named_hash("vgg13-19584684.pth")
    ('b627a593', '', '19584684')
    """
    found = NAMED_HASH.search(file)
    if not found or (found[1].isdecimal() and file not in {entry.file for entry in PUBLISHED.values()}):
        return ""
    return found[1]


HALF = (0.5, 0.5, 0.5)
"""Mean and std of GoogLeNet's pictures. torchvision's port normalises by ImageNet's mean and std and then, inside the
network (``transform_input``), undoes that for these."""

PUBLISHED: dict[str, Published] = {
    entry.model: entry
    for entry in (
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
"""By network; `tools/make_imagenet_classes.py` holds the table against torchvision's."""


def find(name: str) -> Published:
    """Published weights by the name of their network ("resnet34") or their own ("resnet34-imagenet").

    Raises
    ------
    UsageError
        Nothing is published under that name.
    """
    model = name.removesuffix("-imagenet")
    if model in PUBLISHED:
        return PUBLISHED[model]
    if model in CLASSIFICATION_MODELS:
        raise UsageError(f"no weights of {model} are published (see: firstsight weights list)")
    raise unknown_name("published weights", name, PUBLISHED, "see: firstsight weights list")


def imagenet_classes() -> tuple[str, ...]:
    """The names of ImageNet's 1000 classes, in the order of the networks' outputs (torchvision's wording)."""
    return tuple((files("firstsight.weights") / "imagenet-classes.txt").read_text(encoding="utf-8").splitlines())


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names from a text file, one a line.

    Raises
    ------
    UsageError
        No such file.
    WeightsError
        Not UTF-8 text, or an empty line between others.
    """
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except UnicodeDecodeError:
        raise WeightsError(f"{path}: not a text file in UTF-8") from None
    if not all(lines) or not lines:
        number = lines.index("") + 1 if lines else 1
        raise WeightsError(f"{path}: line {number} is empty; one class name a line is expected")
    return tuple(lines)
