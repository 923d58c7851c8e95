"""Load state dicts from files of other programs, without executing code in them."""

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
from firstsight.weights.open_model_zoo import convert

M = TypeVar("M", bound=nn.Module)
WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that DataParallel and torch.compile add to the names of tensors."""
AUXILIARY = ("aux1.", "aux2.")
REFINEMENT = re.compile(r"refinement_stages\.([0-9]{1,3})\.")


def load_published(net: M, path: str | Path, *, notify: Callable[[str], None] = lambda line: None) -> M:
    """Load weights of another program into a network in place; if they do not fit, nothing is changed.

    The names must be those of the network, which are torchvision's, and for `OpenPoseMobileNet` those of its published
    checkpoint. Prefixes ``module.`` (DataParallel) and ``_orig_mod.`` (torch.compile) are removed. The counters
    ``num_batches_tracked`` of batch norms may be missing. The auxiliary classifiers of GoogLeNet are used in training
    only: if the file lacks them, the network keeps its own; if the network lacks them, those of the file are left out.
    Refinement stages of OpenPose that the network lacks are left out. ``notify`` is called for both.

    Parameters
    ----------
    net : M
        Network to change.
    path : str | Path
        A ``.pth`` file of torch.save, in the zip format or the older one without, or a ``.safetensors`` file.
    notify : Callable[[str], None]
        Called with a line for everything that was left out.

    Returns
    -------
    M
        ``net`` itself.

    Raises
    ------
    UsageError
        If the file does not exist.
    WeightsError
        If it is not readable, if reading it would execute code, or if it does not fit; the message lists missing and
        unexpected tensors and wrong shapes.

    Examples
    --------
    Load the published weights of ResNet-34::

        net = load_published(create_model("resnet34"), "resnet34-b627a593.pth")
    """
    path = Path(path).expanduser()
    fit(net, read_tensors(path), path, display_name=type(net).__name__, notify=notify)
    return net


def fit(
    net: nn.Module, tensors: Mapping[str, Tensor], path: Path, *, display_name: str, notify: Callable[[str], None]
) -> None:
    """Load the tensors of a file into a network by the rules of `load_published`; errors call it ``display_name``."""
    expected, given = net.state_dict(), dict(tensors)
    if isinstance(net, GoogLeNet):
        _fit_auxiliary(expected, given, path, notify)
    if isinstance(net, OpenPoseMobileNet):
        _fit_skeleton(expected, given, path, display_name)
        _fit_stages(len(net.refinement_stages), given, path, notify)
    for name, tensor in expected.items():
        if name.endswith("num_batches_tracked"):
            given.setdefault(name, tensor)
    mismatch = checkpoint.describe_mismatch(net, given)
    if mismatch:
        raise WeightsError(f"{path} does not fit {display_name}: {mismatch}")
    for name, tensor in given.items():
        if expected[name].is_floating_point() and not (tensor.is_floating_point() and tensor.layout == torch.strided):
            raise WeightsError(
                f"{path}: {name} has type {tensor.dtype}, {tensor.layout}; expected dense floating-point numbers"
            )
    net.load_state_dict(given)


def _fit_auxiliary(
    expected: Mapping[str, Tensor], given: dict[str, Tensor], path: Path, notify: Callable[[str], None]
) -> None:
    in_net, in_file = ([name for name in names if name.startswith(AUXILIARY)] for names in (expected, given))
    if in_net and not in_file:
        notify(f"{path} has no auxiliary classifiers; the network keeps its own, which are used in training only")
        given.update({name: expected[name] for name in in_net})
    if in_file and not in_net:
        notify(f"{path} has auxiliary classifiers, which the network was built without; they are left out")
        for name in in_file:
            del given[name]


def _fit_skeleton(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path, display_name: str) -> None:
    in_net, in_file = skeleton_size(expected), skeleton_size(given)
    if in_file and in_file != in_net:
        joints, limbs = in_file
        raise WeightsError(
            f"{path} does not fit {display_name}: its skeleton has {joints} joints and {limbs} limbs, that of the"
            f" network {in_net[0]} and {in_net[1]} (build it with joints={joints}, limbs={limbs})"
        )


def skeleton_size(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Return the numbers of joints and limbs by the maps of the first stage; empty if it is no such network."""
    biases = [tensors.get(f"initial_stage.{maps}.1.0.bias") for maps in ("heatmaps", "pafs")]
    counts = [bias.numel() for bias in biases if bias is not None]
    return (counts[0] - 1, counts[1] // 2) if len(counts) == 2 else ()


def _fit_stages(count: int, given: dict[str, Tensor], path: Path, notify: Callable[[str], None]) -> None:
    numbers = {name: int(match[1]) for name in given if (match := REFINEMENT.match(name))}
    extra = {name for name, number in numbers.items() if number >= count}
    if extra:
        total = len(set(numbers.values()))
        notify(f"{path} has {total} refinement stages, the network has {count}; the others are left out")
        for name in extra:
            del given[name]


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, without the prefixes of wrappers.

    Parameters
    ----------
    path : Path
        ``.safetensors`` file, file of torch.save, or ``.xml`` file of OpenVINO (see `open_model_zoo`).

    Raises
    ------
    UsageError
        If the file does not exist.
    WeightsError
        See `read_state_dict`.
    """
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    if path.suffix == ".xml":
        return convert(path).state_dict()
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
    """Read the tensors of a PyTorch file by name; code in it is never executed.

    They may be under "state_dict" or "model", as training scripts store them.

    Raises
    ------
    WeightsError
        If reading the file would execute code, if it is damaged, or if it holds something other than tensors by name.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make torch's reader raise anything
        if type(error).__name__ != "UnpicklingError":  # not imported: it is pickle's
            first = (str(error) or type(error).__name__).splitlines()[0]
            raise WeightsError(f"{path}: not a readable PyTorch file, or truncated ({first})") from None
        if "invalid" in str(error) or "Unsupported operand" in str(error):
            raise WeightsError(
                f"{path}: not a readable PyTorch file, or one with a pickle protocol other than 2"
            ) from None
        raise WeightsError(
            f"{path}: refused, because reading it would execute code that is stored in it; nothing was executed"
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
