"""TorchScript, tracing and torch.fx on every network, and the list of those that they do not work on."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.fx
from torch import Tensor, nn

from firstsight import create_model
from firstsight.models.gan import create_gan
from firstsight.models.pose import create_bottom_up, create_top_down
from firstsight.models.registry import MODELS
from firstsight.pose.skeleton import COCO_17, OPENPOSE_18

Case = tuple[nn.Module, tuple[Tensor, ...]]
HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "export.md"


def gan(name: str, index: int, **options: Any) -> Case:
    if name == "infogan":
        options = {"latent_dim": 74, "categories": (10,), "continuous": 2} | options
    nets: tuple[nn.Module, nn.Module] = create_gan(name, **options)
    latent = options.get("latent_dim", 100)
    if options.get("num_classes"):
        return nets[index], (torch.randn(2, 1, 28, 28), torch.zeros(2, dtype=torch.int64))
    return nets[index], (torch.randn(2, latent) if index == 0 else torch.randn(2, 1, 28, 28),)


def classifier(name: str) -> Case:
    info = MODELS[name]
    side = info.image_size if info.is_fixed_size or info.needs_image_size else max(info.min_size, 64)
    return create_model(name), (torch.randn(2, info.in_channels, side, side),)


def pose(name: str) -> Case:
    images = torch.randn(2, 3, 64, 128)
    if MODELS[name].kind == "bottom-up":
        return create_bottom_up(name, skeleton=OPENPOSE_18), (images,)
    return create_top_down(name, skeleton=COCO_17, size=(64, 128)), (images,)


CASES: dict[str, Callable[[], Case]] = {}
for name, info in MODELS.items():
    if info.kind == "classification":
        CASES[name] = lambda name=name: classifier(name)
    elif info.kind == "gan":
        CASES[f"{name} G"] = lambda name=name: gan(name, 0)
        CASES[f"{name} D"] = lambda name=name: gan(name, 1)
    else:
        CASES[name] = lambda name=name: pose(name)
OPTIONS: dict[str, Callable[[], Case]] = {
    "googlenet, paper": lambda: (create_model("googlenet", variant="paper"), (torch.randn(2, 3, 64, 64),)),
    "alexnet, paper": lambda: (create_model("alexnet", variant="paper"), (torch.randn(2, 3, 64, 64),)),
    "dcgan D, conditional": lambda: gan("dcgan", 1, num_classes=10),
    "dcgan D, spectral norm": lambda: gan("dcgan", 1, spectral_norm=True),
    "gan D, spectral norm": lambda: gan("gan", 1, spectral_norm=True),
    "infogan D, no categories": lambda: gan("infogan", 1, latent_dim=64, categories=()),
}
UNSUPPORTED = {
    ("dcgan D, spectral norm", "script"),
    ("gan D, spectral norm", "script"),
    ("infogan D, no categories", "trace"),
}
"""Networks and options that are listed in docs/howto/export.md."""
FAST = ("lenet", "mlp", "gan G", "gan D", "dcgan D", "openpose-tiny")
SMALL = (*FAST, "convnet", "resnet20", "dcgan G", "infogan G", "infogan D", "pose-tiny", "pose-small")
"""Networks whose values are compared too."""


def convert(way: str, net: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    if way == "script":
        return torch.jit.script(net)
    return torch.jit.trace(net, inputs, check_trace=False) if way == "trace" else torch.fx.symbolic_trace(net)


def flat(output: Any) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else [tensor for part in output for tensor in flat(part)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ["script", "trace", "fx"])
@pytest.mark.parametrize(
    "case", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in (*CASES, *OPTIONS)]
)
def test_every_network_can_be_converted(case: str, way: str) -> None:
    """Large networks have no values: only the shapes of the outputs are compared."""
    is_small = case in SMALL
    with torch.device("cpu" if is_small else "meta"):
        torch.manual_seed(0)
        net, inputs = {**CASES, **OPTIONS}[case]()
    if way == "trace" and not is_small:  # a trace needs values; they are those that the memory has
        net.to_empty(device="cpu")
        inputs = tuple(torch.zeros(values.shape, dtype=values.dtype) for values in inputs)
    net.eval()
    if (case, way) in UNSUPPORTED:
        with pytest.raises(Exception):  # noqa: B017 - PyTorch raises many types
            convert(way, net, inputs)
        return
    with torch.no_grad():
        expected, outputs = flat(net(*inputs)), flat(convert(way, net, inputs)(*inputs))
    assert len(outputs) == len(expected) > 0
    for a, b in zip(expected, outputs, strict=True):
        assert a.shape == b.shape and (not is_small or torch.allclose(a, b, rtol=1e-4, atol=1e-5))


def test_the_unsupported_networks_are_those_of_the_howto() -> None:
    section = HOWTO.read_text().split("## TorchScript and torch.fx")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (?!Network|---)(.+?) \| (.+?) \|", section, re.MULTILINE)
    assert [(name.split("`")[0].strip(), re.findall(r"torch\.\w+\.(\w+)", ways)) for name, ways in rows] == [
        ("discriminators with", ["script"]),
        ("InfoGAN's discriminator without categorical codes", ["trace"]),
    ]
    assert len(UNSUPPORTED) == 3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("lenet", (1, 1, 28, 30), "lenet needs images of 32x32 pixels; got 28x30"),
        ("mlp", (1, 3, 32, 32), "this mlp was built for images of 1x32x32; got 3x32x32"),
    ],
)
def test_networks_refuse_other_sizes_also_when_they_are_scripted(
    name: str, shape: tuple[int, ...], message: str
) -> None:
    net = create_model(name)
    with pytest.raises(ValueError, match=message):
        net(torch.zeros(shape))
    with pytest.raises(Exception, match=message):
        torch.jit.script(net)(torch.zeros(shape))
    assert "raise" not in inspect.getsource(type(net).forward)
