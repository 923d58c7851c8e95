"""The pose task: its loss by hand, what it measures, and runs on drawn people with a skeleton of their own."""

import hashlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from firstsight import train
from firstsight.data.people import load_people
from firstsight.data.scenes import SceneBatch
from firstsight.errors import DataError, Interrupted, UsageError
from firstsight.pose.targets import heatmap_targets, paf_targets
from firstsight.recipes import PoseSettings, find_recipe
from firstsight.recipes.train import Session, Silent, Where
from firstsight.tasks.averaged import make_optimizers
from firstsight.tasks.keypoint_scores import network_input
from firstsight.tasks.keypoints import EstimatePose
from firstsight.tasks.muon import Muon

SMALL: dict[str, Any] = {"image_size": 64, "batch_size": 4, "epochs": 2, "measured": 8, "evaluate_every": 1}


def task(path: Path, recipe: str = "openpose-tiny-lsp", **changes: Any) -> EstimatePose:
    known = find_recipe(recipe)
    settings = replace(known.settings, data=str(path), **(SMALL | {"skeleton": "data"} | changes))
    session = Session(known, settings, Where(device="cpu"), Silent())
    made = session.make_task(*session.materials.load())
    assert isinstance(made, EstimatePose)
    return made


def answers(made: EstimatePose, batch: SceneBatch) -> list[tuple[Tensor, Tensor]]:
    with torch.no_grad():
        maps: list[tuple[Tensor, Tensor]] = made.models["net"](network_input(batch.images, torch.float64))
    return maps


def test_the_loss_by_hand(sticks: Callable[..., Path]) -> None:
    """Half the squared error, summed over cells, maps and stages, without cells that do not count, mean over scenes."""
    made = task(sticks(), precision="float64", stages=2, paf_weight=0.5, foreground=0.0, people=2)
    batch = made.batches.get(0, 0)
    counts = torch.rand(batch.counts.shape, generator=torch.Generator().manual_seed(0)) < 0.7
    batch = replace(batch, counts=counts)
    maps = answers(made, batch)
    assert [heatmaps.shape[1:] for heatmaps, _ in maps] == [(6, 8, 8)] * 3
    heatmaps = heatmap_targets(batch.keypoints, batch.visible, size=(8, 8), sigma=7.0)
    pafs = paf_targets(batch.keypoints, batch.visible, made.skeleton, size=(8, 8))
    wanted = 0.0
    for sample, row, column in np.argwhere(counts.numpy()).tolist():
        for stage in maps:
            place = (sample, slice(None), row, column)
            wanted += 0.5 * float((stage[0][place] - heatmaps[place]).square().sum())
            wanted += 0.25 * float((stage[1][place] - pafs[place]).square().sum())
    losses, (last, _) = made.losses(maps, batch)
    assert float(batch.mean(losses)) == pytest.approx(wanted / len(batch.ids), rel=1e-10)
    part = ((maps[-1][0] - heatmaps) * counts[:, None]).square().sum() / 2
    assert float(last.sum()) == pytest.approx(float(part), rel=1e-10)


def test_foreground_weighs_joints_and_limbs(sticks: Callable[..., Path]) -> None:
    """The background's map has no foreground; a field's is the length of the vector that is wanted."""
    made = task(sticks(), precision="float64", foreground=3.0, people=2)
    batch = made.batches.get(0, 0)
    maps = answers(made, batch)
    heatmaps = heatmap_targets(batch.keypoints, batch.visible, size=(8, 8), sigma=7.0)
    pafs = paf_targets(batch.keypoints, batch.visible, made.skeleton, size=(8, 8))
    assert heatmaps[:, :-1].max() > 0.5 and pafs.abs().max() > 0.5
    counts = batch.counts[:, None]
    wanted = torch.zeros(len(batch.ids), dtype=torch.float64)
    for found, _ in maps:
        squares = (found - heatmaps).square() * counts
        wanted += squares.flatten(1).sum(1) / 2 + (3 * squares * heatmaps)[:, :-1].flatten(1).sum(1) / 2
    for _, found in maps:
        squares = ((found - pafs).square() * counts).unflatten(1, (-1, 2))
        lengths = pafs.unflatten(1, (-1, 2)).square().sum(2, keepdim=True).sqrt()
        wanted += (squares * (1 + 3 * lengths)).flatten(1).sum(1) / 2
    torch.testing.assert_close(made.losses(maps, batch)[0], wanted, rtol=1e-10, atol=0)


