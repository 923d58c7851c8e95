"""Write the names of ImageNet's classes as torchvision has them, and hold our table of published weights against its.

Run in an environment of its own that has torchvision (which the project never depends on)::

    python -m venv /tmp/golden && /tmp/golden/bin/pip install torchvision safetensors
    PYTHONPATH=src /tmp/golden/bin/python tools/make_imagenet_classes.py

Writes ``src/firstsight/weights/imagenet-classes.txt``, one name a line, and prints a line for every published file.
"""

import math
from pathlib import Path

import torchvision
from torchvision.models import get_model_weights

from firstsight.weights.table import PUBLISHED

TARGET = Path(__file__).parents[1] / "src" / "firstsight" / "weights" / "imagenet-classes.txt"


def main() -> None:
    """Write, compare, tell."""
    for entry in PUBLISHED.values():
        theirs = get_model_weights(entry.model)["IMAGENET1K_V1"]
        assert theirs.url == entry.place + entry.file, (entry.model, theirs.url)
        assert math.isclose(theirs.meta["_metrics"]["ImageNet-1K"]["acc@1"], entry.accuracy), entry.model
        assert math.isclose(theirs.meta["_file_size"] * 2**20 / 1e6, entry.megabytes, abs_tol=0.06), entry.model
        prepare = theirs.transforms()
        assert (prepare.crop_size, prepare.resize_size) == ([entry.size], [entry.shorter]), entry.model
        if entry.model != "googlenet":  # its network normalises again: see table.HALF
            assert (tuple(prepare.mean), tuple(prepare.std)) == (entry.mean, entry.std), entry.model
        print(f"{entry.model:10} {entry.file:27} {entry.accuracy:.3f} %: as torchvision {torchvision.__version__} says")
    names = get_model_weights("resnet34")["IMAGENET1K_V1"].meta["categories"]
    assert len(set(names)) == len(names) == 1000
    TARGET.write_text("\n".join(names) + "\n", encoding="utf-8")
    print(f"{len(names)} names: {TARGET}")


if __name__ == "__main__":
    main()
