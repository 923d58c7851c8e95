"""A trained generator used: samples, codes, ways, sums, files; measured; refused."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from firstsight.data import load as load_data
from firstsight.data.batches import fit_images
from firstsight.errors import UsageError, WeightsError
from firstsight.gan.latent import Latent
from firstsight.gan.metrics import frechet_distance
from firstsight.recipes.train import train
from firstsight.tasks.code_text import parse_codes
from firstsight.tasks.generate import arithmetic, generate, interpolate
from firstsight.tasks.judge import Judge, judge_for
from firstsight.tasks.measure import measure
from firstsight.weights import load
from firstsight.weights.generator import Generator, load_generator

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def infogan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("infogan") / "run"
    train("infogan-digits", out=out, epochs=2, width=4, image_size=12)
    return out


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gan") / "run"
    train("gan-digits", out=out, epochs=3, image_size=12)
    return out


def test_a_run_and_its_file_give_the_same_pictures_in_every_process(infogan: Path) -> None:
    """By seed; and as the network itself makes them."""
    made = load_generator(infogan)
    sheet = generate(made, 12, seed=5)
    code = (
        "from firstsight.tasks.generate import generate; import sys;"
        f"images = generate({str(infogan / 'model.safetensors')!r}, 12, seed=5).images;"
        "sys.stdout.buffer.write(images.numpy().tobytes())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert other == sheet.images.numpy().tobytes()
    assert not torch.equal(generate(made, 12, seed=6).images, sheet.images)
    with torch.no_grad():
        values = made.model(sheet.z)
    assert values.abs().max() <= 1
    expected = ((values + 1) / 2 * 255).round()
    torch.testing.assert_close(sheet.images.float(), expected, atol=1, rtol=0)


def test_codes_are_set_and_swept(infogan: Path) -> None:
    made = load_generator(infogan)
    fixed = generate(made, 10, codes="c1=3, c2=0.5")
    (chosen,), values = made.latent.codes(fixed.z)
    assert chosen.tolist() == [3] * 10 and values[:, 0].tolist() == [0.5] * 10
    both = generate(made, codes="c1=0..9,c3=-1..1")
    (chosen,), values = made.latent.codes(both.z)
    assert chosen.view(10, 8)[:, 0].tolist() == list(range(10))
    torch.testing.assert_close(values.view(10, 8, 2)[4, :, 1], torch.linspace(-1, 1, 8))
    assert torch.equal(both.z[0, :62], both.z[-1, :62])  # the same noise everywhere
    assert both.rows[3].startswith("c1 = 3") and both.heads[0] == "c3 = -1.00"
    across = generate(made, 24, codes="c2=-1..1")
    assert len(across.images) == 24 and not torch.equal(across.z[0, :62], across.z[8, :62])
    assert "the pictures there are a guess" in generate(made, codes="c2=-2..2").notes[0]


def test_a_class_by_its_code(infogan: Path) -> None:
    made = load_generator(infogan)
    assert len(made.table) == 10 and set(made.table) <= set("0123456789")
    name = made.table[7]
    (chosen,), _ = made.latent.codes(generate(made, 30, label=name).z)
    assert set(chosen.tolist()) == {i for i, label in enumerate(made.table) if label == name}
    assert torch.equal(generate(made, 30, label=int(name)).z, generate(made, 30, label=name).z)
    swept = generate(made, 16, label=name, codes="c2=-1..1")  # and the other codes as one likes
    (chosen,), values = made.latent.codes(swept.z)
    assert all(made.table[i] == name for i in chosen) and swept.heads[0] == "c2 = -1.00"
    torch.testing.assert_close(values[:8, 0], torch.linspace(-1, 1, 8))
    assert torch.equal(swept.z[:8, :62], swept.z[:1, :62].repeat(8, 1))
    with pytest.raises(UsageError, match="--class sets c1 itself"):
        generate(made, label=name, codes="c1=1")


def test_classes_that_were_told(tmp_path: Path, run: Run) -> None:
    """The category is the class: in the sheet, in the report, in what is measured; Q is not there to be asked."""
    out = tmp_path / "run"
    train("dcgan-digits", out=out, epochs=1, width=4, image_size=8, latent=6, conditional=True)
    assert "The classes" in (out / "report.html").read_text()
    made = load_generator(out)
    assert made.conditional and made.table == tuple("0123456789")
    (chosen,), _ = made.latent.codes(generate(made, 12, label="7").z)
    assert chosen.tolist() == [7] * 12
    assert generate(made, codes="c1=0..9").rows == made.table
    measured = measure(out).metrics
    assert "c1_asked" in measured and not {"c1_purity", "q_error"} & set(measured)
    code, _, err = run("generate", out, "--class", "eleven")
    assert code == 2 and "there is no class 'eleven'" in err


def test_the_way_from_one_to_another(infogan: Path) -> None:
    made = load_generator(infogan)
    for path in ("slerp", "linear"):
        way = interpolate(made, 3, 4, steps=5, path=path)  # type: ignore[arg-type]
        assert way.heads == ("seed 3", "", "", "", "seed 4")
        torch.testing.assert_close(way.z[0], made.draw(1, seed=3)[0])
        torch.testing.assert_close(way.z[-1], made.draw(1, seed=4)[0])
        lengths = way.z[:, :62].norm(dim=1)
        if path == "slerp":
            assert lengths.min() >= min(lengths[0], lengths[-1]) - 1e-4
        else:
            torch.testing.assert_close(way.z[2], (way.z[0] + way.z[-1]) / 2)
            assert lengths[2] < 0.9 * lengths[0]


class Oracle(Judge):
    """A judge that takes the sign of a picture's mean for its class: what it finds can be checked."""

    def __init__(self) -> None:
        super().__init__(load("lenet-digits"), "oracle", knows=True)

    def look(self, images: torch.Tensor) -> object:  # type: ignore[override]
        from firstsight.tasks.judge import Seen

        mean = images.float().mean((1, 2, 3))
        return Seen(mean[:, None], (mean > mean.median()).long(), torch.ones(len(images)))


