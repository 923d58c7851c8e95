"""Which device computes."""

import torch
from torch import nn

from firstsight.errors import UsageError


def choose_device(name: str) -> str:
    """Of "auto" a GPU if there is one, else the CPU; of "cpu", "cuda" and "mps" that one.

    Raises
    ------
    UsageError
        It is not on this machine.

    Examples
    --------
    >>> choose_device("cpu")
    'cpu'
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device in available if available[device])
    if not available.get(name):
        raise UsageError(f"--device {name}: this machine (or this build of torch) has no {name}; use --device cpu")
    return name


def move(device: str, *models: nn.Module) -> None:
    """Networks to the device of that name, see `choose_device`.

    Raises
    ------
    UsageError
        It is not on this machine.
    """
    chosen = choose_device(device)
    for model in models:
        model.to(chosen)


def device_of(model: nn.Module) -> torch.device:
    """Where the weights of a network are, and so its input must be; the CPU if it has none."""
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))
