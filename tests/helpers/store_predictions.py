"""Write the predictions of bundled airbench for its 5,000 held-out images, after the weights were trained again.

    python tests/helpers/store_predictions.py cifar10-train.zip tests/weights/airbench-cifar10.txt

The file has a digit, the predicted class, for each image, in the order of ``load_data(..., "test")``. Computing all of
them takes two minutes; `tests/weights/test_bundled.py` computes every fifth one.
"""

import sys
from pathlib import Path

import torch

from firstsight import load, load_data
from firstsight.data.batches import fit_images

DIGITS_PER_LINE = 100

if __name__ == "__main__":
    network = load("airbench-cifar10")
    test = load_data(sys.argv[1], "test", size=network.preprocess.resize)
    batches = fit_images(test, network.preprocess).split(256)
    predictions = torch.cat([network.probabilities(batch).argmax(1) for batch in batches])
    digits = "".join(map(str, predictions.tolist()))
    lines = [digits[i : i + DIGITS_PER_LINE] for i in range(0, len(digits), DIGITS_PER_LINE)]
    Path(sys.argv[2]).write_text("\n".join(lines) + "\n")
