"""State dicts with numbers from a formula, for any network."""

import sys
from pathlib import Path

import torch
from torch import Tensor

from firstsight.nets import create_model

sys.path.insert(0, str(Path(__file__).parents[1] / "parity"))
from formula import tensor


def make_state(model: str, **options: object) -> dict[str, Tensor]:
    """Names and shapes of a network, numbers of the formula."""
    own = create_model(model, **options).state_dict()  # type: ignore[arg-type]
    return {key: torch.from_numpy(tensor(key, tuple(v.shape))).to(v.dtype) for key, v in own.items()}
