"""The checkpoint of lightweight OpenPose, as its published training script writes it, in our network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from formula import tensor
from published_openpose import oracle
from torch import Tensor, nn

from firstsight.models.pose.openpose_mobilenet import openpose_mobilenet
from firstsight.ops import fold_batch_norm
from firstsight.weights.state_dict import load_published


def published(stages: int) -> Any:
    """Return the published network with weights of the formula; the last ones are small, as are the maps in use."""
    net = oracle("models.with_mobilenet").PoseEstimationWithMobileNet(num_refinement_stages=stages).eval()
    state = {k: torch.from_numpy(tensor(k, tuple(v.shape))).to(v.dtype) for k, v in net.state_dict().items()}
    net.load_state_dict(
        {k: v / 32 if ".1.0." in k and ("heatmaps" in k or "pafs" in k) else v for k, v in state.items()}
    )
    return net


def write(net: nn.Module, *, prefix: str = "", legacy: bool = False) -> Path:
    """Write a checkpoint as the published training does, with the states of its optimizer and scheduler."""
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-5)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[100, 200, 260], gamma=0.333)
    parameter = next(iter(net.parameters()))
    parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    content = {
        "state_dict": {prefix + name: value for name, value in net.state_dict().items()},
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "iter": 370_000,
        "current_epoch": 279,
    }
    content["optimizer"]["param_groups"][0]["params"] = [140_234_567_890_123]  # old versions of torch store addresses
    torch.save(content, "checkpoint_iter_370000.pth", _use_new_zipfile_serialization=not legacy)
    return Path("checkpoint_iter_370000.pth")


def maps_of(net: nn.Module, images: Tensor) -> list[Tensor]:
    with torch.inference_mode():
        maps: list[Tensor] = net(images)
        return maps


@pytest.mark.parametrize(
    ("stages", "prefix", "legacy"),
    [
        (1, "", True),
        (3, "module.", False),
        pytest.param(1, "", False, marks=pytest.mark.slow),
        pytest.param(1, "module.", True, marks=pytest.mark.slow),
        pytest.param(3, "module.", True, marks=pytest.mark.slow),
    ],
)
def test_outputs_with_the_published_checkpoint_equal_the_published_network(
    stages: int, prefix: str, legacy: bool
) -> None:
    """Those of its first stages where it has more; also with batch norms folded."""
    theirs, messages = published(stages), []
    ours = openpose_mobilenet().train()
    assert load_published(ours, write(theirs, prefix=prefix, legacy=legacy), notify=messages.append) is ours
    further = "checkpoint_iter_370000.pth has 3 refinement stages, the network has 1; the others are left out"
    assert messages == ([further] if stages > 1 else [])
    images = torch.rand(1, 3, 56, 72, generator=torch.Generator().manual_seed(1)) - 0.5
    with torch.inference_mode():
        expected = theirs(images)[:4]
        exact = theirs.double()(images.double())[:4]
    assert all(0.05 < maps.std() < 1 for maps in expected)
    torch.testing.assert_close(maps_of(ours.eval(), images), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(maps_of(fold_batch_norm(ours), images), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(maps_of(fold_batch_norm(ours.double()), images.double()), exact, rtol=1e-9, atol=1e-9)
