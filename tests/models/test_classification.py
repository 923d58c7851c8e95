"""Networks: parameter counts, shapes, formulas, training, and the inputs that they refuse."""

import inspect
import math
import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from firstsight.errors import UsageError
from firstsight.models.classification import airbench, convnet, create_model, mobilenet, resnet, resnet_cifar
from firstsight.models.classification import alexnet as alexnet_module
from firstsight.models.classification.googlenet import AuxiliaryClassifier, googlenet
from firstsight.models.gan import dcgan, gan, infogan
from firstsight.models.pose import hourglass as hourglass_module
from firstsight.models.pose import openpose_tiny as openpose_tiny_module
from firstsight.models.pose import pose_tiny as pose_tiny_module
from firstsight.models.pose import simple_baseline
from firstsight.models.pose.hourglass import hourglass
from firstsight.models.pose.openpose_mobilenet import openpose_mobilenet
from firstsight.models.pose.openpose_tiny import openpose_tiny
from firstsight.models.pose.openpose_vgg import openpose_vgg19
from firstsight.models.pose.pose_tiny import pose_tiny
from firstsight.models.pose.simple_baseline import simple_baseline_resnet18, simple_baseline_resnet50
from firstsight.models.registry import CLASSIFICATION_MODELS, MODELS, _classifier, list_models
from helpers.state_dicts import make_state

MACS = {  # multiply-accumulates at the published size, as in the papers and in torchvision
    "alexnet": 714_188_480,
    "vgg11": 7_609_090_048,
    "vgg16": 15_470_264_320,
    "vgg19": 19_632_062_464,
    "googlenet": 1_498_376_192,
    "resnet18": 1_814_073_344,
    "resnet34": 3_663_761_408,
    "resnet50": 4_089_184_256,
    "resnet101": 7_801_405_440,
    "resnet152": 11_513_626_624,
    "resnet20": 40_551_040,
    "mobilenet": 568_740_352,
    "lenet": 416_520,
    "vgg11_cifar": 152_769_536,  # 9 * sum of channels in * channels out * pixels, and 5,120 of the linear layer
    "vgg16_cifar": 313_201_664,
    "plain20": 40_551_040,
    "mobilenet_cifar": 46_354_432,
}


def on_meta(name: str, **options: Any) -> nn.Module:
    """Return a network on the meta device, which computes shapes only."""
    with torch.device("meta"):
        return create_model(name, **options).eval()


def count_parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def multiply_accumulates(net: nn.Module, *shape: int) -> int:
    """Return the multiply-accumulates of convolutions and linear layers for one image, without biases."""
    total = [0]

    def count(module: nn.Module, _: Any, out: torch.Tensor) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear):
            total[0] += out[0].numel() * module.weight[0].numel()

    for module in net.modules():
        module.register_forward_hook(count)
    net(torch.empty(1, *shape, device="meta"))
    return total[0]


@pytest.mark.parametrize("name", CLASSIFICATION_MODELS)
def test_parameters_shapes_and_macs_are_those_of_the_table(name: str) -> None:
    entry, net = CLASSIFICATION_MODELS[name], on_meta(name)
    assert count_parameters(net) == entry.parameters
    shape = entry.in_channels, entry.image_size, entry.image_size
    assert net(torch.empty(2, *shape, device="meta")).shape == (2, entry.num_classes)
    if "_bn" not in name:
        assert f"{entry.parameters:,}" in (inspect.getdoc(sys.modules[type(net).__module__]) or "")
    if name in MACS:
        assert multiply_accumulates(net, *shape) == MACS[name]


@pytest.mark.parametrize("name", CLASSIFICATION_MODELS)
def test_a_builder_without_arguments_builds_the_network_of_the_table(name: str) -> None:
    entry = CLASSIFICATION_MODELS[name]
    build = getattr(import_module(f"firstsight.models.classification.{entry.module}"), name)
    with torch.device("meta"):
        net = build()
    assert count_parameters(net) == entry.parameters


def test_variants_have_the_parameters_of_the_papers() -> None:
    assert count_parameters(on_meta("alexnet", variant="paper")) == 60_965_224
    with torch.device("meta"):
        assert count_parameters(googlenet(auxiliary=False)) == 6_624_904
        assert count_parameters(googlenet(auxiliary=False, variant="paper")) == 7_005_832
        paper, port = googlenet(variant="paper"), googlenet()
    assert count_parameters(paper) == 13_385_816
    assert multiply_accumulates(paper.eval(), 3, 224, 224) == 1_582_671_872
    assert paper.inception3a.branch3[1].conv.kernel_size == (5, 5)
    assert port.inception3a.branch3[1].conv.kernel_size == (3, 3)
    with pytest.raises(UsageError, match=r"googlenet has no variant 'v2' \(torchvision or paper\)"):
        create_model("googlenet", variant="v2")
    with pytest.raises(UsageError, match="resnet18 has no variant 'paper'"):
        create_model("resnet18", variant="paper")


