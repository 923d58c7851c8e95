"""Construction of Accelerate's ``Accelerator`` for a device and a precision."""

import atexit
import os
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import gather_object
from torch import nn
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]  # public, not in __all__

from firstsight.engine.device import choose_device
from firstsight.errors import UsageError


def make_accelerator(precision: str, device: str) -> Accelerator:
    """Return the accelerator for a device and a precision.

    Parameters
    ----------
    precision : str
        "float32", "float64", "bfloat16", "float16", or "auto": bfloat16 if `supports_bfloat16` holds on every
        process, else float32.
    device : str
        "auto", "cpu", "cuda" or "mps"; see `choose_device`.

    Raises
    ------
    UsageError
        If the device is not available or does not support the precision.
    """
    device = choose_device(device)
    if device == "mps" and precision == "float64":
        raise UsageError("`precision=float64` is not possible on mps; use `device=cpu`")
    if precision == "float16" and device != "cuda":
        raise UsageError(f"`precision=float16` needs a CUDA GPU, and this run is on {device}; use bfloat16")
    AcceleratorState._reset_state()  # one process may train several times, with different precisions
    if PartialState._shared_state and PartialState().num_processes == 1:
        PartialState._reset_state()
    _join_after_restart(device)
    if precision == "auto":
        PartialState(cpu=device == "cpu")  # joins the other processes
        precision = "bfloat16" if all(gather_object([supports_bfloat16(device)])) else "float32"
    mixed = {"bfloat16": "bf16", "float16": "fp16"}.get(precision, "no")
    return Accelerator(cpu=device == "cpu", mixed_precision=mixed)


def prepare_model(accelerator: Accelerator, model: nn.Module) -> nn.Module:
    """Move a model to the accelerator's device, and wrap it if there are several processes.

    On several GPUs, batch norms compute their statistics over the batch of all processes (`nn.SyncBatchNorm`).

    Parameters
    ----------
    accelerator : Accelerator
        Accelerator of the run.
    model : nn.Module
        Model to train.

    Returns
    -------
    nn.Module
        Model to call in training steps.
    """
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    prepared: nn.Module = accelerator.prepare(model)
    return prepared


def supports_bfloat16(device: str) -> bool:
    """Return whether a device has bfloat16 arithmetic; emulated bfloat16 is many times slower.

    True for CUDA GPUs that support it and for x86 processors with AMX or AVX-512 BF16. Other processors were not
    measured and give False.

    Parameters
    ----------
    device : str
        "cpu", "cuda" or "mps".
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu":
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        capabilities: Mapping[str, Any] = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # torch 2.10
    return any(getattr(torch.cpu, name, bool)() for name in names)


def destroy_process_group_at_exit() -> None:
    """Destroy the process group, if there is one, when this process exits.

    A process that exits inside its group is sometimes aborted by the threads of gloo (torch 2.13). Its job is then
    reported as failed although all work is done. Call this only after all processes have finished their work: a process
    that fails must not wait for the others here.
    """
    atexit.unregister(_destroy_process_group)
    atexit.register(_destroy_process_group)


def _destroy_process_group() -> None:
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def _join_after_restart(device: str) -> None:
    """Initialize the process group after a restart by torchrun, with store keys of this attempt.

    With ``--rdzv-backend c10d`` the agent's store outlives its workers and still holds the addresses of the dead ones
    (torch 2.13). The new workers would connect to these and fail.
    """
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if attempt == "0" or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or dist.is_initialized():
        return
    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = PrefixStore(f"attempt-{attempt}", TCPStore(*address, world_size=world_size, is_master=False))
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo", store=store, rank=rank, world_size=world_size)
