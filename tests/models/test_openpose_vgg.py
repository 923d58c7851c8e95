"""OpenPose of the paper: its size, its stages as plain convolutions, its VGG-19 backbone."""

import torch
import torch.nn.functional as F
from torch import Tensor

from firstsight.models.classification.vgg import vgg19
from firstsight.models.pose import openpose_vgg
from firstsight.models.pose.openpose_vgg import openpose_vgg19
from firstsight.profiling import summarize


def test_parameters_and_macs_are_the_published_ones() -> None:
    """52.3 M parameters, 135.9 G multiply-accumulates; the docstring says so."""
    with torch.device("meta"):
        summary = summarize(openpose_vgg19(), (3, 368, 368))
    assert summary.parameters == 52_311_446 and round(summary.parameters / 1e6, 1) == 52.3
    assert round(summary.macs / 1e9, 1) == 135.9
    assert {"52,311,446", "135.9"} <= set((openpose_vgg.__doc__ or "").split())


def written_out(state: dict[str, Tensor], part: str, x: Tensor, *, last_relu: bool) -> Tensor:
    """Apply the convolutions whose names begin with ``part``, ReLU between; VGG's poolings after its groups."""
    names = [name.removesuffix(".weight") for name in state if name.startswith(part) and name.endswith(".weight")]
    for i, name in enumerate(names):
        weight = state[f"{name}.weight"]
        x = F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)
        x = F.relu(x) if last_relu or i < len(names) - 1 else x
        if part == "features" and i in (1, 3, 7):
            x = F.max_pool2d(x, 2)
    return x


def test_stages_equal_convolutions_written_out() -> None:
    """A later stage takes fields, heatmaps and features, in this order; kernels and widths are the paper's."""
    torch.manual_seed(0)
    net = openpose_vgg19(joints=4, limbs=3, stages=2).double()
    images = torch.rand(2, 3, 16, 24, dtype=torch.float64) - 0.5
    state = net.state_dict()
    with torch.inference_mode():
        maps = net(images)
        inputs = features = written_out(
            state, "cpm", written_out(state, "features", images, last_relu=True), last_relu=True
        )
        parts = ("initial_stage", "refinement_stages.0", "refinement_stages.1")
        for part, *output in zip(parts, maps[::2], maps[1::2], strict=True):
            heatmaps, pafs = (
                written_out(state, f"{part}.{name}", inputs, last_relu=False) for name in ("heatmaps", "pafs")
            )
            torch.testing.assert_close(output, [heatmaps, pafs], rtol=1e-9, atol=1e-12)
            assert heatmaps.shape == (2, 5, 2, 3) and pafs.shape == (2, 6, 2, 3) and heatmaps.std() > 1e-4
            inputs = torch.cat([pafs, heatmaps, features], 1)
    first, later = (
        [(p.shape[0], p.shape[-1]) for name, p in net.named_parameters() if part in name and p.ndim == 4]
        for part in ("initial_stage.pafs", "refinement_stages.1.pafs")
    )
    assert first == [(128, 3)] * 3 + [(512, 1), (6, 1)]
    assert later == [(128, 7)] * 5 + [(128, 1), (6, 1)]


def test_the_backbone_takes_the_weights_of_vgg19_and_computes_the_same() -> None:
    """Ten layers, with torchvision's names."""
    with torch.device("meta"):
        vgg = vgg19()
    ours, theirs = openpose_vgg19(stages=0).features, vgg.features[:23]
    theirs.to_empty(device="cpu").load_state_dict(ours.state_dict())
    images = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))
