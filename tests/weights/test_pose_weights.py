"""Weights of bottom-up pose networks: cards, the published checkpoint, unusable files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from firstsight import load
from firstsight.errors import UsageError, WeightsError
from firstsight.models.classification import create_model
from firstsight.models.pose import create_bottom_up
from firstsight.models.registry import BOTTOM_UP_MODELS
from firstsight.pose.skeleton import COCO_17, LSP_14, OPENPOSE_18, SKELETONS, Skeleton
from firstsight.tasks.load import kind_of, load_as
from firstsight.tasks.pose.bottom_up.estimate import find_network
from firstsight.tasks.pose.bottom_up.network import BottomUpNetwork, default_weights
from firstsight.weights.io import write_weights
from helpers.cards import bottom_up_card

TRIANGLE = Skeleton(
    name="triangle",
    joints=("a", "b", "c"),
    limbs=((1, 0), (0, 2), (2, 1)),
    flip_pairs=((0, 2),),
    sigmas=(0.05, 0.06, 0.07),
    paf_channels=(4, 0, 2),
)


def pose_network(model: str = "openpose-tiny", *, skeleton: Skeleton = LSP_14, stages: int = 1) -> nn.Module:
    """Return an untrained network whose batch norms have random running statistics."""
    torch.manual_seed(3)
    net = create_bottom_up(model, skeleton=skeleton, stages=stages)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net.eval()


def card_for(*, model: str = "openpose-tiny", skeleton: Skeleton = LSP_14, stages: int = 1, height: int = 192) -> str:
    return bottom_up_card(model=model, skeleton=skeleton, stages=stages, height=height, about={"recipe": "r"})


@pytest.mark.parametrize(
    ("skeleton", "stages"),
    [*((skeleton, 0) for skeleton in SKELETONS.values()), (TRIANGLE, 2)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_saved_network_is_loaded_with_its_skeleton_and_folded_batch_norms(skeleton: Skeleton, stages: int) -> None:
    """The outputs are the same."""
    net = pose_network(skeleton=skeleton, stages=stages)
    write_weights(Path("net.safetensors"), net.state_dict(), card_for(skeleton=skeleton, stages=stages))
    network = find_network("net.safetensors")
    assert isinstance(network, BottomUpNetwork)
    assert network.skeleton == skeleton
    assert (network.height, network.name, network.source) == (192, "openpose-tiny", "net.safetensors")
    assert network.card["about"] == {"recipe": "r"} and kind_of("net.safetensors").name == "bottom-up"
    assert not network.model.training
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.model.modules())
    images = torch.rand(1, 3, 32, 40) - 0.5
    with torch.inference_mode():
        torch.testing.assert_close(network.model(images)[-2:], net(images)[-2:], rtol=1e-4, atol=1e-5)


def test_a_run_directory_is_loaded_in_single_precision() -> None:
    Path("run").mkdir()
    write_weights(Path("run/model.safetensors"), pose_network().state_dict(), card_for(), dtype=torch.float16)
    network = find_network("run")
    assert next(network.model.parameters()).dtype == torch.float32
    with pytest.raises(WeightsError, match=r"a bottom-up .*, not a classifier .see: firstsight pose --help"):
        load_as("classification", "run")


def test_the_published_checkpoint_is_loaded_and_other_files_of_torch_refused() -> None:
    net, messages = pose_network("openpose-mobilenet", skeleton=OPENPOSE_18, stages=2), []
    torch.save({"state_dict": net.state_dict(), "iter": 7}, "checkpoint_iter_370000.pth")
    network = load("checkpoint_iter_370000.pth", notify=messages.append).network
    assert (network.skeleton, network.height, network.name) == (OPENPOSE_18, 368, "openpose-mobilenet")
    assert messages == [
        "checkpoint_iter_370000.pth has 2 refinement stages, the network has 1; the others are left out"
    ]
    assert json.loads(json.dumps(network.card))["kind"] == "pose"
    torch.save(pose_network("openpose-mobilenet", skeleton=COCO_17).state_dict(), "other.pth")
    with pytest.raises(WeightsError, match=r"other.pth does not fit .*skeleton has 17 joints and 19 limbs.*18 and 19"):
        find_network("other.pth")
    torch.save(pose_network().state_dict(), "tiny.pth")
    with pytest.raises(WeightsError, match=r"tiny.pth: holds tensors but no card"):
        find_network("tiny.pth")


def test_weights_of_another_kind_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"holds a classifier, not a bottom-up .*see: firstsight predict --help"):
        find_network("lenet-digits")
    with pytest.raises(WeightsError, match=r"holds a generator, not a bottom-up .*see: firstsight generate --help"):
        find_network("gan-digits")
    with pytest.raises(WeightsError, match=r"pose-tiny-lsp: holds a top-down .*, not a bottom-up pose network"):
        find_network("pose-tiny-lsp")
    torch.save(create_model("lenet", in_channels=1).state_dict(), "lenet.pth")
    with pytest.raises(WeightsError, match=r"lenet.pth: holds tensors but no card"):
        find_network("lenet.pth")
    Path("junk.safetensors").write_bytes(b"junk" * 50)
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        find_network("junk.safetensors")
    with pytest.raises(UsageError, match=r"no such file or run directory: none.pth"):
        find_network("none.pth")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "openpose-huge"},
        {"stages": 10**9},
        {"stages": "many"},
        {"height": 1},
        {"height": None},
        {"skeleton": {}},
        {"skeleton": []},
        {"skeleton": LSP_14.to_category()},
        {"skeleton": LSP_14.to_category() | {"paf_channels": [0, 1]}},
    ],
)
def test_damaged_cards_are_refused(change: dict[str, Any]) -> None:
    card = json.dumps(json.loads(card_for()) | change)
    write_weights(Path("net.safetensors"), {"a": torch.zeros(1)}, card)
    with pytest.raises(WeightsError, match=r"net.safetensors: its card"):
        find_network("net.safetensors")


def test_tensors_that_do_not_fit_the_skeleton_of_the_card_are_refused() -> None:
    write_weights(Path("net.safetensors"), pose_network(skeleton=COCO_17).state_dict(), card_for(skeleton=LSP_14))
    with pytest.raises(WeightsError, match="does not fit its network openpose-tiny"):
        find_network("net.safetensors")


@pytest.mark.parametrize("name", BOTTOM_UP_MODELS)
def test_parameter_counts_are_those_of_the_table(name: str) -> None:
    with torch.device("meta"):
        net = create_bottom_up(name, skeleton=LSP_14 if name == "openpose-tiny" else OPENPOSE_18)
    assert sum(p.numel() for p in net.parameters()) == BOTTOM_UP_MODELS[name].parameters


def test_unknown_names_and_impossible_numbers_of_stages_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown pose network 'openpose-tyni': did you mean openpose-tiny"):
        create_bottom_up("openpose-tyni", skeleton=LSP_14)
    with pytest.raises(UsageError, match="`stages` must be between 0 and 20; got -1"):
        create_bottom_up("openpose-tiny", skeleton=LSP_14, stages=-1)
    assert len(create_bottom_up("openpose-tiny", skeleton=LSP_14, stages=3).refinement_stages) == 3


def test_the_bundled_weights_are_the_default() -> None:
    assert default_weights() == "openpose-small-photos"
    assert find_network(default_weights()).skeleton == OPENPOSE_18
