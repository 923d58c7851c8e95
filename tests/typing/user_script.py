"""A user's script, checked by mypy and not run: an ignored error that is none is an error of `make lint`."""

from pathlib import Path
from typing import Any, assert_type

from torch import Tensor
from torch.utils.data import DataLoader

import firstsight as fs

# Images: a sequence of image and label.
data = fs.load_data("fashion-mnist", "test")
image, label = data[3]
assert_type(image, Tensor)
assert_type(label, int)
assert_type(data[3].label, int)
assert_type(data[:100], fs.ImageSet)
assert_type(data[[1, 5, 9]], fs.ImageSet)
assert_type(data[data.labels == 2], fs.ImageSet)
assert_type([item.label for item in data], list[int])
assert_type(data.classes, tuple[str, ...])
assert_type(data.counts, dict[str, int])
loader = DataLoader(data.to_torch(), batch_size=64, shuffle=True)
data["cat"]  # type: ignore[index]

# A training: its settings are known to the editor.
result = fs.train("lenet", data="fashion-mnist", epochs=2, lr=0.001, val_fraction=0.1, progress=True)
assert_type(result.metrics, dict[str, float])
assert_type(result.run_dir, Path)
fs.train("lenet", epoch=2)  # type: ignore[call-arg]
fs.train("lenet", learning_rate=0.1)  # type: ignore[call-arg]
fs.train("lenet", epochs="2")  # type: ignore[arg-type]
fs.train("lenet", epochs=2.5)  # type: ignore[arg-type]
fs.train("lenet", seed=[1, 2])  # type: ignore[arg-type]
fs.train("lenet", optimizer="lion")  # type: ignore[arg-type]
fs.train(3)  # type: ignore[arg-type]
fs.train("lenet", fs.TrainSettings(epochs=2))  # type: ignore[call-arg, arg-type]

settings: fs.TrainSettings = {"epochs": 2, "lr": 0.001}
fs.train("convnet", **settings)
wrong: fs.TrainSettings = {"epoch": 2}  # type: ignore[typeddict-unknown-key]

# Networks and evaluation.
net = fs.create_model("resnet18", num_classes=5, weights="imagenet")
generator, discriminator = fs.create_model("dcgan", latent_dim=64, image_size=32)
fs.create_model("resnet18", num_clases=5)  # type: ignore[call-overload]
fs.create_model("resnet18", num_classes="5")  # type: ignore[call-overload]
evaluation = fs.evaluate(result.run_dir, "fashion-mnist")
fs.evaluate("openpose-tiny-lsp", "people.json", height=256, flip=True)
fs.evaluate("dcgan-fashion", n=1000, seed=1)
fs.evaluate("dcgan-fashion", hight=256)  # type: ignore[call-arg]
fs.evaluate("dcgan-fashion", n="1000")  # type: ignore[arg-type]

# Results: the same methods.
predictions = fs.predict(result.run_dir, image)
grid = fs.generate("dcgan-fashion", 16)
poses = fs.estimate_pose("people.jpg")
for each in (result, evaluation, predictions[0], grid, poses, fs.summary("lenet")):
    assert_type(each.to_dict(), dict[str, Any])
    assert_type(each.save("out.json"), Path)
    each.show()
fs.generate("dcgan-fashion", "16")  # type: ignore[arg-type]
fs.summary("lenet", runs=True, input_size=3)  # type: ignore[call-arg]
