"""The public API: one function for every kind of task, objects that show themselves, errors that name the parameter."""

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jedi
import numpy as np
import pytest
import torch
from PIL import Image

import firstsight
from firstsight.data.sample_image import sample_photo
from firstsight.tasks.export import make_plan
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


def test_a_gan_is_summarized_as_a_pair_and_a_class_is_an_index() -> None:
    pair = firstsight.create_model("dcgan")
    assert firstsight.summary(pair).parameters == firstsight.summary("dcgan").parameters
    by_name, by_index = (firstsight.generate("dcgan-fashion", 2, label=label) for label in ("Dress", 3))
    assert torch.equal(by_name.images, by_index.images)


def test_an_unknown_name_of_the_package_names_similar_ones() -> None:
    for name, similar in (("runs", "compare_runs or list_runs"), ("features", "compute_features"), ("trian", "train")):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'; did you mean {similar}"):
            getattr(firstsight, name)
    with pytest.raises(AttributeError, match=r"see: dir\(firstsight\)"):
        getattr(firstsight, "zzz")  # noqa: B009 - mypy knows that it does not exist


def test_the_result_of_a_training_stands_for_its_run(trained: Callable[[str], Path], tmp_path: Path) -> None:
    run = trained("lenet")
    result = firstsight.TrainResult("lenet", run, 3, "", {}, 0.0, 0.0, 0)
    (summary,) = firstsight.list_runs(run)
    digit = firstsight.load_data("digits", "test")[0]
    expected = firstsight.predict(run, digit)
    for source in (result, summary):
        assert firstsight.load(source).source == str(run / "model.safetensors")
        assert firstsight.predict(source, digit) == expected
    assert firstsight.evaluate(result) == firstsight.evaluate(run)
    assert firstsight.summary(result).parameters == 61706
    firstsight.export(result, tmp_path / "lenet.safetensors")
    assert firstsight.load(tmp_path / "lenet.safetensors").predict(digit) == expected
    gan = firstsight.TrainResult("gan-digits", trained("gan"), 3, "", {}, 0.0, 0.0, 0)
    assert torch.equal(firstsight.generate(gan, 2).images, firstsight.generate(trained("gan"), 2).images)
    with pytest.raises(firstsight.WeightsError, match="holds a classifier, not a pose network"):
        firstsight.estimate_pose(sample_photo(), result)
    tuned = firstsight.train("lenet", weights=result, max_steps=1, out=tmp_path / "tuned")
    assert json.loads((tuned.run_dir / "config.json").read_text())["settings"]["weights"] == str(run)


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


def test_an_image_in_the_place_of_weights_is_named() -> None:
    with pytest.raises(firstsight.WeightsError, match=r"\.jpg: is an image, not weights; name the network first"):
        firstsight.predict(str(sample_photo()), "lenet-mnist")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lenet", "^lenet has no published weights; trained weights: lenet-digits, lenet-fashion, lenet-mnist$"),
        ("mlp", r"^mlp has no trained weights; train it \(firstsight train mlp\), or give a run directory or a file$"),
        ("mlp-digits", r"^mlp has no trained weights; train it \(firstsight train mlp-digits\)"),
        ("vgg61", r"did you mean vgg16\? "),
        (3, "^`name_or_path` must be a string or a path or the result of a training; got 3$"),
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
    with pytest.raises(firstsight.UsageError, match="takes latent vectors of"):
        firstsight.summary("dcgan-fashion", (1, 28, 28))


@pytest.mark.parametrize("name", ["lenet-digits", "infogan-mnist", "openpose-tiny-lsp", "pose-tiny-lsp"])
def test_exported_weights_are_loaded_again(name: str, tmp_path: Path) -> None:
    path = firstsight.export(name, tmp_path / "weights.safetensors")
    again, original = read_weights(path), read_weights(Path(firstsight.load(name).source))
    assert again.card == original.card
    assert all(torch.equal(again.tensors[key], tensor) for key, tensor in original.tensors.items())
    assert type(firstsight.load(path)) is type(firstsight.load(name))


