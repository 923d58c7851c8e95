"""Checked by mypy, not run: the types of the public API. An ignored error that is none is an error of `make lint`."""

from pathlib import Path
from typing import assert_type

import numpy as np
from PIL import Image
from torch import Tensor, nn, zeros

import firstsight
from firstsight import (
    Evaluation,
    ImageGrid,
    PoseResult,
    Prediction,
    TrainResult,
)

# Settings are typed keyword arguments.
assert_type(firstsight.train("lenet", data=Path("photos"), epochs=2, lr=0.01, flip="random"), TrainResult)
firstsight.train("lenet", out="runs/mine", device="cuda", progress=True)
firstsight.train("lenet", epoch=2)  # type: ignore[call-arg]
firstsight.train("lenet", epochs="2")  # type: ignore[arg-type]
firstsight.train("lenet", flip="sometimes")  # type: ignore[arg-type]
firstsight.train("lenet", device="gpu")  # type: ignore[arg-type]

# Images may have any usual form.
assert_type(firstsight.predict("lenet-mnist", "digit.png"), list[Prediction])
firstsight.predict("lenet-mnist", [Path("a.png"), b"", Image.new("L", (8, 8)), np.zeros((8, 8)), zeros(1, 8, 8)])
firstsight.predict("lenet-mnist", zeros(4, 1, 8, 8), top=3, device="cpu")
firstsight.predict("lenet-mnist", "digit.png", tops=3)  # type: ignore[call-arg]
firstsight.predict("lenet-mnist", 3)  # type: ignore[arg-type]
assert_type(firstsight.estimate_pose("photo.jpg", flip=True), PoseResult)
assert_type(firstsight.apply_filter(np.zeros((8, 8, 3)), "box", color=True, bgr=True).total, float)

# Every kind of task has one function.
assert_type(firstsight.evaluate("lenet-mnist", "mnist"), Evaluation)
assert_type(firstsight.generate("dcgan-fashion", 16, seed=1), ImageGrid)
assert_type(firstsight.list_models("*resnet*"), list[str])
assert_type(firstsight.create_model("resnet34", num_classes=5), nn.Module)
assert_type(firstsight.create_model("dcgan"), tuple[nn.Module, nn.Module])
assert_type(firstsight.load_data("digits", "test").images, Tensor)
