"""The commands and the Python of the README, the quickstart, the how-tos and the notebooks are run."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch

import firstsight
from firstsight.cli import COMMANDS
from firstsight.cli.demo import write_digits
from firstsight.cli.parse import parse, parse_given
from firstsight.cli.train import read as read_train
from firstsight.data.image_io import open_image
from firstsight.data.images.loading import load_data
from firstsight.data.sample_image import sample_photo
from firstsight.data.video import VideoWriter
from firstsight.documents.runs import RunConfig, encode
from firstsight.recipes import RECIPES
from firstsight.tasks.pose.evaluate_options import PoseOptions
from firstsight.weights.bundled import bundled
from helpers.pages import blocks, sessions, shell_lines
from helpers.phone_photos import write_photographs
from helpers.stand_ins import store_published, write_cifar10_like, write_mnist_like, write_weights

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
QUICKSTART = (ROOT / "docs" / "quickstart.md").read_text()
RESULTS = (ROOT / "docs" / "results.md").read_text()
HOWTOS = {path.stem: path.read_text() for path in sorted((ROOT / "docs" / "howto").glob("*.md"))}
CHAPTERS = {path.stem: path.read_text() for path in sorted((ROOT / "notebooks" / "source").glob("*.md"))}
PAGES = {"README": README, **{path.stem: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}, **HOWTOS}
SHORT_HOWTOS = ("resume",)
"""The how-tos that `make test` runs too."""


def commands_of(text: str, before: str = "") -> list[list[str]]:
    """Return the words of each different command in the code blocks, without the text that matches ``before``."""
    matches = [re.fullmatch(rf"{before}firstsight (.*)", line) for line in shell_lines(text)]
    commands = dict.fromkeys(tuple(shlex.split(match[1])) for match in matches if match)
    return [list(command) for command in commands]


def commands_within(text: str) -> list[list[str]]:
    """Return the different commands in the sentences of a chapter; a final "..." is left out."""
    lines = re.findall(r"`firstsight ([a-z]+ [^`]+)`", text)
    return [shlex.split(line.removesuffix("...")) for line in dict.fromkeys(" ".join(one.split()) for one in lines)]


def python_of(text: str) -> list[str]:
    """Return the Python blocks of a text."""
    return blocks(text, "python")


def test_commands_are_found_in_every_page() -> None:
    assert {command[0] for command in commands_of(QUICKSTART)} == set(COMMANDS)
    assert len(commands_of(README)) >= 3
    assert len(HOWTOS) >= 7
    for name, text in HOWTOS.items():
        assert name in ("index", "python") or len(commands_of(text)) >= 2, name
    assert sum(len(commands_within(text)) for text in CHAPTERS.values()) >= 20


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_every_page_can_be_parsed(page: str) -> None:
    """Those after torchrun too; nothing is run. ``runs/mine`` is a run of LeNet."""
    Path("runs/mine").mkdir(parents=True)
    config = RunConfig(recipe="lenet-digits", model="lenet", settings={"data": "digits"}, data={})
    Path("runs/mine/config.json").write_text(encode(config))
    Path("my-photos").mkdir()
    for command, *given in [*commands_of(PAGES[page]), *commands_of(PAGES[page], before=".*-m ")]:
        if any(word.startswith("--help") for word in (command, *given)):
            continue
        words = [word for word in given if word not in ("--color", "never", ">>", "~/.bashrc")]
        words[:] = ["my-photos" if word.startswith(("/", "$")) else word for word in words]
        module = import_module(f"firstsight.cli.{command}")
        if command == "train":
            read_train(words)
        elif command == "runs" and words[:1] == ["compare"]:
            parse(module.CompareArguments, "runs compare", words[1:])
        elif command == "evaluate":
            parse_given(module.Arguments, command, words, settings=[PoseOptions()])
        elif command == "weights":
            parse(getattr(module, f"{words[0].capitalize()}Arguments"), f"weights {words[0]}", words[1:])
        else:
            parse(module.Arguments, command, words)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with published weights, and with ResNet-34 cached in ``home``."""
    folder = tmp_path_factory.mktemp("weights")
    write_weights(folder)
    return folder