def test_cells_that_do_not_count_have_no_gradient(sticks: Callable[..., Path]) -> None:
    made = task(sticks(), precision="float64", foreground=0.0)
    batch = made.batches.get(0, 0)
    counts = torch.ones_like(batch.counts)
    counts[:, :3] = False
    n = len(batch.ids)
    maps = [(torch.rand(n, 6, 8, 8).double().requires_grad_(), torch.rand(n, 8, 8, 8).double().requires_grad_())]
    losses, _ = made.losses(maps, replace(batch, counts=counts))
    batch.mean(losses).backward()
    target = heatmap_targets(batch.keypoints, batch.visible, size=(8, 8), sigma=7.0)
    for found in maps[0]:
        assert found.grad is not None and (found.grad[:, :, :3] == 0).all() and (found.grad[:, :, 3:] != 0).any()
    grad = maps[0][0].grad
    assert grad is not None
    torch.testing.assert_close(grad[:, :, 3:], (maps[0][0] - target)[:, :, 3:].detach() / n)


def test_a_step_is_that_of_plain_torch_and_the_average_follows(sticks: Callable[..., Path]) -> None:
    made = task(sticks(), precision="float64", optimizer="adam", schedule="constant", warmup=0.0, weight_decay=0.1)
    plain = task(sticks(), precision="float64", ema=0.0)
    assert made.product == "average" and plain.product == "net" and set(plain.models) == {"net"}
    start = [p.detach().clone() for p in made.models["average"].parameters()]
    batch = made.batches.get(0, 0)
    scalars = made.train_step(batch)
    net = plain.models["net"]
    mixing = [p for p in net.parameters() if p.ndim == 4 and p.shape[1] > 1]
    rest = [p for p in net.parameters() if not (p.ndim == 4 and p.shape[1] > 1)]
    groups = [{"params": mixing, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.Adam(groups, lr=made.descent.lr)
    inputs = (batch.images[:, [2, 1, 0]].double() - 128) / 256
    loss = plain.losses(net(inputs), batch)[0].mean()
    loss.backward()
    optimizer.step()
    assert float(scalars["loss"]) == pytest.approx(loss.item(), rel=1e-10)
    own, followed = (made.models[name].parameters() for name in ("net", "average"))
    for ours, theirs, average, before in zip(own, net.parameters(), followed, start, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(average, before + 0.9 * (ours - before))


def test_depthwise_filters_do_not_decay(sticks: Callable[..., Path]) -> None:
    made = task(sticks(), recipe="openpose-mobilenet-coco", scenes="composed")
    mixing, rest = make_optimizers(made.models["net"], made.descent)["net"].param_groups
    assert mixing["weight_decay"] == 5e-4 and rest["weight_decay"] == 0
    assert {p.ndim for p in mixing["params"]} == {4}
    assert {tuple(p.shape[1:]) for p in rest["params"]} == {(), (1, 3, 3)}


def test_muon_takes_the_filters_that_a_batch_norm_follows(sticks: Callable[..., Path]) -> None:
    """Those have orthogonal updates, all other parameters AdamW's, as two plain steps of each have it."""
    made = task(
        sticks(), optimizer="muon", precision="float64", schedule="constant", warmup=0.0, weight_decay=0.1, ema=0.0,
        filter_lr=10,
    )  # fmt: skip
    net = made.models["net"]
    others = task(sticks(), precision="float64", ema=0.0).models["net"]
    taken = {id(p) for p in made.optimizers["filters"].param_groups[0]["params"]}
    all_names = dict(net.named_parameters())
    names = {name for name, p in all_names.items() if id(p) in taken}
    normed = {name for name, p in all_names.items() if p.ndim == 4 and name.replace("weight", "bias") not in all_names}
    assert names == normed - {"to_quarter.0.0.weight"} and len(names) == 24
    theirs = dict(others.named_parameters())
    weights = [p for name, p in theirs.items() if name not in names and p.ndim > 1]
    groups = [
        {"params": weights, "weight_decay": 0.1},
        {"params": [p for p in theirs.values() if p.ndim == 1], "weight_decay": 0},
    ]
    adamw = torch.optim.AdamW(groups, lr=made.descent.lr)
    muon = Muon([theirs[name] for name in names], [], lr=10 * made.descent.lr, momentum=0.9, filter_momentum=0.9)
    for index in range(2):
        batch = made.batches.get(0, index)
        made.train_step(batch)
        made.losses(others(network_input(batch.images, torch.float64)), batch)[0].mean().backward()
        for optimizer in (adamw, muon):
            optimizer.step()
            optimizer.zero_grad()
    for name, ours in net.named_parameters():
        torch.testing.assert_close(ours, theirs[name], rtol=1e-6, atol=1e-9)
    published = task(sticks(), recipe="openpose-mobilenet-coco", scenes="composed", optimizer="muon")
    filters = published.optimizers["filters"].param_groups[0]["params"]
    assert filters and all(p.shape[1] > 1 for p in filters)


def test_scenes_grow_and_the_rate_begins_anew(sticks: Callable[..., Path]) -> None:
    """Two epochs small, two large, measured on scenes of the same side; filters have a rate of their own."""
    made = task(
        sticks(), epochs=4, image_size=128, early=0.5, early_scale=0.5, restart=0.25, warmup=0.0, precision="float32",
        filter_lr=10, optimizer="muon",
    )  # fmt: skip
    for epoch, (side, share) in enumerate(((64, 1.0), (64, 0.5), (128, 0.25), (128, 0.125))):
        made.train_step(made.batches.get(epoch, 0))
        rates = [made.optimizers[name].param_groups[0]["lr"] for name in ("net", "filters")]
        assert rates == pytest.approx([made.descent.lr * share, 10 * made.descent.lr * share])
        with torch.no_grad():
            assert made.evaluate() == made.measure(made.product_net(), made.losses, side=side)
    assert json.loads(made.card({})["average"])["height"] == 128


class Oracle(nn.Module):
    """Answers with the labels of the scenes that were made last."""

    def __init__(self, made: EstimatePose) -> None:
        super().__init__()
        self.made, self.batch = made, None
        scenes = made.measure.scenes
        original = scenes._batch

        def watched(*arguments: Any) -> SceneBatch:
            self.batch = original(*arguments)
            return self.batch

        scenes._batch = watched  # type: ignore[method-assign]

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        batch = self.batch
        assert batch is not None and len(images) == len(batch.images)
        size = tuple(batch.counts.shape[1:])
        heatmaps = heatmap_targets(batch.keypoints, batch.visible, size=size, sigma=self.made.sigma)
        return [(heatmaps, paf_targets(batch.keypoints, batch.visible, self.made.skeleton, size=size))]


@pytest.mark.parametrize("recipe", ["openpose-tiny-lsp", "openpose-mobilenet-coco"])
def test_a_network_that_knows_the_labels_finds_everybody(recipe: str, sticks: Callable[..., Path]) -> None:
    """AP and PCK of 1, a loss of 0; shown with the joints where they are; a network that says nothing finds nobody."""
    names = ["head", "left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    path = sticks(20, category={"sigmas": [0.08] * 5, "keypoints": names})
    made = task(path, recipe, people=1, smallest=0.4, largest=0.5, image_size=184)
    oracle = Oracle(made)
    found = made.measure(oracle, made.losses)
    assert found["loss"] == pytest.approx(0, abs=1e-6)
    assert found["ap50"] > 0.99 and found["ap"] > 0.9 and found["ar"] > 0.9
    assert ("pck" in found) == (recipe == "openpose-tiny-lsp") and found.get("pck", 1.0) == 1.0
    images, poses, truths = made.measure.shown(oracle)
    assert len(images) == len(poses) == len(truths) == 4
    worst = max(np.abs(a.keypoints - b.keypoints)[:, :2].max() for a, b in zip(poses[0], truths[0], strict=True))
    assert worst < 3

    class Silence(nn.Module):
        def forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
            return [(torch.zeros(len(x), 6, 23, 23), torch.zeros(len(x), 8, 23, 23))]

    nothing = made.measure(Silence(), made.losses)
    assert nothing["ap"] == nothing["ar"] == nothing.get("pck", 0.0) == 0 and nothing["loss"] > 1


def test_measuring_does_not_depend_on_what_was_trained(sticks: Callable[..., Path]) -> None:
    made = task(sticks())
    first = made.evaluate()
    assert made.evaluate() == first
    made.train_step(made.batches.get(1, 1))
    assert made.evaluate() != first and made.models["net"].training and not made.models["average"].training


def tensors(run: Path) -> dict[str, str]:
    last = max((run / "checkpoints").iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in last.glob("*.safetensors")}


def test_a_run_with_a_skeleton_of_ones_own(sticks: Callable[..., Path], tmp_path: Path) -> None:
    """Trains, stops at a signal, resumes with the same bits; a changed skeleton is refused; its weights are used."""

    class Stopper(Silent):
        seen = 0

        def step(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
            self.seen += 1
            if self.seen == 4:
                os.kill(os.getpid(), signal.SIGTERM)

    path = sticks()
    calm = train("openpose-tiny-lsp", out=tmp_path / "calm", data=str(path), optimizer="muon", **SMALL)
    assert set(calm.metrics) == {"loss", "ap", "ap50", "ap75", "ar", "pck"}
    assert calm.recipe == "openpose-tiny-person_keypoints" and calm.headline.startswith("AP ")
    with pytest.raises(Interrupted):
        train("openpose-tiny-lsp", out=tmp_path / "r", data=str(path), observer=Stopper(), optimizer="muon", **SMALL)
    again = train("openpose-tiny-lsp", out=tmp_path / "r", resume=True)
    assert again.metrics == calm.metrics
    assert tensors(tmp_path / "r") == tensors(tmp_path / "calm")
    optimizers = {f"{name}-optimizer.safetensors" for name in ("net", "filters")}
    assert set(tensors(tmp_path / "r")) == {"net.safetensors", "average.safetensors", *optimizers}
    page = (tmp_path / "r" / "report.html").read_text()
    assert "measured on 2 of 12 pictures, those that a training holds out" in page and "head-left_shoulder" in page
    figures = {file.name for file in (tmp_path / "r" / "figures").iterdir()}
    assert figures == {"learning-curves.png", "answers.png", "labels.png"}

    from firstsight.weights.pose import load_pose

    network = load_pose(tmp_path / "r")
    assert network.skeleton == load_people(path)[0].skeleton and network.height == 64

    sticks(category={"skeleton": [[1, 2], [1, 3], [2, 5], [3, 4]]})
    with pytest.raises(UsageError, match=r"limbs was .*left_shoulder-left_hip"):
        train("openpose-tiny-lsp", out=tmp_path / "r", resume=True)


def test_it_learns(sticks: Callable[..., Path], tmp_path: Path) -> None:
    """The loss of what it has not seen falls by half in a few dozen steps."""
    path = sticks(24)
    changes = SMALL | {"epochs": 10, "lr": 3e-3, "people": 1, "smallest": 0.7, "rotate": 0.0, "ema": 0.9}
    train("openpose-tiny-lsp", out=tmp_path / "r", data=str(path), **changes)
    lines = [json.loads(line) for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["test/loss"] < 0.6 * lines[0]["test/loss"]


def test_from_the_command_line(sticks: Callable[..., Path], run: Callable[..., tuple[int, str, str]]) -> None:
    """A folder of two files; --updates and --holdout; --resume finds the run; the table lists what there is."""
    sticks(8, where="mine/person_keypoints_train.json")
    path = sticks(4, where="mine/person_keypoints_val.json")
    options = ["--data", path.parent, "--image-size", 64, "--batch-size", 4, "--updates", 3, "--measured", 4]
    code, out, err = run("train", "openpose-tiny-lsp", *options, "--evaluate-every", 2)
    assert code == 0 and "openpose-tiny-mine: AP" in out and "8 images, 4 to test" in err and "1 epoch on cpu" in err
    code, out, err = run("train", "openpose-tiny-lsp", *options, "--evaluate-every", 2, "--resume")
    assert code == 0 and "runs/openpose-tiny-mine/1 is finished" in err
    code, out, err = run("train", "openpose-tiny", *options, "--holdout", 0.25, "--json")
    assert code == 0 and json.loads(out)["run_dir"].endswith("openpose-tiny-mine/2") and "measured on 2 of 8" in err
    code, out, err = run(
        "train", "openpose-mobilenet-coco", *options, "--skeleton", "data", "--stages", 0, "--epochs", 1
    )
    assert code == 0 and "photographs after epoch 1" in out
    code, out, err = run("models", "openpose")
    assert code == 0 and "openpose-tiny-lsp" in out and "openpose-mobilenet-coco" in out
    code, out, err = run("train", "openpose-tiny-lsp")
    assert code == 1 and "lspet: there is no such file or folder" in err


def test_built_in_joints_of_other_data(sticks: Callable[..., Path]) -> None:
    """Those that are shared are learnt, those that are not have no labels."""
    made = task(sticks(), "openpose-mobilenet-coco", skeleton="openpose-18")
    batch = made.batches.get(0, 0)
    seen = {made.skeleton.joints[joint] for joint in torch.nonzero(batch.visible.any(0).any(0)).flatten().tolist()}
    assert seen == {"neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_size": 100}, "--image-size must be a multiple of 8"),
        ({"shift": 3}, "--shift is not for poses"),
        ({"flip": "alternating"}, "--flip must be none or random"),
        ({"smallest": 0.8, "largest": 0.4}, "--smallest 0.8 is more than --largest 0.4"),
        ({"scenes": "drawn"}, "--scenes must be one of composed, photographs"),
        ({"people": 0}, "--people must lie between 1 and 30"),
        ({"precision": "float16", "optimizer": "muon"}, "--precision float16 is not for two optimizers at once"),
        ({"weights": "imagenet"}, "has no setting weights"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        train("openpose-tiny-lsp", out=tmp_path / "r", **changes)
    assert isinstance(find_recipe("openpose-tiny").settings, PoseSettings)


def test_data_to_learn_nothing_from_are_refused(sticks: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="none of the 12 people has a labelled joint"):
        task(sticks(keypoints=[0] * 15))
    with pytest.raises(DataError, match="1 usable pictures are too few; every batch needs 2 at least"):
        task(sticks(2, where="few/person_keypoints.json"))
    both = sticks(6, where="both/person_keypoints_train.json")
    sticks(3, where="both/person_keypoints_val.json", category={"skeleton": [[1, 2], [1, 3], [2, 5], [3, 4]]})
    with pytest.raises(DataError, match="are of different skeletons"):
        task(both.parent)


def test_warned_when_nobody_is_found(sticks: Callable[..., Path]) -> None:
    made = task(sticks())
    lines = [{"epoch": i, "test/ap50": 0.0} for i in range(10)]
    assert made.warnings(lines[:9]) == [] and "nobody was found in 10" in made.warnings(lines)[0]
    assert made.warnings([*lines, {"epoch": 11, "test/ap50": 0.1}]) == []