def test_variants_of_small_networks_are_those_of_the_experiments() -> None:
    relu, tanh, plain = (on_meta("alexnet_cifar", variant=variant) for variant in ("relu", "tanh", "no-dropout"))
    assert isinstance(relu.activation, nn.ReLU)
    assert isinstance(tanh.activation, nn.Tanh)
    assert [net.dropout.p for net in (relu, tanh, plain)] == [0.5, 0.5, 0.0]
    with_heads, without_heads = on_meta("googlenet_cifar"), on_meta("googlenet_cifar", variant="no-auxiliary")
    assert count_parameters(without_heads) == 5_983_402
    x = torch.empty(2, 3, 32, 32, device="meta")
    assert [tuple(logits.shape) for logits in with_heads.train()(x)] == [(2, 10)] * 3
    assert without_heads.train()(x).shape == (2, 10)


def test_alexnet_has_its_parameters_in_linear_layers_and_its_macs_in_convolutions() -> None:
    net = on_meta("alexnet")
    linear = sum(count_parameters(m) for m in net.modules() if isinstance(m, nn.Linear))
    linear_macs = sum(m.weight.numel() for m in net.modules() if isinstance(m, nn.Linear))
    assert round(linear / CLASSIFICATION_MODELS["alexnet"].parameters, 2) == 0.96
    assert round(1 - linear_macs / MACS["alexnet"], 2) == 0.92


def test_googlenet_returns_three_logits_in_training_and_one_in_evaluation() -> None:
    net = create_model("googlenet", num_classes=5, image_size=64)
    outputs = net(torch.randn(2, 3, 64, 64))
    assert [tuple(o.shape) for o in outputs] == [(2, 5)] * 3
    assert net.eval()(torch.randn(2, 3, 64, 64)).shape == (2, 5)


TABLE_1 = {
    "conv1": (64, 112, 112), "conv2": (64, 56, 56), "conv3": (192, 56, 56),
    "inception3a": (256, 28, 28), "inception3b": (480, 28, 28),
    "inception4a": (512, 14, 14), "inception4b": (512, 14, 14), "inception4c": (512, 14, 14),
    "inception4d": (528, 14, 14), "inception4e": (832, 14, 14),
    "inception5a": (832, 7, 7), "inception5b": (1024, 7, 7),
}  # fmt: skip
"""Outputs of GoogLeNet's layers for images of 224 pixels (Table 1 of the paper)."""


@pytest.mark.parametrize("variant", ["paper", "torchvision"])
def test_googlenet_has_the_maps_of_table_1(variant: str) -> None:
    net = on_meta("googlenet", variant=variant)
    shapes = {}
    for name in TABLE_1:
        net.get_submodule(name).register_forward_hook(
            lambda module, args, out, name=name: shapes.update({name: tuple(out.shape[1:])})
        )
    net(torch.empty(1, 3, 224, 224, device="meta"))
    assert shapes == TABLE_1


