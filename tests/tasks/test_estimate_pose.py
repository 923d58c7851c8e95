"""Training of bottom-up pose networks: loss by hand, optimizer steps, evaluation, runs with a custom skeleton."""

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
from firstsight.data.keypoints.scenes import SceneBatch
from firstsight.data.keypoints.splits import load_people
from firstsight.errors import DataError, Interrupted, UsageError
from firstsight.optim.config import make_pose_optimizers
from firstsight.optim.muon import Muon
from firstsight.pose.targets import heatmap_targets, paf_targets
from firstsight.recipes import find_recipe
from firstsight.recipes.train import NullCallback, RunOptions, TrainingRun
from firstsight.tasks.pose.bottom_up.estimate import find_network
from firstsight.tasks.pose.bottom_up.evaluate import network_input
from firstsight.tasks.pose.bottom_up.settings import BottomUpSettings
from firstsight.tasks.pose.bottom_up.train import BottomUpTask

SMALL: dict[str, Any] = {"image_size": 64, "batch_size": 4, "epochs": 2, "max_eval_samples": 8, "evaluate_every": 1}


def make_task(path: Path, name: str = "openpose-tiny-lsp", **changes: Any) -> BottomUpTask:
    recipe = find_recipe(name)
    settings = replace(recipe.settings, data=str(path), **(SMALL | {"skeleton": "data"} | changes))
    run = TrainingRun(recipe, settings, RunOptions(device="cpu"), NullCallback())
    task = run.make_task(*run.builder.load())
    assert isinstance(task, BottomUpTask)
    return task


def predict(task: BottomUpTask, batch: SceneBatch) -> list[Tensor]:
    with torch.no_grad():
        maps: list[Tensor] = task.models["net"](network_input(batch.images, torch.float64))
    return maps


def test_the_loss_by_hand(sticks: Callable[..., Path]) -> None:
    """Half the squared error, summed over unmasked cells, maps and stages; mean over scenes."""
    task = make_task(
        sticks(),
        image_size=32,
        low_res_fraction=0.0,
        precision="float64",
        stages=2,
        paf_weight=0.5,
        foreground_weight=0.0,
        max_people=2,
    )
    batch = task.batches.get(0, 0)
    counts = torch.rand(batch.loss_mask.shape, generator=torch.Generator().manual_seed(0)) < 0.7
    batch = replace(batch, loss_mask=counts)
    maps = predict(task, batch)
    assert [heatmaps.shape[1:] for heatmaps in maps[::2]] == [(6, 4, 4)] * 3
    heatmaps = heatmap_targets(batch.keypoints, batch.visible, size=(4, 4), sigma=7.0)
    pafs = paf_targets(batch.keypoints, batch.visible, task.skeleton, size=(4, 4), align=task.align)
    expected = 0.0
    for sample, row, column in np.argwhere(counts.numpy()).tolist():
        for stage in zip(maps[::2], maps[1::2], strict=True):
            cell = (sample, slice(None), row, column)
            expected += 0.5 * float((stage[0][cell] - heatmaps[cell]).square().sum())
            expected += 0.25 * float((stage[1][cell] - pafs[cell]).square().sum())
    losses, (last, _) = task.losses(maps, batch)
    assert float(batch.mean(losses)) == pytest.approx(expected / len(batch.ids), rel=1e-10)
    part = ((maps[-2] - heatmaps) * counts[:, None]).square().sum() / 2
    assert float(last.sum()) == pytest.approx(float(part), rel=1e-10)


def test_foreground_weights_joints_and_limbs_by_hand(sticks: Callable[..., Path]) -> None:
    """Cells of a joint's map weigh 1 + 3 x the target, those of a field 1 + 3 x the length of the target vector."""
    task = make_task(sticks(), precision="float64", foreground_weight=3.0, max_people=2)
    batch = task.batches.get(0, 0)
    maps = predict(task, batch)
    heatmaps = heatmap_targets(batch.keypoints, batch.visible, size=(8, 8), sigma=7.0)
    pafs = paf_targets(batch.keypoints, batch.visible, task.skeleton, size=(8, 8), align=task.align)
    assert heatmaps[:, :-1].max() > 0.5 and pafs.abs().max() > 0.5
    counts = batch.loss_mask[:, None]
    expected = torch.zeros(len(batch.ids), dtype=torch.float64)
    for found in maps[::2]:
        squares = (found - heatmaps).square() * counts
        expected += squares.flatten(1).sum(1) / 2 + (3 * squares * heatmaps)[:, :-1].flatten(1).sum(1) / 2
    for found in maps[1::2]:
        squares = ((found - pafs).square() * counts).unflatten(1, (-1, 2))
        lengths = pafs.unflatten(1, (-1, 2)).square().sum(2, keepdim=True).sqrt()
        expected += (squares * (1 + 3 * lengths)).flatten(1).sum(1) / 2
    torch.testing.assert_close(task.losses(maps, batch)[0], expected, rtol=1e-10, atol=0)


