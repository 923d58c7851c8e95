"""Top-down pose estimation: evaluation, training, boxes, and the commands."""

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
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from firstsight import TopDownEstimator, train
from firstsight.data.keypoints.crops import Crops
from firstsight.data.keypoints.keypoint_set import load_keypoints
from firstsight.errors import DataError, Interrupted, UsageError, WeightsError
from firstsight.models.pose import create_bottom_up, create_top_down
from firstsight.models.pose.heads import HeatmapHead
from firstsight.models.pose.top_down import TopDown
from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import LSP_14, Skeleton
from firstsight.recipes import find_recipe
from firstsight.recipes.train import NullCallback, RunOptions, TrainingRun
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
from firstsight.tasks.pose.boxes import boxes_from_poses, drop_fragments
from firstsight.tasks.pose.estimator import make_estimator
from firstsight.tasks.pose.evaluate import evaluate_pose
from firstsight.tasks.pose.top_down.estimate import find_network
from firstsight.tasks.pose.top_down.evaluate import CropPredictions, TopDownEvaluator
from firstsight.tasks.pose.top_down.network import TopDownNetwork
from firstsight.tasks.pose.top_down.settings import TopDownSettings
from firstsight.tasks.pose.top_down.train import TopDownTask
from firstsight.weights.io import make_card, read_weights, write_weights
from helpers.blob_people import blob_network, scene, stick
from helpers.cards import bottom_up_card

SMALL: dict[str, Any] = {"image_size": 64, "batch_size": 4, "epochs": 2, "max_eval_samples": 8, "evaluate_every": 1}


class Dots(nn.Module):
    """Network that detects the colored dots of the fixture `sticks`.

    The head is green, the left side red, the right side blue; on each side the shoulder is above the hip.
    """

    def __init__(self, *, swap_sides: bool = False) -> None:
        super().__init__()
        self.swap_sides = swap_sides

    def forward(self, images: Tensor) -> list[Tensor]:
        blue, green, red = (images * 256 + 128).clamp(min=0).unbind(1)
        left, right = (blue, red) if self.swap_sides else (red, blue)
        maps = []
        for dots, part in ((green, 0), (left, 1), (right, 1), (left, 2), (right, 2)):
            bright = dots * (dots > torch.maximum(green, torch.maximum(red, blue)) - 1) * (dots > 60)
            bright = bright * ~((green == 128) & (red == 128) & (blue == 128))
            high, cells = bright.shape[1], torch.arange(bright.shape[1])
            heights = (bright.sum(2) * cells).sum(1) / bright.sum((1, 2)).clamp(min=1)
            above = cells[None] < heights[:, None]
            rows = torch.ones(len(bright), high) if part == 0 else (above if part == 1 else ~above).float()
            maps.append(torch.nn.functional.avg_pool2d(bright * rows[:, :, None], 4))
        stacked = torch.stack(maps, 1)
        return [stacked / stacked.amax((2, 3), keepdim=True).clamp(min=1e-6)]


def dots(*, swap_sides: bool = False) -> TopDown:
    return TopDown(Dots(swap_sides=swap_sides), HeatmapHead(sigma=1.0, loss="mse"))


def labeled_crops(path: Path) -> Crops:
    return Crops(load_keypoints(path), batch_size=4, epochs=1, seed=0, size=(128, 96))


def true_keypoints(predictions: CropPredictions) -> NDArray[np.float64]:
    """Return the labeled joints as predictions with a score of 1."""
    return np.concatenate([predictions.truths[..., :2], np.ones((*predictions.truths.shape[:2], 1))], 2)


@torch.no_grad()
def test_correct_poses_score_one_and_swapped_sides_score_low(sticks: Callable[..., Path]) -> None:
    evaluator = TopDownEvaluator(labeled_crops(sticks()), max_samples=1000, flip_test=False)
    correct, swapped = evaluator(dots()), evaluator(dots(swap_sides=True))
    assert correct["pck"] == correct["pck_box"] == correct["ap50"] == 1.0 and correct["ap"] > 0.99
    assert swapped["pck"] == pytest.approx(0.2) and swapped["ap50"] == 0.0  # heads have no side


