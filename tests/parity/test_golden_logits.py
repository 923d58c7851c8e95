"""Our networks against torchvision's: the same weights, the same picture, the same logits.

In double precision: in single, one processor's rounding differs from another's by some 1e-5 after nineteen layers.
"""

from pathlib import Path

import pytest
import torch
from formula import picture, tensor
from safetensors.torch import load_file

from firstsight.nets import MODELS, create_model

GOLDEN = load_file(Path(__file__).with_name("golden-logits.safetensors"))


def test_every_ported_network_has_its_golden() -> None:
    assert set(GOLDEN) == {name for name, entry in MODELS.items() if entry.image_size == 224} - {"mobilenet"}


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDEN)
def test_logits_are_torchvisions(name: str) -> None:
    """Names and shapes of all tensors are the port's, or the formula would give other numbers."""
    net = create_model(name).eval()
    own = net.state_dict()
    net.load_state_dict({key: torch.from_numpy(tensor(key, tuple(v.shape))).to(v.dtype) for key, v in own.items()})
    with torch.inference_mode():
        logits = net.double()(torch.from_numpy(picture(224)).double())[0]
    difference = (logits - GOLDEN[name]).abs().max() / GOLDEN[name].std()
    print(f"{name}: largest difference {difference:.1e} of the logits' standard deviation")
    assert logits.dtype == GOLDEN[name].dtype == torch.float64
    assert difference < 1e-10
