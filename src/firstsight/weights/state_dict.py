"""Tensors by name (state dicts) from files of other programs: read without executing anything, fitted to a network."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from firstsight.engine import checkpoint
from firstsight.errors import UsageError, WeightsError
from firstsight.models.classification.googlenet import GoogLeNet
from firstsight.models.pose.openpose_mobilenet import OpenPoseMobileNet

M = TypeVar("M", bound=nn.Module)
WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before the name of every tensor."""
AUXILIARY = ("aux1.", "aux2.")
REFINEMENT = re.compile(r"refinement_stages\.([0-9]{1,3})\.")


def load_published(net: M, path: str | Path, *, notify: Callable[[str], None] = lambda line: None) -> M:
    """Load weights of another program into a network, in place; all fit, or nothing is changed.

    The names must be the network's own, which are torchvision's, and for `OpenPoseMobileNet` those of its published
    checkpoint; ``module.`` (DataParallel) and ``_orig_mod.`` (torch.compile) before all of them are taken off. The
    counters ``num_batches_tracked`` of batch norms, which old files lack, may be absent. GoogLeNet's two auxiliary
    classifiers work in training only: a file without them leaves the network's as they are, a network without them
    leaves out the file's. Refinement stages of OpenPose beyond the network's are left out. ``notify`` is told of both.

    Parameters
    ----------
    path : str | Path
        A ``.pth`` file of torch.save, in the zip format or the older one without, or a ``.safetensors`` file.
    notify : Callable[[str], None]
        Called with a line for what was not as usual.

    Returns
    -------
    M
        ``net`` itself.

    Raises
    ------
    UsageError
        No such file.
    WeightsError
        Not readable, or code would have to be executed to read it, or it does not fit: then the message lists what is
        missing, unexpected and misshapen.

    Notes
    -----
    As in ``net = load_published(create_model("resnet34"), "resnet34-b627a593.pth")``.
    """
    path = Path(path).expanduser()
    fit(net, read_tensors(path), path, display_name=type(net).__name__, notify=notify)
    return net


def fit(
    net: nn.Module, tensors: Mapping[str, Tensor], path: Path, *, display_name: str, notify: Callable[[str], None]
) -> None:
    """Load the tensors of a file into a network ``display_name`` so, by the rules of `load_published`."""
    own, given = net.state_dict(), dict(tensors)
    if isinstance(net, GoogLeNet):
        _fit_auxiliary(own, given, path, notify)
    if isinstance(net, OpenPoseMobileNet):
        _fit_skeleton(own, given, path, display_name)
        _fit_stages(len(net.refinement_stages), given, path, notify)
    for name, tensor in own.items():
        if name.endswith("num_batches_tracked"):
            given.setdefault(name, tensor)
    misfit = checkpoint.compare(net, given)
    if misfit:
        raise WeightsError(f"{path} does not fit {display_name}: {misfit}")
    for name, tensor in given.items():
        if own[name].is_floating_point() and not (tensor.is_floating_point() and tensor.layout == torch.strided):
            raise WeightsError(f"{path}: {name} holds {tensor.dtype}, {tensor.layout}; not plain real numbers")
    net.load_state_dict(given)


def _fit_auxiliary(
    own: Mapping[str, Tensor], given: dict[str, Tensor], path: Path, notify: Callable[[str], None]
) -> None:
    mine, theirs = ([name for name in names if name.startswith(AUXILIARY)] for names in (own, given))
    if mine and not theirs:
        notify(f"{path} has no auxiliary classifiers; the network keeps its own, which work in training only")
        given.update({name: own[name] for name in mine})
    if theirs and not mine:
        notify(f"{path} has auxiliary classifiers, which the network was built without; they are left out")
        for name in theirs:
            del given[name]


def _fit_skeleton(own: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path, display_name: str) -> None:
    mine, theirs = skeleton_size(own), skeleton_size(given)
    if theirs and theirs != mine:
        (joints, limbs), (own_joints, own_limbs) = theirs, mine
        raise WeightsError(
            f"{path} does not fit {display_name}: its skeleton has {joints} joints and {limbs} limbs, the network's"
            f" {own_joints} and {own_limbs} (build it with joints={joints}, limbs={limbs})"
        )


def skeleton_size(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Joints and limbs of a pose network, by the maps of its first stage; nothing where those are missing."""
    biases = [tensors.get(f"initial_stage.{maps}.1.0.bias") for maps in ("heatmaps", "pafs")]
    counts = [bias.numel() for bias in biases if bias is not None]
    return (counts[0] - 1, counts[1] // 2) if len(counts) == 2 else ()


def _fit_stages(count: int, given: dict[str, Tensor], path: Path, notify: Callable[[str], None]) -> None:
    numbers = {name: int(found[1]) for name in given if (found := REFINEMENT.match(name))}
    further = {name for name, number in numbers.items() if number >= count}
    if further:
        total = len(set(numbers.values()))
        notify(f"{path} has {total} refinement stages, the network {count}; the further ones are left out")
        for name in further:
            del given[name]


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a ``.safetensors`` or a PyTorch file, without what wrappers put before their names.

    Raises
    ------
    UsageError
        No such file.
    WeightsError
        As `read_state_dict`.
    """
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    if path.suffix == ".safetensors":
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise WeightsError(f"{path}: not a readable safetensors file ({error})") from None
    else:
        tensors = read_state_dict(path)
    for wrapper in WRAPPERS:
        if tensors and all(name.startswith(wrapper) for name in tensors):
            tensors = {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}
    return tensors


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a PyTorch file; code inside it is never executed.

    They may lie under "state_dict" or "model", as training scripts store them.

    Raises
    ------
    WeightsError
        The file needs code to be read, or is damaged, or holds something other than tensors by name.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make torch's reader raise anything
        if type(error).__name__ != "UnpicklingError":  # not imported: it is pickle's
            first = (str(error) or type(error).__name__).splitlines()[0]
            raise WeightsError(f"{path}: not a readable PyTorch file, or cut short ({first})") from None
        if "invalid" in str(error) or "Unsupported operand" in str(error):
            raise WeightsError(f"{path}: not a readable PyTorch file, or of another pickle protocol than 2") from None
        raise WeightsError(
            f"{path}: refused, because reading it would execute code that is stored in it; nothing was run"
        ) from None
    tensors = content
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            tensors = content[key]
            break
    if not isinstance(tensors, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in tensors.items()
    ):
        raise WeightsError(f"{path}: does not hold tensors by name (a state dict)")
    return tensors
