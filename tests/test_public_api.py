"""The public API: one function for every kind of task, objects that show themselves, errors that name the parameter."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import firstsight
from firstsight.data.sample_image import sample_photo
from firstsight.weights.io import read_weights


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [
        ("lenet-digits", "Classifier", (1, 32, 32)),
        ("dcgan-fashion", "Generator", (64,)),
        ("openpose-tiny-lsp", "PoseEstimator", (3, 256, 256)),
        ("pose-tiny-lsp", "TopDownEstimator", (3, 192, 192)),
    ],
)
def test_load_returns_the_object_of_the_kind(name: str, kind: str, shape: tuple[int, ...]) -> None:
    model = firstsight.load(name)
    assert type(model).__name__ == kind
    assert repr(model).startswith(f"{kind}(") and "\n" not in repr(model)
    assert model.input_shape == shape
    assert model.to("cpu") is model
    assert Path(model.source).stem == name
    with pytest.raises(firstsight.UsageError, match="device"):
        model.to("tpu")


def test_a_classifier_takes_images_of_any_form() -> None:
    model = firstsight.load("lenet-digits")
    digits = firstsight.load_data("digits", "test").images[:4]
    probs = model(digits)
    assert probs.shape == (4, 10) and torch.allclose(probs.sum(1), torch.ones(4))
    forms = [digits[0], digits[0].numpy()[0], Image.fromarray(digits[0, 0].numpy()), digits[0].float() / 255]
    assert all(torch.allclose(model(form), probs[:1], atol=1e-6) for form in forms)
    predictions = firstsight.predict(model, digits, top=2)
    assert [len(prediction.top) for prediction in predictions] == [2] * 4
    assert predictions == model.predict(digits, top=2)
    assert predictions[0].probability == pytest.approx(float(probs[0].max()), abs=1e-6)
    assert predictions[0].to_dict()["top"][0]["label"] == predictions[0].label
    assert predictions[0].label in predictions[0]._repr_html_()


def test_evaluate_takes_a_name_or_an_object() -> None:
    by_name, by_object = firstsight.evaluate("lenet-digits"), firstsight.evaluate(firstsight.load("lenet-digits"))
    assert by_name == by_object
    assert by_name.n == 359 and by_name.metrics["accuracy"] == pytest.approx(358 / 359)
    assert "accuracy 99.72%" in str(by_name) and "<table>" in by_name._repr_html_()
    assert json.loads(json.dumps(by_name.to_dict()))["metrics"] == by_name.metrics


def test_options_of_an_evaluation_are_checked() -> None:
    with pytest.raises(firstsight.UsageError, match="`height` is not an option of the evaluation of a classifier"):
        firstsight.evaluate("lenet-digits", height=100)
    with pytest.raises(firstsight.UsageError, match=r"`model` must be .*; got list"):
        firstsight.evaluate([1])


def test_a_pose_can_be_drawn_saved_and_written_as_json(tmp_path: Path) -> None:
    result = firstsight.estimate_pose(sample_photo())
    array = np.asarray(Image.open(sample_photo()).convert("RGB"))
    same = firstsight.estimate_pose(array[..., ::-1], bgr=True)
    assert [pose.box for pose in same.poses] == [pose.box for pose in result.poses]
    drawn = result.draw()
    assert drawn.size == result.image.size and drawn.mode == "RGB"
    assert firstsight.draw_poses(array, result).tobytes() == drawn.tobytes()
    assert Image.open(result.save(tmp_path / "pose.png")).tobytes() == drawn.tobytes()
    assert len(json.loads(json.dumps(result.to_dict()))["people"]) == len(result) == len(result.poses)
    with pytest.raises(firstsight.UsageError, match="`skeleton` is needed"):
        firstsight.draw_poses(array, result.poses)
    with pytest.raises(firstsight.UsageError, match="`boxes` needs a top-down network"):
        firstsight.estimate_pose(array, boxes=[[0, 0, 10, 10]])
    with pytest.raises(firstsight.WeightsError, match="holds a classifier, not a pose network"):
        firstsight.estimate_pose(array, "lenet-digits")


def test_create_model_builds_every_kind() -> None:
    assert sum(p.numel() for p in firstsight.create_model("lenet").parameters()) == 61_706
    generator, discriminator = firstsight.create_model("dcgan")
    assert discriminator(generator(torch.randn(2, 100))).shape == (2,)
    with pytest.raises(firstsight.UsageError, match=r"'lenett': did you mean lenet\? "):
        firstsight.create_model("lenett")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lnet", {}, r"did you mean lenet\? "),
        ("resnt34", {}, r"did you mean resnet34\? "),
        ("LeNet", {}, r"did you mean lenet\? "),
        ("resnet50", {"weights": "imagnet"}, r"did you mean imagenet\? "),
        ("resnet50", {"pretrained": True}, r"; use weights='imagenet'$"),
        ("dcgan", {"pretrained": True}, "; use firstsight.load for trained weights$"),
    ],
)
def test_create_model_suggests_the_right_name(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(firstsight.UsageError, match=message):
        firstsight.create_model(name, **options)


@pytest.mark.source  # a mutated builder has another signature
def test_create_model_suggests_the_right_option() -> None:
    with pytest.raises(firstsight.UsageError, match=r"`num_clases` is not an option of lenet.*mean num_classes\?"):
        firstsight.create_model("lenet", num_clases=3)
    with pytest.raises(firstsight.UsageError, match=r"; did you mean in_channels\?$"):
        firstsight.create_model("resnet50", in_chans=1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lenet", "^lenet has no published weights; trained weights: lenet-digits, lenet-fashion, lenet-mnist$"),
        ("mlp", r"^mlp has no trained weights; train it \(firstsight train mlp\), or give a run directory or a file$"),
        ("mlp-digits", r"^mlp has no trained weights; train it \(firstsight train mlp-digits\)"),
        ("vgg61", r"did you mean vgg16\? "),
        (3, "^`name_or_path` must be a string or a path; got 3$"),
    ],
)
def test_load_names_the_weights_that_exist(name: Any, message: str) -> None:
    with pytest.raises(firstsight.UsageError, match=message):
        firstsight.load(name)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "learning_rate",
            r"^lenet-digits has no setting 'learning_rate'; did you mean lr\? \(all: firstsight train lenet",
        ),
        ("epoch", r"^lenet-digits has no setting 'epoch'; did you mean epochs\? \(all: "),
        ("xxqq", r"^lenet-digits has no setting 'xxqq' \(all: firstsight train lenet --help-all\)$"),
    ],
)
def test_train_suggests_the_right_setting(setting: str, message: str) -> None:
    with pytest.raises(firstsight.UsageError, match=message):
        firstsight.train("lenet", **{setting: 1})  # type: ignore[misc]


@pytest.mark.parametrize("z", [8, torch.zeros(54), torch.zeros(8, 3)])
def test_a_generator_refuses_anything_but_latent_vectors(z: Any) -> None:
    generator = firstsight.load("dcgan-fashion")
    with pytest.raises(firstsight.UsageError, match=rf"`z` must be a tensor \(N, {generator.latent.length}\)"):
        generator(z)
    assert generator(generator.draw(2)).shape == (2, 1, 32, 32)


def test_create_model_takes_trained_weights() -> None:
    trained = firstsight.load("lenet-digits").model.state_dict()
    same = firstsight.create_model("lenet", weights="lenet-digits").state_dict()
    assert all(torch.equal(same[name], trained[name]) for name in trained)
    other = firstsight.create_model("lenet", weights="lenet-digits", num_classes=3).state_dict()
    assert torch.equal(other["conv1.weight"], trained["conv1.weight"]) and len(other["fc3.weight"]) == 3
    with pytest.raises(firstsight.UsageError, match="holds weights of lenet, not of mlp"):
        firstsight.create_model("mlp", weights="lenet-digits")


def test_a_summary_prints_as_a_table() -> None:
    summary = firstsight.summary("lenet")
    assert summary.parameters == 61_706 and summary.macs == 416_520
    assert repr(summary) == str(summary)
    assert "416,520 MACs" in str(summary) and "conv2" in str(summary) and "<table>" in summary._repr_html_()
    assert firstsight.summary(firstsight.load("lenet-digits")).layers == summary.layers
    assert firstsight.summary(firstsight.create_model("lenet"), (1, 32, 32)).macs == summary.macs
    with pytest.raises(firstsight.UsageError, match="takes no images"):
        firstsight.summary("dcgan-fashion")


@pytest.mark.parametrize("name", ["lenet-digits", "infogan-mnist", "openpose-tiny-lsp", "pose-tiny-lsp"])
def test_exported_weights_are_loaded_again(name: str, tmp_path: Path) -> None:
    path = firstsight.export(name, tmp_path / "weights.safetensors")
    again, original = read_weights(path), read_weights(Path(firstsight.load(name).source))
    assert again.card == original.card
    assert all(torch.equal(again.tensors[key], tensor) for key, tensor in original.tensors.items())
    assert type(firstsight.load(path)) is type(firstsight.load(name))


@pytest.mark.filterwarnings("ignore:No complete tensor found")
@pytest.mark.parametrize("name", ["lenet-digits", "dcgan-fashion", "pose-tiny-lsp"])
def test_an_exported_program_computes_the_same(name: str, tmp_path: Path) -> None:
    model = firstsight.load(name)
    path = firstsight.export(model, tmp_path / "program.pt2")
    extra = {"firstsight.json": ""}
    program = torch.export.load(path, extra_files=extra)
    net = model.network.model if hasattr(model, "network") else model.model
    inputs = torch.randn(3, *model.input_shape)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(inputs), net(inputs), rtol=1e-4, atol=1e-5)
    assert json.loads(extra["firstsight.json"])["model"] == model.card["model"]


def test_an_export_in_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(firstsight.UsageError, match=r"`path` must end in one of: \.safetensors"):
        firstsight.export("lenet-digits", tmp_path / "weights.h5")
    with pytest.raises(firstsight.UsageError, match="does not exist"):
        firstsight.export("lenet-digits", tmp_path / "missing/weights.pt2")


def test_the_names_of_the_package() -> None:
    assert set(firstsight.__all__) <= set(dir(firstsight))
    stub = (Path(firstsight.__file__).with_suffix(".pyi")).read_text()
    assert all(f" as {name}\n" in stub or name == "__version__" for name in firstsight.__all__)
    for name in ("evaluate", "load", "list_models", "create_model", "predict", "generate", "estimate_pose", "export"):
        assert callable(getattr(firstsight, name)), name
    with pytest.raises(AttributeError, match="nothing"):
        firstsight.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: firstsight.train("lenet", epochs="1"), "`epochs` must be an integer; got the text '1'"),
        (lambda: firstsight.train("lenet", epochs=True), "`epochs` must be an integer; got True"),
        (lambda: firstsight.train("lenet", lr="fast"), "`lr` must be a number; got the text 'fast'"),
        (lambda: firstsight.train("lenet", data=3), "`data` must be a string or a path; got 3"),
        (lambda: firstsight.train("lenet", flip=True), "`flip` must be one of none, random, alternating; got True"),
        (lambda: firstsight.train(None), "`recipe` must be a string; got None"),
        (
            lambda: firstsight.create_model("lenet", num_classes="5"),
            "`num_classes` must be an integer or None; got the text '5'",
        ),
        (lambda: firstsight.create_model(None), "`name` must be a string; got None"),
        (lambda: firstsight.create_model("lenet", weights=True), "`weights` must be a string or None; got True"),
        (lambda: firstsight.predict("lenet-digits", torch.rand(1, 8, 8), top=2.5), "`top` must be a whole number"),
        (lambda: firstsight.load(3), "`name_or_path` must be a string or a path; got 3"),
    ],
)
def test_values_of_a_wrong_type_are_refused_by_the_name_of_the_parameter(call: object, message: str) -> None:
    with pytest.raises(firstsight.UsageError, match=re.escape(message)):
        call()  # type: ignore[operator]