@pytest.mark.filterwarnings("ignore:No complete tensor found")
@pytest.mark.parametrize(
    "name", ["lenet-digits", "dcgan-fashion", pytest.param("pose-tiny-lsp", marks=pytest.mark.slow)]
)
def test_an_exported_program_computes_the_same(name: str, tmp_path: Path) -> None:
    model = firstsight.load(name)
    path = firstsight.export(model, tmp_path / "program.pt2")
    extra = {"firstsight.json": ""}
    program = torch.export.load(path, extra_files=extra)
    net = make_plan(model).net
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
        (lambda: firstsight.predict("lenet-digits", torch.rand(1, 8, 8), top=2.5), "`top` must be an integer; got 2.5"),
        (lambda: firstsight.load(3), "`name_or_path` must be a string or a path or the result of a training; got 3"),
    ],
)
def test_values_of_a_wrong_type_are_refused_by_the_name_of_the_parameter(call: object, message: str) -> None:
    with pytest.raises(firstsight.UsageError, match=re.escape(message)):
        call()  # type: ignore[operator]


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("train", {"recipe": "lenet", "epochs": 2.0}, "`epochs` must be an integer; got 2.0"),
    ("train", {"recipe": "lenet", "epochs": [1, 2]}, "`epochs` must be an integer; got the list [1, 2]"),
    ("train", {"recipe": "lenet", "epochs": None}, "`epochs` must be an integer; got None"),
    ("train", {"recipe": "lenet", "epochs": Path("2")}, "`epochs` must be an integer; got the path 2"),
    ("train", {"recipe": "lenet", "epochs": np.float64(2)}, "`epochs` must be an integer; got 2.0"),
    ("train", {"recipe": "lenet", "epochs": np.True_}, "`epochs` must be an integer; got an object of type bool"),
    ("train", {"recipe": "lenet", "epochs": torch.tensor(2)}, "`epochs` must be an integer; got an object of type Ten"),
    ("train", {"recipe": "lenet", "lr": float("nan")}, "`lr` must be a number; got nan"),
    ("train", {"recipe": "lenet", "lr": True}, "`lr` must be a number; got True"),
    ("train", {"recipe": "lenet", "resume": "no"}, "`resume` must be True or False; got the text 'no'"),
    ("train", {"recipe": "lenet", "out": 3}, "`out` must be a string or a path or None; got 3"),
    ("train", {"recipe": "lenet", "data": b"x"}, "`data` must be a string or a path; got an object of type bytes"),
    ("train", {"recipe": "lenet", "tta_views": True}, "`tta_views` must be one of 1, 2, 6; got True"),
    ("train", {"recipe": "lenet", "device": "gpu"}, "`device` must be one of auto, cpu, cuda, mps; got gpu"),
    ("evaluate", {"model": "lenet-digits", "strict": 1}, "`strict` must be True or False; got 1"),
    ("evaluate", {"model": "dcgan-fashion", "n": "9"}, "`n` must be an integer; got the text '9'"),
    (
        "load",
        {"name_or_path": ["lenet"]},
        "`name_or_path` must be a string or a path or the result of a training; got the list ['lenet']",
    ),
    ("load_data", {"name_or_path": "digits", "size": "32"}, "`size` must be an integer; got the text '32'"),
    ("create_model", {"name": "dcgan", "latent_dim": "8"}, "`latent_dim` must be an integer; got the text '8'"),
    ("generate", {"generator": "gan-digits", "n": "4"}, "`n` must be an integer; got the text '4'"),
    ("interpolate", {"generator": "gan-digits", "a": 1.5, "b": 2}, "`a` must be an integer; got 1.5"),
    ("interpolate", {"generator": "gan-digits", "a": 1, "b": 2, "path": "arc"}, "`path` must be one of slerp, linear;"),
    ("latent_arithmetic", {"generator": "gan-digits", "expression": 7}, "`expression` must be a string; got 7"),
    ("add_nearest_neighbors", {"generator": "gan-digits", "grid": 0, "k": "2"}, "`k` must be an integer; got the text"),
    ("estimate_pose", {"image": "x.jpg", "scales": 1.0}, "`scales` must be a list, each value a number; got 1.0"),
    ("estimate_pose", {"image": "x.jpg", "scales": "1,2"}, "`scales` must be a list, each value a number; got the te"),
    ("estimate_pose", {"image": "x.jpg", "method": "best"}, "`method` must be one of fast, exact or None; got best"),
    ("draw_poses", {"image": "x.jpg", "poses": [], "bgr": "yes"}, "`bgr` must be True or False; got the text 'yes'"),
    ("apply_filter", {"image": "x.jpg", "padding": "valid"}, "`padding` must be an integer or same; got the text 'va"),
    (
        "apply_filter",
        {"image": "x.jpg", "at": (1,)},
        "`at` must be (an integer, an integer) or None; got the tuple (1,",
    ),
    ("summary", {"model": "lenet", "runs": "3"}, "`runs` must be an integer; got the text '3'"),
    ("list_models", {"pattern": 3}, "`pattern` must be a string; got 3"),
    ("list_recipes", {"pattern": None}, "`pattern` must be a string; got None"),
    ("PoseEstimator", {"flip": "yes"}, "`flip` must be True or False; got the text 'yes'"),
    ("TopDownEstimator", {"model": "pose-tiny-lsp", "batch": 2.5}, "`batch` must be an integer; got 2.5"),
]
"""Function, arguments, and the message."""