def test_maps_have_no_gradient_around_uncertain_joints(sticks: Callable[..., Path]) -> None:
    """Joint 1 of the first person is uncertain: its heatmap and the background near it, and its limbs, do not count."""
    task = make_task(sticks(), precision="float64", foreground_weight=2.0, max_people=1, image_size=64)
    batch = task.batches.get(0, 0)
    assert batch.visible[0, 0, 1]
    visible, uncertain = batch.visible.clone(), torch.zeros_like(batch.visible)
    visible[0, 0, 1], uncertain[0, 0, 1] = False, True
    n, (height, width) = len(batch.ids), batch.loss_mask.shape[1:]
    maps = [torch.rand(n, channels, height, width).double().requires_grad_() for channels in (6, 8)]
    losses, _ = task.losses(maps, replace(batch, visible=visible, uncertain=uncertain))
    losses.sum().backward()
    gaussian = heatmap_targets(batch.keypoints, uncertain, size=(height, width), sigma=7.0)[0, 1] > 0
    assert gaussian.any()
    grad = maps[0].grad
    assert grad is not None
    for channel in range(6):
        is_masked = gaussian if channel in (1, 5) else torch.zeros_like(gaussian)  # 5 is the background
        assert torch.equal(grad[0, channel] == 0, is_masked)
    assert (grad[1:] != 0).all()
    limbs, field_grad = task.skeleton.limbs, maps[1].grad
    assert field_grad is not None
    fields = paf_targets(batch.keypoints, visible | uncertain, task.skeleton, size=(height, width), align=task.align)
    for (a, b), channel in zip(limbs, task.skeleton.paf_channels, strict=True):
        on_limb = fields[0, channel : channel + 2].abs().amax(0) > 0
        is_masked = on_limb if 1 in (a, b) else torch.zeros_like(on_limb)
        assert torch.equal((field_grad[0, channel : channel + 2] == 0).all(0), is_masked)


def test_masked_cells_have_no_gradient(sticks: Callable[..., Path]) -> None:
    task = make_task(sticks(), precision="float64", foreground_weight=0.0)
    batch = task.batches.get(0, 0)
    counts = torch.ones_like(batch.loss_mask)
    counts[:, :3] = False
    n = len(batch.ids)
    maps = [torch.rand(n, channels, 8, 8).double().requires_grad_() for channels in (6, 8)]
    losses, _ = task.losses(maps, replace(batch, loss_mask=counts))
    batch.mean(losses).backward()
    target = heatmap_targets(batch.keypoints, batch.visible, size=(8, 8), sigma=7.0)
    for found in maps:
        assert found.grad is not None and (found.grad[:, :, :3] == 0).all() and (found.grad[:, :, 3:] != 0).any()
    grad = maps[0].grad
    assert grad is not None
    torch.testing.assert_close(grad[:, :, 3:], (maps[0] - target)[:, :, 3:].detach() / n)