@pytest.mark.parametrize(
    ("variant", "kernel", "rates"), [("paper", 3, [0.7, 0.7, 0.4]), ("torchvision", 2, [0.7, 0.7, 0.2])]
)
def test_googlenet_pools_and_drops_out_as_its_variant(
    variant: str, kernel: int, rates: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Max pooling after 4e, and the dropout of both auxiliary classifiers and of the last layer."""
    torch.manual_seed(0)
    net, maps, used = create_model("googlenet", num_classes=3, variant=variant), {}, []
    net.inception4e.register_forward_hook(lambda module, args, out: maps.update(before=out))
    net.inception5a.register_forward_pre_hook(lambda module, args: maps.update(after=args[0]))

    def dropout(x: torch.Tensor, p: float, training: bool) -> torch.Tensor:
        used.append(p)
        assert training
        return x

    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(F, "dropout", dropout)
        outputs = net(torch.randn(2, 3, 224, 224))
    assert [tuple(logits.shape) for logits in outputs] == [(2, 3)] * 3
    assert used == rates
    padded = F.pad(maps["before"], (0, kernel - 2, 0, kernel - 2), value=-math.inf)
    windows = padded.unfold(2, kernel, 2).unfold(3, kernel, 2)
    assert torch.equal(maps["after"], windows.amax((4, 5)))


def test_auxiliary_classifier_of_the_paper_averages_windows_of_5x5() -> None:
    """Section 5: 5x5 average pooling with stride 3, to 4x4 cells, then a 1x1 convolution and two linear layers."""
    torch.manual_seed(0)
    net, x = AuxiliaryClassifier(512, 3, variant="paper").eval().double(), torch.randn(2, 512, 14, 14).double()
    windows = [x[:, :, i : i + 5, j : j + 5] for i in (0, 3, 6, 9) for j in (0, 3, 6, 9)]
    means = torch.stack([window.mean((2, 3)) for window in windows], 2).unflatten(2, (4, 4))
    cells = torch.einsum("oc,ncij->noij", net.conv.conv.weight[:, :, 0, 0], means) / (1 + net.conv.bn.eps) ** 0.5
    hidden = (cells.relu().flatten(1) @ net.fc1.weight.T + net.fc1.bias).relu()
    torch.testing.assert_close(net(x), hidden @ net.fc2.weight.T + net.fc2.bias, rtol=1e-9, atol=1e-12)


def test_googlenet_of_the_paper_trains_on_images_of_other_sizes() -> None:
    with torch.device("meta"):
        net = googlenet(variant="paper")
        for height, width in ((224, 224), (222, 224), (224, 271), (128, 96), (32, 32)):
            assert [logits.shape for logits in net(torch.empty(2, 3, height, width))] == [(2, 1000)] * 3


def test_option_a_shortcut_subsamples_and_pads_channels_with_zeros() -> None:
    from firstsight.models.classification.resnet_cifar import Block

    x = torch.randn(2, 16, 8, 8)
    shortcut = Block(16, 32, stride=2).shortcut(x)
    assert torch.equal(shortcut[:, :16], x[:, :, ::2, ::2])
    assert (shortcut[:, 16:] == 0).all()


@pytest.mark.parametrize(
    ("name", "stds"),
    [
        ("resnet18", {"layer3.0.conv1": (2 / (256 * 9)) ** 0.5}),  # Kaiming's by outputs (He 2015)
        ("resnet20", {"stage3.0.conv1": (2 / (64 * 9)) ** 0.5}),
        # a value that a depthwise filter reads has 9 outputs, all in its channel
        ("mobilenet", {"blocks.12.depthwise.0": (2 / 9) ** 0.5, "blocks.5.pointwise.0": (2 / 512) ** 0.5}),
        ("vgg11", {"features.6": (2 / (256 * 9)) ** 0.5, "classifier.0": 0.01, "classifier.6": 0.01}),
        ("googlenet", {"inception4a.branch2.1.conv": 0.01, "fc": 0.01}),
    ],
)
def test_initial_weights_have_the_published_standard_deviations(name: str, stds: dict[str, float]) -> None:
    torch.manual_seed(0)
    net = create_model(name)
    for layer, std in stds.items():
        assert float(net.get_submodule(layer).weight.detach().std()) == pytest.approx(std, rel=0.01), layer


def test_alexnet_of_the_paper_has_its_layers() -> None:
    """Sections 3.3 to 3.5 of the paper; torch divides alpha by the number of channels that are summed."""
    features = on_meta("alexnet", variant="paper").features
    norms = [m for m in features if isinstance(m, nn.LocalResponseNorm)]
    assert [(m.k, m.size, m.alpha / m.size, m.beta) for m in norms] == [(2, 5, 1e-4, 0.75)] * 2
    assert [(m.kernel_size, m.stride) for m in features if isinstance(m, nn.MaxPool2d)] == [(3, 2)] * 3
    x = torch.empty(1, 3, 224, 224, device="meta")
    shapes = [tuple((x := layer(x)).shape[1:]) for layer in features]
    order = [0, 2, 3, 4, 6, 7, 8, 10, 12, 14]  # convolutions, norms and pooling, without the ReLUs
    assert [shapes[i] for i in order] == [
        (96, 55, 55),
        (96, 55, 55),
        (96, 27, 27),
        (256, 27, 27),
        (256, 27, 27),
        (256, 13, 13),
        (384, 13, 13),
        (384, 13, 13),
        (256, 13, 13),
        (256, 6, 6),
    ]
    assert [m.groups for m in features if isinstance(m, nn.Conv2d)] == [1, 2, 1, 2, 2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_alexnet_of_the_paper_computes_in_half_precision(dtype: torch.dtype) -> None:
    """PyTorch has no local response normalization in half precision on CPUs; squares above 65,504 are none of float16.

    The norm is that of float32, rounded once. Through five convolutions, the error stays within two units of rounding.
    """
    torch.manual_seed(0)
    norm = alexnet_module.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    x = (300 * torch.randn(2, 96, 7, 7)).to(dtype).requires_grad_()
    out = norm(x)
    assert torch.equal(out, F.local_response_norm(x.float(), 5, alpha=5e-4, beta=0.75, k=2.0).to(dtype))
    assert torch.autograd.grad(out.float().sum(), x)[0].isfinite().all()

    net, images = create_model("alexnet", variant="paper", num_classes=5), torch.randn(2, 3, 80, 80)
    narrow_hidden_layers(net.classifier)
    tolerance = 2 * torch.finfo(dtype).eps
    with torch.no_grad():
        for module in net.features:  # Kaiming's weights: with those of the paper, the features hardly depend on images
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        expected = net.eval().features(images)
        with torch.autocast("cpu", dtype):
            mixed, logits = net.features(images), net(images)
        half = net.to(dtype).features(images.to(dtype))
        assert net(images.to(dtype)).dtype == logits.dtype == half.dtype == dtype
    for values in (mixed, half):
        assert float((values - expected).norm() / expected.norm()) < tolerance


def test_alexnet_of_the_paper_begins_with_its_standard_deviation_and_biases() -> None:
    torch.manual_seed(0)
    layers = [m for m in create_model("alexnet", variant="paper").modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [float(layer.weight.detach().std()) for layer in layers] == pytest.approx([0.01] * 8, rel=0.02)
    assert [float(layer.bias.detach().mean()) for layer in layers] == [0, 1, 0, 1, 1, 1, 1, 0]


def test_convolutions_of_airbench_begin_as_the_identity() -> None:
    conv = create_model("airbench").stage1.conv1
    x = torch.randn(2, 24, 5, 5)
    torch.testing.assert_close(conv(x)[:, :24], x)


def test_lenet_has_the_counts_of_the_paper() -> None:
    """61,706 parameters and 416,520 multiply-accumulates, counted layer by layer by hand."""
    layers = {  # outputs, inputs of each, positions
        "conv1": (6, 1 * 25, 28 * 28),
        "conv2": (16, 6 * 25, 10 * 10),
        "fc1": (120, 400, 1),
        "fc2": (84, 120, 1),
        "fc3": (10, 84, 1),
    }
    assert (
        sum(out * (fan_in + 1) for out, fan_in, _ in layers.values())
        == 61_706
        == CLASSIFICATION_MODELS["lenet"].parameters
    )
    assert sum(out * fan_in * positions for out, fan_in, positions in layers.values()) == 416_520


def test_lenet_differs_from_the_60000_parameters_of_the_paper_as_stated() -> None:
    """Table I of the paper: three neighbors, four neighbors, four others, or all of six maps, for 16 maps."""
    neighbors = [[(first + i) % 6 for i in range(count)] for count in (3, 4) for first in range(6)]
    table = [*neighbors, [0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5], list(range(6))]
    pairs = sum(map(len, table))
    net = create_model("lenet")
    assert (len(table), pairs, net.conv2.weight[:, :, 0, 0].numel()) == (16, 60, 96)
    trained_subsampling = 2 * 6 + 2 * 16
    sparse = count_parameters(net) - (96 - pairs) * 25
    assert sparse - count_parameters(net.fc3) + trained_subsampling == 60_000
    assert net.fc3.in_features == 7 * 12


def test_lenet_begins_with_the_uniform_weights_of_pytorch() -> None:
    torch.manual_seed(0)
    net = create_model("lenet")
    for layer in (net.conv1, net.conv2, net.fc1, net.fc2, net.fc3):
        n = layer.weight[0].numel()
        assert float(layer.weight.detach().abs().max()) == pytest.approx(n**-0.5, rel=0.02)


def test_lenet_has_c5_as_a_linear_layer() -> None:
    net, x = create_model("lenet").double(), torch.randn(2, 16, 5, 5, dtype=torch.float64)
    c5 = F.conv2d(x, net.fc1.weight.unflatten(1, (16, 5, 5)), net.fc1.bias)
    torch.testing.assert_close(net.fc1(x.flatten(1)), c5[:, :, 0, 0], rtol=1e-12, atol=1e-12)


def test_lenet_computes_the_textbook_sequence() -> None:
    """Pooling before ReLU has the outputs and gradients of ReLU before pooling."""
    net = create_model("lenet").double()
    textbook = nn.Sequential(
        net.conv1,
        nn.ReLU(),
        nn.MaxPool2d(2),
        net.conv2,
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        net.fc1,
        nn.ReLU(),
        net.fc2,
        nn.ReLU(),
        net.fc3,
    )
    images, labels = torch.randn(8, 1, 32, 32, dtype=torch.float64), torch.arange(8)
    outputs, gradients = [], []
    for module in (net, textbook):
        module.zero_grad()
        logits = module(images)
        F.cross_entropy(logits, labels).backward()
        outputs.append(logits.detach())
        gradients.append([p.grad.clone() for p in net.parameters()])
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-10, atol=1e-12)


def test_mlp_computes_two_matrix_products() -> None:
    net = create_model("mlp", num_classes=3, image_size=4).double()
    images = torch.randn(5, 1, 4, 4, dtype=torch.float64)
    w1, b1, w2, b2 = (p.detach().numpy() for p in net.parameters())
    expected = np.maximum(images.numpy().reshape(5, -1) @ w1.T + b1, 0) @ w2.T + b2
    np.testing.assert_allclose(net(images).detach().numpy(), expected, rtol=1e-12)


def test_convnet_computes_its_formula() -> None:
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


def network_with_state(name: str) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Return a network in eval mode and double precision, and its tensors, with batch norms that are not trivial."""
    state = {key: value.double() for key, value in make_state(name, num_classes=5).items()}
    net = create_model(name, num_classes=5).double().eval()
    net.load_state_dict(state)
    return net, state


def normalize(x: torch.Tensor, state: dict[str, torch.Tensor], name: str, *, eps: float = 1e-5) -> torch.Tensor:
    """Apply a batch norm of a state dict in evaluation."""
    mean, variance, weight, bias = (
        state[f"{name}.{key}"][:, None, None] for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + eps).sqrt() * weight + bias


def test_resnet20_computes_its_formula() -> None:
    net, state = network_with_state("resnet20")
    images = torch.randn(2, 3, 12, 10, dtype=torch.float64)
    x = normalize(F.conv2d(images, state["conv1.weight"], padding=1), state, "bn1").relu()
    for block in (f"stage{stage}.{number}" for stage in (1, 2, 3) for number in (0, 1, 2)):
        stride = 2 if block in ("stage2.0", "stage3.0") else 1
        y = F.conv2d(x, state[f"{block}.conv1.weight"], stride=stride, padding=1)
        y = F.conv2d(normalize(y, state, f"{block}.bn1").relu(), state[f"{block}.conv2.weight"], padding=1)
        y = normalize(y, state, f"{block}.bn2")
        y[:, : x.shape[1]] += x[:, :, ::stride, ::stride]  # option A of the paper
        x = y.relu()
    expected = x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]
    torch.testing.assert_close(net(images), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["plain20", "plain56"])