@pytest.mark.parametrize(("function", "arguments", "message"), WRONG)
def test_every_function_refuses_values_of_another_type(function: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(firstsight.UsageError, match="^" + re.escape(message)):
        getattr(firstsight, function)(**arguments)


@pytest.mark.slow
def test_numbers_of_numpy_and_paths_are_accepted_as_settings(tmp_path: Path) -> None:
    result = firstsight.train(
        "lenet",
        data=Path("digits"),
        epochs=np.int64(1),
        lr=np.float32(0.001),
        max_steps=np.uint8(1),
        out=tmp_path / "x",
    )
    settings = json.loads((result.run_dir / "config.json").read_text())["settings"]
    assert settings["epochs"] == 1 and settings["lr"] == pytest.approx(0.001) and settings["data"] == "digits"
    assert result.figure and result.figure.is_file()
    assert "parameters" in result._repr_html_() and "data:image/png" in result._repr_html_()


@pytest.mark.source
def test_signatures_are_explicit_and_documented() -> None:
    for name in firstsight.__all__:
        value = getattr(firstsight, name)
        if not inspect.isfunction(value):
            continue
        kinds = [p.kind for p in inspect.signature(value).parameters.values()]
        assert inspect.Parameter.VAR_KEYWORD not in kinds, name
        assert "Parameters\n---" in (inspect.getdoc(value) or ""), name
    parameters = inspect.signature(firstsight.train).parameters
    assert str(parameters["epochs"]) == "epochs: int = ..." and set(firstsight.TrainSettings.__annotations__) < {
        *parameters
    }


@pytest.mark.source
def test_the_typed_options_are_those_of_the_functions() -> None:
    from firstsight.tasks.options import AnyModelOptions, EvaluateOptions, GANModelOptions
    from firstsight.tasks.spec import TASKS

    def options(key: str, *kinds: str) -> set[str]:
        return {name for kind in kinds or TASKS for name in TASKS[kind].resolve(key).__kwdefaults__ or {}}

    given = {"strict", "notify", "progress"}  # parameters of `evaluate` itself
    assert set(EvaluateOptions.__annotations__) == options("evaluate") - given
    assert set(GANModelOptions.__annotations__) == options("create", "gan")
    assert set(AnyModelOptions.__annotations__) == options("create") | {"skeleton", "size"}  # these have no default


@pytest.mark.parametrize("kind", ["Script", "Interpreter"])
def test_editors_complete_names_and_settings(kind: str) -> None:
    """An IDE reads the source; a notebook has the objects too."""

    def complete(code: str) -> set[str]:
        if kind == "Script":
            script = jedi.Script(f"import firstsight as fs\n{code}", path=Path(__file__).with_name("script.py"))
        else:
            script = jedi.Interpreter(code, [{"fs": firstsight}])
        return {completion.name for completion in script.complete()}

    assert {"train", "track_video", "TrainResult"} <= complete("fs.t")
    assert complete("fs.train('lenet', epo") == {"epochs="}
    assert {"lr=", "lr_restart="} <= complete("fs.train('lenet', l")
    assert complete("fs.predict('lenet-digits', 'x.png', to") == {"top="}
    assert set(firstsight.__all__) <= {*complete("fs."), "__version__"}
