"""Receptive fields by rule, against those that gradients show."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from firstsight.inspect import Step, trace
from firstsight.inspect.receptive_field import Axis
from firstsight.inspect.trace import Watch
from firstsight.nets import MODELS, create_model


class Thin(TorchFunctionMode):
    """Runs any network with one channel and positive weights: the same windows in the same places, and no sum cancels.

    Maxima become means, for the gradient of a maximum shows one pixel only; norms become the identity.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        name = getattr(function, "__name__", "")
        if name == "conv2d":
            x, weight, _, *rest = args
            weight = torch.full((1, 1, *weight.shape[2:]), 1 / weight[0, 0].numel(), dtype=x.dtype)
            return F.conv2d(x.mean(1, keepdim=True), weight, None, *rest[:3])
        if name == "max_pool2d":
            return mean_over_windows(*args, **options)
        if name in ("batch_norm", "local_response_norm", "dropout"):
            return args[0]
        if name == "linear":
            return args[0].sum(-1, keepdim=True).expand(*args[0].shape[:-1], len(args[1]))
        return function(*args, **options)


def mean_over_windows(
    x: Tensor, kernel_size: int, stride: int | None = None, padding: int = 0, dilation: int = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Tensor:  # fmt: skip
    assert dilation == 1 and not return_indices
    return F.avg_pool2d(x, kernel_size, stride, padding, ceil_mode)


class Means(TorchFunctionMode):
    """Maxima become means, nothing else."""

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        mean = getattr(function, "__name__", "") == "max_pool2d"
        return (mean_over_windows if mean else function)(*args, **(kwargs or {}))


def watched(net: nn.Module, images: Tensor, *modes: TorchFunctionMode) -> list[Step]:
    """The steps of a pass whose gradients can be taken."""
    watch = Watch(net.eval(), images)
    with watch.hooks(), ExitStack() as stack:
        for mode in (*modes, watch):
            stack.enter_context(mode)
        net(images)
    return watch.steps


def seen(step: Step, images: Tensor, place: tuple[int, int]) -> list[tuple[int, int]]:
    """First and last row and column that have an influence on the unit at ``place``."""
    unit = step.output[0, :, place[0], place[1]].sum()
    (gradient,) = torch.autograd.grad(unit, images, retain_graph=True)
    touched = gradient[0].abs().sum(0) > 0
    return [(int(line.nonzero()[0]), int(line.nonzero()[-1])) for line in (touched.any(1), touched.any(0))]


def clipped(axis: Axis, place: int, size: int) -> tuple[int, int]:
    start = axis.start + axis.step * place
    return max(0, int(start)), min(size - 1, int(start + axis.size - 1))


def compare(net: nn.Module, images: Tensor, *modes: TorchFunctionMode) -> list[str]:
    """Hold the field of a unit of every spatial layer against its gradient; the names of the layers."""
    steps = [step for step in watched(net, images, *modes) if step.output.ndim == 4]
    for step in steps:
        assert step.field is not None
        assert all(axis.exact for axis in step.field), step.name
        place = step.output.shape[2] // 2, step.output.shape[3] // 3
        expected = [clipped(a, p, n) for a, p, n in zip(step.field, place, images.shape[2:], strict=True)]
        assert seen(step, images, place) == expected, step.name
    return [step.name for step in steps]


def ones(channels: int, side: int) -> Tensor:
    return torch.ones(1, channels, side, side, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("name", sorted({*MODELS} - {"two_layer"}))
def test_every_spatial_layer_of_every_network(name: str) -> None:
    entry = MODELS[name]
    with torch.device("meta"):
        net = create_model(name)
        steps = trace(net, torch.empty(1, entry.in_channels, entry.image_size, entry.image_size))
    checked = compare(net.to_empty(device="cpu").double(), ones(1, entry.image_size), Thin())
    assert checked == [step.name for step in steps if step.output.ndim == 4]


@pytest.mark.parametrize("name", ["lenet", "convnet", "resnet20", "airbench"])
def test_with_all_channels(name: str) -> None:
    """As above without thinning, so that it is not taken on trust."""
    net = create_model(name).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.full_like(parameter, 1 / parameter[0].numel()))
    assert len(compare(net, ones(MODELS[name].in_channels, 32), Means())) > 5


def test_by_hand() -> None:
    """Two 3x3 windows with stride 2 see 3, then 7 pixels; an adaptive mean over 5 of 7 does not divide."""
    net = nn.Sequential(
        nn.Conv2d(1, 1, 3, stride=2, padding=1),
        nn.Conv2d(1, 1, 3, stride=2),
        nn.AdaptiveAvgPool2d(5),
        nn.Flatten(),
        nn.Linear(25, 2),
    )
    steps = trace(net, torch.zeros(1, 1, 32, 32))
    fields = [step.field[0] for step in steps if step.field]
    assert fields[:2] == [Axis(-1, 3, 2), Axis(-1, 7, 4)]
    assert fields[0].centre == 0 and fields[1].centre == 2
    assert fields[2] == Axis(-1, 7 + 2 * 4, 4 * 7 / 5, exact=False)  # the widest mean is over three
    assert fields[3].step == 0


def test_unequal_windows_slices_and_branches() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            tall = F.avg_pool2d(x, (5, 1), stride=1, padding=(2, 0))
            wide = F.pad(F.conv2d(x, torch.ones(1, 1, 1, 4), dilation=2), (3, 3))
            return torch.cat([tall, wide], 1)[:, :, 1::2, 3:]

    step = trace(Net(), torch.zeros(1, 1, 20, 20))[-1]
    assert step.name == "Net" and step.field == (Axis(-2 + 1, 5, 2), Axis(-3 + 3, 7, 1))
    images = ones(1, 20).float().detach().requires_grad_()
    compare(Net(), images)


def test_what_is_not_known_sees_everything() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(F.avg_pool2d(x, 2), scale_factor=2)

    step = trace(Net(), torch.zeros(1, 1, 8, 8))[-1]
    assert step.field == (Axis(0, 8, 0, exact=False),) * 2
