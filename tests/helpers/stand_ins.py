"""Small stand-ins for what the pages of the documentation take for granted: published data sets and weights."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import torch

from firstsight import create_model, load_data
from firstsight.data.images.cifar import RECORD, TEST, TRAIN
from firstsight.models.pose import create_bottom_up
from firstsight.pose.skeleton import OPENPOSE_18
from firstsight.weights.published import import_weights
from firstsight.weights.published_pose import import_pose
from helpers.files import idx
from helpers.openvino_files import random_network, write_openvino


def write_mnist_like(folder: Path, *, train: int = 200, test: int = 100) -> None:
    """Write the four IDX files of a data set like MNIST: embedded digits of 28x28 pixels."""
    folder.mkdir(parents=True)
    for split, prefix, count in (("train", "train", train), ("test", "t10k", test)):
        digits = load_data("digits", split)
        images, labels = digits.images[:count, 0, 2:30, 2:30].numpy(), digits.labels[:count].numpy()
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images), 1))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels), 1))


def write_cifar10_like(folder: Path, *, images: int = 20) -> None:
    """Write the binary batches of CIFAR-10, each with this number of noise images."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in (*TRAIN, *TEST):
        records = rng.integers(0, 256, (images, RECORD), dtype=np.uint8)
        records[:, 0] = np.arange(images) % 10
        (folder / name).write_bytes(records.tobytes())


def store_published(model: str, folder: Path) -> None:
    """Write ``<model>.pth`` of random weights, and store it as `firstsight weights import` does, below ``home``."""
    torch.save(create_model(model).state_dict(), folder / f"{model}.pth")
    import_weights(folder / f"{model}.pth", model, out=folder / "home" / "weights" / f"{model}-imagenet.safetensors")


def write_weights(folder: Path) -> None:
    """Write the weights that the pages mention: ResNet-34, a ResNet-18 of two classes, lightweight OpenPose."""
    store_published("resnet34", folder)
    torch.save(create_model("resnet18", num_classes=2).state_dict(), folder / "my-net.pth")
    openpose: Any = create_bottom_up("openpose-mobilenet", skeleton=OPENPOSE_18)
    torch.save(openpose.state_dict(), folder / "checkpoint_iter_370000.pth")
    cache = folder / "home" / "weights"
    import_pose(folder / "checkpoint_iter_370000.pth", out=cache / "openpose-mobilenet-iter370000.safetensors")
    files = write_openvino(random_network(), folder, "FP16")
    import_pose(files, out=cache / "openpose-mobilenet-coco.safetensors", verify=False)
