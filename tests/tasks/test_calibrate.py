"""Random weights for exports and measurements of time."""

import copy

import pytest
import torch
from torch import nn

from firstsight.tasks.calibrate import calibrate
from firstsight.tasks.export import find_model, make_plan
from firstsight.tasks.export_plan import ExportPlan


def plan_of(net: nn.Module) -> ExportPlan:
    inputs = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return ExportPlan(
        net=net.eval(),
        input_name="images",
        output_names=("output",),
        shape=(3, 8, 8),
        draw_inputs=lambda n: inputs[:n],
    )


def test_layers_have_outputs_of_standard_deviation_1_and_batch_norms_the_statistics_of_their_inputs() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(5)
    net = nn.Sequential(nn.Conv2d(3, 5, 3), norm, nn.ReLU(), nn.Conv2d(5, 4, 3))
    calibrate(plan_of(net))
    x = plan_of(net).draw_inputs(8)
    features = net[0](x)
    assert features.std().item() == pytest.approx(1, abs=1e-5)
    assert net(x).std().item() == pytest.approx(1, abs=0.01)  # variances of training and evaluation differ
    torch.testing.assert_close(net[1](features).mean((0, 2, 3)), torch.ones(5))
    torch.testing.assert_close(net[1](features).std((0, 2, 3)), torch.ones(5), rtol=1e-3, atol=0)
    assert norm.momentum == 0.1 and not norm.training and not net[0]._forward_hooks


@pytest.mark.slow
def test_rounding_errors_of_deep_networks_stay_small() -> None:
    torch.manual_seed(0)
    plan = make_plan(find_model("openpose-mobilenet", random_weights=True))
    x = plan.draw_inputs(2)
    with torch.no_grad():
        outputs, exact = plan.net(x), copy.deepcopy(plan.net).double()(x.double())
    for a, b in zip(outputs, exact, strict=True):
        assert ((a - b).abs().max() / b.std()).item() < 1e-4
        assert (b[0] - b[1]).std() > 0.1  # the outputs depend on the input