def test_a_plain_network_is_a_resnet_without_shortcuts(name: str) -> None:
    net, state = network_with_state(name)
    n = len(net.stage1)
    x = images = torch.randn(2, 3, 12, 10, dtype=torch.float64)
    layers = [("conv1", "bn1", 1)]
    for block in (f"stage{stage}.{number}" for stage in (1, 2, 3) for number in range(n)):
        stride = 2 if block in ("stage2.0", "stage3.0") else 1
        layers += [(f"{block}.conv1", f"{block}.bn1", stride), (f"{block}.conv2", f"{block}.bn2", 1)]
    for conv, norm, stride in layers:
        x = normalize(F.conv2d(x, state[f"{conv}.weight"], stride=stride, padding=1), state, norm).relu()
    assert len(layers) + 1 == int(name.removeprefix("plain"))
    expected = x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]
    torch.testing.assert_close(net(images), expected, rtol=1e-12, atol=1e-12)
    assert state.keys() == create_model(name.replace("plain", "resnet")).state_dict().keys()


@pytest.mark.parametrize("variant", ["relu", "tanh", "no-dropout"])
def test_alexnet_for_small_images_computes_its_formula(variant: str) -> None:
    net = create_model("alexnet_cifar", variant=variant).double().eval()
    act = torch.tanh if variant == "tanh" else torch.relu
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    x = F.max_pool2d(act(net.conv1(images)), 3, 2)
    x = F.max_pool2d(act(net.conv2(x)), 3, 2)
    x = F.max_pool2d(act(net.conv5(act(net.conv4(act(net.conv3(x)))))), 3, 2)
    expected = net.fc3(act(net.fc2(act(net.fc1(x.flatten(1))))))
    torch.testing.assert_close(net(images), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("depth", [11, 16])
def test_convolutions_of_vgg_for_small_images_are_those_of_vgg(depth: int) -> None:
    small, large = create_model(f"vgg{depth}_cifar").double().eval(), on_meta(f"vgg{depth}")
    large.features.load_state_dict(small.features.state_dict(), assign=True)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    expected = small.fc(large.features(images).flatten(1))
    torch.testing.assert_close(small(images), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("depth", [11, 16])
def test_vgg_with_batch_norm_for_small_images_computes_its_formula(depth: int) -> None:
    net, state = network_with_state(f"vgg{depth}_bn_cifar")
    x = images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    for index, layer in enumerate(net.features):
        if isinstance(layer, nn.Conv2d):
            x = F.conv2d(x, state[f"features.{index}.weight"], padding=1)
            x = normalize(x, state, f"features.{index + 1}").relu()
        elif isinstance(layer, nn.MaxPool2d):
            x = F.max_pool2d(x, 2)
    expected = x.flatten(1) @ state["fc.weight"].T + state["fc.bias"]
    torch.testing.assert_close(net(images), expected, rtol=1e-12, atol=1e-12)


def test_blocks_of_googlenet_for_small_images_are_those_of_googlenet() -> None:
    """Same weights and inputs; the batch norms have another epsilon."""
    from firstsight.models.classification import googlenet, googlenet_cifar

    assert {name: tuple(block) for name, block in googlenet_cifar.BLOCKS.items()} == {
        name: tuple(block) for name, block in googlenet.BLOCKS.items()
    }
    channels = googlenet.BLOCKS["4c"]
    large = googlenet.Inception(channels, large=5).double().eval()
    small = googlenet_cifar.Inception(googlenet_cifar.BLOCKS["4c"]).double().eval()
    tensors = dict(zip(small.state_dict(), large.state_dict().values(), strict=True))
    small.load_state_dict(tensors)
    for module in small.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.001
    x = torch.randn(2, 512, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(small(x), large(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["mobilenet", "mobilenet_cifar"])
def test_mobilenet_computes_its_formula(name: str) -> None:
    net, state = network_with_state(name)
    images = torch.randn(1, 3, 70, 64, dtype=torch.float64)
    stride = 2 if name == "mobilenet" else 1
    x = normalize(F.conv2d(images, state["stem.0.weight"], stride=stride, padding=1), state, "stem.1").relu()
    for number in range(13):
        block, stride = f"blocks.{number}", 2 if number in (1, 3, 5, 11) else 1
        weight = state[f"{block}.depthwise.0.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=1, groups=len(weight))
        x = normalize(x, state, f"{block}.depthwise.1").relu()
        x = normalize(F.conv2d(x, state[f"{block}.pointwise.0.weight"]), state, f"{block}.pointwise.1").relu()
    expected = x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]
    torch.testing.assert_close(net(images), expected, rtol=1e-12, atol=1e-12)


def test_airbench_computes_its_formula() -> None:
    net, state = network_with_state("airbench")
    images = torch.randn(2, 3, 19, 17, dtype=torch.float64)
    x = F.gelu(F.conv2d(images, state["whitening.weight"]))
    for stage in ("stage1", "stage2", "stage3"):
        x = F.max_pool2d(F.conv2d(x, state[f"{stage}.conv1.weight"], padding=1), 2)
        x = F.gelu(normalize(x, state, f"{stage}.norm1", eps=1e-12))
        y = F.conv2d(x, state[f"{stage}.conv2.weight"], padding=1)
        y = F.gelu(normalize(y, state, f"{stage}.norm2", eps=1e-12))
        y = F.conv2d(y, state[f"{stage}.conv3.weight"], padding=1)
        x = F.gelu(normalize(y, state, f"{stage}.norm3", eps=1e-12) + x)
    expected = x.amax((2, 3)) @ state["classifier.weight"].T / 9
    torch.testing.assert_close(net(images), expected, rtol=1e-12, atol=1e-12)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert [norm.momentum for norm in norms] == [0.4] * 9
    assert not any(norm.weight.requires_grad for norm in norms)


def test_the_published_airbench94_computes_its_formula() -> None:
    """Two convolutions per stage; the whitening has a bias of 0 and adds 0.0005 to the variances."""
    torch.manual_seed(0)
    net = create_model("airbench", variant="airbench94").double().eval()
    assert count_parameters(net) == 1_972_792
    assert not net.whitening.bias.detach().any()
    images = torch.randn(64, 3, 19, 17, dtype=torch.float64)
    net.whiten(images)
    assert net.whitening.bias.requires_grad and not net.whitening.weight.requires_grad
    outputs = F.conv2d(images, net.whitening.weight[:12]).transpose(0, 1).flatten(1)
    variances = (F.unfold(images, 2).transpose(1, 2).flatten(0, 1).T.cov(correction=0)).diagonal().mean()
    assert float(outputs.square().mean()) == pytest.approx(float(variances / (variances + 5e-4)), rel=1e-3)
    state = net.state_dict()
    x = F.gelu(net.whitening(images))
    for stage in ("stage1", "stage2", "stage3"):
        x = F.max_pool2d(F.conv2d(x, state[f"{stage}.conv1.weight"], padding=1), 2)
        x = F.gelu(normalize(x, state, f"{stage}.norm1", eps=1e-12))
        x = F.conv2d(x, state[f"{stage}.conv2.weight"], padding=1)
        x = F.gelu(normalize(x, state, f"{stage}.norm2", eps=1e-12))
    expected = x.amax((2, 3)) @ state["classifier.weight"].T / 9
    torch.testing.assert_close(net(images), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("eps", [0.0, 0.5])
def test_airbench_whitens_patches_of_images(eps: float) -> None:
    """Outputs are uncorrelated; their variances are v / (v + eps), the largest first, v that of the patches."""
    net, images = create_model("airbench").double(), torch.randn(8, 3, 9, 9, dtype=torch.float64)
    images[:, 1] += images[:, 0]  # correlated channels
    net.whiten(images, eps=eps)
    weight = net.whitening.weight
    assert not weight.requires_grad
    assert torch.equal(weight[12:], -weight[:12])
    outputs = F.conv2d(images, weight[:12]).transpose(0, 1).flatten(1)
    scale = weight[:12].square().sum((1, 2, 3))  # 1 / (v + eps)
    assert torch.equal(scale, scale.sort().values)
    expected = torch.diag((1 / scale - eps) * scale)
    torch.testing.assert_close(outputs @ outputs.T / outputs.shape[1], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 5, 28, 33, 100])
def test_convnet_takes_images_of_any_size(size: int) -> None:
    net = create_model("convnet", in_channels=3, num_classes=4).eval()
    assert net(torch.randn(1, 3, size, size + 1)).shape == (1, 4)


def test_convnet_has_at_most_a_hundred_thousand_parameters() -> None:
    assert CLASSIFICATION_MODELS["convnet"].parameters <= 100_000


FAST = (
    "mlp",
    "convnet",
    "lenet",
    "alexnet",
    "vgg11",
    "googlenet",
    "resnet18",
    "resnet50",
    "resnet20",
    "airbench",
    "mobilenet",
)
"""One network of each architecture; the others are trained in slow tests."""
LEARNING_RATES = {"alexnet": 5e-4, "vgg11": 3e-4, "vgg13": 1e-4, "vgg16": 1e-4, "vgg19": 1e-4}
LEARNING_RATES |= {"vgg11_bn": 3e-4, "vgg13_bn": 3e-4, "vgg16_bn": 3e-4, "vgg19_bn": 3e-4}
"""Learning rates of the networks that need less than 1e-3."""
HIDDEN = 128


def narrow_hidden_layers(classifier: nn.Sequential) -> None:
    """Replace the linear layers of 4096 features (AlexNet, VGG) by narrow ones, which train faster.

    Their initial weights are a part of the wide ones, scaled so that outputs keep their variance.
    """
    for index, wide in enumerate(classifier):
        if isinstance(wide, nn.Linear):
            inputs = HIDDEN if wide.in_features == 4096 else wide.in_features
            outputs = HIDDEN if wide.out_features == 4096 else wide.out_features
            narrow = nn.Linear(inputs, outputs)
            with torch.no_grad():
                narrow.weight.copy_(wide.weight[:outputs, :inputs] * (wide.in_features / inputs) ** 0.5)
                narrow.bias.copy_(wide.bias[:outputs])
            classifier[index] = narrow


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in FAST)) for name in CLASSIFICATION_MODELS]
)
def test_a_new_network_overfits_four_images(name: str) -> None:
    """Every network starts from its published initialization, also VGG without batch norm; dropout is off."""
    torch.manual_seed(0)
    size = max(32, CLASSIFICATION_MODELS[name].min_size)
    net = create_model(name, num_classes=4, in_channels=1, image_size=size)
    if name == "alexnet" or re.fullmatch(r"vgg\d+(_bn)?", name):
        narrow_hidden_layers(net.classifier)
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    images, labels = torch.randn(4, 1, size, size), torch.arange(4)
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATES.get(name, 1e-3), fused=True)
    for _ in range(100):
        outputs = net(images)
        losses = [F.cross_entropy(logits, labels) for logits in (outputs if isinstance(outputs, tuple) else (outputs,))]
        sum(losses).backward()
        optimizer.step()
        optimizer.zero_grad()
        if max(losses) < 0.05:
            break
    assert max(losses) < 0.05


