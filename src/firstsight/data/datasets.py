"""Registry of the data sets that can be loaded by name: mirrors, hashes and licenses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from firstsight.data.checksum import sha256_of


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Parameters
    ----------
    name : str
        File name.
    sha256 : str
        SHA-256 of the file in hexadecimal, or its first digits if no more are published; empty if it is not known.
    size : int
        Size in bytes; 0 if it is not known.
    """

    name: str
    sha256: str
    size: int

    def matches(self, path: Path) -> bool:
        """Return whether the file at ``path`` has the published SHA-256."""
        return sha256_of(path).startswith(self.sha256)


@dataclass(frozen=True)
class InkFormat:
    """Form of the images of a data set of light strokes on black.

    Parameters
    ----------
    size : int
        Side of the images in pixels.
    box : int
        Longer side of the digit in pixels.
    stroke : float
        Typical width of the strokes, relative to ``box``.
    center : Literal["mass", "box"]
        Point of the strokes that is the center of the image: their center of mass, or that of their bounding box.
    """

    size: int
    box: int
    stroke: float
    center: Literal["mass", "box"] = "mass"


@dataclass(frozen=True)
class DatasetInfo:
    """Metadata of a data set.

    Parameters
    ----------
    name : str
        Name by which `load_data` finds the data set.
    title : str
        One-line description.
    shape : str
        Number and shape of the images, for display.
    classes : tuple[str, ...]
        Class names, in the order of the labels.
    license : str
        License of the data.
    homepage : str
        URL of the publisher.
    mirrors : tuple[str, ...]
        Base URLs, tried in order. The URL of a file is the base URL followed by the file name.
    files : tuple[RemoteFile, ...]
        Files to download.
    label_hashes : tuple[str, ...]
        SHA-256 of the *uncompressed* label files. They identify a data set whatever its folder is called.
    ink : InkFormat | None
        Form of images of light strokes on black; photographs of such strokes are converted to it, see
        `firstsight.data.ink`. None for other images.
    """

    name: str
    title: str
    shape: str
    classes: tuple[str, ...]
    license: str
    homepage: str
    mirrors: tuple[str, ...] = ()
    files: tuple[RemoteFile, ...] = ()
    label_hashes: tuple[str, ...] = ()
    ink: InkFormat | None = None

    def split_files(self, split: str) -> tuple[RemoteFile, ...]:
        """Return the files of "train" or "test": images, then labels; all files if it has not two for each split.

        >>> [file.name for file in DATASETS["mnist"].split_files("test")]
        ['t10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz']
        """
        files = sorted(self.files, key=lambda file: file.name)
        by_split = {
            "train": tuple(file for file in files if file.name.startswith("train-")),
            "test": tuple(file for file in files if file.name.startswith("t10k-")),
        }
        return by_split[split] if [*map(len, by_split.values())] == [2, 2] else self.files


DIGITS = tuple("0123456789")

DATASETS: dict[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            name="digits",
            title="Optical recognition of handwritten digits (UCI, the 1,797 of scikit-learn)",
            shape="1,797 x 1x32x32 (from 8x8)",
            classes=DIGITS,
            license="CC BY 4.0",
            homepage="https://archive.ics.uci.edu/dataset/80",
            ink=InkFormat(size=32, box=24, stroke=0.2, center="box"),
        ),
        DatasetInfo(
            name="mnist",
            title="MNIST handwritten digits",
            shape="70,000 x 1x28x28",
            classes=DIGITS,
            license="CC BY-SA 3.0",
            homepage="http://yann.lecun.com/exdb/mnist/",
            mirrors=(
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ),
            files=(
                RemoteFile(
                    "train-images-idx3-ubyte.gz",
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                    9912422,
                ),
                RemoteFile(
                    "train-labels-idx1-ubyte.gz",
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                    28881,
                ),
                RemoteFile(
                    "t10k-images-idx3-ubyte.gz",
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                    1648877,
                ),
                RemoteFile(
                    "t10k-labels-idx1-ubyte.gz",
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                    4542,
                ),
            ),
            label_hashes=("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",),
            ink=InkFormat(size=28, box=20, stroke=0.1),
        ),
        DatasetInfo(
            name="fashion-mnist",
            title="Fashion-MNIST articles of clothing",
            shape="70,000 x 1x28x28",
            classes=(
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ),
            license="MIT",
            homepage="https://github.com/zalandoresearch/fashion-mnist",
            mirrors=(
                "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
                "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            ),
            files=(
                RemoteFile(
                    "train-images-idx3-ubyte.gz",
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                    26421880,
                ),
                RemoteFile(
                    "train-labels-idx1-ubyte.gz",
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                    29515,
                ),
                RemoteFile(
                    "t10k-images-idx3-ubyte.gz",
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                    4422102,
                ),
                RemoteFile(
                    "t10k-labels-idx1-ubyte.gz",
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                    5148,
                ),
            ),
            label_hashes=(
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
        DatasetInfo(
            name="kmnist",
            title="Kuzushiji-MNIST, ten hiragana in cursive",
            shape="70,000 x 1x28x28",
            classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
            license="CC BY-SA 4.0",
            homepage="https://codh.rois.ac.jp/kmnist/",
            mirrors=("https://codh.rois.ac.jp/kmnist/dataset/kmnist/", "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
            files=(
                RemoteFile(
                    "train-images-idx3-ubyte.gz",
                    "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                    18165135,
                ),
                RemoteFile(
                    "train-labels-idx1-ubyte.gz",
                    "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                    29497,
                ),
                RemoteFile(
                    "t10k-images-idx3-ubyte.gz",
                    "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                    3041136,
                ),
                RemoteFile(
                    "t10k-labels-idx1-ubyte.gz",
                    "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                    5120,
                ),
            ),
        ),
        DatasetInfo(
            name="cifar10",
            title="CIFAR-10 small photographs",
            shape="60,000 x 3x32x32",
            classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
            license="no stated license; cite Krizhevsky 2009",
            homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
            mirrors=("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
            files=(
                RemoteFile(
                    "cifar-10-binary.tar.gz",
                    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                    170052171,
                ),
            ),
        ),
    )
}
"""Data sets by name. All hashes are SHA-256 of the published files."""


def register_dataset(info: DatasetInfo) -> None:
    """Add a data set; an entry of the same name is replaced."""
    DATASETS[info.name] = info
