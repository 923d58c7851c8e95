"""Whole networks by hand: the same logits, gradients and training as with torch's layers and functions."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstsight import ops
from firstsight.models.classification import create_model
from firstsight.models.classification.alexnet import build_paper_features
from firstsight.models.classification.googlenet import googlenet
from firstsight.ops.replace import with_torch_signature


def batch(n: int, *shape: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(5)
    return torch.randn(n, *shape, dtype=torch.float64, generator=random), torch.arange(n) % 3


def gradients(net: nn.Module, loss: Callable[..., Tensor], images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    net.zero_grad()
    loss(net(images), labels).backward()
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def assert_same_network(net: nn.Module, images: Tensor, labels: Tensor, *, tolerance: float = 1e-12) -> None:
    """Compare logits, gradients and running averages, in training and in evaluation."""
    hand = ops.by_hand(net)
    for training in (True, False):
        net.train(training), hand.train(training)
        torch.testing.assert_close(hand(images), net(images), rtol=tolerance, atol=tolerance)
        actual = gradients(hand, ops.cross_entropy, images, labels)
        expected = gradients(net, F.cross_entropy, images, labels)
        torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(dict(hand.state_dict()), dict(net.state_dict()), rtol=tolerance, atol=tolerance)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_lenet_by_hand_has_the_same_logits_and_gradients() -> None:
    assert_same_network(create_model("lenet").double(), *batch(4, 1, 32, 32))


def test_lenet_by_hand_trains_with_the_same_losses() -> None:
    net = create_model("lenet").double()
    hand = ops.by_hand(net)
    images, labels = batch(16, 1, 32, 32)
    losses: dict[str, list[float]] = {"hand": [], "torch": []}
    for name, model, loss_function in (("hand", hand, ops.cross_entropy), ("torch", net, F.cross_entropy)):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(8):
            optimizer.zero_grad()
            loss = loss_function(model(images), labels)
            loss.backward()
            optimizer.step()
            losses[name].append(loss.item())
    assert losses["hand"] == pytest.approx(losses["torch"], rel=1e-9)
    assert losses["hand"][-1] < 0.9 * losses["hand"][0]


def test_convnet_and_resnet20_by_hand_have_the_same_logits_and_gradients() -> None:
    assert_same_network(create_model("convnet").double(), *batch(3, 1, 19, 22), tolerance=1e-11)
    assert_same_network(create_model("resnet20").double(), *batch(3, 3, 16, 16), tolerance=1e-11)


def test_alexnet_of_the_paper_by_hand_has_the_same_logits_and_gradients() -> None:
    """Convolutions, local response norms and poolings; a small layer takes the place of the large linear ones."""
    net = nn.Sequential(build_paper_features(3), nn.Flatten(), nn.Linear(256, 4)).double()
    assert_same_network(net, *batch(2, 3, 67, 67))


def test_googlenet_by_hand_has_the_same_logits_in_training_and_evaluation() -> None:
    net = googlenet(num_classes=4).double()
    hand = ops.by_hand(net)
    images, _ = batch(2, 3, 48, 48)
    for training in (True, False):
        outputs = []
        for model in (hand, net):
            torch.manual_seed(1)  # dropout zeroes the same units
            outputs.append(model.train(training)(images))
        torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-10, atol=1e-10)


class Everything(nn.Module):
    """Network with every layer and function that is replaced, called in all usual ways."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"),
            nn.BatchNorm2d(4, momentum=None),
            nn.ReLU(inplace=True),
            nn.Conv2d(4, 4, 2, padding="same", groups=2),
            nn.LocalResponseNorm(3, k=2.0),
            nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
            nn.AvgPool2d(3, 2, 1, count_include_pad=False),
            nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1),
            nn.BatchNorm2d(3, affine=False, track_running_stats=False),
            nn.ReLU(),
        )
        self.kernel = nn.Parameter(torch.randn(3, 2, 3, 3))
        self.norm = nn.BatchNorm1d(3)
        self.head = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.layers(x))
        x = F.relu(F.conv_transpose2d(x, self.kernel, stride=2, output_padding=1), inplace=True).relu()
        x = F.conv2d(input=x, weight=self.kernel, bias=None, stride=2)
        x = F.gelu(F.local_response_norm(F.avg_pool2d(x, 2), 2))
        x = F.batch_norm(x, None, None, training=True)
        x = F.max_pool2d(x, kernel_size=2, ceil_mode=True).mean((2, 3))
        return F.linear(F.dropout(self.norm(x), 0.5, training=False), self.head.weight, self.head.bias)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_every_layer_and_function_by_hand_has_the_same_outputs_and_gradients() -> None:
    assert_same_network(Everything().double(), *batch(4, 2, 13, 14), tolerance=1e-11)