@torch.no_grad()
def test_perfect_keypoints_score_exactly_one(sticks: Callable[..., Path]) -> None:
    evaluator = TopDownEvaluator(labeled_crops(sticks()), max_samples=1000)
    predictions = evaluator.predict(dots())
    keypoints = true_keypoints(predictions)
    perfect, swapped = (replace(predictions, keypoints=keypoints[:, order]) for order in (range(5), [0, 2, 1, 4, 3]))
    assert evaluator.average_precision(perfect) == {"ap": 1.0, "ap50": 1.0} and evaluator.pck(perfect).mean == 1.0
    assert evaluator.average_precision(swapped)["ap"] == 0.0 and evaluator.pck(swapped).mean == pytest.approx(0.2)


def digest(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


class Stopper(NullCallback):
    """Sends SIGTERM after three steps."""

    steps = 0

    def on_step_end(self, *_: Any) -> None:
        self.steps += 1
        if self.steps == 3:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_resumes_with_the_same_bits_and_writes_a_report(sticks: Callable[..., Path], tmp_path: Path) -> None:
    path = sticks()
    straight = train("pose-tiny-lsp", out=tmp_path / "straight", data=str(path), **SMALL)
    assert straight.recipe == "pose-tiny-person_keypoints" and straight.headline.startswith("PCK@0.2 ")
    assert {"pck", "pck_box", "ap", "ap50", "loss"} <= set(straight.metrics)
    with pytest.raises(Interrupted):
        train("pose-tiny-lsp", out=tmp_path / "r", data=str(path), callback=Stopper(), **SMALL)
    resumed = train("pose-tiny-lsp", out=tmp_path / "r", resume=True)
    assert digest(straight.run_dir) == digest(resumed.run_dir) and straight.metrics == resumed.metrics
    report = (straight.run_dir / "report.html").read_text()
    for title in (
        "Learning curves",
        "Correct keypoints",
        "Swaps and errors",
        "Predictions",
        "Best predictions",
        "Worst predictions",
    ):
        assert title in report
    network = find_network(straight.run_dir)
    assert network.skeleton.joints[0] == "head" and network.size == (64, 64) and network.card["head"] == "heatmap"
    held_out, everyone = evaluate_pose(straight.run_dir), evaluate_pose(straight.run_dir, path)
    assert (held_out.people, everyone.people) == (2, 12)
    assert any("was trained on most of these images" in note for note in everyone.notes)


def make_run(path: Path, **changes: Any) -> TrainingRun:
    recipe = find_recipe("pose-tiny")
    settings = replace(recipe.settings, data=str(path), **(SMALL | {"precision": "float32"} | changes))
    return TrainingRun(recipe, settings, RunOptions(device="cpu"), NullCallback())


def make_task(path: Path, **changes: Any) -> TopDownTask:
    run = make_run(path, **changes)
    task = run.make_task(*run.builder.load())
    assert isinstance(task, TopDownTask)
    return task


def test_crowds_and_people_without_labels_are_left_out_with_a_note(sticks: Callable[..., Path]) -> None:
    path = sticks(8, where="mine/person_keypoints_train.json")
    sticks(4, where="mine/person_keypoints_val.json")
    content = json.loads(path.read_text())
    content["annotations"][2]["iscrowd"] = 1
    content["annotations"][5]["keypoints"] = [0] * 15
    path.write_text(json.dumps(content))
    run = make_run(path.parent)
    task = run.make_task(*run.builder.load())
    assert isinstance(task, TopDownTask) and task.batches.samples == 6
    assert "person_keypoints_train: 2 of 8 people are left out: crowds, or no labeled joint" in run.builder.notes


@pytest.mark.parametrize(
    "changes",
    [{"head": "heatmap"}, {"head": "simcc"}, {"head": "mse", "flip_test": False}, {"precision": "bfloat16"}],
    ids=["heatmap", "simcc", "mse", "bfloat16"],
)
def test_the_loss_of_every_head_falls_and_its_weights_are_usable(
    sticks: Callable[..., Path], tmp_path: Path, changes: dict[str, Any]
) -> None:
    plain = {
        "epochs": 10,
        "low_res_fraction": 0.0,
        "rotate": 0.0,
        "scale": 0.0,
        "translate_fraction": 0.0,
        "warmup": 0.2,
    }
    task = make_task(sticks(), **(plain | changes))
    batches = [[task.batches.get(epoch, index) for index in range(task.batches.steps)] for epoch in range(10)]
    losses = [np.mean([float(task.train_step(batch)["loss"]) for batch in epoch]) for epoch in batches]
    assert losses[-1] < 0.9 * losses[0]
    (name, card), *_ = task.card(task.evaluate()).items()
    write_weights(tmp_path / "net.safetensors", task.models[name].state_dict(), card)
    network = find_network(tmp_path / "net.safetensors")
    assert network.card["head"] == changes.get("head", "heatmap")
    assert TopDownEstimator(network)(Image.new("RGB", (50, 80)))[0].keypoints.shape == (5, 3)


def weights(path: Path, *, skeleton: Skeleton = LSP_14, **changes: Any) -> Path:
    torch.manual_seed(0)
    options = {"head": "heatmap", "sigma": 8.0, "stacks": 1} | changes
    net = create_top_down("pose-tiny", skeleton=skeleton, size=(128, 96), head=options["head"])
    fields = {"skeleton": skeleton.to_category(), "size": [128, 96], **options}
    card = make_card("top-down", model="pose-tiny", about={}, **fields)
    write_weights(path, net.state_dict(), card)
    return path


def estimator(**options: Any) -> TopDownEstimator:
    torch.manual_seed(0)
    net = create_top_down("pose-tiny", skeleton=LSP_14, size=(128, 96)).eval()
    for weights in net.net.last.parameters():
        weights.data *= 100  # maps with peaks, although it was never trained
    return TopDownEstimator(TopDownNetwork(net, LSP_14, (128, 96), {}, "a test", "pose-tiny"), **options)


def three_people() -> Image.Image:
    return scene([stick(120, 140), stick(330, 150), stick(480, 150, size=150)], size=(600, 300))


def test_people_in_one_batch_or_one_by_one_get_the_same_poses() -> None:
    """The flat heatmaps of an untrained network amplify rounding errors in the Newton step of DARK."""
    boxes = np.array([[20.0 * i, 10, 60, 100] for i in range(20)])
    image = three_people()
    one, many = estimator(batch=1), estimator(batch=7)
    for a, b in zip(one(image, boxes), many(image, boxes), strict=True):
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=0.2)
        assert a.score == pytest.approx(b.score, abs=1e-4)


