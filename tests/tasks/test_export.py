"""Exported ONNX files and programs: same outputs, dynamic axes, metadata, and messages."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

import firstsight
from firstsight.data.sample_image import sample_photo
from firstsight.errors import UsageError, WeightsError
from firstsight.pose.letterbox import Letterbox
from firstsight.tasks.export import TOLERANCE, check_export, export, find_model, make_plan
from firstsight.tasks.export_plan import ExportPlan
from firstsight.tasks.pose.top_down.estimate import TopDownEstimator

Run = Callable[..., tuple[int, str, str]]
HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "export.md"


def program(name: str) -> str:
    """Return the program of the how-to that opens a file."""
    blocks = re.findall(r"```python\n(.*?)```", HOWTO.read_text(), re.DOTALL)
    (block,) = (block for block in blocks if f'InferenceSession("{name}")' in block)
    return block


def run_without_torch(code: str) -> list[str]:
    """Run a program in Python without torch and firstsight; return the lines that it prints."""
    blocked = "import sys\nsys.modules['torch'] = sys.modules['firstsight'] = None\n"
    done = subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def positions(lines: list[str]) -> np.ndarray[Any, Any]:
    """Return x and y of lines such as "nose [ 12.5 100. ] 0.74"."""
    return np.array([[float(number) for number in line.split("[")[1].split("]")[0].split()] for line in lines])


def metadata(path: Path) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(str(path))
    return {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()}


def run_onnx(path: Path, inputs: torch.Tensor) -> list[np.ndarray[Any, Any]]:
    session = onnxruntime.InferenceSession(str(path))
    return session.run(None, {session.get_inputs()[0].name: inputs.numpy()})  # type: ignore[no-any-return]


def other_inputs(plan: ExportPlan) -> list[torch.Tensor]:
    """Return batches of five, with even and odd multiples of the sides if they are dynamic."""
    inputs, multiple = plan.draw_inputs(5), plan.side_multiple
    if not multiple:
        return [inputs]
    inputs = inputs.repeat(1, 1, 3, 3)
    return [inputs[..., : rows * multiple, : columns * multiple] for rows, columns in ((6, 7), (9, 5))]


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that exports weights to ONNX, once per module."""

    @cache
    def write(name: str) -> Path:
        return export(name, tmp_path_factory.mktemp(name) / "net.onnx")

    return write


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["lenet-mnist", "airbench-cifar10", "infogan-mnist", "pose-tiny-lsp", "openpose-small-photos"],
)
def test_an_onnx_file_computes_the_same_for_other_batch_sizes(name: str, onnx_file: Callable[[str], Path]) -> None:
    model = firstsight.load(name)
    path = onnx_file(name)
    assert all(difference <= TOLERANCE for difference in check_export(model, path).values())
    plan = make_plan(model)
    for inputs in other_inputs(plan):
        with torch.no_grad():
            expected = plan.net(inputs)
        for output, values in zip(
            expected if isinstance(expected, tuple) else (expected,), run_onnx(path, inputs), strict=True
        ):
            assert output.shape == values.shape
            np.testing.assert_allclose(values, output.numpy(), rtol=0, atol=TOLERANCE * float(output.std()))
    assert [file.name for file in path.parent.iterdir()] == ["net.onnx"]  # the weights are inside


