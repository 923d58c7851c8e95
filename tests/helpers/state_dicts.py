"""State dicts of any network, filled with the deterministic values of ``tools/formula.py``."""

from typing import Any

import torch
from formula import tensor
from torch import Tensor

from firstsight.nets import create_model


def make_state(model: str, **options: Any) -> dict[str, Tensor]:
    """Return the names and shapes of a network's state dict with values from the formula."""
    own = create_model(model, **options).state_dict()
    return {key: torch.from_numpy(tensor(key, tuple(v.shape))).to(v.dtype) for key, v in own.items()}
