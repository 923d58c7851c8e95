"""Write torchvision's class names of ImageNet, and compare our table of published weights with torchvision's.

Run it in a separate environment with torchvision, which is not a dependency of the project::

    python -m venv /tmp/golden && /tmp/golden/bin/pip install torchvision safetensors
    PYTHONPATH=src /tmp/golden/bin/python tools/make_imagenet_classes.py

Writes ``src/firstsight/weights/imagenet-classes.txt``, one name per line, and prints a line for every published file.
"""

import math
from pathlib import Path

import torchvision
from torchvision.models import get_model_weights

from firstsight.weights.table import PUBLISHED

TARGET = Path(__file__).parents[1] / "src" / "firstsight" / "weights" / "imagenet-classes.txt"


def main() -> None:
    """Compare the tables and write the class names."""
    for entry in PUBLISHED.values():
        expected = get_model_weights(entry.model)["IMAGENET1K_V1"]
        assert expected.url == entry.base_url + entry.file, (entry.model, expected.url)
        assert math.isclose(expected.meta["_metrics"]["ImageNet-1K"]["acc@1"], entry.accuracy), entry.model
        assert math.isclose(expected.meta["_file_size"] * 2**20 / 1e6, entry.megabytes, abs_tol=0.06), entry.model
        preset = expected.transforms()
        assert (preset.crop_size, preset.resize_size) == ([entry.size], [entry.shorter]), entry.model
        if entry.model != "googlenet":  # its network normalizes again, see table.HALF
            assert (tuple(preset.mean), tuple(preset.std)) == (entry.mean, entry.std), entry.model
        print(
            f"{entry.model:10} {entry.file:27} {entry.accuracy:.3f} %: equal to torchvision {torchvision.__version__}"
        )
    names = get_model_weights("resnet34")["IMAGENET1K_V1"].meta["categories"]
    assert len(set(names)) == len(names) == 1000
    TARGET.write_text("\n".join(names) + "\n", encoding="utf-8")
    print(f"{len(names)} names: {TARGET}")


if __name__ == "__main__":
    main()
