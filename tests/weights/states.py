"""State dicts with numbers from a formula, for any network."""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from firstsight.nets import create_model

sys.path.insert(0, str(Path(__file__).parents[1] / "parity"))
from formula import tensor


def make_state(model: str, **options: Any) -> dict[str, Tensor]:
    """Names and shapes of a network, numbers of the formula."""
    own = create_model(model, **options).state_dict()
    return {key: torch.from_numpy(tensor(key, tuple(v.shape))).to(v.dtype) for key, v in own.items()}