def test_a_run_is_exported_with_the_classes_and_the_preprocessing_of_its_card(
    make_images: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The program of the how-to computes from the file and its metadata what firstsight computes."""
    folder = make_images({"light": 6, "dark": 6}, size=20)
    firstsight.train("lenet", data=folder, fit="pad", epochs=1, out="run", device="cpu")
    path = export("run", "lenet.onnx", check=True)
    meta = metadata(path)
    classifier = firstsight.load("run")
    assert meta["classes"] == list(classifier.classes) == ["dark", "light"]
    assert meta["preprocess"]["letterbox"] and meta["preprocess"]["mean"] == list(classifier.preprocess.mean)
    assert meta["card"] == classifier.card and meta["model"] == "lenet"
    for size in ((31, 20), (20, 45), (64, 64)):
        image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8))
        image.save("image.png")
        values: dict[str, Any] = {}
        exec(program("lenet.onnx"), values)
        expected = classifier.model(classifier.preprocess.normalize(classifier.to_pixels(image)[None]))
        np.testing.assert_allclose(values["logits"], expected.detach().numpy(), atol=1e-4)
        assert capsys.readouterr().out.strip() == classifier.classes[int(expected.argmax())]
    extra = {"firstsight.json": "", "metadata.json": ""}
    loaded = torch.export.load(export("run", "lenet.pt2", check=True), extra_files=extra)
    x = torch.rand(5, *classifier.input_shape)
    torch.testing.assert_close(loaded.module()(x), classifier.model(x))
    assert json.loads(extra["firstsight.json"]) == classifier.card
    assert json.loads(extra["metadata.json"]) == meta


@pytest.mark.slow
def test_the_program_of_a_classifier_reads_digits(onnx_file: Callable[[str], Path]) -> None:
    Path("lenet.onnx").write_bytes(onnx_file("lenet-mnist").read_bytes())
    digits = firstsight.load_data("digits", "test")
    for image, label in zip(digits.images[:3, 0].numpy(), digits.labels[:3].tolist(), strict=True):
        Image.fromarray(image).save("image.png")
        assert run_without_torch(program("lenet.onnx")) == [str(label)]


@pytest.mark.slow
def test_the_program_of_a_generator_draws_what_firstsight_draws() -> None:
    export("dcgan-fashion", "generator.onnx")
    code = program("generator.onnx")
    assert run_without_torch(code) == []
    values: dict[str, Any] = {}
    exec(code, values)
    z = np.hstack([values["noise"], values["code"]]).astype(np.float32)
    expected = np.hstack(firstsight.load("dcgan-fashion")(torch.from_numpy(z)).numpy()[:, 0])
    assert np.abs(np.asarray(Image.open("bags.png")).astype(int) - expected).max() <= 1


@pytest.mark.slow
def test_the_programs_of_pose_networks_find_the_joints_that_firstsight_finds(
    onnx_file: Callable[[str], Path],
) -> None:
    for name in ("openpose", "pose"):
        Path(f"{name}.onnx").write_bytes(onnx_file(f"{name}-small-photos").read_bytes())
    photo = Image.open(sample_photo()).convert("RGB").resize((192, 226))
    photo.save("photo.jpg", quality=95)
    photo = Image.open("photo.jpg")

    result = firstsight.load("openpose-small-photos").infer(photo)
    heatmaps = result.heatmaps.numpy()[:-1]
    rows, columns = np.unravel_index(heatmaps.reshape(len(heatmaps), -1).argmax(1), heatmaps.shape[1:])
    expected = Letterbox.for_image(photo.size, height=256).cells_to_image(np.stack([columns, rows], 1))
    np.testing.assert_allclose(positions(run_without_torch(program("openpose.onnx"))), expected, atol=0.1)

    (pose,) = TopDownEstimator("pose-small-photos", flip=False)(photo)
    np.testing.assert_allclose(positions(run_without_torch(program("pose.onnx"))), pose.keypoints[:, :2], atol=1)


def test_plans_of_pose_networks_have_skeleton_and_maps() -> None:
    plan = make_plan(firstsight.load("openpose-tiny-lsp"))
    assert plan.side_multiple == 8 and plan.output_names == ("heatmaps", "pafs")
    assert len(plan.metadata["skeleton"]["keypoints"]) == 14 and "paf_channels" in plan.metadata["skeleton"]
    p = plan.metadata["preprocess"]
    assert p["channel_order"] == "BGR"
    assert (200 / 255 - p["mean"][0]) / p["std"][0] == pytest.approx((200 - 128) / 256)
    simcc = make_plan(firstsight.load("pose-small-photos"))
    assert simcc.side_multiple == 0 and simcc.shape == (3, 256, 192) and simcc.output_names == ("logits",)
    assert make_plan(firstsight.load("pose-tiny-lsp")).side_multiple == 32


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openpose-tiny", "dcgan"])
def test_a_program_of_random_weights_computes_the_same_for_other_sizes(name: str, tmp_path: Path) -> None:
    model = find_model(name, random_weights=True)
    path = export(model, tmp_path / "net.pt2")
    check_export(model, path)
    plan, program = make_plan(model), torch.export.load(path).module()
    for inputs in other_inputs(plan):
        with torch.no_grad():
            torch.testing.assert_close(program(inputs), plan.net(inputs), rtol=0, atol=1e-4)


def test_a_file_that_differs_is_refused(tmp_path: Path) -> None:
    model = firstsight.load("lenet-mnist")
    path = export(model, tmp_path / "net.pt2")
    with torch.no_grad():
        next(model.model.parameters()).mul_(1.01)
    message = r"net.pt2: logits differs from the network by .* standard deviations, more than 0.0001 \(rounding"
    with pytest.raises(WeightsError, match=message):
        check_export(model, path)


class Unstable(nn.Module):
    """Network with large rounding errors: its outputs are small differences of large sums, in either order."""

    def __init__(self, *, is_reversed: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(1e5 + torch.randn(64, 2, generator=torch.Generator().manual_seed(0)))
        self.is_reversed = is_reversed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, 2) for (N, 64)."""
        sums = x.flip(1) @ self.weight.flip(0) if self.is_reversed else x @ self.weight
        return sums - 1e5 * x.sum(1, keepdim=True)


class Loaded:
    """Attributes of a loaded model that `check_export` needs."""

    card, input_shape, task = {"kind": "new"}, (64,), "new"

    def __init__(self, model: nn.Module) -> None:
        self.model = model.eval()


def test_differences_that_are_rounding_errors_are_accepted(tmp_path: Path) -> None:
    """Outputs that are as near to those in float64 as the network's own are not refused; others are."""
    model = Loaded(Unstable(is_reversed=False))
    path = export(Loaded(Unstable(is_reversed=True)), tmp_path / "net.pt2")
    assert check_export(model, path)["output"] > 10 * TOLERANCE
    with torch.no_grad():
        model.model.weight[0] += 1
    with pytest.raises(WeightsError, match="output differs from the network by"):
        check_export(model, path)


def test_a_kind_of_task_without_a_plan_has_one_input_and_one_output() -> None:
    class Doubler:
        model, card, input_shape, task = nn.Linear(3, 2), {"kind": "new"}, (3,), "new"

    plan = make_plan(Doubler())
    assert plan.shape == (3,) and plan.draw_inputs(2).shape == (2, 3) and plan.metadata["kind"] == "new"


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_packages_are_named(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(UsageError, match=f"needs the package {package}; install all with: pip install onnx onnxscript"):
        export("lenet-mnist", tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "lenet net.onnx",
            "trained weights: lenet-mnist, lenet-fashion, lenet-digits; type: firstsight export lenet-mnist net.onnx",
        ),
        ("lenet-mnist net.onnx --random-weights", "--random-weights is for the name of a network"),
        ("lenet-mnist net.safetensors --check", "--check and --random-weights are for .onnx and .pt2 files"),
        ("lenet-mnist net.h5", "FILE must be a .onnx, .pt2 or .safetensors file; got net.h5"),
        ("lenet-mnist missing/net.pt2", "the folder missing does not exist"),
    ],
)
def test_the_command_line_refuses(words: str, message: str, run: Run) -> None:
    code, _, err = run("export", *words.split())
    assert code == 2 and message in err and not list(Path().glob("net.*"))


def test_the_command_line_exports_and_compares(run: Run) -> None:
    code, out, _ = run("export", "mlp", "net.pt2", "--random-weights", "--check", "--json")
    document = json.loads(out)
    assert code == 0 and document["shape"] == ["batch", 1, 32, 32] and document["differences"]["logits"] <= TOLERANCE
    assert document["bytes"] == Path("net.pt2").stat().st_size
    code, out, err = run("export", "lenet-mnist", "net.pt2")
    assert code == 2 and "net.pt2: exists; replace it with --force" in err
    code, out, _ = run("export", "lenet-mnist", "net.pt2", "--force", "--check")
    assert code == 0 and "check   logits: largest difference on 16 inputs" in out
