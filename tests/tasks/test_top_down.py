"""One person at a time: what it measures, runs that resume to the bit, boxes from everywhere, and the command."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from firstsight import TopDownEstimator, measure_pose, train
from firstsight.data.crops import Crops
from firstsight.data.keypoints import load_keypoints
from firstsight.errors import DataError, Interrupted, UsageError, WeightsError
from firstsight.pose import create_top_down
from firstsight.pose.heads import HeatmapHead
from firstsight.pose.parts import Pose
from firstsight.pose.skeleton import LSP_14, Skeleton
from firstsight.pose.top_down import TopDown
from firstsight.recipes import TopDownSettings, find_recipe
from firstsight.recipes.train import Session, Silent, Where
from firstsight.tasks.boxes import boxes_of_poses, whole_people
from firstsight.tasks.pose import PoseEstimator
from firstsight.tasks.top_down import EstimateTopDown
from firstsight.tasks.top_down_pose import estimator_for
from firstsight.tasks.top_down_scores import MeasureCrops
from firstsight.weights.classifier import write
from firstsight.weights.top_down import TopDownNetwork, load_top_down, make_top_down_card
from helpers.blob_people import scene, seeing, stick

SMALL: dict[str, Any] = {"image_size": 64, "batch_size": 4, "epochs": 2, "measured": 8, "evaluate_every": 1}


PLAIN: dict[str, Any] = {
    "epochs": 24,
    "early": 0.0,
    "evaluate_every": 24,
    "rotate": 0.0,
    "zoom": 0.0,
    "move": 0.0,
    "warmup": 0.2,
}


class Dots(nn.Module):
    """Finds the coloured dots of `sticks`: heads are green, the left is red and the right blue; upper is a shoulder."""

    def __init__(self, *, exchanged: bool = False) -> None:
        super().__init__()
        self.exchanged = exchanged

    def forward(self, images: Tensor) -> list[Tensor]:
        blue, green, red = (images * 256 + 128).clamp(min=0).unbind(1)
        left, right = (blue, red) if self.exchanged else (red, blue)
        maps = []
        for dots, part in ((green, 0), (left, 1), (right, 1), (left, 2), (right, 2)):
            seen = dots * (dots > torch.maximum(green, torch.maximum(red, blue)) - 1) * (dots > 60)
            seen = seen * ~((green == 128) & (red == 128) & (blue == 128))
            high, cells = seen.shape[1], torch.arange(seen.shape[1])
            heights = (seen.sum(2) * cells).sum(1) / seen.sum((1, 2)).clamp(min=1)
            above = cells[None] < heights[:, None]
            rows = torch.ones(len(seen), high) if part == 0 else (above if part == 1 else ~above).float()
            maps.append(torch.nn.functional.avg_pool2d(seen * rows[:, :, None], 4))
        stacked = torch.stack(maps, 1)
        return [stacked / stacked.amax((2, 3), keepdim=True).clamp(min=1e-6)]


def dots(skeleton: Skeleton, *, exchanged: bool = False) -> TopDown:
    return TopDown(Dots(exchanged=exchanged), HeatmapHead(sigma=1.0, loss="squares"))


def measured(path: Path, net: TopDown, **options: Any) -> dict[str, float]:
    crops = Crops(load_keypoints(path), batch_size=4, epochs=1, seed=0, size=(128, 96))
    with torch.no_grad():
        return MeasureCrops(crops, most=1000, **options)(net)


def test_one_who_sees_finds_all_and_who_exchanges_left_and_right_is_caught(sticks: Callable[..., Path]) -> None:
    path = sticks()
    skeleton = load_keypoints(path).skeleton
    right = measured(path, dots(skeleton), flip_test=False)
    assert right["pck"] == right["pck_box"] == right["ap50"] == 1.0 and right["ap"] > 0.99
    wrong = measured(path, dots(skeleton, exchanged=True), flip_test=False)
    assert wrong["pck"] == pytest.approx(0.2) and wrong["ap50"] == 0.0  # heads are right


def test_a_perfect_prediction_scores_1_000(sticks: Callable[..., Path]) -> None:
    path = sticks()
    crops = Crops(load_keypoints(path), batch_size=4, epochs=1, seed=0, size=(128, 96))
    measure = MeasureCrops(crops, most=1000)
    with torch.no_grad():
        found = measure.answers(dots(crops.people.skeleton))
    keypoints = np.concatenate([found.truths[..., :2], np.ones((12, 5, 1))], 2)
    perfect = replace(found, keypoints=keypoints)
    assert measure._precision(perfect) == {"ap": 1.0, "ap50": 1.0} and measure.pck(perfect).mean == 1.0
    flipped = replace(found, keypoints=keypoints[:, [0, 2, 1, 4, 3]])
    assert measure._precision(flipped)["ap"] == 0.0 and measure.pck(flipped).mean == pytest.approx(0.2)


def digest(run: Path) -> str:
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


class Stopper:
    """Interrupts after three steps."""

    def __init__(self) -> None:
        self.steps = 0

    def note(self, line: str) -> None: ...

    def warn(self, line: str) -> None: ...

    def epoch(self, line: Any, epochs: int) -> None: ...

    def step(self, *_: Any) -> None:
        import os
        import signal

        self.steps += 1
        if self.steps == 3:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_resumes_to_the_same_bits_and_reports(sticks: Callable[..., Path], tmp_path: Path) -> None:
    path = sticks()
    calm = train("pose-tiny-lsp", out=tmp_path / "calm", data=str(path), **SMALL)
    assert calm.recipe == "pose-tiny-person_keypoints" and calm.headline.startswith("PCK@0.2 ")
    assert {"pck", "pck_box", "ap", "ap50", "loss"} <= set(calm.metrics)
    with pytest.raises(Interrupted):
        train("pose-tiny-lsp", out=tmp_path / "r", data=str(path), observer=Stopper(), **SMALL)
    again = train("pose-tiny-lsp", out=tmp_path / "r", resume=True)
    assert digest(calm.run_dir) == digest(again.run_dir) and calm.metrics == again.metrics
    report = (calm.run_dir / "report.html").read_text()
    for title in ("Learning curves", "Correct keypoints", "Sides and sizes", "Answers", "Best", "Worst"):
        assert title in report
    found = load_top_down(calm.run_dir)
    assert found.skeleton.joints[0] == "head" and found.size == (64, 64) and found.card["head"] == "heatmap"
    assert measure_pose(calm.run_dir, path).people == 12


@pytest.mark.parametrize(
    "changes", [{"head": "simcc"}, {"head": "squares", "flip_test": False}, {"precision": "bfloat16"}]
)
def test_every_head_learns(sticks: Callable[..., Path], tmp_path: Path, changes: dict[str, Any]) -> None:
    result = train("pose-tiny", out=tmp_path / "r", data=str(sticks()), **(SMALL | PLAIN | changes))
    lines = [json.loads(line) for line in (result.run_dir / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["train/loss"] < 0.9 * lines[0]["train/loss"]
    assert TopDownEstimator(result.run_dir)(Image.new("RGB", (50, 80)))[0].keypoints.shape == (5, 3)


def weights(path: Path, *, skeleton: Skeleton = LSP_14, **changes: Any) -> Path:
    torch.manual_seed(0)
    options = {"head": "heatmap", "sigma": 8.0, "stacks": 1} | changes
    net = create_top_down("pose-tiny", skeleton=skeleton, size=(128, 96), head=options["head"])
    card = make_top_down_card(model="pose-tiny", skeleton=skeleton, size=(128, 96), about={}, **options)
    write(path, net.state_dict(), card)
    return path


def estimator(**options: Any) -> TopDownEstimator:
    torch.manual_seed(0)
    net = create_top_down("pose-tiny", skeleton=LSP_14, size=(128, 96)).eval()
    for weights in net.net.last.parameters():
        weights.data *= 100  # maps with peaks, although it has learnt nothing
    return TopDownEstimator(TopDownNetwork(net, LSP_14, (128, 96), {}, "a test", "pose-tiny"), **options)


def picture() -> Image.Image:
    return scene([stick(120, 140), stick(330, 150), stick(480, 150, size=150)], size=(600, 300))


def test_the_same_people_together_and_one_by_one() -> None:
    boxes = np.array([[20.0 * i, 10, 60, 100] for i in range(20)])
    image = picture()
    one, many = estimator(batch=1), estimator(batch=7)
    for a, b in zip(one(image, boxes), many(image, boxes), strict=True):
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-2)
        assert a.score == pytest.approx(b.score, abs=1e-4)


def test_people_are_where_a_bottom_up_network_finds_them() -> None:
    """Its box, grown by a tenth: as if that box had been given."""
    image, detector = picture(), PoseEstimator(seeing())
    found = detector(image)
    assert len(found) == 3
    looked = estimator(detector=detector).steps(image)
    given = estimator()(image, boxes_of_poses(found))
    assert {"read", "detect", "network", "decode"} == set(looked.seconds)
    places = sorted(pose.keypoints[:, 0].mean() for pose in looked.poses)
    np.testing.assert_allclose(places, sorted(pose.keypoints[:, 0].mean() for pose in given))
    assert estimator(detector=detector)(Image.new("RGB", (64, 64))) == []
    box = boxes_of_poses(found[:1])[0]
    joints = found[0].keypoints[:, :2]
    longer = np.ptp(joints, axis=0).max()
    np.testing.assert_allclose(box[:2], joints.min(0) - 0.1 * longer + 0.5)
    np.testing.assert_allclose(box[2:], np.ptp(joints, axis=0) + 0.2 * longer)


def test_fragments_of_a_person_are_not_looked_at() -> None:
    """An arm within somebody's box is dropped; a child as complete as its mother is not, nor who only leans over."""

    def person(joints: int, x: float, y: float, width: float, height: float) -> Pose:
        keypoints = np.full((5, 3), -1.0)
        keypoints[:joints] = np.linspace((x, y, 0.5), (x + width, y + height, 0.5), joints)
        return Pose(keypoints, 1.0, (x, y, width, height))

    mother, child, arm = person(5, 100, 50, 80, 200), person(5, 120, 150, 30, 60), person(3, 110, 80, 20, 60)
    neighbour = person(3, 160, 80, 60, 60)  # grown by 6 and 20 pixels: 46 of its 72 columns lie within the mother's box
    assert whole_people([mother, child, arm, neighbour]) == [mother, child, neighbour]
    assert whole_people([arm]) == [arm] and whole_people([]) == []