def test_sums_of_classes(gan: Path) -> None:
    """1 - 0 points from the mean of what is taken for 0 to that of what is taken for 1, at the usual length."""
    made = load_generator(gan)
    sheet = arithmetic(made, "1 - 0", Oracle())
    assert sheet.heads[:3] == ("1", "- 0", "sum") and len(sheet.images) == 3 + 7
    direction = sheet.z[0] - sheet.z[1]
    assert torch.cosine_similarity(direction, sheet.z[2], dim=0) > 0.9
    torch.testing.assert_close(sheet.z[:3].norm(dim=1), torch.full((3,), 10.0), atol=0.3, rtol=0)
    for text, words in (("1 - nine", "unknown class 'nine'"), ("", "is missing"), ("1 + + 0", "is missing")):
        with pytest.raises(UsageError, match=words.replace("+", r"\+")):
            arithmetic(made, text, Oracle())


def test_parsing_of_codes(infogan: Path) -> None:
    latent = load_generator(infogan).latent
    assert [vars(code) for code in parse_codes("c1=0..2", latent)[0]] == [{"place": 0, "low": 0.0, "high": 2.0}]
    assert parse_codes("c2=-.5..0.25", latent)[0][0].high == 0.25
    with pytest.raises(UsageError, match=r"it has c1$"):
        parse_codes("c2=0", Latent(6, (10,), 0))
    for text, words in (
        ("c4=1", "it has c1 to c3"), ("c1=10", "a category from 0 to 9"), ("c1=1.5", "a category"),
        ("c1=3..0", "are swept upwards; write c1=0..3"),
        ("x=1", "not understood"), ("c1", "not understood"), ("c2=..", "not a number"), ("c2=1.2.3", "not a number"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            parse_codes(text, latent)


def test_refusals(gan: Path, infogan: Path, tmp_path: Path, run: Run) -> None:
    with pytest.raises(UsageError, match="trained without codes"):
        generate(gan, label="3")
    with pytest.raises(UsageError, match="it was trained without codes"):
        generate(gan, codes="c1=3")
    with pytest.raises(UsageError, match="there is no class 'sneaker'; there are"):
        generate(infogan, label="sneaker")
    with pytest.raises(UsageError, match="one category"):
        generate(infogan, codes="c2=-1..1,c3=-1..1")
    with pytest.raises(UsageError, match="--code c1 is given twice"):
        generate(infogan, codes="c1=0..9,c1=3")
    for expression, words in (
        ("7 - 7", "comes to nothing"),
        ("7 1", "a sign is missing"),
        ("7 - 11", "unknown class '11'"),
        ("7 - - 1", "a class is missing"),
        ("7 + cat", "unknown class 'cat'"),
    ):
        with pytest.raises(UsageError, match=words):
            arithmetic(gan, expression)
    with pytest.raises(UsageError, match="a code makes the class; ask for it with --class"):
        arithmetic(infogan, "7 - 1")
    with pytest.raises(UsageError, match="--n must lie"):
        generate(infogan, 0)
    with pytest.raises(WeightsError, match=r"holds a classifier, not a generator \(see: firstsight predict --help\)"):
        load_generator("lenet-digits")
    loaded: Any = load_generator(gan)
    with pytest.raises(UsageError, match="a run directory or a file; got a Generator"):
        load(loaded)
    with pytest.raises(WeightsError, match=r"holds a generator, not a classifier \(see: firstsight generate --help\)"):
        load(gan)
    for arguments, words in (
        (["--out", "x.jpg"], "a .png, a .gif or a folder"), (["--out", "no/x.png"], "there is no folder"),
        (["--class", "3", "--interpolate", "1", "2"], "choose one"), (["--nearest", "99"], "between 0 and 20"),
        (["--interpolate", "1", "2", "--nearest", "1"], "--nearest does not go with --interpolate: it is for samples"),
        (["--interpolate", "1", "2", "--steps", "1"], "--steps must lie"),
        (["--interpolate", "1", "2", "--n", "5"], "--n does not go with --interpolate: --steps says how many"),
        (["--interpolate", "1", "2", "--seed=0"], "--seed does not go with --interpolate"),
        (["--arithmetic", "7 - 1", "--n", "5"], "--n does not go with --arithmetic: it makes one sheet"),
        (["--code", "c1=3", "--code", "c2=1"], "--code is given twice; write all codes in one"),
        (["--steps", "5"], "--steps goes with --interpolate, which was not asked for"),
        (["--data", "digits"], "--data goes with --nearest, which was not asked for"),
        (["--nearest", "1", "--out", "x.gif"], "--nearest is drawn in one sheet"),
        (["--seed", "-1"], "a seed must lie"),
        (["--interpolate", "1", str(2**63)], "a seed must lie"),
    ):  # fmt: skip
        code, out, err = run("generate", infogan, *arguments)
        assert code == 2 and out == "" and words in err and err.count("\n") == 1, err


def test_files_and_json(gan: Path, infogan: Path, tmp_path: Path, run: Run) -> None:
    sheet = tmp_path / "sheet.png"
    code, out, err = run("generate", gan, "--n", 10, "--out", sheet)
    assert (code, err) == (0, "") and "10 pictures of 12x12 by gan (gan-digits)" in out
    with Image.open(sheet) as picture:
        assert picture.mode == "L" and picture.width > picture.height
    folder = tmp_path / "many"
    code, out, _ = run("generate", gan, "--n", 3, "--seed", 2, "--out", folder, "--json")
    told = json.loads(out)
    assert code == 0 and told["files"] == [str(folder / f"0000{i}.png") for i in range(3)]
    assert all(p["class"] in set("0123456789") for p in told["pictures"])
    expected = generate(gan, 3, seed=2).images
    assert np.array_equal(np.asarray(Image.open(folder / "00001.png")), expected[1, 0].numpy())
    _, _, err = run("generate", gan, "--n", 2, "--seed", 2, "--out", folder)
    assert err == f"{folder} also holds a file from before\n"
    code, out, _ = run("generate", infogan, "--interpolate", 1, 4, "--steps", 3, "--out", sheet, "--json")
    ends, between = load_generator(infogan), [picture["codes"] for picture in json.loads(out)["pictures"]]
    for seed, codes in ((1, between[0]), (4, between[2])):
        (category,), values = ends.latent.codes(ends.draw(1, seed=seed))
        assert codes == [int(category), *(round(float(value), 4) for value in values[0])]
    assert between[0][0] != between[2][0] and between[1][0] is None  # halfway from one category to another
    film = tmp_path / "way.gif"
    assert run("generate", infogan, "--interpolate", 1, 2, "--steps", 6, "--out", film)[0] == 0
    with Image.open(film) as picture:
        assert picture.n_frames == 6  # type: ignore[attr-defined]
    for arguments in (["--code", "c1=0..9,c2=-1..1"], ["--nearest", "2", "--n", "16"]):
        assert run("generate", infogan, *arguments, "--out", sheet)[0] == 0
        with Image.open(sheet) as picture:
            assert min(picture.size) > 300
    code, _, err = run("generate", infogan, "--code", "c2=3", "--out", sheet)
    assert code == 0 and "leaves -1..1" in err


def test_a_run_is_measured(infogan: Path, run: Run) -> None:
    """Against the same figures computed here; the floor is a property of the data alone."""
    found = measure(infogan)
    assert found.n == 359 and found.judge == "lenet-digits" and len(found.sha256) == 64
    made, judge = load_generator(infogan), judge_for("digits", tuple("0123456789"))
    real = judge.look(fit_images(load_data("digits", "test"), made.preprocess))
    draws = judge.look(made(made.draw(8 * 359))).features.split(359)
    apart = [frechet_distance(real.features, draw) for draw in draws]
    assert found.draws == 8 and found.metrics["frechet"] == pytest.approx(mean(apart), rel=1e-6)
    assert found.metrics["frechet_sd"] == pytest.approx(stdev(apart), rel=1e-6)
    assert 0 < found.metrics["frechet_floor"] < 10
    assert {"q_error", "q_error_majority", "c1_purity", "c2_slant", "c3_width", "c3_stroke", "recall"} <= set(
        found.metrics
    )
    assert found.metrics["q_error"] >= found.metrics["q_error_majority"]
    code, out, _ = run("evaluate", infogan)
    assert code == 0 and "share of real pictures that lie among generated ones" in out
    assert "359 generated, drawn 8 times, against 359 test pictures" in out
    code, out, _ = run("evaluate", infogan / "model.safetensors", "--json")
    assert code == 0 and "q_error" not in json.loads(out)["metrics"]  # Q is not in the file


def test_judges() -> None:
    """LeNet's 84 features; its labels are those of the classifier; strangers are judged without answers."""
    test = load_data("digits", "test")
    judge = judge_for("digits", test.classes)
    seen = judge.look(test.images)
    assert seen.features.shape == (359, 84) and judge.knows
    assert float((seen.labels == test.labels).double().mean()) > 0.98
    weight = [m for m in judge.classifier.model.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.inference_mode():
        chances = torch.softmax(weight(seen.features), 1)
    torch.testing.assert_close(chances.max(1).values, seen.sure)
    other = judge_for("my-photos", ("cat", "dog"))
    assert not other.knows and other.look(torch.zeros(2, 3, 50, 40, dtype=torch.uint8)).features.shape == (2, 84)


def test_generators_have_cards(gan: Path) -> None:
    made = load_generator(gan)
    assert isinstance(made, Generator) and made.card["model"] == "gan" and made.table == ()
    about = made.card["about"]
    assert about["data"] == "digits" and about["judge"]["name"] == "lenet-digits" and about["metrics"]["frechet"] > 0


def test_categories_that_are_not_classes_are_not_called_by_them() -> None:
    """They can always be matched one to one; the error of the match says whether it means something."""
    made = load_generator("infogan-mnist")
    assert made.card["about"]["metrics"]["q_error"] < 0.2
    sheet = generate(made, codes="c1=0..1")
    assert sheet.rows[0] == f"c1 = 0: mostly {made.table[0]}" and not sheet.notes
    card = copy.deepcopy(made.card)
    card["about"]["metrics"]["q_error"] = 0.79
    doubted = replace(made, card=card)
    sheet = generate(doubted, codes="c1=0..1")
    assert sheet.rows == ("c1 = 0", "c1 = 1") and "Q puts 79% of real pictures into wrong ones" in sheet.notes[0]
    assert generate(doubted, label="7").notes == sheet.notes and not generate(doubted, codes="c2=0..1").notes


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (5, 5), (8, 8), (64, 8), (65, 9), (1000, 32)])
def test_a_sheet_is_about_as_wide_as_high(n: int, columns: int, gan: Path) -> None:
    sheet = generate(gan, n)
    assert (len(sheet.images), sheet.columns) == (n, columns)