def shape_comments(source: str) -> dict[int, tuple[str, str]]:
    """Return the variables (or "return") and the shapes in the comments at the ends of lines, by line number."""
    shapes = {}
    for number, line in enumerate(source.splitlines(), 1):
        match = re.search(r"^\s*(?:(\w+) = |return ).*#\s*\((N,[^)]*\)?[^)]*)\)\s*$", line)
        if match:
            shapes[number] = (match[1] or "return", match[2])
    return shapes


def evaluate_term(term: str, names: dict[str, Any]) -> int:
    """Evaluate a term of a shape comment: sums and differences of products and ceiling quotients."""
    total = 0
    for sign, product in re.findall(r"([+-]?)([^+-]+)", term.strip()):
        value = 1
        for operator, factor in re.findall(r"([*/]?)(\w+)", product):
            number = int(factor) if factor.isdigit() else names[factor]
            value = math.ceil(value / number) if operator == "/" else value * number
        total += -value if sign == "-" else value
    return total


@pytest.mark.parametrize(
    ("term", "value"), [("3", 3), ("H", 7), ("H/2", 4), ("H/2-1", 3), ("2*H*C/4", 7), ("H+2*C", 11), ("C-H/2+1", -1)]
)
def test_terms_of_shape_comments_are_evaluated(term: str, value: int) -> None:
    assert evaluate_term(term, {"H": 7, "C": 2}) == value