def test_without_boxes_the_picture_is_one_person() -> None:
    image = picture()
    (whole,) = estimator()(image)
    inner = np.array([[60.0, 30, 480, 240]])  # grown by a quarter it is the picture
    np.testing.assert_allclose(whole.keypoints, estimator()(image, inner)[0].keypoints, atol=1e-3)


def test_two_alike_are_one() -> None:
    boxes = [[20, 10, 60, 100], [20.01, 10, 60, 100], [300, 10, 60, 100]]
    assert len(estimator()(picture(), boxes)) == 2


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([0, 0, 0, 5], "box 0 .* is empty"),
        ([0, 0, 5, -1], "is empty"),
        ([float("nan"), 0, 5, 5], "not finite"),
        ([0, 0, float("inf"), 5], "not finite"),
        ([600, 0, 5, 5], "outside of the picture of 600x300"),
        ([-10, 0, 10, 5], "outside of the picture"),
    ],
)
def test_boxes_that_cannot_be_used(box: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        estimator()(picture(), [box])
    assert len(estimator()(picture(), [[-50, -50, 2000, 2000], [590, 290, 50, 50]])) == 2  # partly outside is well


def test_the_command(run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    weights(Path("net.safetensors"))
    picture().save("p.png")
    Path("boxes.json").write_text("[[30, 20, 160, 240], [400, 60, 150, 190]]")
    code, out, err = run("pose", "p.png", "--model", "net.safetensors", "--boxes", "boxes.json", "--json")
    assert (code, len(json.loads(out)["people"])) == (0, 2) and set(json.loads(out)["seconds"]) > {"detect"}
    code, out, err = run("pose", "p.png", "--model", "net.safetensors", "--out", "drawn.png")
    assert code == 0 and "all of a picture is taken as one" in err and Image.open("drawn.png").size == (600, 300)
    Path("named.json").write_text(json.dumps({"p.png": [[30, 20, 160, 240]]}))
    code, out, err = run("pose", "p.png", "--model", "net.safetensors", "--boxes", "named.json", "--json")
    assert code == 0 and len(json.loads(out)["people"]) == 1
    refused = (
        ("{}", "the file of boxes has none for it"), ("nonsense", "not JSON"), ("[1, 2]", "box 0: expected boxes"),
        ("3", "expected boxes"), ("[[0, 0, 1, NaN]]", "not finite"),
    )  # fmt: skip
    for content, message in refused:
        Path("bad.json").write_text(content)
        code, out, err = run("pose", "p.png", "--model", "net.safetensors", "--boxes", "bad.json")
        assert code != 0 and message in err and "Traceback" not in err
    for options, message in (
        (("--boxes", "boxes.json", "--detector", "net.safetensors"), "holds a top-down pose network"),
        (("--height", 256), "--height is for bottom-up networks"),
        (("--maps", "--out", "x.png"), "looks at one person at a time"),
        (("--boxes", "none.json"), "No such file"),
    ):
        code, out, err = run("pose", "p.png", "--model", "net.safetensors", *options)
        assert code != 0 and message in err


def test_compared(run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from firstsight.pose import create_pose
    from firstsight.weights.pose import make_card

    monkeypatch.chdir(tmp_path)
    weights(Path("net.safetensors"))
    card = make_card(model="openpose-tiny", skeleton=LSP_14, stages=1, height=128, about={})
    write(Path("tiny.safetensors"), create_pose("openpose-tiny", skeleton=LSP_14).state_dict(), card)
    picture().save("p.png")
    options = ("--model", "net.safetensors", "--detector", "tiny.safetensors", "--compare")
    code, out, err = run("pose", "p.png", *options, "--out", "both.png")
    assert code == 0 and "bottom-up" in out and "top-down" in out and Image.open("both.png").size[0] > 600
    code, out, err = run("pose", "p.png", *options, "--json")
    assert code == 0 and [n["network"].split(":")[0] for n in json.loads(out)["networks"]] == ["bottom-up", "top-down"]
    for more in (("--height", 200), ("--scales", "1,2"), ("--maps",), ("--coco", "r.json")):
        code, out, err = run("pose", "p.png", *options, *more)
        assert code == 2 and f"{more[0]} is not for --compare" in err
    code, out, err = run("pose", "p.png", "p.png", *options)
    assert code == 2 and "--compare is of one picture" in err


def test_evaluate(run: Callable[..., tuple[int, str, str]], sticks: Callable[..., Path], tmp_path: Path) -> None:
    path = sticks()
    skeleton = load_keypoints(path).skeleton
    file = weights(tmp_path / "net.safetensors", skeleton=skeleton)
    code, out, err = run("evaluate", file, "--data", path, "--json")
    found = json.loads(out)
    assert code == 0 and found["people"] == 12 and found["method"] == "top-down"
    assert "people are looked at in their labelled boxes" in found["notes"]
    net = dots(skeleton)
    seen = measure_pose(TopDownNetwork(net, skeleton, (128, 96), {}, "a test", "dots"), path)
    assert seen.metrics["ap50"] == 1.0 and seen.metrics["pck"] == 1.0
    code, out, err = run(
        "evaluate",
        weights(tmp_path / "lsp.safetensors", skeleton=replace(LSP_14)),
        "--data",
        sticks(
            category={"keypoints": ["a", "b", "c", "d", "e"], "skeleton": [[1, 2], [2, 3], [3, 4], [4, 5]]},
            where="o/person_keypoints.json",
        ),
    )
    assert code != 0 and "have no joint in common" in err


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    file = weights(tmp_path / "net.safetensors", head="simcc")
    assert load_top_down(file).card["head"] == "simcc"
    with pytest.raises(WeightsError, match="does not fit its network pose-tiny"):
        load_top_down(
            weights(tmp_path / "other.safetensors", stacks=1) and _as(tmp_path / "other.safetensors", head="simcc")
        )
    with pytest.raises(WeightsError, match="its card cannot be used"):
        load_top_down(_as(file, size=[100, 100]))
    with pytest.raises(UsageError, match="--detector is for a network that looks at one person at a time"):
        estimator_for(seeing(), detector=PoseEstimator(seeing()))


def _as(file: Path, **changes: Any) -> Path:
    from firstsight.weights.classifier import read_file

    card, tensors = read_file(file, "top-down")
    write(file, tensors, json.dumps(card | changes))
    return file


def test_a_file_without_its_batch_norms(tmp_path: Path) -> None:
    """As shipped: smaller, and the same network."""
    whole = load_top_down(weights(tmp_path / "whole.safetensors"))
    write(tmp_path / "folded.safetensors", whole.model.state_dict(), json.dumps(whole.card | {"folded": True}))
    folded = load_top_down(tmp_path / "folded.safetensors")
    images = torch.randn(2, 3, 128, 96)
    for ours, theirs in zip(folded.model(images), whole.model(images), strict=True):
        assert torch.equal(ours, theirs)
    assert (tmp_path / "folded.safetensors").stat().st_size < (tmp_path / "whole.safetensors").stat().st_size - 10_000
    with pytest.raises(WeightsError, match="does not fit its network"):
        load_top_down(_as(tmp_path / "folded.safetensors", folded=False))


def test_impossible_settings(run: Callable[..., tuple[int, str, str]], sticks: Callable[..., Path]) -> None:
    path = sticks()
    for option, value, message in (
        ("--image-size", 100, "multiple of 32"), ("--image-width", 100, "multiple of 32"),
        ("--shift", 2, "people are moved by --move"), ("--flip", "alternating", "must be none or random"),
        ("--half-body", 2, "must lie between"), ("--early-scale", 2, "must lie between"),
        ("--head", "simcc", "add --early 0"), ("--batch-size", 1, "every batch needs 2"),
    ):  # fmt: skip
        code, _, err = run("train", "pose-tiny", "--data", path, "--early", 0.5, option, value)
        assert code != 0 and message in err and "Traceback" not in err
    assert isinstance(find_recipe("simple-baseline-resnet50").settings, TopDownSettings)


def test_crops_grow_and_the_rate_begins_anew(sticks: Callable[..., Path], tmp_path: Path) -> None:
    """Two epochs small, two large, measured on crops of the same size; the card names the large one."""
    recipe = find_recipe("pose-tiny")
    settings = replace(
        recipe.settings, data=str(sticks()), epochs=4, batch_size=4, image_size=128, early=0.5, early_scale=0.5,
        restart=0.25, warmup=0.0, precision="float32",
    )  # fmt: skip
    session = Session(recipe, settings, Where(device="cpu"), Silent())
    task = session.make_task(*session.materials.load())
    assert isinstance(task, EstimateTopDown)
    rates = []
    for epoch, side in enumerate((64, 64, 128, 128)):
        task.train_step(task.batches.get(epoch, 0))
        rates.append(task.optimizers["net"].param_groups[0]["lr"] / settings.lr)
        net = task.product_net()
        assert isinstance(net, TopDown)
        with torch.no_grad():
            assert task.evaluate() == task.measure(net, size=(side, side))
    np.testing.assert_allclose(rates, [1.0, 0.5, 0.25, 0.125])  # the cosine at its beginning and its middle
    assert json.loads(task.card({})["average"])["size"] == [128, 128]


def test_the_published_schedule_turns(sticks: Callable[..., Path], tmp_path: Path) -> None:
    """SimpleBaseline as published, on a small picture; a tenth of the rate after 90 and 120 of 140 parts."""
    from firstsight.tasks.schedule import learning_rate_factor

    result = train(
        "simple-baseline-resnet50-coco", out=tmp_path / "r", data=str(sticks()), image_size=64, image_width=32,
        epochs=1, batch_size=4, measured=4,
    )  # fmt: skip
    assert result.parameters == 33_999_697 - 12 * 257
    rates = [learning_rate_factor(epoch / 140, "tenths", 0.0) for epoch in (0, 89, 90, 119, 120, 139)]
    np.testing.assert_allclose(rates, [1, 1, 0.1, 0.1, 0.01, 0.01])


def test_exchanged_sides_are_counted(sticks: Callable[..., Path]) -> None:
    """Of twelve people three with exchanged shoulders, and one whose shoulder is simply wrong."""
    crops = Crops(load_keypoints(sticks()), batch_size=4, epochs=1, seed=0, size=(128, 96))
    measure = MeasureCrops(crops, most=1000)
    with torch.no_grad():
        found = measure.answers(dots(crops.people.skeleton))
    keypoints = np.concatenate([found.truths[..., :2], np.ones((12, 5, 1))], 2)
    keypoints[:3, [1, 2]] = keypoints[:3, [2, 1]]
    keypoints[3, 1] += 40
    seen = replace(found, keypoints=keypoints)
    assert measure.exchanged(seen) == {"shoulder": pytest.approx(3 / 12), "hip": 0.0}
    errors = measure.errors(seen)
    assert (errors[4:] == 0).all() and errors[3] == pytest.approx(np.hypot(40, 40) / 5 / found.boxes[3, 2:].max())


@pytest.mark.slow
def test_the_published_recipe_on_photographs(shared: Path, tmp_path: Path) -> None:
    """SimpleBaseline R50 at its own size, an epoch of COCO people; and what is found is COCO's own joints."""
    path = shared / "coco-mini" / "person_keypoints.json"
    result = train("simple-baseline-resnet50-coco", out=tmp_path / "r", data=str(path), epochs=1, batch_size=8)
    lines = [json.loads(line) for line in (result.run_dir / "metrics.jsonl").read_text().splitlines()]
    assert np.isfinite(lines[-1]["train/loss"]) and np.isfinite(result.metrics["loss"]) and lines[-1]["step"] >= 8
    assert result.parameters == 33_999_697
    found = load_top_down(result.run_dir)
    assert found.size == (256, 192) and found.card["head"] == "squares" and len(found.skeleton) == 17