@pytest.fixture
def user_files(weights: Path, tmp_path: Path, make_images: Callable[..., Path], sticks: Callable[..., Path]) -> None:
    """Write small versions of the files that the pages use to the current folder."""
    shutil.copytree(weights, tmp_path, dirs_exist_ok=True, copy_function=os.link)
    photos = make_images({"cat": 6, "dog": 6}, where="my-photos", size=40)
    shutil.make_archive("more-photos-test", "zip", photos)
    Path("classes.txt").write_text("\n".join(sorted(path.name for path in photos.iterdir())))
    sticks(2, where="coco/val.json").with_name("images").rename("coco/val")
    for split, count in (("train", 8), ("val", 4)):
        sticks(count, where=f"my-people/person_keypoints_{split}.json")
    shutil.copy(sample_photo(), "photo.jpg")
    shutil.copy(sample_photo(), "image.png")
    write_photographs(Path("my-digits"))
    with VideoWriter(Path("walk.mp4"), frames_per_second=5) as video:
        for _ in range(3):
            video.add(open_image(sample_photo()))
    Path("mypackage").mkdir()
    Path("mypackage/mymodule.py").write_text("from torch import nn\nbuild = nn.Conv2d(3, 4, 5)\n")
    for name in ("fashion-mnist", "mnist"):
        write_mnist_like(Path("home/data") / name)
    write_cifar10_like(Path("home/data/cifar10/cifar-10-batches-bin"))
    Path("home/data/lspet").symlink_to(Path("my-people").resolve())


def run_commands(commands: list[list[str]], run: Run) -> None:
    """Run all commands in order in one folder; trainings with one epoch."""
    for command in commands:
        shorter = ["--epochs", "1"] if command[0] in ("demo", "train") else []
        code, out, err = run(*command, *shorter)
        if "cuda" in command and not torch.cuda.is_available():
            assert (code, "cuda" in err.lower()) == (2, True), err
            continue
        assert code == 0, (command, err)
        assert out


def run_python(code: str) -> None:
    """Run a block of Python in this process; trainings with one epoch."""
    exec(compile(re.sub(r"\bepochs=\d+", "epochs=1", code), "page", "exec"), {"__name__": "__main__"})


@pytest.mark.slow
@pytest.mark.usefixtures("user_files")
def test_commands_of_the_quickstart_run(run: Run) -> None:
    run_commands(commands_of(QUICKSTART), run)
    assert {path.parent.name for path in Path("runs").glob("*/1")} == {
        "lenet-digits",
        "lenet-fashion",
        "convnet-my-photos",
        "resnet34-my-photos",
        "gan-digits",
        "infogan-digits",
    }


@pytest.mark.parametrize(
    "page",
    [pytest.param(name, marks=() if name in SHORT_HOWTOS else pytest.mark.slow) for name in HOWTOS if name != "index"],
)
@pytest.mark.usefixtures("user_files")
def test_commands_and_python_of_a_howto_run(page: str, run: Run) -> None:
    run_commands(commands_of(HOWTOS[page]), run)
    for code in python_of(HOWTOS[page]):
        run_python(code)


@pytest.mark.slow
@pytest.mark.parametrize("chapter", [name for name, text in CHAPTERS.items() if commands_within(text)])
@pytest.mark.usefixtures("user_files")
def test_commands_of_a_chapter_run(chapter: str, run: Run, tmp_path: Path) -> None:
    commands = commands_within(CHAPTERS[chapter])
    if chapter.startswith("05"):
        store_published("alexnet", tmp_path)
    if chapter.startswith("09"):
        commands.insert(0, ["train", "pose-tiny", "--data", "my-people/", "--out", "runs/my-person"])
        Path("boxes.json").write_text("[[40, 40, 200, 300]]")
    run_commands(commands, run)


def without_numbers(line: str) -> str:
    """Return a line with every number replaced by 0, and with single spaces."""
    return " ".join(re.sub(r"\d[\d,.]*", "0", line).split())


