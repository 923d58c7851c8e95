"""Folding batch norms into convolutions: equal outputs, and the batch norms that must stay."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval
from torch.nn.utils.parametrizations import weight_norm

from firstsight.models.classification import create_model
from firstsight.models.pose.openpose_mobilenet import openpose_mobilenet
from firstsight.models.pose.openpose_tiny import openpose_tiny
from firstsight.models.registry import CLASSIFICATION_MODELS
from firstsight.ops import fold_batch_norm


def count_norms(net: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def with_random_norms(net: nn.Module) -> nn.Module:
    """Give all batch norms random statistics, scales and shifts, as after training; in training mode."""
    generator = torch.Generator().manual_seed(3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.5, 2.0),
                (module.weight, 0.5, 1.5),
                (module.bias, -0.3, 0.3),
            ):
                if tensor is not None:
                    tensor.detach().uniform_(low, high, generator=generator)
    return net.train()


def assert_same(net: nn.Module, *, left: int, images: Tensor | None = None) -> nn.Module:
    """Compare outputs of a network in eval mode and of its folded copy; the network is unchanged."""
    if images is None:
        images = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(1)) - 0.5
    before, modes = deepcopy(net.state_dict()), [module.training for module in net.modules()]
    folded = fold_batch_norm(net)
    assert type(folded) is type(net) and not any(module.training for module in folded.modules())
    assert modes == [module.training for module in net.modules()]
    after = net.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), deepcopy(net).eval()(images), rtol=1e-5, atol=1e-5)
        exact, images = deepcopy(net).double().eval(), images.double()
        torch.testing.assert_close(fold_batch_norm(exact)(images), exact(images), rtol=1e-9, atol=1e-9)
    assert count_norms(folded) == left
    return folded


@pytest.mark.parametrize(("build", "count"), [(openpose_mobilenet, 33), (openpose_tiny, 25)])
def test_all_batch_norms_of_pose_networks_are_folded(build: Callable[[], nn.Module], count: int) -> None:
    torch.manual_seed(0)
    folded = assert_same(with_random_norms(build()), left=0)
    assert sum(isinstance(module, nn.Identity) for module in folded.modules()) == count


@pytest.mark.parametrize("name", ["resnet18", "resnet20", "googlenet", "mobilenet", "convnet", "airbench"])
def test_batch_norms_of_classifiers_are_folded(name: str) -> None:
    """All are folded except three of airbench, which have a pooling between convolution and norm."""
    torch.manual_seed(0)
    net = with_random_norms(create_model(name, in_channels=3, num_classes=10))
    assert_same(net, left=3 if name == "airbench" else 0)


FAST = ("vgg11_bn", "resnet50")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in FAST))
        for name in CLASSIFICATION_MODELS
        if name != "airbench"
    ],
)
def test_no_batch_norm_is_left_in_a_folded_network(name: str) -> None:
    with torch.device("meta"):
        assert count_norms(fold_batch_norm(create_model(name))) == 0


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_a_folded_convolution_equals_that_of_torch(bias: bool, affine: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=bias, padding_mode="reflect")
    net = nn.Sequential(conv, nn.BatchNorm2d(6, affine=affine))
    assert_same(with_random_norms(net), left=0, images=torch.randn(2, 4, 9, 9))
    expected, folded = fuse_conv_bn_eval(*net.eval()), fold_batch_norm(net)[0]
    torch.testing.assert_close(folded.state_dict(), expected.state_dict(), rtol=1e-6, atol=1e-6)


def test_folded_weights_worked_out_by_hand() -> None:
    """scale = 3 / sqrt(4) = 1.5; the weight 2 becomes 3, the bias 5 becomes 1.5 * (5 - 1) + 7 = 13."""
    conv, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0)
    with torch.no_grad():
        for tensor, number in zip((*conv.parameters(), *norm.parameters()), (2, 5, 3, 7), strict=True):
            tensor.fill_(number)
        norm.running_mean.fill_(1)
        norm.running_var.fill_(4)
    folded = fold_batch_norm(nn.Sequential(conv, norm))[0]
    assert (folded.weight.item(), folded.bias.item()) == (3, 13)


class Scaled(nn.Conv2d):
    """Convolution with an overridden forward."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight - self.weight.mean())


class Uses(nn.Module):
    """Convolution and norm, defined in this order, called in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.conv, self.norm = way, nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "norm first":
            return self.conv(self.norm(x))
        if self.way == "relu between":
            return self.norm(F.relu(self.conv(x)))
        if self.way == "output used again":
            y = self.conv(x)
            return y + self.norm(y)
        if self.way == "convolution used again":
            return self.norm(self.conv(x)) + self.conv(x)
        if self.way == "norm used again":
            return self.norm(self.norm(self.conv(x)))
        if x.sum() > 1e9:  # cannot be traced
            return x
        return self.norm(self.conv(x))


@pytest.mark.parametrize(
    "way",
    ["norm first", "relu between", "output used again", "convolution used again", "norm used again", "data dependent"],
)
def test_a_norm_stays_unless_it_is_the_only_use_of_a_convolution(way: str) -> None:
    assert_same(with_random_norms(Uses(way)), left=1)


def test_norms_stay_where_folding_would_change_the_function() -> None:
    conv, norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
    images = torch.randn(2, 3, 5, 5)
    for net, left in (
        (nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)), 1),
        (nn.Sequential(Scaled(3, 3, 1), nn.BatchNorm2d(3)), 1),
        (nn.Sequential(weight_norm(nn.Conv2d(3, 3, 1)), nn.BatchNorm2d(3)), 1),
        (nn.Sequential(nn.ConvTranspose2d(3, 3, 1), nn.BatchNorm2d(3)), 1),
        (nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)), 2),
        (nn.Sequential(nn.Sequential(conv, norm), nn.Sequential(conv, nn.BatchNorm2d(3))), 2),
        (nn.Sequential(nn.Sequential(nn.Conv2d(3, 3, 1), norm), nn.Sequential(nn.Conv2d(3, 3, 1), norm)), 1),
    ):
        assert_same(with_random_norms(net), left=left, images=images)


def test_blocks_used_twice_and_tied_weights_are_folded() -> None:
    block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU())
    assert_same(with_random_norms(nn.Sequential(block, block)), left=0)
    one, other = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
    other.weight = one.weight
    assert_same(with_random_norms(nn.Sequential(one, nn.BatchNorm2d(3), other)), left=0)


def test_half_precision_is_kept() -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).bfloat16()
    net[1].float()
    assert all(p.dtype == torch.bfloat16 for p in fold_batch_norm(net).parameters())
