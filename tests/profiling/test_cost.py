"""Parameters, MACs and activations of layers: published counts, counts by hand, and ``firstsight summary``."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from firstsight import summary
from firstsight.errors import UsageError
from firstsight.models.classification import create_model
from firstsight.models.registry import CLASSIFICATION_MODELS, MODELS
from firstsight.profiling import Summary, summarize

Run = Callable[..., tuple[int, str, str]]
MACS = {  # published value, and the unit of its last digit
    "alexnet": (0.714e9, 1e6),
    "vgg11": (7.609e9, 1e6),
    "vgg16": (15.47e9, 1e7),
    "vgg19": (19.632e9, 1e6),
    "vgg11_bn": (7.609e9, 1e6),
    "vgg16_bn": (15.47e9, 1e7),
    "vgg19_bn": (19.632e9, 1e6),
    "googlenet": (1.498e9, 1e6),
    "resnet34": (3.664e9, 1e6),
    "lenet": (416_520, 1),
    "airbench": (160_651_552, 1),
}


def summary_of(name: str, **options: str) -> Summary:
    entry = CLASSIFICATION_MODELS[name]
    with torch.device("meta"):
        net = create_model(name, variant=options.get("variant"))
    return summarize(net, (entry.in_channels, entry.image_size, entry.image_size))


@pytest.mark.parametrize("name", CLASSIFICATION_MODELS)
def test_total_parameters_and_macs_are_the_published_ones(name: str) -> None:
    summary = summary_of(name)
    assert summary.parameters == CLASSIFICATION_MODELS[name].parameters
    assert sum(layer.parameters for layer in summary.layers) + sum(summary.unused.values()) == summary.parameters
    if name in MACS:
        macs, unit = MACS[name]
        assert abs(summary.macs - macs) <= unit / 2


def test_layers_of_lenet_have_the_costs_counted_by_hand() -> None:
    """28 = 32 - 5 + 1, 4,704 values of 4 bytes, 6 * 25 weights at 784 positions, ..."""
    layers = {layer.name: layer for layer in summary_of("lenet").layers}
    first, second, last = layers["conv1"], layers["conv2"], layers["fc3"]
    assert (first.output_shape, first.parameters, first.macs) == ((6, 28, 28), 6 * 26, 6 * 25 * 784)
    assert first.activation_bytes == 4 * 6 * 28 * 28
    assert (second.output_shape, second.macs) == ((16, 10, 10), 16 * 6 * 25 * 100)
    assert (last.type, last.parameters, last.macs) == ("Linear", 850, 840)
    assert layers["max_pool2d"].output_shape == (6, 14, 14)
    document = second.to_dict()
    assert document["receptive_field"] == {
        "size": [14, 14],
        "stride": [2, 2],
        "center": [6.5, 6.5],
        "exact": True,
    }


def test_alexnet_has_its_parameters_in_linear_layers_and_its_macs_in_convolutions() -> None:
    linear_shares, convolution_shares = (summary_of("alexnet").shares()[group] for group in ("linear", "convolution"))
    assert linear_shares[0] > 0.95 and convolution_shares[1] > 0.9
    first = summary_of("alexnet", variant="paper").layers[0]
    assert first.parameters == 34_944  # 96 filters of 11x11x3 with bias
    linear = next(layer for layer in summary_of("alexnet").layers if layer.name == "classifier.4")
    assert linear.macs == 16_777_216


def test_auxiliary_classifiers_are_listed_as_unused() -> None:
    summary = summary_of("googlenet")
    assert set(summary.unused) == {"aux1", "aux2"}
    assert summary.parameters - sum(summary.unused.values()) == 6_624_904


class Shared(nn.Module):
    """Network with a layer called twice, a parameter used by a function, a matrix product, and a tuple as output."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 2, 3, padding=1)
        self.weight = nn.Parameter(torch.ones(5, 2))

    def forward(self, x: Tensor) -> tuple[Tensor, int]:
        x = self.layer(self.layer(x)).relu_()
        return x.mean((2, 3)) @ self.weight.T, 1