def test_a_detector_gives_the_boxes_of_its_poses_grown_by_a_tenth() -> None:
    """The poses are those of the same boxes given by hand; without detections there are none."""
    image, detector = three_people(), PoseEstimator(blob_network())
    found = detector(image)
    assert len(found) == 3
    result = estimator(detector=detector).infer(image)
    given = estimator()(image, boxes_from_poses(found))
    assert {"read", "detect", "network", "decode"} == set(result.timings)
    means = sorted(pose.keypoints[:, 0].mean() for pose in result.poses)
    np.testing.assert_allclose(means, sorted(pose.keypoints[:, 0].mean() for pose in given))
    assert estimator(detector=detector)(Image.new("RGB", (64, 64))) == []
    box = boxes_from_poses(found[:1])[0]
    joints = found[0].keypoints[:, :2]
    longer_side = np.ptp(joints, axis=0).max()
    np.testing.assert_allclose(box[:2], joints.min(0) - 0.1 * longer_side + 0.5)
    np.testing.assert_allclose(box[2:], np.ptp(joints, axis=0) + 0.2 * longer_side)


def test_fragments_within_a_more_complete_person_are_dropped() -> None:
    """An arm is dropped; a child as complete as its mother is kept, and so is a neighbor who partly overlaps."""

    def person(joints: int, x: float, y: float, width: float, height: float) -> Pose:
        keypoints = np.full((5, 3), -1.0)
        keypoints[:joints] = np.linspace((x, y, 0.5), (x + width, y + height, 0.5), joints)
        return Pose(keypoints, 1.0, (x, y, width, height))

    mother, child, arm = person(5, 100, 50, 80, 200), person(5, 120, 150, 30, 60), person(3, 110, 80, 20, 60)
    neighbor = person(3, 160, 80, 60, 60)  # grown by 6 and 20 pixels: 46 of its 72 columns lie within the mother's box
    assert drop_fragments([mother, child, arm, neighbor]) == [mother, child, neighbor]
    assert drop_fragments([arm]) == [arm] and drop_fragments([]) == []


def test_without_boxes_the_whole_image_is_one_person() -> None:
    image = three_people()
    (whole,) = estimator()(image)
    inner = np.array([[60.0, 30, 480, 240]])  # grown by a quarter it is the image
    np.testing.assert_allclose(whole.keypoints, estimator()(image, inner)[0].keypoints, atol=1e-3)


def test_scores_of_the_result_are_at_most_one_although_those_of_the_maps_are_not() -> None:
    strong = estimator()
    for weights in strong.network.model.net.last.parameters():
        weights.data *= 100
    (plain,), (bounded,) = estimator()(three_people()), strong(three_people())
    assert plain.keypoints[:, 2].min() > 0.02  # the maps of the other network have a hundred times these values
    assert bounded.keypoints[:, 2].min() == bounded.score == 1