@pytest.mark.slow
def test_commands_of_the_readme_print_what_it_shows(run: Run) -> None:
    """Numbers and spaces may differ; a line "..." stands for any number of lines."""
    shown = sessions(README)
    assert len(shown) == 3
    for command, lines in shown:
        code, out, _ = run(*shlex.split(command)[1:], *(["--epochs", "1"] if " train " in command else []))
        assert code == 0
        printed = "\n".join(without_numbers(line) for line in out.splitlines() if line.strip())
        pattern = "\n".join(".*" if line == "..." else re.escape(without_numbers(line)) for line in lines)
        assert re.fullmatch(pattern, printed, re.DOTALL), printed


@pytest.mark.parametrize("code", python_of(QUICKSTART))
def test_python_of_the_quickstart_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("runs/demo/digits")  # as after the demo
    folder.parent.mkdir(parents=True)
    write_digits(load_data("digits", "test"), folder)
    run_python(code)
    assert "accuracy" in capsys.readouterr().out or "by_hand" in code


@pytest.mark.parametrize("code", python_of(PAGES["gan"]))
def test_python_of_the_gan_page_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_python(code)
    assert "frechet" in capsys.readouterr().out


def test_the_readme_has_the_python_of_the_quickstart() -> None:
    assert python_of(README) and set(python_of(README)) <= set(python_of(QUICKSTART))


def test_the_readme_is_short_and_narrow() -> None:
    """It has at most 1,000 words, and at most 80 columns outside of tables and images."""
    assert len(README.split()) <= 1000
    assert [line for line in README.splitlines() if len(line) > 80 and line[0] not in "|!"] == []


@pytest.mark.parametrize("page", PAGES)
def test_code_blocks_of_every_page_are_narrow(page: str) -> None:
    for language in ("bash", "console", "python", "json", "text"):
        for block in blocks(PAGES[page], language):
            assert [line for line in block.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("page", PAGES)
def test_names_of_the_package_on_every_page_exist(page: str) -> None:
    """These are all ``firstsight.NAME`` in Python blocks and in the text."""
    for dotted in re.findall(r"\bfirstsight\.(?!json\b|fish\b)([a-z_]+(?:\.[a-zA-Z_]+)*)", PAGES[page]):
        value: object = firstsight
        for at, name in enumerate(parts := dotted.split(".")):
            if not hasattr(value, name):
                value = import_module(".".join(["firstsight", *parts[: at + 1]]))
            else:
                value = getattr(value, name)


def test_links_between_pages_lead_to_files() -> None:
    """Links to pages that are generated for the site are tested with the site."""
    generated = ("reference/index.rst",)
    for page in (
        ROOT / "README.md",
        ROOT / "README.ko.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "benchmarks" / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert target in generated or (page.parent / target).exists(), f"{page.name}: {target}"


def test_make_targets_that_pages_mention_are_in_make_help() -> None:
    printed = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^  make (\S+) ", printed, re.MULTILINE))
    pages = (ROOT / "README.md", ROOT / "README.ko.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "testing.md")
    mentioned = {name for page in pages for name in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.M)}
    assert {"demo", "test", "test-all"} <= mentioned <= targets


def rows_of(text: str, name: str) -> str:
    """Return the table rows that begin with a name."""
    return "\n".join(re.findall(rf"^\| `{re.escape(name)}`.*$", text, flags=re.MULTILINE))


def numbers_in(text: str) -> list[str]:
    """Return the numbers of a text as they are written there."""
    return re.findall(r"\d+(?:[,.]\d+)*", text)


def test_the_results_page_has_every_number_of_every_measured_recipe() -> None:
    measured = [recipe for recipe in RECIPES.values() if recipe.result != "not measured"]
    assert len(measured) >= 15
    for recipe in measured:
        assert set(numbers_in(recipe.result)) <= set(numbers_in(rows_of(RESULTS, recipe.name))), recipe.name


def test_the_readme_lists_the_bundled_weights_with_numbers_of_the_results_page() -> None:
    for name in bundled():
        row = rows_of(README, name)
        assert row, name
        assert set(numbers_in(row)) <= set(numbers_in(rows_of(RESULTS, name))), name
