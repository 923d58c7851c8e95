"""The published checkpoint of lightweight OpenPose, as its training script writes it, in our network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from formula import tensor
from published_openpose import oracle
from torch import Tensor, nn

from firstsight.ops import fold_batch_norm
from firstsight.pose.openpose_mobilenet import openpose_mobilenet
from firstsight.weights import load_published


def published(stages: int) -> Any:
    """The published network with weights of the formula; the last ones small, so that maps are about as in use."""
    net = oracle("models.with_mobilenet").PoseEstimationWithMobileNet(num_refinement_stages=stages).eval()
    state = {k: torch.from_numpy(tensor(k, tuple(v.shape))).to(v.dtype) for k, v in net.state_dict().items()}
    net.load_state_dict(
        {k: v / 32 if ".1.0." in k and ("heatmaps" in k or "pafs" in k) else v for k, v in state.items()}
    )
    return net


def write(net: nn.Module, *, prefix: str = "", legacy: bool = False) -> Path:
    """What a training of the published code leaves, the states of its optimizer and its schedule among it."""
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-5)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[100, 200, 260], gamma=0.333)
    parameter = next(iter(net.parameters()))
    parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    content = {
        "state_dict": {prefix + name: value for name, value in net.state_dict().items()},
        "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(), "iter": 370_000, "current_epoch": 279,
    }  # fmt: skip
    content["optimizer"]["param_groups"][0]["params"] = [140_234_567_890_123]  # old versions of torch store addresses
    torch.save(content, "checkpoint_iter_370000.pth", _use_new_zipfile_serialization=not legacy)
    return Path("checkpoint_iter_370000.pth")


def answers(net: nn.Module, images: Tensor) -> list[Tensor]:
    with torch.inference_mode():
        return [part for stage in net(images) for part in stage]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(("stages", "prefix"), [(1, ""), (1, "module."), (3, "module.")])
def test_the_published_checkpoint(stages: int, prefix: str, legacy: bool) -> None:
    """The maps are those of the published network, of its first stages where it has more; also without batch norm."""
    theirs, said = published(stages), []
    ours = openpose_mobilenet().train()
    assert load_published(ours, write(theirs, prefix=prefix, legacy=legacy), notify=said.append) is ours
    further = "checkpoint_iter_370000.pth has 3 refinement stages, the network 1; the further ones are left out"
    assert said == ([further] if stages > 1 else [])
    images = torch.rand(2, 3, 72, 104, generator=torch.Generator().manual_seed(1)) - 0.5
    with torch.inference_mode():
        expected = theirs(images)[:4]
        exact = theirs.double()(images.double())[:4]
    assert all(0.05 < maps.std() < 1 for maps in expected)
    torch.testing.assert_close(answers(ours.eval(), images), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(answers(fold_batch_norm(ours), images), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(answers(fold_batch_norm(ours.double()), images.double()), exact, rtol=1e-9, atol=1e-9)
