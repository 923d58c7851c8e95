"""Weights of bottom-up pose networks: cards, the published checkpoint, files that are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from firstsight.errors import UsageError, WeightsError
from firstsight.models.classification import create_model
from firstsight.models.pose import create_bottom_up
from firstsight.models.registry import BOTTOM_UP_MODELS
from firstsight.pose.skeleton import COCO_17, LSP_14, OPENPOSE_18, SKELETONS, Skeleton
from firstsight.weights import load
from firstsight.weights.classifier import kind_of, write
from firstsight.weights.pose import PoseNetwork, load_pose, make_card, usual

TRIANGLE = Skeleton(
    name="triangle", joints=("a", "b", "c"), limbs=((1, 0), (0, 2), (2, 1)), flip_pairs=((0, 2),),
    sigmas=(0.05, 0.06, 0.07), paf_channels=(4, 0, 2),
)  # fmt: skip


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
    return make_card(model=model, skeleton=skeleton, stages=stages, height=height, about={"recipe": "r"})


@pytest.mark.parametrize(
    ("skeleton", "stages"),
    [*((skeleton, 0) for skeleton in SKELETONS.values()), (TRIANGLE, 2)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_saved_network_is_loaded_with_its_skeleton_and_folded_batch_norms(skeleton: Skeleton, stages: int) -> None:
    """The outputs are the same."""
    net = pose_network(skeleton=skeleton, stages=stages)
    write(Path("net.safetensors"), net.state_dict(), card_for(skeleton=skeleton, stages=stages))
    network = load_pose("net.safetensors")
    assert isinstance(network, PoseNetwork)
    assert network.skeleton == skeleton
    assert (network.height, network.name, network.source) == (192, "openpose-tiny", "net.safetensors")
    assert network.card["about"] == {"recipe": "r"} and kind_of("net.safetensors", print) == "pose"
    assert not network.model.training
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.model.modules())
    images = torch.rand(1, 3, 32, 40) - 0.5
    with torch.inference_mode():
        torch.testing.assert_close(network.model(images)[-1], net(images)[-1], rtol=1e-4, atol=1e-5)


def test_a_run_directory_is_loaded_in_single_precision() -> None:
    Path("run").mkdir()
    write(Path("run/model.safetensors"), pose_network().state_dict(), card_for(), dtype=torch.float16)
    network = load_pose("run")
    assert next(network.model.parameters()).dtype == torch.float32
    with pytest.raises(WeightsError, match=r"a bottom-up .*, not a classifier .see: firstsight pose --help"):
        load("run")


def test_the_published_checkpoint_is_loaded_and_other_files_of_torch_refused() -> None:
    net, messages = pose_network("openpose-mobilenet", skeleton=OPENPOSE_18, stages=2), []
    torch.save({"state_dict": net.state_dict(), "iter": 7}, "checkpoint_iter_370000.pth")
    network = load_pose("checkpoint_iter_370000.pth", notify=messages.append)
    assert (network.skeleton, network.height, network.name) == (OPENPOSE_18, 256, "openpose-mobilenet")
    assert messages == [
        "checkpoint_iter_370000.pth has 2 refinement stages, the network 1; the further ones are left out"
    ]
    assert json.loads(json.dumps(network.card))["kind"] == "pose"
    torch.save(pose_network("openpose-mobilenet", skeleton=COCO_17).state_dict(), "other.pth")
    with pytest.raises(WeightsError, match=r"other.pth does not fit .*skeleton has 17 joints and 19 limbs.*18 and 19"):
        load_pose("other.pth")
    torch.save(pose_network().state_dict(), "tiny.pth")
    with pytest.raises(WeightsError, match=r"tiny.pth does not fit"):
        load_pose("tiny.pth")


def test_weights_of_another_kind_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"holds a classifier, not a bottom-up .*see: firstsight predict --help"):
        load_pose("lenet-digits")
    with pytest.raises(WeightsError, match=r"holds a generator, not a bottom-up .*see: firstsight generate --help"):
        load_pose("gan-digits")
    with pytest.raises(WeightsError, match=r"pose-tiny-lsp: holds a top-down .*, not a bottom-up .*TopDownEstimator"):
        load_pose("pose-tiny-lsp")
    torch.save(create_model("lenet", in_channels=1).state_dict(), "lenet.pth")
    with pytest.raises(WeightsError, match=r"lenet.pth does not fit OpenPoseMobileNet"):
        load_pose("lenet.pth")
    Path("junk.safetensors").write_bytes(b"junk" * 50)
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        load_pose("junk.safetensors")
    with pytest.raises(UsageError, match=r"no such file or run directory: none.pth"):
        load_pose("none.pth")


@pytest.mark.parametrize(
    "change",
    [
        {"model": "openpose-huge"}, {"stages": 10**9}, {"stages": "many"}, {"height": 1}, {"height": None},
        {"skeleton": {}}, {"skeleton": []}, {"skeleton": LSP_14.to_category()},
        {"skeleton": LSP_14.to_category() | {"paf_channels": [0, 1]}},
    ],
)  # fmt: skip
def test_damaged_cards_are_refused(change: dict[str, Any]) -> None:
    card = json.dumps(json.loads(card_for()) | change)
    write(Path("net.safetensors"), {"a": torch.zeros(1)}, card)
    with pytest.raises(WeightsError, match=r"net.safetensors: its card cannot be used"):
        load_pose("net.safetensors")


def test_tensors_that_do_not_fit_the_skeleton_of_the_card_are_refused() -> None:
    write(Path("net.safetensors"), pose_network(skeleton=COCO_17).state_dict(), card_for(skeleton=LSP_14))
    with pytest.raises(WeightsError, match="does not fit its network openpose-tiny"):
        load_pose("net.safetensors")


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
    assert usual() == "openpose-tiny-lsp"
    assert load_pose(usual()).skeleton == LSP_14