def test_near_duplicates_are_suppressed() -> None:
    boxes = [[20, 10, 60, 100], [20.01, 10, 60, 100], [300, 10, 60, 100]]
    assert len(estimator()(three_people(), boxes)) == 2


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([0, 0, 0, 5], "box 0 .* is empty"),
        ([0, 0, 5, -1], "is empty"),
        ([float("nan"), 0, 5, 5], "not finite"),
        ([0, 0, float("inf"), 5], "not finite"),
        ([600, 0, 5, 5], "outside of the image, which has 600x300"),
        ([-10, 0, 10, 5], "outside of the image"),
    ],
)
def test_unusable_boxes_are_refused(box: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        estimator()(three_people(), [box])
    partly_outside = [[-50, -50, 2000, 2000], [590, 290, 50, 50]]
    assert len(estimator()(three_people(), partly_outside)) == 2


@pytest.mark.parametrize(
    ("boxes", "got"),
    [
        ([10, 10], r"the shape \(2,\)"),
        ([[1, 2], [3, 4]], r"the shape \(2, 2\)"),
        (np.zeros((1, 1, 4)), r"the shape \(1, 1, 4\)"),
        ([[1, 2], [3]], r"\[\[1, 2\], \[3\]\]"),
        ("box", "'box'"),
    ],
)
def test_boxes_of_another_form_are_refused_by_their_name(boxes: Any, got: str) -> None:
    form = r"^`boxes` must be a list with 4 numbers for each person, \[x, y, width, height\]; got "
    with pytest.raises(DataError, match=f"{form}{got}$"):
        estimator()(three_people(), boxes)
    assert estimator()(three_people(), []) == []


def test_the_result_says_that_the_whole_image_is_one_person() -> None:
    whole = estimator().infer(three_people())
    assert "1 person in 600x300 pixels" in repr(whole) and "whole image is taken as one person" in repr(whole)
    assert estimator().infer(three_people(), boxes=[[20, 10, 60, 100]]).notes == ()
    assert PoseEstimator(blob_network()).infer(three_people()).notes == ()


def test_boxes_and_options_of_the_pose_command(run: Callable[..., tuple[int, str, str]]) -> None:
    weights(Path("net.safetensors"))
    three_people().save("p.png")
    Path("boxes.json").write_text("[[30, 20, 160, 240], [400, 60, 150, 190]]")
    code, out, err = run("pose", "p.png", "--model", "net.safetensors", "--boxes", "boxes.json", "--json")
    assert (code, len(json.loads(out)["people"])) == (0, 2) and set(json.loads(out)["timings"]) > {"detect"}
    code, out, err = run("pose", "p.png", "--model", "net.safetensors", "--out", "drawn.png")
    assert code == 0 and "the whole image is taken as one person" in err and Image.open("drawn.png").size == (600, 300)
    Path("named.json").write_text(json.dumps({"p.png": [[30, 20, 160, 240]]}))
    code, out, err = run("pose", "p.png", "--model", "net.safetensors", "--boxes", "named.json", "--json")
    assert code == 0 and len(json.loads(out)["people"]) == 1
    refused = (
        ("{}", "the file of boxes has no entry for this image"),
        ("nonsense", "not valid JSON"),
        ("[1, 2]", "[0]: expected a list, got 1"),
        ("3", "expected a list of boxes"),
        ("[[0, 0, 1, NaN]]", "bad.json: [0][3]: NaN is not a number in JSON"),
    )
    for content, message in refused:
        Path("bad.json").write_text(content)
        code, out, err = run("pose", "p.png", "--model", "net.safetensors", "--boxes", "bad.json")
        assert code != 0 and message in err and "Traceback" not in err
    for options, message in (
        (("--boxes", "boxes.json", "--detector", "net.safetensors"), "holds a top-down pose network"),
        (("--height", 256), "--height needs a bottom-up network"),
        (("--maps", "--out", "x.png"), "--maps needs a bottom-up network; pose-tiny is top-down"),
        (("--boxes", "none.json"), "No such file"),
    ):
        code, out, err = run("pose", "p.png", "--model", "net.safetensors", *options)
        assert code != 0 and message in err


def test_compare_shows_bottom_up_and_top_down_side_by_side(run: Callable[..., tuple[int, str, str]]) -> None:
    weights(Path("net.safetensors"))
    card = bottom_up_card(skeleton=LSP_14, height=128, about={})
    write_weights(Path("tiny.safetensors"), create_bottom_up("openpose-tiny", skeleton=LSP_14).state_dict(), card)
    three_people().save("p.png")
    options = ("--model", "net.safetensors", "--detector", "tiny.safetensors", "--compare")
    code, out, err = run("pose", "p.png", *options, "--out", "both.png")
    assert code == 0 and "bottom-up" in out and "top-down" in out and Image.open("both.png").size[0] > 600
    code, out, err = run("pose", "p.png", *options, "--json")
    assert code == 0 and [n["network"].split(":")[0] for n in json.loads(out)["networks"]] == ["bottom-up", "top-down"]
    for more in (("--height", 200), ("--scales", "1,2"), ("--maps",), ("--coco", "r.json")):
        code, out, err = run("pose", "p.png", *options, *more)
        assert code == 2 and f"{more[0]} is not available with --compare" in err
    code, out, err = run("pose", "p.png", "p.png", *options)
    assert code == 2 and "--compare needs exactly one image" in err


def test_top_down_networks_are_evaluated_in_the_labeled_boxes(
    run: Callable[..., tuple[int, str, str]], sticks: Callable[..., Path], tmp_path: Path
) -> None:
    path = sticks()
    skeleton = load_keypoints(path).skeleton
    code, out, _ = run("evaluate", weights(tmp_path / "net.safetensors", skeleton=skeleton), "--data", path, "--json")
    document = json.loads(out)
    assert code == 0 and document["people"] == 12 and document["method"] == "top-down"
    assert "people are cropped by their labeled boxes" in document["notes"]
    network = TopDownNetwork(dots(), skeleton, (128, 96), {}, "a test", "dots")
    found = evaluate_pose(network, path, flip=False)  # the dots have a color for left and one for right
    assert found.metrics["ap50"] == 1.0 and found.metrics["pck"] == 1.0
    other = {"keypoints": ["a", "b", "c", "d", "e"], "skeleton": [[1, 2], [2, 3], [3, 4], [4, 5]]}
    lsp = weights(tmp_path / "lsp.safetensors")
    code, _, err = run("evaluate", lsp, "--data", sticks(category=other, where="other/person_keypoints.json"))
    assert code != 0 and "have no keypoint in common" in err


def test_weights_that_do_not_fit_their_card_are_refused(tmp_path: Path) -> None:
    file = weights(tmp_path / "net.safetensors", head="simcc")
    assert find_network(file).card["head"] == "simcc"
    with pytest.raises(WeightsError, match="does not fit its network pose-tiny"):
        find_network(with_card(weights(tmp_path / "other.safetensors"), head="simcc"))
    with pytest.raises(WeightsError, match="its card cannot be used"):
        find_network(with_card(file, size=[100, 100]))
    with pytest.raises(UsageError, match="`detector` needs a top-down network"):
        make_estimator(blob_network(), detector=PoseEstimator(blob_network()))


def with_card(file: Path, **changes: Any) -> Path:
    """Change the card of a weights file."""
    _, card, tensors = read_weights(file)
    write_weights(file, tensors, json.dumps(card | changes))
    return file


def test_a_file_with_folded_batch_norms_is_smaller_and_computes_the_same(tmp_path: Path) -> None:
    """Bundled files are of this kind."""
    whole = find_network(weights(tmp_path / "whole.safetensors"))
    write_weights(tmp_path / "folded.safetensors", whole.model.state_dict(), json.dumps(whole.card | {"folded": True}))
    folded = find_network(tmp_path / "folded.safetensors")
    images = torch.randn(2, 3, 128, 96)
    for ours, theirs in zip(folded.model(images), whole.model(images), strict=True):
        assert torch.equal(ours, theirs)
    assert (tmp_path / "folded.safetensors").stat().st_size < (tmp_path / "whole.safetensors").stat().st_size - 10_000
    with pytest.raises(WeightsError, match="does not fit its network"):
        find_network(with_card(tmp_path / "folded.safetensors", folded=False))


def test_impossible_training_options_are_refused(
    run: Callable[..., tuple[int, str, str]], sticks: Callable[..., Path]
) -> None:
    path = sticks()
    for option, value, message in (
        ("--image-size", 100, "multiple of 32"),
        ("--image-width", 100, "multiple of 32"),
        ("--translate", 2, "has no --translate"),
        ("--flip", "alternating", "must be one of"),
        ("--half-body", 2, "must be between"),
        ("--low-res-scale", 2, "must be between"),
        ("--head", "simcc", "use --low-res-fraction 0"),
        ("--batch-size", 1, "every batch needs at least 2"),
    ):
        code, _, err = run("train", "pose-tiny", "--data", path, "--low-res-fraction", 0.5, option, value)
        assert code != 0 and message in err and "Traceback" not in err
    assert isinstance(find_recipe("simple-baseline-resnet50").settings, TopDownSettings)


def test_early_crops_are_small_and_the_learning_rate_restarts(sticks: Callable[..., Path]) -> None:
    """Two epochs small, two large, evaluated on crops of the same size; the card names the large one."""
    task = make_task(
        sticks(), epochs=4, image_size=128, low_res_fraction=0.5, low_res_scale=0.5, lr_restart=0.25, warmup=0.0
    )
    rates = []
    for epoch, side in enumerate((64, 64, 128, 128)):
        task.train_step(task.batches.get(epoch, 0))
        rates.append(task.optimizers["net"].param_groups[0]["lr"] / task.optimizer_config.lr)
        net = task.exported_net()
        with torch.no_grad():
            assert task.evaluate() == task.evaluator(net, size=(side, side))
    np.testing.assert_allclose(rates, [1.0, 0.5, 0.25, 0.125])  # the cosine at its beginning and its middle
    assert json.loads(task.card({})["average"])["size"] == [128, 128]


def test_the_published_schedule_divides_the_rate_by_ten_after_90_and_120_of_140_epochs(
    sticks: Callable[..., Path],
) -> None:
    """Here for 14 epochs of a small network."""
    published = find_recipe("simple-baseline-resnet50-coco").settings
    assert isinstance(published, TopDownSettings) and (published.epochs, published.lr) == (140, 1e-3)
    assert (published.milestones, published.gamma) == ("90,120", 0.1)
    task = make_task(
        sticks(),
        epochs=14,
        low_res_fraction=0.0,
        schedule=published.schedule,
        milestones="9,12",
        gamma=published.gamma,
        warmup=published.warmup,
        lr=1e-3,
    )
    rates = []
    for epoch in (0, 8, 9, 11, 12, 13):
        task.train_step(task.batches.get(epoch, 0))
        rates.append(task.optimizers["net"].param_groups[0]["lr"])
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])


