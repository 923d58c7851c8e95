"""A trained generator: samples, codes, interpolation, latent arithmetic, files, evaluation, refused requests."""

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
import torch
from PIL import Image, ImageShow

from firstsight.cli.outputs import FIGURES
from firstsight.data.batches import fit_images
from firstsight.data.images.loading import load_data
from firstsight.errors import DataError, UsageError, WeightsError
from firstsight.metrics.frechet import frechet_distance
from firstsight.models.gan.latent import Latent
from firstsight.recipes.train import train
from firstsight.tasks.evaluate import evaluate
from firstsight.tasks.gan.generate import add_nearest_neighbors, generate, interpolate, latent_arithmetic
from firstsight.tasks.gan.generator import Generator
from firstsight.tasks.gan.parse_codes import parse_codes
from firstsight.tasks.gan.reference_classifier import ClassifierOutput, ReferenceClassifier, reference_for
from firstsight.tasks.load import load, load_as

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def infogan(trained: Callable[[str], Path]) -> Path:
    return trained("infogan")


@pytest.fixture
def gan(trained: Callable[[str], Path]) -> Path:
    return trained("gan")


def test_run_and_its_weights_file_give_the_same_images_in_every_process(infogan: Path) -> None:
    """They depend on the seed, and are the network's outputs."""
    generator = load(infogan)
    grid = generate(generator, 12, seed=5)
    code = (
        "from firstsight.tasks.gan.generate import generate; import sys;"
        f"images = generate({str(infogan / 'model.safetensors')!r}, 12, seed=5).images;"
        "sys.stdout.buffer.write(images.numpy().tobytes())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert other == grid.images.numpy().tobytes()
    assert not torch.equal(generate(generator, 12, seed=6).images, grid.images)
    with torch.no_grad():
        values = generator.model(grid.z)
    assert values.abs().max() <= 1
    expected = ((values + 1) / 2 * 255).round()
    torch.testing.assert_close(grid.images.float(), expected, atol=1, rtol=0)


def test_codes_are_set_and_traversed(infogan: Path) -> None:
    generator = load(infogan)
    fixed = generate(generator, 10, codes="c1=3, c2=0.5")
    (category,), values = generator.latent.codes(fixed.z)
    assert category.tolist() == [3] * 10 and values[:, 0].tolist() == [0.5] * 10
    both = generate(generator, codes="c1=0..9,c3=-1..1")
    (category,), values = generator.latent.codes(both.z)
    assert category.view(10, 8)[:, 0].tolist() == list(range(10))
    torch.testing.assert_close(values.view(10, 8, 2)[4, :, 1], torch.linspace(-1, 1, 8))
    assert torch.equal(both.z[0, :62], both.z[-1, :62])  # the same noise everywhere
    assert both.rows[3].startswith("c1 = 3") and both.heads[0] == "c3 = -1.00"
    across = generate(generator, 24, codes="c2=-1..1")
    assert len(across.images) == 24 and not torch.equal(across.z[0, :62], across.z[8, :62])
    assert "expect unusual images" in generate(generator, codes="c2=-2..2").notes[0]


def test_class_is_generated_by_the_categories_that_were_matched_with_it(infogan: Path) -> None:
    generator = load(infogan)
    assert len(generator.table) == 10 and set(generator.table) <= set("0123456789")
    name = generator.table[7]
    (category,), _ = generator.latent.codes(generate(generator, 30, label=name).z)
    assert set(category.tolist()) == {i for i, label in enumerate(generator.table) if label == name}
    assert torch.equal(generate(generator, 30, label=int(name)).z, generate(generator, 30, label=name).z)
    traversal = generate(generator, 16, label=name, codes="c2=-1..1")
    (category,), values = generator.latent.codes(traversal.z)
    assert all(generator.table[i] == name for i in category) and traversal.heads[0] == "c2 = -1.00"
    torch.testing.assert_close(values[:8, 0], torch.linspace(-1, 1, 8))
    assert torch.equal(traversal.z[:8, :62], traversal.z[:1, :62].repeat(8, 1))
    with pytest.raises(UsageError, match="the class sets code c1"):
        generate(generator, label=name, codes="c1=1")


def test_category_of_a_class_conditional_gan_is_the_class(tmp_path: Path, run: Run) -> None:
    """Grid, report and metrics use it; there is no Q."""
    out = tmp_path / "run"
    small = {"epochs": 1, "d_width": 4, "image_size": 8, "latent_dim": 6, "batch_size": 512}
    train("dcgan-digits", out=out, conditional=True, **small)
    assert "The classes" in (out / "report.html").read_text()
    generator = load(out)
    assert generator.is_conditional and generator.table == tuple("0123456789")
    (category,), _ = generator.latent.codes(generate(generator, 12, label="7").z)
    assert category.tolist() == [7] * 12
    assert generate(generator, codes="c1=0..9").rows == generator.table
    metrics = evaluate(out).metrics
    assert "class_accuracy" in metrics and not {"c1_purity", "q_error"} & set(metrics)
    code, _, err = run("generate", out, "--class", "eleven")
    assert code == 2 and "no class 'eleven'" in err


def test_interpolation_keeps_the_length_of_the_noise_on_the_sphere_and_not_on_a_line(infogan: Path) -> None:
    generator = load(infogan)
    for path in ("slerp", "linear"):
        grid = interpolate(generator, 3, 4, steps=5, path=path)  # type: ignore[arg-type]
        assert grid.heads == ("seed 3", "", "", "", "seed 4")
        torch.testing.assert_close(grid.z[0], generator.draw(1, seed=3)[0])
        torch.testing.assert_close(grid.z[-1], generator.draw(1, seed=4)[0])
        lengths = grid.z[:, :62].norm(dim=1)
        if path == "slerp":
            assert lengths.min() >= min(lengths[0], lengths[-1]) - 1e-4
        else:
            torch.testing.assert_close(grid.z[2], (grid.z[0] + grid.z[-1]) / 2)
            assert lengths[2] < 0.9 * lengths[0]


class BrightnessClassifier(ReferenceClassifier):
    """A reference classifier whose classes are 0 (darker than the median) and 1, so that results can be checked."""

    def __init__(self) -> None:
        super().__init__(load("lenet-digits"), "brightness", in_domain=True)

    def __call__(self, images: torch.Tensor) -> ClassifierOutput:
        mean = images.float().mean((1, 2, 3))
        return ClassifierOutput(mean[:, None], (mean > mean.median()).long(), torch.ones(len(images)))


def test_latent_arithmetic_adds_and_subtracts_means_of_classes(gan: Path) -> None:
    """1 - 0 points from the mean of class 0 to that of class 1, at the usual length of noise."""
    generator = load(gan)
    grid = latent_arithmetic(generator, "1 - 0", BrightnessClassifier())
    assert grid.heads[:3] == ("1", "- 0", "sum") and len(grid.images) == 3 + 7
    direction = grid.z[0] - grid.z[1]
    assert torch.cosine_similarity(direction, grid.z[2], dim=0) > 0.9
    torch.testing.assert_close(grid.z[:3].norm(dim=1), torch.full((3,), 10.0), atol=0.3, rtol=0)
    for text, words in (("1 - nine", "unknown class 'nine'"), ("", "is missing"), ("1 + + 0", "is missing")):
        with pytest.raises(UsageError, match=words.replace("+", r"\+")):
            latent_arithmetic(generator, text, BrightnessClassifier())


def test_codes_are_parsed_and_impossible_ones_refused(infogan: Path) -> None:
    latent = load(infogan).latent
    assert [vars(code) for code in parse_codes("c1=0..2", latent)[0]] == [{"index": 0, "low": 0.0, "high": 2.0}]
    assert parse_codes("c2=-.5..0.25", latent)[0][0].high == 0.25
    with pytest.raises(UsageError, match=r"it has only c1$"):
        parse_codes("c2=0", Latent(6, (10,), 0))
    for text, words in (
        ("c4=1", "no code c4; it has c1 to c3"),
        ("c0=1", "no code c0"),
        ("c1=10", "a category from 0 to 9"),
        ("c1=1.5", "a category"),
        ("c1=3..0", "must be ascending; write c1=0..3"),
        ("c1=0..9,c1=3", "code c1 is given twice"),
        ("x=1", "cannot be parsed"),
        ("c1", "cannot be parsed"),
        ("c2=..", "not a number"),
        ("c2=1.2.3", "not a number"),
    ):
        with pytest.raises(UsageError, match=words):
            parse_codes(text, latent)


def test_requests_that_a_generator_cannot_meet_are_refused(gan: Path, infogan: Path, run: Run) -> None:
    with pytest.raises(UsageError, match="trained without codes"):
        generate(gan, label="3")
    with pytest.raises(UsageError, match="it was trained without codes"):
        generate(gan, codes="c1=3")
    with pytest.raises(UsageError, match="no class 'sneaker'; the classes are"):
        generate(infogan, label="sneaker")
    with pytest.raises(UsageError, match="one category"):
        generate(infogan, codes="c2=-1..1,c3=-1..1")
    for expression, words in (
        ("7 - 7", "cancels out"),
        ("7 1", "a sign is missing"),
        ("7 - 11", "unknown class '11'"),
        ("7 - - 1", "a class is missing"),
        ("7 + cat", "unknown class 'cat'"),
    ):
        with pytest.raises(UsageError, match=words):
            latent_arithmetic(gan, expression)
    with pytest.raises(UsageError, match="a code sets the class; generate a class instead"):
        latent_arithmetic(infogan, "7 - 1")
    with pytest.raises(UsageError, match="`n` must be between 1 and 100,000; got 0"):
        generate(infogan, 0)
    with pytest.raises(WeightsError, match=r"holds a classifier, not a generator \(see: firstsight predict --help\)"):
        load_as("gan", "lenet-digits")
    with pytest.raises(WeightsError, match=r"holds a generator, not a classifier \(see: firstsight generate --help\)"):
        load_as("classification", gan)
    with pytest.raises(UsageError, match=r"a file, the result of a training, or a generator; got int"):
        load_as("gan", 3)
    for arguments, words in (
        (["--out", "x.bmp"], "--out must be a .png, .jpg, .svg, .pdf or .gif file, or a folder"),
        (["--out", "no/x.png"], "the folder no does not exist"),
        (["--class", "3", "--interpolate", "1", "2"], "choose one"),
        (["--nearest", "99"], "--nearest must be between 0 and 20"),
        (["--interpolate", "1", "2", "--nearest", "1"], "--nearest excludes --interpolate: it is for samples"),
        (["--interpolate", "1", "2", "--steps", "1"], "--steps must be between 2 and 10,000; got 1"),
        (["--interpolate", "1", "2", "--n", "5"], "--n excludes --interpolate: --steps is the number of images"),
        (["--interpolate", "1", "2", "--seed=0"], "--seed excludes --interpolate"),
        (["--arithmetic", "7 - 1", "--n", "5"], "--n excludes --arithmetic: it makes one grid"),
        (["--code", "c1=3", "--code", "c2=1"], "--code is given twice; write all codes in one"),
        (["--steps", "5"], "--steps needs --interpolate"),
        (["--data", "digits"], "--data needs --nearest"),
        (["--nearest", "1", "--out", "x.gif"], "--nearest needs a figure, as in nearest.png; got x.gif"),
        (["--seed", "-1"], "a seed must be between"),
        (["--interpolate", "1", str(2**63)], "a seed must be between"),
        (["--n", "0"], "--n must be between 1 and 100,000; got 0"),
    ):
        code, out, err = run("generate", infogan, *arguments)
        assert code == 2 and out == "" and words in err and err.count("\n") == 1, err


def test_generate_command_writes_grids_folders_and_animations_and_prints_their_codes(
    gan: Path, infogan: Path, tmp_path: Path, run: Run
) -> None:
    sheet = tmp_path / "sheet.png"
    code, out, err = run("generate", gan, "--n", 10, "--out", sheet)
    assert (code, err) == (0, "") and "10 images of 12x12 by gan (gan-digits)" in out
    with Image.open(sheet) as image:
        assert image.mode == "L" and image.width > image.height
    folder = tmp_path / "many"
    code, out, _ = run("generate", gan, "--n", 3, "--seed", 2, "--out", folder, "--json")
    document = json.loads(out)
    assert code == 0 and document["files"] == [str(folder / f"0000{i}.png") for i in range(3)]
    assert all(p["class"] in set("0123456789") for p in document["images"])
    expected = generate(gan, 3, seed=2).images
    assert np.array_equal(np.asarray(Image.open(folder / "00001.png")), expected[1, 0].numpy())
    _, _, err = run("generate", gan, "--n", 2, "--seed", 2, "--out", folder, "--force")
    assert err == f"warning: {folder} also holds another file\n"
    code, out, _ = run("generate", infogan, "--interpolate", 1, 4, "--steps", 3, "--out", sheet, "--force", "--json")
    generator, between = load(infogan), [image["codes"] for image in json.loads(out)["images"]]
    for seed, codes in ((1, between[0]), (4, between[2])):
        (category,), values = generator.latent.codes(generator.draw(1, seed=seed))
        assert codes == [int(category), *(round(float(value), 4) for value in values[0])]
    assert between[0][0] != between[2][0] and between[1][0] is None  # halfway from one category to another
    animation = tmp_path / "way.gif"
    assert run("generate", infogan, "--interpolate", 1, 2, "--steps", 6, "--out", animation)[0] == 0
    with Image.open(animation) as image:
        assert image.n_frames == 6  # type: ignore[attr-defined]
    for arguments in (["--code", "c1=0..9,c2=-1..1"], ["--nearest", "2", "--n", "16"]):
        assert run("generate", infogan, *arguments, "--out", sheet, "--force")[0] == 0
        with Image.open(sheet) as image:
            assert min(image.size) > 300
    code, _, err = run("generate", infogan, "--code", "c2=3", "--out", sheet, "--force")
    assert code == 0 and "is outside of [-1, 1]" in err


def test_evaluation_of_a_run_has_the_frechet_distance_computed_here(infogan: Path, tmp_path: Path, run: Run) -> None:
    """The floor depends on the data alone."""
    result = evaluate(infogan)
    assert result.n == 359 and result.reference == "lenet-digits" and len(result.sha256) == 64
    generator, reference = load(infogan), reference_for("digits", tuple("0123456789"))
    real = reference(fit_images(load_data("digits", "test"), generator.preprocess))
    draws = reference(generator(generator.draw(8 * 359))).features.split(359)
    expected = [frechet_distance(real.features, draw) for draw in draws]
    assert result.draws == 8 and result.metrics["frechet"] == pytest.approx(mean(expected), rel=1e-6)
    assert result.metrics["frechet_sd"] == pytest.approx(stdev(expected), rel=1e-6)
    assert 0 < result.metrics["frechet_floor"] < 10
    codes = {"q_error", "q_purity", "c1_purity", "c2_slant", "c3_width", "c3_stroke"}
    assert codes | {"recall"} <= set(result.metrics)
    assert 1 - result.metrics["q_error"] <= result.metrics["q_purity"] + 1e-12
    code, out, _ = run("evaluate", infogan)
    assert code == 0 and "fraction of real images that are in the manifold of generated ones" in out
    assert "FD(lenet-digits)" in out and "(N = 359, 8 draws)" in out
    weights = shutil.copy(infogan / "model.safetensors", tmp_path)
    code, out, _ = run("evaluate", weights, "--json")
    assert code == 0 and "q_error" not in json.loads(out)["metrics"]  # Q is in the checkpoints of the run


def test_a_generator_is_not_evaluated_on_other_classes_and_names_other_data() -> None:
    digits = load_data("digits", "test")
    digits[:60].save("mine")
    own = evaluate("gan-digits", "mine", n=8)
    assert own.notes[0] == ("the generator was trained on digits, so this compares its images with other data (mine)")
    digits[digits.labels < 2].save("two")
    with pytest.raises(DataError, match=r"^two has the classes 0, 1, but the generator was trained on digits: 0, 1, 2"):
        evaluate("gan-digits", "two", n=8)


def test_evaluation_of_a_generator_needs_two_images() -> None:
    assert evaluate("gan-digits", n=2).n == 2
    for n in (1, 0, -3):
        with pytest.raises(UsageError, match=f"^`n` must be at least 2; got {n}$"):
            evaluate("gan-digits", n=n)
    with pytest.raises(UsageError, match=r"^`k` must be at least 0; got -1$"):
        add_nearest_neighbors("gan-digits", generate("gan-digits", 2), -1)


def test_reference_classifier_gives_features_and_labels_of_its_own_data_and_features_of_others() -> None:
    """LeNet's 84 features; its labels are those of the classifier."""
    test = load_data("digits", "test")
    reference = reference_for("digits", test.classes)
    output = reference(test.images)
    assert output.features.shape == (359, 84) and reference.in_domain
    assert float((output.labels == test.labels).double().mean()) > 0.98
    head = [m for m in reference.classifier.model.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.inference_mode():
        probabilities = torch.softmax(head(output.features), 1)
    torch.testing.assert_close(probabilities.max(1).values, output.confidence)
    other = reference_for("my-photos", ("cat", "dog"))
    assert not other.in_domain and other(torch.zeros(2, 3, 50, 40, dtype=torch.uint8)).features.shape == (2, 84)


def test_card_of_a_generator_names_its_data_reference_classifier_and_metrics(gan: Path) -> None:
    generator = load(gan)
    assert isinstance(generator, Generator) and generator.card["model"] == "gan" and generator.table == ()
    about = generator.card["about"]
    assert about["data"] == "digits" and about["metrics"]["frechet"] > 0
    assert about["reference"]["name"] == "lenet-digits" and about["reference"]["in_domain"]


def test_categories_are_named_by_classes_only_if_the_match_is_good() -> None:
    """Categories and classes can always be matched one to one; the error says whether the match means something."""
    generator = load("infogan-mnist")
    assert generator.card["about"]["metrics"]["q_error"] < 0.2
    grid = generate(generator, codes="c1=0..1")
    assert grid.rows[0] == f"c1 = 0: mostly {generator.table[0]}" and not grid.notes
    card = copy.deepcopy(generator.card)
    card["about"]["metrics"]["q_error"] = 0.79
    bad = replace(generator, card=card)
    grid = generate(bad, codes="c1=0..1")
    assert grid.rows == ("c1 = 0", "c1 = 1") and "Q assigns 79% of the real images" in grid.notes[0]
    assert generate(bad, label="7").notes == grid.notes and not generate(bad, codes="c2=0..1").notes


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (5, 5), (8, 8), (64, 8), (65, 9), (1000, 32)])
def test_grid_is_about_as_wide_as_high(n: int, columns: int, gan: Path) -> None:
    grid = generate(gan, n)
    assert (len(grid.images), grid.columns) == (n, columns)