def check_shape_comments(net: nn.Module, *inputs: torch.Tensor, **names: int) -> None:
    """Run a network line by line and compare the comments of its forward with the shapes of the tensors there.

    Names in the comments are attributes of the network, or N, C, H and W of the first input, unless they are given.
    """
    code = type(net).forward.__code__
    lines, first = inspect.getsourcelines(type(net).forward)
    expected = {first + number - 1: comment for number, comment in shape_comments("".join(lines)).items()}
    names = dict(zip("NCHW", inputs[0].shape, strict=False)) | vars(net) | names
    checked: set[int] = set()
    state = {"line": first}

    def watch(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code is not code:
            return None
        if event in ("line", "return"):
            variable, comment = expected.get(state["line"], ("", ""))
            tensor = argument if variable == "return" else frame.f_locals.get(variable)
            if tensor is not None and (variable != "return" or event == "return"):
                sizes = tuple(evaluate_term(term, names) for term in comment.rstrip(",").split(","))
                assert tuple(tensor.shape) == sizes, f"{Path(code.co_filename).name}:{state['line']}"
                checked.add(state["line"])
            state["line"] = frame.f_lineno
        return watch

    previous = sys.gettrace()
    sys.settrace(watch)
    try:
        net(*inputs)
    finally:
        sys.settrace(previous)
    assert checked == set(expected)
    assert expected


@pytest.mark.source
@pytest.mark.parametrize("name", CLASSIFICATION_MODELS)
@pytest.mark.parametrize("size", [*(pytest.param(size, marks=pytest.mark.slow) for size in (32, 64)), 96])
def test_shape_comments_are_right(name: str, size: int) -> None:
    entry = CLASSIFICATION_MODELS[name]
    size = entry.image_size if entry.is_fixed_size else max(size, -(-entry.min_size // 32) * 32)
    net = on_meta(name, num_classes=7, in_channels=3, image_size=size)
    check_shape_comments(net, torch.empty(2, 3, size, size, device="meta"), num_classes=7, hidden=100)
    assert len(shape_comments(inspect.getsource(type(net).forward))) >= 2


@pytest.mark.source
def test_shape_comments_of_googlenet_of_the_paper_are_right() -> None:
    net = on_meta("googlenet", num_classes=7, variant="paper")
    check_shape_comments(net, torch.empty(2, 3, 224, 224, device="meta"), num_classes=7)
    with torch.device("meta"):
        auxiliary = AuxiliaryClassifier(6, 7, variant="paper").eval()
        check_shape_comments(auxiliary, torch.empty(2, 6, 14, 14), channels=6, num_classes=7)


@pytest.mark.source
@pytest.mark.parametrize("build", [openpose_mobilenet, openpose_vgg19, openpose_tiny])
@pytest.mark.parametrize(("height", "width"), [(32, 96), (41, 63)])
def test_shape_comments_of_bottom_up_networks_are_right(
    build: Callable[[], nn.Module], height: int, width: int
) -> None:
    with torch.device("meta"):
        check_shape_comments(build().eval(), torch.empty(2, 3, height, width))


@pytest.mark.source
@pytest.mark.parametrize("build", [hourglass, pose_tiny, simple_baseline_resnet18, simple_baseline_resnet50])
def test_shape_comments_of_top_down_networks_are_right(build: Callable[..., nn.Module]) -> None:
    with torch.device("meta"):
        check_shape_comments(build(joints=5).eval(), torch.empty(2, 3, 128, 64), joints=5)


@pytest.mark.source
@pytest.mark.parametrize("size", [28, 64])
def test_shape_comments_of_gans_are_right(size: int) -> None:
    with torch.device("meta"):
        z, images, labels = torch.empty(2, 9), torch.empty(2, 3, size, size), torch.zeros(2, dtype=torch.int64)
        sizes = {"size": size, "channels": 3, "width": 8}
        for module in (gan, dcgan, infogan):
            check_shape_comments(module.Generator(latent=9, **sizes).eval(), z, **sizes)
        check_shape_comments(gan.Discriminator(**sizes).eval(), images, **sizes)
        check_shape_comments(dcgan.Discriminator(classes=4, **sizes).eval(), images, labels, classes=4, **sizes)
        check_shape_comments(infogan.Discriminator(**sizes).eval(), images, **sizes)
        check_shape_comments(infogan.Discriminator(**sizes).trunk.eval(), images, **sizes)


@pytest.mark.source
@pytest.mark.parametrize(
    "block",
    [
        airbench.Stage,
        convnet.Stage,
        mobilenet.SeparableConv,
        resnet_cifar.Block,
        resnet.BasicBlock,
        resnet.Bottleneck,
        openpose_tiny_module.Block,
        pose_tiny_module.Block,
        simple_baseline.BasicBlock,
        simple_baseline.Bottleneck,
        hourglass_module.Residual,
    ],
    ids=lambda block: f"{block.__module__.rpartition('.')[2]}.{block.__name__}",
)
def test_shape_comments_of_blocks_are_right(block: type[nn.Module]) -> None:
    options = {"stride": 2} if "stride" in inspect.signature(block).parameters else {}
    with torch.device("meta"):
        net = block(6, 8, **options).eval()
        check_shape_comments(net, torch.empty(2, 6, 12, 10), channels_in=6, channels=8, width=8, **options)


def test_unknown_names_and_impossible_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown model 'lenett': did you mean lenet"):
        create_model("lenett")
    with pytest.raises(UsageError, match="lenet needs images of 32x32 pixels; got 28"):
        create_model("lenet", image_size=28)
    with pytest.raises(UsageError, match="`num_classes` must be at least 2; got 1"):
        create_model("lenet", num_classes=1)
    with pytest.raises(UsageError, match="alexnet needs images of at least 63x63 pixels; got 32x32"):
        create_model("alexnet", image_size=32)
    with pytest.raises(ValueError, match=r"alexnet needs images of at least 63x63 pixels; got 32x40 .resize them"):
        on_meta("alexnet")(torch.zeros(1, 3, 32, 40, device="meta"))
    with pytest.raises(ValueError, match="vgg needs images of at least 32x32 pixels; got 16x16"):
        on_meta("vgg11")(torch.zeros(1, 3, 16, 16, device="meta"))
    with pytest.raises(ValueError, match="lenet needs images of 32x32 pixels; got 28x30"):
        create_model("lenet")(torch.zeros(1, 1, 28, 30))
    with pytest.raises(ValueError, match="built for images of 1x32x32; got 1x28x28"):
        create_model("mlp")(torch.zeros(1, 1, 28, 28))


def test_only_lenet_has_a_fixed_size_and_only_mlp_is_built_for_one() -> None:
    assert {name for name, info in MODELS.items() if info.is_fixed_size} == {"lenet"}
    assert {name for name, info in MODELS.items() if info.needs_image_size} == {"mlp"}
    info = _classifier("new", "module", 10, "a network")
    assert not info.is_fixed_size and not info.needs_image_size
    assert (info.kind, info.min_size, info.in_channels, info.image_size, info.num_classes) == (
        "classification",
        1,
        1,
        32,
        10,
    )


@pytest.mark.parametrize("name", [name for name, info in CLASSIFICATION_MODELS.items() if not info.is_fixed_size])
def test_networks_take_images_of_the_smallest_size_and_refuse_smaller_ones(name: str) -> None:
    smallest = CLASSIFICATION_MODELS[name].min_size
    net = on_meta(name, image_size=smallest)
    shape = (2, CLASSIFICATION_MODELS[name].in_channels, smallest, smallest)
    assert net(torch.empty(shape, device="meta")).shape == (2, CLASSIFICATION_MODELS[name].num_classes)
    if smallest > 1:
        with pytest.raises(UsageError, match=f"images of at least {smallest}x{smallest} pixels"):
            on_meta(name, image_size=smallest - 1)


def test_list_models_finds_names_by_a_part() -> None:
    assert sorted(list_models(kind="classification")) == sorted(CLASSIFICATION_MODELS)
    assert list_models("alex") == list_models("alex*") == ["alexnet", "alexnet_cifar"]
    assert list_models("vgg1*")[:3] == ["vgg11", "vgg11_bn", "vgg11_bn_cifar"]
    assert list_models("zzz") == []


def test_list_models_compares_numbers_by_value() -> None:
    names = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
    assert [name for name in list_models("resnet*") if name in names] == names
    assert list_models("vgg*")[-3:] == ["vgg16_cifar", "vgg19", "vgg19_bn"]
    assert list_models()[0] == "airbench"


@pytest.mark.source
@pytest.mark.parametrize(
    "module",
    [
        f"models.classification.{name}"
        for name in sorted({entry.module for name, entry in CLASSIFICATION_MODELS.items()})
    ]
    + ["models.pose.openpose_mobilenet", "models.pose.openpose_vgg"],
)
def test_a_network_is_one_short_file_that_imports_torch_only(module: str) -> None:
    source = Path(import_module(f"firstsight.{module}").__file__ or "").read_text()
    assert len(source.splitlines()) <= 160
    imports = re.findall(r"^(?:from|import) (\S+)", source, flags=re.MULTILINE)
    assert imports and all(name.split(".")[0] in ("torch", "typing") for name in imports)