def torch_operations(call: Callable[[], Any]) -> set[str]:
    """Return the names of torch's operations that run."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        call()
    return {event.key for event in profile.key_averages()}


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_no_layer_of_torch_runs_in_a_network_by_hand() -> None:
    """Forward and backward: no convolution, pooling, normalization, linear, ReLU or log-softmax of torch."""
    words = ("conv", "pool", "norm", "aten::linear", "relu", "softmax", "nll", "threshold", "mkldnn")
    net, (images, labels) = Everything().double(), batch(4, 2, 13, 14)

    def layer_operations(model: nn.Module, loss: Callable[..., Tensor]) -> set[str]:
        names = torch_operations(lambda: loss(model(images), labels).backward())
        return {name for name in names if name.startswith("aten::") and any(word in name for word in words)}

    assert len(layer_operations(net, F.cross_entropy)) > 10
    assert layer_operations(ops.by_hand(net), ops.cross_entropy) == set()


def test_the_copy_has_the_same_keys_and_leaves_its_network_unchanged() -> None:
    net = create_model("airbench").eval()
    before = deepcopy(net.state_dict())
    hand = ops.by_hand(net)
    assert type(hand) is type(net)
    assert not hand.training
    assert list(hand.state_dict()) == list(before)
    assert not any(type(module).__module__.startswith("firstsight.ops") for module in net.modules())
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(hand(images), net(images), rtol=1e-4, atol=1e-4)
    hand.train()(images)
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)
    hand.load_state_dict(before)


def test_layers_by_hand_can_use_another_algorithm() -> None:
    net = create_model("lenet").double()
    hand = ops.by_hand(net)
    assert {type(module) for module in hand.children()} == {ops.Conv2d, ops.Linear}
    images, _ = batch(1, 1, 32, 32)
    hand.conv2.algorithm = "loops"
    torch.testing.assert_close(hand(images), net(images), rtol=1e-12, atol=1e-12)


def test_a_copy_of_a_network_by_hand_has_its_own_weights() -> None:
    hand = ops.by_hand(create_model("lenet"))
    images = torch.randn(1, 1, 32, 32)
    twin = deepcopy(hand)
    logits = twin(images)
    with torch.no_grad():
        hand.fc3.bias.add_(1)
    torch.testing.assert_close(twin(images), logits, rtol=0, atol=0)
    torch.testing.assert_close(hand(images), logits + 1)


@pytest.mark.parametrize(
    ("layer", "expected", "shape"),
    [
        (ops.Conv2d(4, 6, 3, 2, 1, groups=2), nn.Conv2d(4, 6, 3, 2, 1, groups=2), (2, 4, 7, 7)),
        (ops.ConvTranspose2d(4, 6, 4, 2, 1), nn.ConvTranspose2d(4, 6, 4, 2, 1), (2, 4, 7, 7)),
        (ops.MaxPool2d(3, 2), nn.MaxPool2d(3, 2), (2, 4, 7, 7)),
        (ops.AvgPool2d(3), nn.AvgPool2d(3), (2, 4, 7, 7)),
        (ops.Linear(7, 3), nn.Linear(7, 3), (2, 4, 7, 7)),
        (ops.ReLU(inplace=True), nn.ReLU(inplace=True), (2, 4)),
        (ops.BatchNorm2d(4), nn.BatchNorm2d(4), (2, 4, 7, 7)),
        (ops.LocalResponseNorm(3), nn.LocalResponseNorm(3), (2, 4, 7, 7)),
        (ops.CrossEntropyLoss(label_smoothing=0.1), nn.CrossEntropyLoss(label_smoothing=0.1), (2, 4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layers_by_hand_replace_those_of_torch(layer: nn.Module, expected: nn.Module, shape: tuple[int, ...]) -> None:
    assert isinstance(layer, type(expected))
    assert repr(layer) == repr(expected)
    layer.load_state_dict(expected.state_dict())
    x = torch.randn(shape)
    more = [torch.tensor([1, 3])] if isinstance(expected, nn.CrossEntropyLoss) else []
    torch.testing.assert_close(layer(x.clone(), *more), expected(x.clone(), *more))


def test_wrapper_takes_the_arguments_of_torch_by_position_and_by_name() -> None:
    """An argument that the function lacks may have torch's default only, and is not passed on."""

    def divide(x: Tensor, by: float = 1.0, digits: int = 0) -> Tensor:
        return (x / by).round(decimals=digits)

    wrapped = with_torch_signature(divide, "by unused digits", unused=None)
    x = torch.tensor([1.0])
    for result in (wrapped(x, 8, None, 2), wrapped(x, 8, digits=2), wrapped(x, digits=2, by=8, unused=None)):
        assert result.item() == pytest.approx(0.12)
    assert wrapped(x, 4).item() == 0 and wrapped(x).item() == 1
    with pytest.raises(ValueError, match=r"firstsight.ops.divide does not support `unused`, got 5"):
        wrapped(x, 8, 5, 2)


def test_in_place_relu_overwrites_its_input() -> None:
    x = torch.tensor([-1.0, 2.0])
    ops.ReLU(inplace=True)(x)
    assert x.tolist() == [0, 2]


def test_transposed_convolution_takes_an_output_size() -> None:
    layer = ops.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    x = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(layer(x, [8, 7]), nn.ConvTranspose2d.forward(layer, x, [8, 7]))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.MaxPool2d(2, return_indices=True), "firstsight.ops.max_pool2d does not support `return_indices`, got True"),
        (nn.AvgPool2d(2, divisor_override=3), "firstsight.ops.avg_pool2d does not support `divisor_override`, got 3"),
    ],
)
def test_options_that_are_not_implemented_are_rejected(layer: nn.Module, message: str) -> None:
    x = torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match=message):
        ops.by_hand(layer)(x)

    class Calls(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return layer(x)  # not a submodule: only the function that it calls is replaced

    with pytest.raises(ValueError, match=message):
        ops.by_hand(Calls())(x)


def test_class_weights_and_ignored_labels_are_rejected() -> None:
    for loss in (ops.CrossEntropyLoss(weight=torch.ones(2)), ops.CrossEntropyLoss(ignore_index=1)):
        with pytest.raises(ValueError, match="supports neither `weight` nor `ignore_index`"):
            loss(torch.zeros(1, 2), torch.tensor([0]))
