"""Receptive fields computed by rule equal those measured with gradients."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from firstsight.models.classification import create_model
from firstsight.models.registry import CLASSIFICATION_MODELS
from firstsight.profiling import Step, trace
from firstsight.profiling.receptive_field import Axis
from firstsight.profiling.trace import OperationRecorder


class SingleChannel(TorchFunctionMode):
    """Runs any network with one channel and positive weights, so that no gradients cancel; windows are unchanged.

    Max pooling becomes average pooling, since the gradient of a maximum is zero except at one pixel. Norms become the
    identity.
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
    x: Tensor,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    assert dilation == 1 and not return_indices
    return F.avg_pool2d(x, kernel_size, stride, padding, ceil_mode)


class AverageInsteadOfMax(TorchFunctionMode):
    """Replaces max pooling by average pooling."""

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        mean = getattr(function, "__name__", "") == "max_pool2d"
        return (mean_over_windows if mean else function)(*args, **(kwargs or {}))


def steps_with_gradients(net: nn.Module, images: Tensor, *modes: TorchFunctionMode) -> list[Step]:
    """Return the steps of a forward pass through which gradients can be computed."""
    recorder = OperationRecorder(net.eval(), images)
    with recorder.hooks(), ExitStack() as stack:
        for mode in (*modes, recorder):
            stack.enter_context(mode)
        net(images)
    return recorder.steps


def measured_field(step: Step, images: Tensor, position: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the first and last row and column with a gradient of the unit at ``position``."""
    unit = step.output[0, :, position[0], position[1]].sum()
    (gradient,) = torch.autograd.grad(unit, images, retain_graph=True)
    nonzero = gradient[0].abs().sum(0) > 0
    return [(int(line.nonzero()[0]), int(line.nonzero()[-1])) for line in (nonzero.any(1), nonzero.any(0))]


def computed_field(axis: Axis, position: int, size: int) -> tuple[int, int]:
    """Return the first and last pixel of a field by rule, clipped to the image."""
    start = axis.start + axis.stride * position
    return max(0, int(start)), min(size - 1, int(start + axis.size - 1))


def compare(net: nn.Module, images: Tensor, *modes: TorchFunctionMode) -> list[str]:
    """Compare both fields of one unit of every spatial layer, and return the names of the layers."""
    steps = [step for step in steps_with_gradients(net, images, *modes) if step.output.ndim == 4]
    for step in steps:
        assert step.field is not None
        assert all(axis.is_exact for axis in step.field), step.name
        position = step.output.shape[2] // 2, step.output.shape[3] // 3
        expected = [computed_field(a, p, n) for a, p, n in zip(step.field, position, images.shape[2:], strict=True)]
        assert measured_field(step, images, position) == expected, step.name
    return [step.name for step in steps]


def ones(channels: int, side: int) -> Tensor:
    return torch.ones(1, channels, side, side, dtype=torch.float64, requires_grad=True)


FAST = ("convnet", "lenet", "alexnet", "vgg11", "googlenet", "resnet18", "resnet20", "airbench", "mobilenet")
"""One network of each kind; slow tests compare the others."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in FAST))
        for name in CLASSIFICATION_MODELS
        if name != "mlp"
    ],
)
def test_fields_of_all_spatial_layers_are_those_of_gradients(name: str) -> None:
    entry = CLASSIFICATION_MODELS[name]
    with torch.device("meta"):
        net = create_model(name)
        steps = trace(net, torch.empty(1, entry.in_channels, entry.image_size, entry.image_size))
    names = compare(net, ones(1, entry.image_size), SingleChannel())
    assert names == [step.name for step in steps if step.output.ndim == 4]


@pytest.mark.parametrize("name", ["lenet", "convnet", "resnet20", "airbench"])
def test_fields_of_small_networks_with_all_channels_are_those_of_gradients(name: str) -> None:
    """Compare as above, without the reduction to one channel."""
    net = create_model(name).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.full_like(parameter, 1 / parameter[0].numel()))
    assert len(compare(net, ones(CLASSIFICATION_MODELS[name].in_channels, 32), AverageInsteadOfMax())) > 5


def test_fields_worked_out_by_hand() -> None:
    """Two 3x3 windows with stride 2 cover 3, then 7 pixels; an adaptive mean of 7 to 5 pixels is not exact."""
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
    assert fields[0].center == 0 and fields[1].center == 2
    assert fields[2] == Axis(-1, 7 + 2 * 4, 4 * 7 / 5, is_exact=False)  # the largest window has three pixels
    assert fields[3].stride == 0


def test_fields_of_unequal_windows_slices_and_branches() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            tall = F.avg_pool2d(x, (5, 1), stride=1, padding=(2, 0))
            wide = F.pad(F.conv2d(x, torch.ones(1, 1, 1, 4), dilation=2), (3, 3))
            return torch.cat([tall, wide], 1)[:, :, 1::2, 3:]

    step = trace(Net(), torch.zeros(1, 1, 20, 20))[-1]
    assert step.name == "Net" and step.field == (Axis(-2 + 1, 5, 2), Axis(-3 + 3, 7, 1))
    images = ones(1, 20).float().detach().requires_grad_()
    compare(Net(), images)


def test_unknown_operations_have_the_whole_image_as_their_field() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(F.avg_pool2d(x, 2), scale_factor=2)

    step = trace(Net(), torch.zeros(1, 1, 8, 8))[-1]
    assert step.field == (Axis(0, 8, 0, is_exact=False),) * 2
