"""Logits of torchvision's networks: with the same weights and the same image, ours are equal.

In double precision: in single precision, rounding differs between processors by about 1e-5 after nineteen layers.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from formula import input_image, tensor
from safetensors.torch import load_file
from torch import Tensor

from firstsight.models.classification import create_model
from firstsight.models.registry import CLASSIFICATION_MODELS

GOLDEN = load_file(Path(__file__).with_name("golden-logits.safetensors"))
FAST = ("alexnet", "googlenet", "resnet18")


def test_every_network_of_torchvision_has_stored_logits() -> None:
    assert set(GOLDEN) == {name for name, entry in CLASSIFICATION_MODELS.items() if entry.image_size == 224} - {
        "mobilenet"
    }


def make_tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return a tensor of the formula: float32 values in double precision, counters as integers."""
    return torch.from_numpy(tensor(name, shape)).to(torch.int64 if name.endswith("tracked") else torch.float64)


@pytest.fixture(scope="module")
def make_shared_tensor() -> Callable[[str, tuple[int, ...]], Tensor]:
    """Return `make_tensor` with a memory: the large linear layers of all VGGs are the same 124 million numbers."""
    return cache(make_tensor)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in FAST)) for name in GOLDEN])
def test_logits_are_those_of_torchvision(
    name: str, make_shared_tensor: Callable[[str, tuple[int, ...]], Tensor]
) -> None:
    """Values depend on the names and shapes of all tensors, so these are torchvision's, too."""
    with torch.device("meta"):
        net = create_model(name).eval()
    state = {}
    for key, value in net.state_dict().items():
        is_shared = name.startswith("vgg") and key.startswith("classifier")
        state[key] = (make_shared_tensor if is_shared else make_tensor)(key, tuple(value.shape))
    net.load_state_dict(state, assign=True)
    with torch.inference_mode():
        logits = net(torch.from_numpy(input_image(224)).double())[0]
    assert logits.dtype == GOLDEN[name].dtype == torch.float64
    assert (logits - GOLDEN[name]).abs().max() < 1e-10 * GOLDEN[name].std()
