"""Top-down networks: published sizes and tensor names, shapes of the predictions, losses of all stacks."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from firstsight.errors import UsageError
from firstsight.models.pose import create_top_down
from firstsight.models.pose.hourglass import hourglass
from firstsight.models.pose.simple_baseline import simple_baseline_resnet18, simple_baseline_resnet50
from firstsight.models.registry import TOP_DOWN_MODELS
from firstsight.pose.skeleton import COCO_17, LSP_14, MPII_16


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_parameters_are_those_of_the_model_table() -> None:
    for name, entry in TOP_DOWN_MODELS.items():
        skeleton = {"pose-tiny": LSP_14, "hourglass": MPII_16}.get(name, COCO_17)
        with torch.device("meta"):
            net = create_top_down(name, skeleton=skeleton, size=(256, 192) if name != "hourglass" else (256, 256))
            assert count(net) == entry.parameters
    with torch.device("meta"):
        simcc = create_top_down("pose-tiny", skeleton=LSP_14, size=(128, 128), head="simcc")
    assert count(simcc) <= 2_000_000
    with torch.device("meta"):
        assert [count(hourglass(stacks=n)) for n in (1, 2, 8)] == [3_426_448, 6_570_400, 25_434_112]


def test_simple_baseline_has_the_published_parameters_and_flops() -> None:
    """34.0 M parameters; 8.9 GFLOPs as its code counts: weights times output positions, in units of 1024 cubed."""
    with torch.device("meta"):
        net = simple_baseline_resnet50()
        total = 0

        def add(module: nn.Module, _: object, output: torch.Tensor) -> None:
            nonlocal total
            weight = module.weight
            assert isinstance(weight, torch.Tensor)
            total += weight.numel() * output.shape[2] * output.shape[3]

        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.register_forward_hook(add)
        (maps,) = net.eval()(torch.empty(1, 3, 256, 192))
    assert count(net) == 33_999_697 and maps.shape == (1, 17, 64, 48)
    assert int(10 * total / 1024**3) / 10 == 8.9


@pytest.mark.parametrize(
    ("name", "size", "macs"),
    [
        ("pose-tiny", (128, 128), 0.155),
        ("simple-baseline-resnet18", (256, 192), 2.897),
        ("simple-baseline-resnet50", (256, 192), 5.426),
    ],
)
def test_multiply_accumulates_are_those_of_the_docstrings(name: str, size: tuple[int, int], macs: float) -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        net = create_top_down(name, skeleton=LSP_14 if name == "pose-tiny" else COCO_17, size=size)
        net.eval()(torch.empty(1, 3, *size))
    assert counter.get_total_flops() / 2e9 == pytest.approx(macs, rel=2e-3)


def test_names_and_shapes_of_published_tensors() -> None:
    """pose_resnet_50_256x192: torchvision's backbone, deconv_layers in groups of three, final_layer."""
    with torch.device("meta"):
        state = {name: tuple(tensor.shape) for name, tensor in simple_baseline_resnet50().state_dict().items()}
        small = simple_baseline_resnet18().state_dict()
    assert state["conv1.weight"] == (64, 3, 7, 7) and state["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert state["layer4.2.conv3.weight"] == (2048, 512, 1, 1) and state["layer3.5.bn2.running_var"] == (256,)
    assert [state[f"deconv_layers.{i}.weight"] for i in (0, 3, 6)] == [(2048, 256, 4, 4), *[(256, 256, 4, 4)] * 2]
    assert [state[f"deconv_layers.{i}.running_mean"] for i in (1, 4, 7)] == [(256,)] * 3
    assert state["final_layer.weight"] == (17, 256, 1, 1) and state["final_layer.bias"] == (17,)
    assert not any(name.startswith("fc") for name in state) and len(state) == 338
    assert tuple(small["deconv_layers.0.weight"].shape) == (512, 256, 4, 4)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("pose-tiny", "heatmap"),
        ("pose-tiny", "mse"),
        ("pose-tiny", "simcc"),
        ("hourglass", "heatmap"),
        ("simple-baseline-resnet18", "mse"),
        pytest.param("hourglass", "simcc", marks=pytest.mark.slow),
        pytest.param("simple-baseline-resnet18", "simcc", marks=pytest.mark.slow),
    ],
)
def test_predictions_do_not_depend_on_the_batch(name: str, head: str) -> None:
    torch.manual_seed(0)
    net = create_top_down(name, skeleton=LSP_14, size=(128, 64), head=head).eval()
    images = torch.randn(2, 3, 128, 64)
    with torch.inference_mode():
        outputs = net(images)
        joints = net.joints(images, flip=LSP_14.flip)
        alone = torch.cat([net.joints(image[None], flip=LSP_14.flip) for image in images])
    assert len(outputs) == (2 if name == "hourglass" else 1) and joints.shape == (2, 14, 3)
    assert ((joints[..., 2] >= 0) & (joints[..., 2] <= 1)).all()
    torch.testing.assert_close(joints, alone, rtol=1e-3, atol=1e-2)


def test_the_loss_sums_over_all_hourglass_stacks() -> None:
    net = create_top_down("hourglass", skeleton=LSP_14, size=(64, 64), stacks=2)
    outputs = net(torch.randn(2, 3, 64, 64))
    places, visible = torch.full((2, 14, 2), 30.0), torch.ones(2, 14, dtype=torch.bool)
    losses = net.losses(outputs, places, visible)
    torch.testing.assert_close(losses, sum(net.losses([output], places, visible) for output in outputs))
    losses.sum().backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for n, p in net.named_parameters() if "heatmaps.weight" in n
    )


def test_the_second_hourglass_receives_features_and_heatmaps_of_the_first() -> None:
    """Newell 2016: x + conv(features) + conv(heatmaps) goes to the next stack, and x alone leaves the last one."""
    net = hourglass(joints=3, stacks=2).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        x = net.stem(images)
        first, second = net.stacks
        features = first.features(first.hourglass(x))
        passed_on = x + first.hand_on(features) + first.hand_back(first.heatmaps(features))
        expected = second.heatmaps(second.features(second.hourglass(passed_on)))
        torch.testing.assert_close(net(images)[1], expected)


def test_unknown_names_sizes_and_stacks_are_refused() -> None:
    for arguments, message in (
        ({"name": "pose-tyni"}, "did you mean pose-tiny"),
        ({"name": "pose-tiny", "size": (100, 100)}, "multiples of 32, at most 1024, for pose-tiny; got 100x100"),
        ({"name": "hourglass", "size": (96, 96)}, "multiples of 64"),
        ({"name": "hourglass", "stacks": 9}, "`stacks` must be between 1 and 8; got 9"),
        ({"name": "pose-tiny", "stacks": 2}, "`stacks` applies to hourglass only; pose-tiny got 2"),
    ):
        with pytest.raises(UsageError, match=message):
            create_top_down(**({"skeleton": LSP_14, "size": (128, 128)} | arguments))
