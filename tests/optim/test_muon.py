"""Muon compared with its definition, and with torch's SGD for other parameters."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from firstsight.models.classification.airbench import AirBench
from firstsight.optim.config import OptimizerConfig, make_optimizer
from firstsight.optim.muon import Muon, orthogonalize
from firstsight.recipes.train import NullCallback, train


@pytest.mark.parametrize("shape", [(16, 8, 3, 3), (64, 3, 3, 3), (10, 200), (5, 5)])
def test_muon_updates_are_nearly_orthogonal(shape: tuple[int, ...]) -> None:
    """Singular values are near 1 and singular vectors those of the gradient: the update is near U V^T of its SVD."""
    gradient = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    update = orthogonalize(gradient, ns_steps=6)
    assert update.shape == gradient.shape
    u, _, v = torch.linalg.svd(gradient.flatten(1), full_matrices=False)
    values = (u.T @ update.flatten(1) @ v.T).diagonal()
    assert values.min() > 0.6 and values.max() < 1.3
    off = u.T @ update.flatten(1) @ v.T - torch.diag(values)
    assert off.abs().max() < 1e-6
    scaled = orthogonalize(7.0 * gradient, ns_steps=6)  # the scale of the gradient has no effect
    torch.testing.assert_close(scaled, update)


def test_muon_step_is_its_definition() -> None:
    """Two filters of one value each are rescaled to a root-mean-square length of 1, then moved by the update."""
    filters = nn.Parameter(torch.tensor([[[[3.0]]], [[[4.0]]]], dtype=torch.float64))
    optimizer = Muon([filters], [], lr=0.1, momentum=0.9)
    filters.grad = torch.tensor([[[[1.0]]], [[[0.0]]]], dtype=torch.float64)
    optimizer.step()
    scale = 2**0.5 / 5  # two filters with a common norm of 5
    size = float(orthogonalize(torch.tensor([[1.0], [0.0]], dtype=torch.float64))[0, 0])
    assert filters.flatten().tolist() == pytest.approx([3 * scale - 0.1 * size, 4 * scale])
    assert 0.6 < size < 1.3


def test_parameters_without_muon_are_updated_by_sgd() -> None:
    torch.manual_seed(0)
    net = nn.Linear(4, 3).double()
    sgd_net = nn.Linear(4, 3).double()
    sgd_net.load_state_dict(net.state_dict())
    group = {"weight_decay": 0.02, "lr_mult": 2.0}
    muon = Muon([], [{"params": list(net.parameters()), **group}], lr=0.1, momentum=0.85)
    sgd = torch.optim.SGD(sgd_net.parameters(), lr=0.1, momentum=0.85, nesterov=True, weight_decay=0.02)
    for _ in range(5):
        x = torch.randn(6, 4, dtype=torch.float64)
        for model, optimizer in ((net, muon), (sgd_net, sgd)):
            optimizer.zero_grad()
            model(x).square().sum().backward()
            optimizer.step()
    for a, b in zip(net.parameters(), sgd_net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_parameter_groups_of_airbench() -> None:
    """Filters, linear layers and vectors have separate learning rates; frozen parameters are in no group."""
    net = AirBench()
    net.whiten(torch.randn(8, 3, 32, 32))
    config = OptimizerConfig(
        optimizer="muon",
        lr=0.12,
        schedule="linear",
        warmup=0.0,
        linear_lr_mult=6.25,
        bias_lr_mult=400,
        bias_weight_decay=2e-5,
    )
    groups = make_optimizer(net, config).param_groups
    assert [len(group["params"]) for group in groups] == [9, 1, 9]
    assert [group.get("lr_mult", 1.0) for group in groups] == [1.0, 6.25, 400]
    trained = sum(p.numel() for group in groups for p in group["params"])
    assert trained == sum(p.numel() for p in net.parameters()) - 24 * 12 - 3 * (64 + 256 + 256)


def test_muon_training_resumes_with_the_same_bits(make_images: Callable[..., Path]) -> None:
    class Stop(NullCallback):
        def on_epoch_end(self, line: object, epochs: int) -> None:
            raise KeyboardInterrupt

    images = make_images({"dark": 10, "light": 10}, size=8, mode="L")
    small = {"data": str(images), "image_size": 8, "batch_size": 4, "epochs": 2}
    settings = {"optimizer": "muon", "lr": 0.02, "linear_lr_mult": 2.0, **small}
    uninterrupted = train("convnet", out="whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        train("convnet", out="cut", checkpoint_seconds=0, callback=Stop(), **settings)
    resumed = train("convnet", out="cut", resume=True)
    one, two = (load_file(result.run_dir / "model.safetensors") for result in (uninterrupted, resumed))
    assert all(torch.equal(one[name], two[name]) for name in one)
