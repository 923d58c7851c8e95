"""Selection of the device: CPU, CUDA or MPS."""

from typing import Literal

import torch
from torch import nn

from firstsight.errors import UsageError

Device = Literal["auto", "cpu", "cuda", "mps"]
"""Names of devices; "auto" is a GPU if there is one."""


def choose_device(name: str) -> str:
    """Return the name of the device to use; "auto" selects a GPU if there is one, else the CPU.

    Parameters
    ----------
    name : str
        "auto", "cpu", "cuda" or "mps".

    Raises
    ------
    UsageError
        If the device is not available.

    Examples
    --------
    >>> choose_device("cpu")
    'cpu'
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device in available if available[device])
    if not available.get(name):
        raise UsageError(f"`device={name}`: this machine (or this build of torch) has no {name}; use `device=cpu`")
    return name


def move(device: str, *models: nn.Module) -> None:
    """Move networks to a device.

    Parameters
    ----------
    device : str
        Name of the device; see `choose_device`.
    *models : nn.Module
        Networks to move, in place.

    Raises
    ------
    UsageError
        If the device is not available.
    """
    chosen = choose_device(device)
    for model in models:
        model.to(chosen)


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a network's parameters, where its input must be; the CPU if it has none."""
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))