def test_grid_is_written_as_png_and_gif(infogan: Path, tmp_path: Path) -> None:
    """The names of rows and columns need space; a GIF has one image per frame."""
    grid = generate(infogan, codes="c1=0..2,c2=-1..1")
    plain = replace(grid, rows=(), heads=())
    path = grid.save(tmp_path / "grid.PNG")
    with Image.open(path) as named, Image.open(plain.save(tmp_path / "plain.png")) as image:
        assert named.format == image.format == "PNG"
        ratio = 3 / 8
        assert abs(image.height / image.width - ratio) < 0.02 < named.height / named.width - ratio
    assert path.read_bytes() == grid.encode(".png")
    with Image.open(interpolate(infogan, 1, 2, steps=5).save(str(tmp_path / "x.gif"))) as animation:
        assert animation.n_frames == 5  # type: ignore[attr-defined]
    assert (*FIGURES, ".gif") == grid.IMAGE_FORMATS  # those of the command line
    for suffix, start in ((".jpg", b"\xff\xd8"), (".svg", b"<"), (".pdf", b"%PDF")):
        assert plain.save(f"plain{suffix}").read_bytes().startswith(start)
        assert grid.encode(suffix).startswith(start)
    with pytest.raises(UsageError, match=r"`path` must end in \.png, \.jpg, .*, \.gif, \.json, .*; got x\.bmp"):
        grid.save("x.bmp")
    with pytest.raises(UsageError, match="cannot be written"):
        grid.save(tmp_path / "missing" / "x.png")


def test_grid_is_shown_in_a_viewer(gan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(ImageShow, "show", lambda image: not sizes.append(image.size))  # type: ignore[func-returns-value]
    generate(gan, 3).show()
    assert len(sizes) == 1 and sizes[0][0] > 2 * sizes[0][1]


def test_grid_as_plain_data_has_its_shape_seeds_and_names(infogan: Path) -> None:
    grid = generate(infogan, seed=4, codes="c1=0..1,c2=-2..2")
    data = json.loads(json.dumps(grid.to_dict()))
    assert data["shape"] == [16, 1, 12, 12] and data["columns"] == 8 and data["seeds"] == [4]
    assert data["rows"] == list(grid.rows) and data["heads"][0] == "c2 = -2.00" and "outside" in data["notes"][0]
    assert interpolate(infogan, 3, 9).to_dict()["seeds"] == [3, 9]
    assert repr(grid) == "ImageGrid(16 images of 1x12x12, 8 columns)" and len(grid) == 16
