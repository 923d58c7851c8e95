"""Selection of the device: CPU, CUDA or MPS."""

from typing import Literal

import torch
from torch import nn

from firstsight.arguments import is_digits
from firstsight.errors import UsageError

Device = Literal["auto", "cpu", "cuda", "mps"]
"""Names of devices; "auto" is a GPU if there is one."""


KINDS = {"cpu": "the CPU", "cuda": "CUDA", "mps": "MPS"}


def choose_device(name: str | torch.device) -> str:
    """Return the name of the device to use; "auto" selects a GPU if there is one, else the CPU.

    Parameters
    ----------
    name : str | torch.device
        "auto", "cpu", "cuda" or "mps"; also with an index, such as "cuda:1".

    Raises
    ------
    UsageError
        If it is no device, or one that is not available.

    Examples
    --------
    >>> choose_device("cpu")
    'cpu'
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device in available if available[device])
    kind, _, index = str(name).partition(":")
    if kind not in available or not isinstance(name, str | torch.device) or not (is_digits(index) or not index):
        raise UsageError(f"`device` must be auto, cpu, cuda or mps; got {name!r}")
    if not available[kind]:
        raise UsageError(
            f"`device={name}`: {KINDS[kind]} is not available (no GPU, or torch without it); use `device=cpu`"
        )
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UsageError(f"`device={name}`: there are {torch.cuda.device_count()} GPUs, counted from 0")
    return str(name)


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a network's parameters, where its input must be; the CPU if it has none."""
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))