def test_a_module_with_shared_layers_and_functions_is_summarized() -> None:
    summary = summarize(Shared().train(), (2, 8, 6))
    assert [layer.name for layer in summary.layers] == ["layer", "layer_2", "relu", "mean", "matmul"]
    assert [layer.parameters for layer in summary.layers] == [38, 0, 0, 0, 10]
    assert [layer.macs for layer in summary.layers] == [36 * 48, 36 * 48, 0, 0, 10]
    assert summary.parameters == 48 and not summary.unused
    with pytest.raises(UsageError, match=r"Shared does not accept an image of 3x8x6: .*channels"):
        summarize(Shared(), (3, 8, 6))


def test_summaries_leave_training_mode_and_hooks_unchanged() -> None:
    net = create_model("lenet").train()
    hooks = [len(m._forward_hooks) for m in net.modules()]
    summarize(net, (1, 32, 32))
    assert net.training and hooks == [len(m._forward_hooks) for m in net.modules()]
    timed = summarize(net, (1, 32, 32), runs=2)
    assert all(layer.milliseconds is not None and layer.milliseconds >= 0 for layer in timed.layers)


def test_summary_command_prints_json_tables_figures_and_times(run: Run) -> None:
    code, out, _ = run("summary", "resnet18", "--json")
    document = json.loads(out)
    assert code == 0 and document["macs"] == 1_814_073_344 and document["parameters"] == 11_689_512
    assert set(document["layers"][0]) == {
        "name",
        "type",
        "output_shape",
        "parameters",
        "macs",
        "activation_bytes",
        "receptive_field",
    }
    code, out, _ = run("summary", "googlenet", "--out", "cost.png", "--all")
    assert code == 0 and "inception5b.cat" in out and "not used in inference: aux1 3,188,968" in out
    assert Image.open("cost.png").width > 800
    code, out, _ = run("summary", "lenet-digits", "--time", "--input", "1x32x32")
    assert code == 0 and " ms" in out and "61,706 parameters" in out
    code, out, _ = run("summary", "mlp", "--input", "3x16x16", "--json")
    assert code == 0 and json.loads(out)["layers"][1]["macs"] == 768 * 100
    code, out, _ = run("summary", "alexnet", "--variant", "paper", "--json")
    assert code == 0 and json.loads(out)["layers"][0]["output_shape"][0] == 96


def test_summary_command_takes_a_module_of_the_user(run: Run) -> None:
    Path("mine.py").write_text(
        "from torch import nn\n"
        "def build():\n    return nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU())\n"
        "def wrong():\n    return 3\n"
    )
    code, out, _ = run("summary", "mine:build", "--input", "3x20x30", "--json")
    assert code == 0 and json.loads(out)["layers"][0]["output_shape"] == [4, 16, 26]
    for name, message in (
        ("mine:wrong", "mine:wrong: must return a torch.nn.Module; got int"),
        ("mine:nothing", "cannot be built"),
        ("nowhere:build", "cannot be built (No module named 'nowhere')"),
    ):
        code, out, err = run("summary", name)
        assert code == 2 and not out and message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet35"], "unknown model 'resnet35': did you mean resnet"),
        (["lenet", "--input", "32x32"], "--input must be channels x height x width"),
        (["lenet", "--input", "1x28x28"], "lenet needs images of 32x32 pixels; got 28"),
        (["alexnet", "--input", "3x40x40"], "alexnet needs images of at least 63x63 pixels; got 40x40"),
        (["lenet", "--variant", "paper"], "lenet has no variant 'paper'"),
        (["lenet", "--out", "cost.gif"], "--out must be a .png, .jpg, .jpeg, .svg or .pdf file"),
        (["lenet", "--out", "no/cost.png"], "--out no/cost.png: the folder no does not exist"),
        (["lenet-digits", "--input", "3x32x32"], "LeNet does not accept an image of 3x32x32"),
    ],
)
def test_summary_command_rejects_invalid_arguments(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run("summary", *arguments)
    assert code == 2 and not out and message in err
    assert len(err.splitlines()) == 1


def test_parameters_of_generators_and_pose_networks_are_those_of_the_registry() -> None:
    """Networks have the keypoints and codes of their publications: 16 keypoints of MPII for the hourglass."""
    infos = {name: info for name, info in MODELS.items() if info.kind != "classification"}
    assert {name: summary(name).parameters for name in infos} == {name: infos[name].parameters for name in infos}


def test_modules_keep_their_own_training_modes() -> None:
    net = create_model("convnet").train()
    net.get_submodule("stage1.norm").eval()
    modes = [module.training for module in net.modules()]
    summarize(net, (1, 32, 32))
    assert [module.training for module in net.modules()] == modes
