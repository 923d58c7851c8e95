"""Every network of the table: counts, shapes, the sums written out, and what it refuses."""

import inspect
import math
import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from firstsight.errors import UsageError
from firstsight.nets import MODELS, create_model, list_models


@pytest.mark.parametrize("name", MODELS)
def test_the_table_tells_the_truth(name: str) -> None:
    entry, net = MODELS[name], create_model(name)
    assert sum(p.numel() for p in net.parameters()) == entry.parameters
    assert f"{entry.parameters:,}" in (inspect.getdoc(sys.modules[type(net).__module__]) or "")
    assert net(torch.randn(2, 1, entry.image_size, entry.image_size)).shape == (2, 10)


def test_lenet_counts_of_the_paper() -> None:
    """61,706 parameters and 416,520 multiply-accumulates, counted layer by layer by hand."""
    layers = {
        "conv1": (6, 1 * 25, 28 * 28),
        "conv2": (16, 6 * 25, 10 * 10),
        "fc1": (120, 400, 1),
        "fc2": (84, 120, 1),
        "fc3": (10, 84, 1),
    }
    assert sum(out * (fan_in + 1) for out, fan_in, _ in layers.values()) == 61_706 == MODELS["lenet"].parameters
    assert sum(out * fan_in * places for out, fan_in, places in layers.values()) == 416_520


def test_lenet_is_the_textbook_sequence() -> None:
    """Pooling before ReLU gives what ReLU before pooling gives: outputs and gradients."""
    net = create_model("lenet").double()
    textbook = nn.Sequential(
        net.conv1, nn.ReLU(), nn.MaxPool2d(2), net.conv2, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        net.fc1, nn.ReLU(), net.fc2, nn.ReLU(), net.fc3,
    )  # fmt: skip
    images, labels = torch.randn(8, 1, 32, 32, dtype=torch.float64), torch.arange(8)
    outputs, gradients = [], []
    for module in (net, textbook):
        module.zero_grad()
        logits = module(images)
        F.cross_entropy(logits, labels).backward()
        outputs.append(logits.detach())
        gradients.append([p.grad.clone() for p in net.parameters()])
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_two_layer_is_two_matrix_products() -> None:
    net = create_model("two_layer", num_classes=3, image_size=4).double()
    images = torch.randn(5, 1, 4, 4, dtype=torch.float64)
    w1, b1, w2, b2 = (p.detach().numpy() for p in net.parameters())
    expected = np.maximum(images.numpy().reshape(5, -1) @ w1.T + b1, 0) @ w2.T + b2
    np.testing.assert_allclose(net(images).detach().numpy(), expected, rtol=1e-12)


def test_convnet_is_its_formula() -> None:
    net = create_model("convnet").double().eval()
    x = torch.randn(2, 1, 28, 28, dtype=torch.float64)
    logits = net(x)
    for stage in (net.stage1, net.stage2, net.stage3, net.stage4, net.stage5):
        x = F.conv2d(x, stage.conv.weight, padding=1)
        norm = stage.norm
        x = (x - norm.running_mean.view(-1, 1, 1)) / (norm.running_var.view(-1, 1, 1) + norm.eps).sqrt()
        x = F.relu(x * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1))
        x = F.max_pool2d(x, 2, ceil_mode=True)
    torch.testing.assert_close(logits, net.classifier(x.mean((2, 3))), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 5, 28, 33, 100])
def test_convnet_takes_any_size(size: int) -> None:
    assert create_model("convnet", in_channels=3, num_classes=4).eval()(torch.randn(1, 3, size, size + 1)).shape == (
        1,
        4,
    )


def test_convnet_has_at_most_a_hundred_thousand_parameters() -> None:
    assert MODELS["convnet"].parameters <= 100_000


@pytest.mark.parametrize("name", MODELS)
def test_a_network_learns_sixteen_images_by_heart(name: str) -> None:
    torch.manual_seed(0)
    net = create_model(name)
    images, labels = torch.randn(16, 1, 32, 32), torch.arange(16) % 10
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(120):
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def comments(source: str) -> dict[int, str]:
    """Line number within ``source`` to the shape in its closing comment."""
    found = {}
    for number, line in enumerate(source.splitlines(), 1):
        match = re.search(r"#\s*\((N,[^)]*\)?[^)]*)\)\s*$", line)
        if match:
            found[number] = match.group(1)
    return found


def value(term: str, names: dict[str, int]) -> int:
    """A term of a shape comment: a number, a name, or products and (ceiling) quotients of them."""
    result = 1
    for i, factor in enumerate(re.split(r"([*/])", term.strip())):
        if factor in "*/":
            operator = factor
            continue
        number = int(factor) if factor.isdigit() else names[factor]
        result = number if i == 0 else (result * number if operator == "*" else math.ceil(result / number))
    return result


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [32, 64, 96])
def test_shape_comments(name: str, size: int) -> None:
    """Run the network line by line and hold every comment against the tensor it stands at."""
    entry = MODELS[name]
    if entry.fixed_size and size != entry.image_size:
        size = entry.image_size
    net = create_model(name, num_classes=7, in_channels=3, image_size=size)
    code = type(net).forward.__code__
    lines, first = inspect.getsourcelines(type(net).forward)
    wanted = {first + number - 1: text for number, text in comments("".join(lines)).items()}
    names = {"N": 2, "C": 3, "H": size, "W": size, "num_classes": 7, "hidden": 100}
    checked: set[int] = set()
    state = {"line": first}

    def watch(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code is not code:
            return None
        if event in ("line", "return"):
            tensor = argument if event == "return" else frame.f_locals.get("x")
            if state["line"] in wanted and tensor is not None:
                expected = tuple(value(term, names) for term in wanted[state["line"]].split(","))
                assert tuple(tensor.shape) == expected, f"{Path(code.co_filename).name}:{state['line']}"
                checked.add(state["line"])
            state["line"] = frame.f_lineno
        return watch

    previous = sys.gettrace()
    sys.settrace(watch)
    try:
        net(torch.randn(2, 3, size, size))
    finally:
        sys.settrace(previous)
    assert checked == set(wanted)
    assert len(wanted) >= 2


def test_unknown_names_and_impossible_sizes() -> None:
    with pytest.raises(UsageError, match="unknown model 'lenett': did you mean lenet"):
        create_model("lenett")
    with pytest.raises(UsageError, match="lenet needs images of 32x32 pixels; got 28"):
        create_model("lenet", image_size=28)
    with pytest.raises(UsageError, match="at least 2 classes; got 1"):
        create_model("lenet", num_classes=1)
    with pytest.raises(ValueError, match="lenet needs images of 32x32 pixels; got 28x30"):
        create_model("lenet")(torch.zeros(1, 1, 28, 30))
    with pytest.raises(ValueError, match="built for images of 1x32x32; got 1x28x28"):
        create_model("two_layer")(torch.zeros(1, 1, 28, 28))


def test_list_models() -> None:
    assert list_models() == sorted(MODELS)
    assert list_models("net") == ["convnet", "lenet"]
    assert list_models("zzz") == []


@pytest.mark.parametrize("name", MODELS)
def test_a_network_file_is_read_in_one_sitting(name: str) -> None:
    file = Path(inspect.getfile(sys.modules[type(create_model(name)).__module__]))
    source = file.read_text()
    assert len(source.splitlines()) <= 150
    imports = re.findall(r"^(?:from|import) (\S+)", source, flags=re.MULTILINE)
    assert all(module.split(".")[0] in ("torch", "math") for module in imports)  # nothing else open to read it