def test_a_step_equals_plain_torch_and_updates_the_average(sticks: Callable[..., Path]) -> None:
    task = make_task(sticks(), precision="float64", optimizer="adam", schedule="constant", warmup=0.0, weight_decay=0.1)
    plain = make_task(sticks(), precision="float64", ema_decay=0.0)
    assert task.export_model == "average" and plain.export_model == "net" and set(plain.models) == {"net"}
    start = [p.detach().clone() for p in task.models["average"].parameters()]
    batch = task.batches.get(0, 0)
    scalars = task.train_step(batch)
    net = plain.models["net"]
    mixing = [p for p in net.parameters() if p.ndim == 4 and p.shape[1] > 1]
    rest = [p for p in net.parameters() if not (p.ndim == 4 and p.shape[1] > 1)]
    groups = [{"params": mixing, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.Adam(groups, lr=task.optimizer_config.lr)
    inputs = (batch.images[:, [2, 1, 0]].double() - 128) / 256
    loss = plain.losses(net(inputs), batch)[0].mean()
    loss.backward()
    optimizer.step()
    assert float(scalars["loss"]) == pytest.approx(loss.item(), rel=1e-10)
    own, followed = (task.models[name].parameters() for name in ("net", "average"))
    for ours, theirs, average, before in zip(own, net.parameters(), followed, start, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(average, before + 0.9 * (ours - before))


def test_depthwise_filters_have_no_weight_decay(sticks: Callable[..., Path]) -> None:
    task = make_task(sticks(), name="openpose-mobilenet-coco", scenes="composed")
    mixing, rest = make_pose_optimizers(task.models["net"], task.optimizer_config)["net"].param_groups
    assert mixing["weight_decay"] == 5e-4 and rest["weight_decay"] == 0
    assert {p.ndim for p in mixing["params"]} == {4}
    assert {tuple(p.shape[1:]) for p in rest["params"]} == {(), (1, 3, 3)}


def test_muon_updates_the_filters_followed_by_batch_norm_and_adamw_the_rest(sticks: Callable[..., Path]) -> None:
    """Two steps equal those of the two optimizers on their own."""
    task = make_task(
        sticks(),
        optimizer="muon",
        precision="float64",
        schedule="constant",
        warmup=0.0,
        weight_decay=0.1,
        ema_decay=0.0,
        filter_lr_mult=10,
    )
    net = task.models["net"]
    others = make_task(sticks(), precision="float64", ema_decay=0.0).models["net"]
    taken = {id(p) for p in task.optimizers["filters"].param_groups[0]["params"]}
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
    adamw = torch.optim.AdamW(groups, lr=task.optimizer_config.lr)
    muon = Muon(
        [theirs[name] for name in names], [], lr=10 * task.optimizer_config.lr, momentum=0.9, filter_momentum=0.9
    )
    for index in range(2):
        batch = task.batches.get(0, index)
        task.train_step(batch)
        task.losses(others(network_input(batch.images, torch.float64)), batch)[0].mean().backward()
        for optimizer in (adamw, muon):
            optimizer.step()
            optimizer.zero_grad()
    for name, ours in net.named_parameters():
        torch.testing.assert_close(ours, theirs[name], rtol=1e-6, atol=1e-9)
    published = make_task(sticks(), name="openpose-mobilenet-coco", scenes="composed", optimizer="muon")
    filters = published.optimizers["filters"].param_groups[0]["params"]
    assert filters and all(p.shape[1] > 1 for p in filters)


def test_early_scenes_are_small_and_the_learning_rate_restarts(sticks: Callable[..., Path]) -> None:
    """Two epochs small, two large, evaluated on scenes of the same size; filters have a separate learning rate."""
    task = make_task(
        sticks(),
        epochs=4,
        image_size=128,
        low_res_fraction=0.5,
        low_res_scale=0.5,
        lr_restart=0.25,
        warmup=0.0,
        precision="float32",
        filter_lr_mult=10,
        optimizer="muon",
    )
    for epoch, (side, share) in enumerate(((64, 1.0), (64, 0.5), (128, 0.25), (128, 0.125))):
        task.train_step(task.batches.get(epoch, 0))
        rates = [task.optimizers[name].param_groups[0]["lr"] for name in ("net", "filters")]
        assert rates == pytest.approx([task.optimizer_config.lr * share, 10 * task.optimizer_config.lr * share])
        with torch.no_grad():
            assert task.evaluate() == task.evaluator(task.exported_net(), task.losses, side=side)
    assert json.loads(task.card({})["average"])["height"] == 128


class LabelNetwork(nn.Module):
    """Returns the ground-truth maps of the scenes and photographs that a task is evaluated on."""

    def __init__(self, task: BottomUpTask) -> None:
        super().__init__()
        scenes, n = task.evaluator.scenes, task.evaluator.num_samples
        ids = np.arange(n) * scenes.samples // n
        self.task, self.batches = task, [scenes.get_samples(0, ids), scenes.get_letterboxed(ids)]

    def forward(self, images: Tensor) -> list[Tensor]:
        for batch in self.batches:
            same = (network_input(batch.images)[None] == images[:, None]).flatten(2).all(2)  # (images, scenes)
            if same.any(1).all():
                scenes, size = same.int().argmax(1), tuple(batch.loss_mask.shape[1:])
                keypoints, visible = batch.keypoints[scenes], batch.visible[scenes]
                heatmaps = heatmap_targets(keypoints, visible, size=size, sigma=self.task.sigma)
                fields = paf_targets(keypoints, visible, self.task.skeleton, size=size, align=self.task.align)
                return [heatmaps, fields]
        raise AssertionError("images that are not evaluated on")


@pytest.mark.parametrize("recipe", ["openpose-tiny-lsp", "openpose-mobilenet-coco"])
def test_ground_truth_maps_score_one_and_empty_maps_zero(recipe: str, sticks: Callable[..., Path]) -> None:
    """And a loss of 0; the scenes shown in the report have their joints in place."""
    names = ["head", "left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    path = sticks(20, category={"sigmas": [0.08] * 5, "keypoints": names})
    task = make_task(path, recipe, max_people=1, min_scale=0.4, max_scale=0.5, image_size=184)
    network = LabelNetwork(task)
    metrics = task.evaluator(network, task.losses)
    assert metrics["loss"] == pytest.approx(0, abs=1e-6)
    assert metrics["ap50"] > 0.99 and metrics["ap"] > 0.9 and metrics["ar"] > 0.9
    assert ("pck" in metrics) == (recipe == "openpose-tiny-lsp") and metrics.get("pck", 1.0) == 1.0
    images, poses, truths = task.evaluator.predict_examples(network)
    assert len(images) == len(poses) == len(truths) == 4
    worst = max(np.abs(a.keypoints - b.keypoints)[:, :2].max() for a, b in zip(poses[0], truths[0], strict=True))
    assert worst < 3

    class EmptyMaps(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [torch.zeros(len(x), 6, 23, 23), torch.zeros(len(x), 8, 23, 23)]

    empty = task.evaluator(EmptyMaps(), task.losses)
    assert empty["ap"] == empty["ar"] == empty.get("pck", 0.0) == 0 and empty["loss"] > 1


def test_evaluation_is_repeatable_and_follows_the_weights(sticks: Callable[..., Path]) -> None:
    task = make_task(sticks())
    first = task.evaluate()
    assert task.evaluate() == first
    task.train_step(task.batches.get(1, 1))
    assert task.evaluate() != first and task.models["net"].training and not task.models["average"].training


def checkpoint_hashes(run: Path) -> dict[str, str]:
    last = max((run / "checkpoints").iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in last.glob("*.safetensors")}


def test_a_run_with_a_custom_skeleton_resumes_with_the_same_bits(sticks: Callable[..., Path], tmp_path: Path) -> None:
    """Stopped by a signal; the report, the figures and the weights are there, and a changed skeleton is refused."""

    class Stopper(NullCallback):
        steps = 0

        def on_step_end(self, *_: Any) -> None:
            self.steps += 1
            if self.steps == 4:
                os.kill(os.getpid(), signal.SIGTERM)

    path = sticks()
    straight = train("openpose-tiny-lsp", out=tmp_path / "straight", data=str(path), optimizer="muon", **SMALL)
    assert set(straight.metrics) == {"loss", "ap", "ap50", "ap75", "ar", "pck"}
    assert straight.recipe == "openpose-tiny-person_keypoints" and straight.headline.startswith("AP ")
    with pytest.raises(Interrupted):
        train("openpose-tiny-lsp", out=tmp_path / "r", data=str(path), callback=Stopper(), optimizer="muon", **SMALL)
    resumed = train("openpose-tiny-lsp", out=tmp_path / "r", resume=True)
    assert resumed.metrics == straight.metrics
    assert checkpoint_hashes(tmp_path / "r") == checkpoint_hashes(tmp_path / "straight")
    optimizers = {f"{name}-optimizer.safetensors" for name in ("net", "filters")}
    assert set(checkpoint_hashes(tmp_path / "r")) == {"net.safetensors", "average.safetensors", *optimizers}
    page = (tmp_path / "r" / "report.html").read_text()
    assert "evaluated on 2 of 12 images, held out of training" in page and "head-left_shoulder" in page
    figures = {file.name for file in (tmp_path / "r" / "figures").iterdir()}
    assert figures == {"learning-curves.png", "predictions.png", "ground-truth.png"}
    network = find_network(tmp_path / "r")
    assert network.skeleton == load_people(path)[0].skeleton and network.height == 64

    sticks(category={"skeleton": [[1, 2], [1, 3], [2, 5], [3, 4]]})
    with pytest.raises(UsageError, match=r"limbs was .*, now "):
        train("openpose-tiny-lsp", out=tmp_path / "r", resume=True)


def test_the_loss_on_unseen_scenes_falls(sticks: Callable[..., Path]) -> None:
    """50 steps reduce it to less than 0.6 of the initial value."""
    task = make_task(
        sticks(24),
        epochs=10,
        lr=3e-3,
        max_people=1,
        min_scale=0.7,
        rotate=0.0,
        ema_decay=0.9,
        optimizer="adam",
        precision="float32",
    )
    before = task.evaluate()["loss"]
    for epoch in range(10):
        for index in range(task.batches.steps):
            task.train_step(task.batches.get(epoch, index))
    assert task.evaluate()["loss"] < 0.6 * before


def test_train_options_of_the_command_line(
    sticks: Callable[..., Path], run: Callable[..., tuple[int, str, str]]
) -> None:
    """A folder of two files; --max-steps and --val-fraction; --resume finds the run; recipes are listed."""
    sticks(8, where="mine/person_keypoints_train.json")
    path = sticks(4, where="mine/person_keypoints_val.json")
    options = ["--data", path.parent, "--image-size", 64, "--batch-size", 4, "--max-steps", 3, "--max-eval-samples", 4]
    code, out, err = run("train", "openpose-tiny-lsp", *options, "--evaluate-every", 2)
    assert (
        code == 0
        and "openpose-tiny-mine: AP" in out
        and "8 training images, 4 test images" in err
        and "1 epoch on cpu" in err
    )
    code, out, err = run("train", "openpose-tiny-lsp", *options, "--evaluate-every", 2, "--resume")
    assert code == 0 and "runs/openpose-tiny-mine/1 is finished" in err
    code, out, err = run("train", "openpose-tiny", *options, "--val-fraction", 0.25, "--json")
    assert code == 0 and json.loads(out)["run_dir"].endswith("openpose-tiny-mine/2") and "evaluated on 2 of 8" in err
    code, out, err = run(
        "train", "openpose-mobilenet-coco", *options, "--skeleton", "data", "--stages", 0, "--epochs", 1
    )
    assert code == 0 and "photographs after epoch 1" in out
    code, out, err = run("models", "openpose")
    assert code == 0 and "openpose-tiny-lsp" in out and "openpose-mobilenet-coco" in out
    code, out, err = run("train", "openpose-tiny-lsp")
    assert code == 1 and "needs the data set 'lspet'" in err


def test_joints_that_the_data_lack_have_no_labels(sticks: Callable[..., Path]) -> None:
    """A built-in skeleton of eighteen joints on data of five, whose neck is computed."""
    task = make_task(sticks(), "openpose-mobilenet-coco", skeleton="openpose-18")
    batch = task.batches.get(0, 0)
    labeled = {task.skeleton.joints[joint] for joint in torch.nonzero(batch.visible.any(0).any(0)).flatten().tolist()}
    assert labeled == {"neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_size": 100}, "`image_size` must be a multiple of 8"),
        ({"translate": 3}, "has no setting 'translate'"),
        ({"flip": "alternating"}, "`flip` must be one of none, random"),
        ({"min_scale": 0.8, "max_scale": 0.4}, "`min_scale` 0.8 is larger than `max_scale` 0.4"),
        ({"scenes": "drawn"}, "`scenes` must be one of composed, photographs"),
        ({"max_people": 0}, "`max_people` must be between 1 and 30"),
        ({"precision": "float16", "optimizer": "muon"}, "`precision=float16` does not work with `optimizer=muon`"),
        ({"weights": "imagenet"}, "has no setting 'weights'"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        train("openpose-tiny-lsp", out=tmp_path / "r", **changes)
    assert isinstance(find_recipe("openpose-tiny").settings, BottomUpSettings)


def test_data_without_usable_people_are_refused(sticks: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="none of the 12 people has a labeled joint"):
        make_task(sticks(keypoints=[0] * 15))
    with pytest.raises(DataError, match="1 usable images are too few; every batch needs at least 2"):
        make_task(sticks(2, where="few/person_keypoints.json"))
    both = sticks(6, where="both/person_keypoints_train.json")
    sticks(3, where="both/person_keypoints_val.json", category={"skeleton": [[1, 2], [1, 3], [2, 5], [3, 4]]})
    with pytest.raises(DataError, match="have different skeletons"):
        make_task(both.parent)


def test_ten_evaluations_without_a_detection_give_a_warning(sticks: Callable[..., Path]) -> None:
    task = make_task(sticks())
    lines = [{"epoch": i, "test/ap50": 0.0} for i in range(10)]
    assert task.warnings(lines[:9]) == [] and "no person was detected in 10 evaluations" in task.warnings(lines)[0]
    assert task.warnings([*lines, {"epoch": 11, "test/ap50": 0.1}]) == []
