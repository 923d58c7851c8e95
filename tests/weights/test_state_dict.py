"""Loading state dicts of other programs: equal values, or an error that lists what does not fit."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from firstsight.errors import UsageError, WeightsError
from firstsight.models.classification import create_model
from firstsight.models.classification.googlenet import googlenet
from firstsight.models.pose.openpose_mobilenet import OpenPoseMobileNet, openpose_mobilenet
from firstsight.weights.state_dict import load_published
from firstsight.weights.torch_file import read_state_dict
from helpers.files import MaliciousPickle
from helpers.state_dicts import make_state

State = dict[str, Tensor]


def slim(*, joints: int = 14, limbs: int = 13, stages: int = 1) -> OpenPoseMobileNet:
    """Return a narrow network of the published architecture."""
    return OpenPoseMobileNet(joints=joints, limbs=limbs, stages=stages)


def zero_network(model: str, **options: Any) -> nn.Module:
    """Return a network of zeros, without the time of the random initialization."""
    with torch.device("meta"):
        net = create_model(model, **options)
    net.to_empty(device="cpu")
    for tensor in net.state_dict().values():
        tensor.zero_()
    return net


def save(content: Any, name: str = "x.pth", *, legacy: bool = False) -> Path:
    torch.save(content, name, _use_new_zipfile_serialization=not legacy)
    return Path(name)


def assert_equal(actual: State, expected: State) -> None:
    assert list(actual) == list(expected)
    assert all(torch.equal(actual[name], expected[name]) for name in expected)
    assert all(actual[name].dtype == expected[name].dtype for name in expected)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("model", ["resnet20", "googlenet"])
def test_both_formats_of_torch_save_are_read(model: str, legacy: bool) -> None:
    state, net = make_state(model, num_classes=7), zero_network(model, num_classes=7)
    path = save(state, legacy=legacy)
    assert (path.read_bytes()[:2] == b"PK") != legacy
    assert load_published(net, path) is net
    assert_equal(net.state_dict(), state)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {f"module.{name}": tensor for name, tensor in s.items()},
        lambda s: {f"module._orig_mod.{name}": tensor for name, tensor in s.items()},
        lambda s: {"state_dict": s, "epoch": 90, "arch": "resnet18"},
        lambda s: {"model": {f"module.{name}": tensor for name, tensor in s.items()}, "epoch": 90},
        lambda s: {name: tensor for name, tensor in s.items() if not name.endswith("num_batches_tracked")},
    ],
    ids=["DataParallel", "compiled", "state_dict", "model", "no counters"],
)
def test_wrappers_of_other_programs_are_removed(state18: State, wrap: Callable[[State], Any]) -> None:
    net = load_published(zero_network("resnet18"), save(wrap(state18)))
    assert_equal(net.state_dict(), state18)


def test_safetensors_and_half_precision_are_read(state18: State) -> None:
    whole = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state18.items()}
    save_file(whole, "x.safetensors")
    assert_equal(load_published(zero_network("resnet18"), "x.safetensors").state_dict(), state18)
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state18.items()}
    net = load_published(zero_network("resnet18"), save(half))
    assert_equal(net.state_dict(), {name: tensor.to(state18[name].dtype) for name, tensor in half.items()})


def test_misfits_are_listed_and_the_network_is_left_unchanged(state18: State) -> None:
    wrong = dict(state18)
    for name in ("layer1.0.conv1.weight", "layer1.0.conv2.weight", "layer2.0.conv1.weight", "layer3.0.conv1.weight"):
        wrong[f"{name}_"] = wrong.pop(name)
    wrong["fc.weight"] = torch.zeros(10, 512)
    net = zero_network("resnet18")
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_published(net, save(wrong))
    assert str(caught.value) == (
        "x.pth does not fit ResNet: missing layer1.0.conv1.weight, layer1.0.conv2.weight, layer2.0.conv1.weight and"
        " 1 more; unexpected layer1.0.conv1.weight_, layer1.0.conv2.weight_, layer2.0.conv1.weight_ and 1 more;"
        " misshapen fc.weight (10x512, expected 1000x512)"
    )
    assert_equal(net.state_dict(), before)


def test_checkpoints_of_other_networks_are_refused(state18: State) -> None:
    with pytest.raises(WeightsError, match=r"x.pth does not fit ResNet: missing layer1.*; misshapen layer1"):
        load_published(zero_network("resnet50"), save(state18))
    with pytest.raises(WeightsError, match=r"does not fit GoogLeNet: missing conv1.conv.weight.* and \d+ more; unexp"):
        load_published(zero_network("googlenet"), save(state18))


def test_googlenet_of_the_paper_refuses_weights_of_the_port() -> None:
    path = save(zero_network("googlenet").state_dict())
    with pytest.raises(
        WeightsError, match=r"misshapen inception3a.branch3.1.conv.weight \(32x16x3x3, expected 32x16x5"
    ):
        load_published(zero_network("googlenet", variant="paper"), path)


def test_auxiliary_classifiers_of_googlenet_may_be_missing() -> None:
    """torchvision drops them after loading its published file, so fine-tuned files often lack them."""
    state, net, messages = make_state("googlenet"), zero_network("googlenet"), []
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    main = {name: tensor for name, tensor in state.items() if not name.startswith("aux")}
    load_published(net, save(main), notify=messages.append)
    assert messages == [
        "x.pth has no auxiliary classifiers; the network keeps its own, which are used in training only"
    ]
    assert_equal(net.state_dict(), {name: main.get(name, before[name]) for name in before})

    messages.clear()
    bare = load_published(googlenet(auxiliary=False), save(state), notify=messages.append)
    assert messages == ["x.pth has auxiliary classifiers, which the network was built without; they are left out"]
    assert_equal(bare.state_dict(), main)

    part = {name: tensor for name, tensor in state.items() if not name.startswith("aux2")}
    with pytest.raises(WeightsError, match=r"missing aux2.conv.conv.weight"):
        load_published(net, save(part))


def test_further_refinement_stages_are_left_out_and_missing_ones_refused() -> None:
    state, messages = slim(stages=3).state_dict(), []
    net = load_published(slim(stages=2), save({"state_dict": state, "iter": 9}), notify=messages.append)
    assert messages == ["x.pth has 3 refinement stages, the network has 2; the others are left out"]
    own = net.state_dict()
    assert_equal(own, {name: state[name] for name in own})
    with pytest.raises(WeightsError, match=r"does not fit OpenPoseMobileNet: missing refinement_stages.2.trunk.*more$"):
        load_published(slim(stages=3), save(own))
    messages.clear()
    load_published(slim(stages=0), save(own), notify=messages.append)
    assert messages == ["x.pth has 2 refinement stages, the network has 0; the others are left out"]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (openpose_mobilenet, "its skeleton has 14 joints and 13 limbs, that of the network 18 and 19"),
        (partial(slim, joints=17), "its skeleton has 14 joints and 13 limbs, that of the network 17 and 13"),
        (partial(slim, limbs=12), "its skeleton has 14 joints and 13 limbs, that of the network 14 and 12"),
    ],
    ids=["published width", "joints", "limbs"],
)
def test_openpose_of_another_skeleton_is_refused(build: Callable[[], OpenPoseMobileNet], message: str) -> None:
    """The error names the numbers of both, whatever else differs; the network is unchanged."""
    net, other = build(), slim(stages=2).state_dict()
    path = save({"state_dict": {f"module.{name}": tensor for name, tensor in other.items()}})
    before, messages = {name: tensor.clone() for name, tensor in net.state_dict().items()}, []
    with pytest.raises(WeightsError) as caught:
        load_published(net, path, notify=messages.append)
    assert str(caught.value) == f"x.pth does not fit OpenPoseMobileNet: {message} (build it with joints=14, limbs=13)"
    assert not messages
    assert_equal(net.state_dict(), before)


def test_openpose_refuses_other_widths_classifiers_and_odd_numbers_of_maps(state18: State) -> None:
    state = openpose_mobilenet().state_dict()
    narrow = state | {"model.0.0.weight": state["model.0.0.weight"][:16]}
    with pytest.raises(WeightsError, match=r"OpenPoseMobileNet: misshapen model.0.0.weight \(16x3x3x3, expected 32x3"):
        load_published(openpose_mobilenet(), save(narrow))
    with pytest.raises(WeightsError, match=r"OpenPoseMobileNet: missing model.0.0.weight.*; unexpected conv1.weight"):
        load_published(openpose_mobilenet(), save(state18))
    odd = slim().state_dict() | {"initial_stage.pafs.1.0.bias": torch.zeros(27)}
    with pytest.raises(WeightsError, match=r"misshapen initial_stage.pafs.1.0.bias \(27, expected 26\)"):
        load_published(slim(), save(odd))


@pytest.mark.parametrize("kind", [torch.int64, torch.complex64])
def test_tensors_that_are_not_real_and_dense_are_refused(state18: State, kind: torch.dtype) -> None:
    with pytest.raises(WeightsError, match=f"fc.bias has type {kind}"):
        load_published(zero_network("resnet18"), save({**state18, "fc.bias": torch.zeros(1000, dtype=kind)}))
    with pytest.raises(WeightsError, match=r"fc.weight has type .*sparse"):
        load_published(zero_network("resnet18"), save({**state18, "fc.weight": torch.zeros(1000, 512).to_sparse()}))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("where", ["among the tensors", "next to the state dict"])
def test_code_in_a_file_is_never_executed(state18: State, legacy: bool, where: str) -> None:
    content = {"state_dict": state18, "args": MaliciousPickle()}
    if where == "among the tensors":
        content = {**state18, "extra": MaliciousPickle()}
    with pytest.raises(
        WeightsError, match=r"x.pth: refused, because reading it would execute code .*nothing was executed"
    ):
        load_published(zero_network("resnet18"), save(content, legacy=legacy))
    assert not Path("executed").exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_cut_at_any_length_is_reported_as_damaged(legacy: bool) -> None:
    whole = save({"a.weight": torch.rand(64, 16), "a.bias": torch.rand(64)}, legacy=legacy).read_bytes()
    for length in [*range(40), *range(40, len(whole) - 1, 97), len(whole) - 1]:
        Path("cut.pth").write_bytes(whole[:length])
        with pytest.raises(
            WeightsError, match=r"^cut.pth: not a readable PyTorch file, or (truncated|one with)"
        ) as caught:
            read_state_dict(Path("cut.pth"))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(3), {1: torch.zeros(2)}, {"model": "resnet18"}])
def test_content_that_is_not_a_state_dict_is_refused(content: Any) -> None:
    with pytest.raises(WeightsError, match=r"x.pth: does not hold tensors by name \(a state dict\)"):
        read_state_dict(save(content))


def test_empty_missing_and_damaged_files_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"missing conv1.weight"):
        load_published(zero_network("resnet18"), save({}))
    with pytest.raises(UsageError, match=r"no such file: nowhere.pth"):
        load_published(zero_network("resnet18"), "nowhere.pth")
    Path("junk.safetensors").write_bytes(b"junk" * 9)
    with pytest.raises(WeightsError, match=r"junk.safetensors: not a readable safetensors file"):
        load_published(zero_network("resnet18"), "junk.safetensors")
