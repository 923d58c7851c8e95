"""Load state dicts from files of other programs, without executing code in them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from torch import Tensor, nn

from firstsight.arguments import expand_user, ignore
from firstsight.engine import checkpoint
from firstsight.errors import UsageError, WeightsError
from firstsight.models.classification.googlenet import GoogLeNet
from firstsight.models.pose.openpose_mobilenet import OpenPoseMobileNet
from firstsight.weights.bundled import open_safetensors
from firstsight.weights.io import check_finite, check_types
from firstsight.weights.open_model_zoo import convert
from firstsight.weights.torch_file import read_state_dict, strip_wrappers

M = TypeVar("M", bound=nn.Module)
MAX_REPEATED_BYTES = 256 * 2**20
"""Maximum size of the tensors whose values a file repeats instead of storing them."""
AUXILIARY = ("aux1.", "aux2.")
REFINEMENT = re.compile(r"refinement_stages\.([0-9]{1,3})\.")


def load_published(net: M, path: str | Path, *, notify: Callable[[str], None] = ignore) -> M:
    """Load weights of another program into a network in place; if they do not fit, nothing is changed.

    The names must be those of the network, which are torchvision's, and for `OpenPoseMobileNet` those of its published
    checkpoint. A prefix of all names, such as ``module.`` (DataParallel) or ``model.``, is removed. The counters
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
    path = expand_user(path)
    fit(net, read_tensors(path), path, display_name=type(net).__name__, notify=notify)
    return net


def fit(
    net: nn.Module, tensors: Mapping[str, Tensor], path: Path, *, display_name: str, notify: Callable[[str], None]
) -> None:
    """Load the tensors of a file into a network by the rules of `load_published`; errors call it ``display_name``."""
    given = match(net, tensors, path, display_name=display_name, notify=notify)
    check_finite(given, path)
    net.load_state_dict(given)


def match(
    net: nn.Module, tensors: Mapping[str, Tensor], path: Path, *, display_name: str, notify: Callable[[str], None]
) -> dict[str, Tensor]:
    """Return the tensors of a file for a network, by the rules of `load_published`.

    Parameters
    ----------
    net : nn.Module
        The network; it is not changed. On the meta device only names, shapes and types are compared.
    tensors : Mapping[str, Tensor]
        Tensors of the file, see `read_tensors`.
    path : Path
        The file.
    display_name : str
        Name of the network in messages.
    notify : Callable[[str], None]
        Called with a line for everything that was left out.

    Raises
    ------
    WeightsError
        If the tensors do not fit.
    """
    expected = net.state_dict()
    prefix, _ = strip_wrappers(expected)  # of the network itself
    given = {prefix + name: tensor for name, tensor in tensors.items()}
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
    check_types(expected, given, path)
    repeated = sum(tensor.nbytes for tensor in given.values() if tensor.nbytes > tensor.untyped_storage().nbytes())
    if repeated > MAX_REPEATED_BYTES:
        limit = f"{MAX_REPEATED_BYTES:,} bytes are possible"
        raise WeightsError(f"{path}: repeats few values to tensors of {repeated:,} bytes; at most {limit}")
    return given


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
    """Return the tensors of a file by name, without a prefix of all names (see `strip_wrappers`).

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
        with open_safetensors(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    else:
        tensors = read_state_dict(path)
    return strip_wrappers(tensors)[1]
