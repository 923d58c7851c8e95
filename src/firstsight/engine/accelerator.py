"""The accelerator for a device and a precision."""

import atexit
import os
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import gather_object
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]  # public, not in __all__

from firstsight.engine.device import choose_device
from firstsight.errors import UsageError


def make_accelerator(precision: str, device: str) -> Accelerator:
    """The accelerator for a device and a precision; with "auto" the precision that all processes compute in.

    Raises
    ------
    UsageError
        The device is not on this machine, or cannot do the precision.
    """
    device = choose_device(device)
    if device == "mps" and precision == "float64":
        raise UsageError("--precision float64 is not possible on mps; use --device cpu")
    if precision == "float16" and device != "cuda":
        raise UsageError(f"--precision float16 needs a CUDA GPU, and this run is on {device}; use bfloat16")
    AcceleratorState._reset_state()  # one process may train several times, with different precisions
    if PartialState._shared_state and PartialState().num_processes == 1:
        PartialState._reset_state()
    _join_after_restart(device)
    if precision == "auto":
        PartialState(cpu=device == "cpu")  # joins the other processes
        precision = "bfloat16" if all(gather_object([computes_bfloat16(device)])) else "float32"
    mixed = {"bfloat16": "bf16", "float16": "fp16"}.get(precision, "no")
    return Accelerator(cpu=device == "cpu", mixed_precision=mixed)


def computes_bfloat16(device: str) -> bool:
    """Has a device ("cpu", "cuda", "mps") arithmetic for bfloat16, rather than imitating it at many times the cost?

    Of x86 processors those with AMX or AVX-512 BF16; of others, and where torch does not tell, nothing was measured.
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return device == "cpu" and bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def leave_at_exit() -> None:
    """Leave the group of processes, if there is one, when this process ends.

    A process that ends inside its group is aborted now and then by the group's own threads (gloo, torch 2.13), so that
    a job that has done all its work is reported as failed. To be called when the work is done by all; a process that
    fails must not wait for the others here.
    """
    atexit.unregister(_leave)
    atexit.register(_leave)


def _leave() -> None:
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def _join_after_restart(device: str) -> None:
    """Join the processes that torchrun has started again, under names of this attempt.

    With ``--rdzv-backend c10d`` the agent's store outlives its workers and still holds the addresses of those that
    died (torch 2.13); the new ones would call them and fail.
    """
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    if attempt == "0" or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or dist.is_initialized():
        return
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = PrefixStore(f"attempt-{attempt}", TCPStore(*place, world_size=world, is_master=False))
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo", store=store, rank=rank, world_size=world)
