"""State dicts of networks, and a file of published weights."""

from pathlib import Path
from typing import Any

import torch
from formula import tensor
from torch import Tensor

from firstsight.models.classification import create_model

RESNET18_FILE = Path(__file__).parents[1] / "weights" / "resnet18-f37072fd.pth"
"""A small file with the name and the published digits of the SHA-256 of torchvision's ResNet-18, though not its content
(see make_small_resnet18.py). firstsight takes it for the published weights."""


def make_state(model: str, **options: Any) -> dict[str, Tensor]:
    """Return a state dict with the names and shapes of a network and the values of ``tools/formula.py``."""
    with torch.device("meta"):
        own = create_model(model, **options).state_dict()
    return {key: torch.from_numpy(tensor(key, tuple(v.shape))).to(v.dtype) for key, v in own.items()}
