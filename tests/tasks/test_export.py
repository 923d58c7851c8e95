"""Exported ONNX files and programs: same outputs, dynamic axes, metadata, and messages."""

import json
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
from firstsight.errors import UsageError, WeightsError
from firstsight.tasks.export import TOLERANCE, check_export, export, find_model, make_plan

Run = Callable[..., tuple[int, str, str]]


def metadata(path: Path) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(str(path))
    return {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()}


def run_onnx(path: Path, inputs: torch.Tensor) -> list[np.ndarray[Any, Any]]:
    session = onnxruntime.InferenceSession(str(path))
    return session.run(None, {session.get_inputs()[0].name: inputs.numpy()})  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that exports weights to ONNX, once per module."""

    @cache
    def write(name: str) -> Path:
        return export(name, tmp_path_factory.mktemp(name) / "net.onnx")

    return write


@pytest.mark.parametrize(
    "name",
    [
        "lenet-mnist",
        "gan-digits",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("airbench-cifar10", "infogan-mnist", "pose-tiny-lsp", "pose-small-photos", "openpose-tiny-lsp")
        ),
    ],
)
def test_an_onnx_file_computes_the_same_for_other_batch_sizes(name: str, onnx_file: Callable[[str], Path]) -> None:
    model = firstsight.load(name)
    path = onnx_file(name)
    assert all(difference <= TOLERANCE for difference in check_export(model, path).values())
    plan = make_plan(model)
    inputs = plan.draw_inputs(5)
    if plan.side_multiple:  # other sides too
        inputs = torch.cat([inputs, inputs], 3)[:, :, : 4 * plan.side_multiple]
    with torch.no_grad():
        expected = plan.net(inputs)
    for output, values in zip(
        expected if isinstance(expected, tuple) else (expected,), run_onnx(path, inputs), strict=True
    ):
        assert output.shape == values.shape
        np.testing.assert_allclose(values, output.numpy(), rtol=0, atol=TOLERANCE * float(output.std()))
    assert [file.name for file in path.parent.iterdir()] == ["net.onnx"]  # the weights are inside


def test_metadata_describe_images_and_classes(onnx_file: Callable[[str], Path]) -> None:
    """An image that is preprocessed by the metadata alone has the same logits as in firstsight."""
    path = onnx_file("lenet-mnist")
    meta = metadata(path)
    p = meta["preprocess"]
    assert (p["size"], p["channel_order"], p["value_range"], p["crop"], p["pad"]) == ([32, 32], "L", [0, 1], 28, 2)
    assert meta["classes"] == [str(digit) for digit in range(10)] and meta["card"]["model"] == meta["model"] == "lenet"
    digit = firstsight.load_data("digits", "test").images[0, 0].numpy()
    pixels = np.pad(np.asarray(Image.fromarray(digit).resize((28, 28), Image.Resampling.BILINEAR)), p["pad"])
    x = ((pixels / 255 - p["mean"][0]) / p["std"][0])[None, None].astype(np.float32)
    (logits,) = run_onnx(path, torch.from_numpy(x))
    probabilities = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(probabilities, firstsight.load("lenet-mnist")(digit), atol=1e-5)


def test_metadata_describe_the_latent_space(onnx_file: Callable[[str], Path]) -> None:
    """The inverse of the scaling in the metadata gives the images of firstsight."""
    generator = firstsight.load("gan-digits")
    path = onnx_file("gan-digits")
    meta = metadata(path)
    assert meta["latent"]["length"] == meta["latent"]["noise"] == 100 and meta["latent"]["categories"] == []
    (x,) = run_onnx(path, generator.draw(3))
    out = meta["outputs"]["images"]
    pixels = (255 * (x * out["std"][0] + out["mean"][0])).round().clip(0, 255)
    assert np.abs(pixels - generator(generator.draw(3)).numpy()).max() <= 1


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


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) for n in ("openpose-tiny", "dcgan")])
def test_networks_with_random_weights_are_exported(name: str, tmp_path: Path) -> None:
    model = find_model(name, random_weights=True)
    check_export(model, export(model, tmp_path / "net.pt2"))


def test_a_file_that_differs_is_refused(tmp_path: Path) -> None:
    model = firstsight.load("lenet-mnist")
    path = export(model, tmp_path / "net.pt2", check=True)
    with torch.no_grad():
        next(model.model.parameters()).mul_(1.01)
    with pytest.raises(WeightsError, match=r"logits differs from the network by .* standard deviations, more than"):
        check_export(model, path)


def test_a_program_has_card_and_metadata(tmp_path: Path) -> None:
    extra = {"firstsight.json": "", "metadata.json": ""}
    torch.export.load(export("lenet-mnist", tmp_path / "net.pt2"), extra_files=extra)
    assert json.loads(extra["firstsight.json"])["model"] == "lenet"
    assert json.loads(extra["metadata.json"])["preprocess"]["crop"] == 28


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
            "trained weights: lenet-digits, lenet-fashion, lenet-mnist; type: firstsight export lenet-digits FILE",
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
