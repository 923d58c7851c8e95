"""The accelerator for a device and a precision."""

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState

from firstsight.errors import UsageError


def make_accelerator(precision: str, device: str) -> Accelerator:
    """The accelerator for a device and a precision.

    Raises
    ------
    UsageError
        The device is not on this machine, or cannot do the precision.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[device]:
        raise UsageError(f"--device {device}: this machine (or this build of torch) has no {device}; use --device cpu")
    if device == "mps" and precision == "float64":
        raise UsageError("--precision float64 is not possible on mps; use --device cpu")
    if precision == "float16" and device != "cuda":
        raise UsageError(f"--precision float16 needs a CUDA GPU, and this run is on {device}; use bfloat16")
    mixed = {"bfloat16": "bf16", "float16": "fp16"}.get(precision, "no")
    AcceleratorState._reset_state()  # one process may train several times, with different precisions
    if PartialState._shared_state and PartialState().num_processes == 1:
        PartialState._reset_state()
    return Accelerator(cpu=device == "cpu", mixed_precision=mixed)