@torch.no_grad()
def test_swapped_sides_are_counted(sticks: Callable[..., Path]) -> None:
    """Three of twelve people have swapped shoulders, and one has a shoulder that is wrong in another way."""
    evaluator = TopDownEvaluator(labeled_crops(sticks()), max_samples=1000)
    predictions = evaluator.predict(dots())
    keypoints = true_keypoints(predictions)
    keypoints[:3, [1, 2]] = keypoints[:3, [2, 1]]
    keypoints[3, 1] += 40
    changed = replace(predictions, keypoints=keypoints)
    assert evaluator.swap_rate(changed) == {"shoulder": pytest.approx(3 / 12), "hip": 0.0}
    errors = evaluator.mean_errors(changed)
    assert (errors[4:] == 0).all() and errors[3] == pytest.approx(np.hypot(40, 40) / 5 / predictions.boxes[3, 2:].max())


@pytest.mark.slow
def test_the_published_recipe_trains_on_coco_photographs(shared: Path, tmp_path: Path) -> None:
    """SimpleBaseline with ResNet-50 at its own size, an epoch of a few people; the joints are COCO's."""
    content = json.loads((shared / "coco-mini" / "person_keypoints.json").read_text())
    people = [person for person in content["annotations"] if person["num_keypoints"] > 9][:12]
    ids = {person["image_id"] for person in people}
    images = [image for image in content["images"] if image["id"] in ids]
    path = tmp_path / "few" / "person_keypoints.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content | {"images": images, "annotations": people}))
    (path.parent / "images").symlink_to(shared / "coco-mini" / "images")
    result = train("simple-baseline-resnet50-coco", out=tmp_path / "r", data=str(path), epochs=1, batch_size=3)
    lines = [json.loads(line) for line in (result.run_dir / "metrics.jsonl").read_text().splitlines()]
    assert np.isfinite(lines[-1]["train/loss"]) and np.isfinite(result.metrics["loss"]) and lines[-1]["step"] >= 3
    assert result.parameters == 33_999_697
    network = find_network(result.run_dir)
    assert network.size == (256, 192) and network.card["head"] == "mse" and len(network.skeleton) == 17
