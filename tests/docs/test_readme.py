"""What the README and the how-tos say is done, not copied: their commands are collected from the text and run."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch

from firstsight import create_model
from firstsight.cli.demo import write_digits
from firstsight.cli.parse import parse
from firstsight.cli.train import read as read_train
from firstsight.data import load
from firstsight.data.photo import sample_photo
from firstsight.data.picture import open_picture
from firstsight.data.video import VideoWriter
from firstsight.pose import create_pose
from firstsight.pose.skeleton import OPENPOSE_18
from firstsight.weights.published import import_weights

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
HOWTOS = {path.stem: path.read_text() for path in sorted((ROOT / "docs" / "howto").glob("*.md"))}
CHAPTERS = {path.stem: path.read_text() for path in sorted((ROOT / "notebooks" / "source").glob("*.md"))}
PAGES = {"README": TEXT, **{path.stem: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}, **HOWTOS}


def commands_of(text: str, before: str = "") -> list[list[str]]:
    """The words of every command line in a text's indented blocks, those of torchrun and the like on request."""
    lines = re.findall(rf"^ {{4}}{before}firstsight (.*)$", text, flags=re.MULTILINE)
    return [shlex.split(line.split("#")[0]) for line in lines]


def commands_within(text: str) -> list[list[str]]:
    """Those that stand in a chapter's sentences, each once; what "..." stands for is left out."""
    found = re.findall(r"`firstsight ([a-z]+ [^`]+)`", text)
    return [shlex.split(line.removesuffix("...")) for line in dict.fromkeys(" ".join(one.split()) for one in found)]


def python_of(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


COMMANDS = commands_of(TEXT)
SMALLER = {"cifar10": "my-photos/", "mnist": "home/data/mnist"}
"""What is run in place of fifty thousand pictures; and where the test digits of MNIST alone are."""


def test_they_are_found() -> None:
    from firstsight.cli import COMMANDS as KNOWN

    assert {command[0] for command in COMMANDS} == set(KNOWN)
    assert len(HOWTOS) >= 7
    for name, text in HOWTOS.items():
        assert name == "index" or len(commands_of(text)) >= 2, name
    assert sum(len(commands_within(text)) for text in CHAPTERS.values()) >= 20


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_every_page_can_be_read(page: str) -> None:
    """Names, options and values are the parser's, those behind torchrun too; nothing is run."""
    for command, *words in [*commands_of(PAGES[page]), *commands_of(PAGES[page], before=".*-m ")]:
        module = import_module(f"firstsight.cli.{command}")
        if command == "train":
            read_train(words)
        elif command == "weights":
            parse(getattr(module, f"{words[0].capitalize()}Arguments"), f"weights {words[0]}", words[1:])
        else:
            parse(module.Arguments, command, words)


def stand_in(name: str) -> None:
    """Store weights of that network in place of the published ones."""
    torch.save(create_model(name).state_dict(), f"{name}.pth")
    import_weights(f"{name}.pth", name)


@pytest.fixture
def belongings(pictures: Callable[..., Path], sticks: Callable[..., Path]) -> None:
    """What the pages take for granted: photographs, a film, annotations, files of others, a module."""
    photos = pictures({"cat": 6, "dog": 6}, where="my-photos", size=40)
    sticks(2, where="coco/val.json").with_name("images").rename("coco/val")
    for split, count in (("train", 8), ("val", 4)):
        sticks(count, where=f"my-people/person_keypoints_{split}.json")
    shutil.copy(sample_photo(), "photo.jpg")
    with VideoWriter(Path("walk.mp4"), frames_per_second=5) as film:
        for _ in range(3):
            film.add(open_picture(sample_photo()))
    Path("mypackage").mkdir()
    Path("mypackage/mymodule.py").write_text("from torch import nn\nbuild = nn.Conv2d(3, 4, 5)\n")
    stand_in("resnet34")
    torch.save(create_model("resnet18", num_classes=2).state_dict(), "my-net.pth")
    Path("classes.txt").write_text("\n".join(sorted(path.name for path in photos.iterdir())))
    torch.save(create_pose("openpose-mobilenet", skeleton=OPENPOSE_18).state_dict(), "checkpoint_iter_370000.pth")


def run_all(commands: list[list[str]], run: Callable[..., tuple[int, str, str]]) -> None:
    """Each to its end, in order, in one folder; trainings with one epoch."""
    for command in commands:
        shorter = ["--epochs", "1"] if command[0] == "train" else []
        code, out, err = run(*command, *shorter)
        if "cuda" in command and not torch.cuda.is_available():
            assert (code, "cuda" in err.lower()) == (2, True), err
            continue
        assert code == 0, (command, err)
        assert out


@pytest.mark.slow
def test_commands_of_the_readme(run: Callable[..., tuple[int, str, str]], belongings: None, shared: Path) -> None:
    home = Path("home/data")
    home.mkdir(parents=True)
    (home / "fashion-mnist").symlink_to(shared / "fashion-mnist")
    run_all(COMMANDS, run)
    names = {path.parent.name for path in Path("runs").glob("*/1")}
    assert names == {
        "lenet-digits",
        "lenet-fashion",
        "convnet-my-photos",
        "resnet34-my-photos",
        "gan-digits",
        "infogan-digits",
    }


@pytest.mark.slow
@pytest.mark.parametrize("page", [name for name in HOWTOS if name != "index"])
def test_a_howto_is_done(page: str, run: Callable[..., tuple[int, str, str]], belongings: None) -> None:
    """Its commands, then its Python, in one folder."""
    run_all(commands_of(HOWTOS[page]), run)
    for code in python_of(HOWTOS[page]):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, (code, done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("chapter", [name for name, text in CHAPTERS.items() if commands_within(text)])
def test_commands_of_a_chapter(
    chapter: str, run: Callable[..., tuple[int, str, str]], belongings: None, shared: Path
) -> None:
    """After what a reader of the chapter has: its data, a run, a picture, boxes, weights of others."""
    home = Path("home/data")
    home.mkdir(parents=True)
    (home / "fashion-mnist").symlink_to(shared / "fashion-mnist")
    (home / "mnist").symlink_to(shared / "mnist-t10k")
    (home / "lspet").symlink_to(Path("my-people").resolve())
    commands = [[SMALLER.get(word, word) for word in command] for command in commands_within(CHAPTERS[chapter])]
    if chapter.startswith("05"):
        stand_in("alexnet")
    if chapter.startswith("09"):
        commands.insert(0, ["train", "pose-tiny", "--data", "my-people/", "--out", "runs/my-person"])
        Path("boxes.json").write_text("[[40, 40, 200, 300]]")
    shutil.copy("photo.jpg", "picture.png")
    run_all(commands, run)


@pytest.mark.parametrize("code", python_of(TEXT))
def test_python_of_the_readme(code: str) -> None:
    folder = Path("runs/lenet-digits/1/digits")  # as after the demo
    folder.parent.mkdir(parents=True)
    write_digits(load("digits", "test"), folder)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout or "by_hand" in code


def test_links_lead_somewhere() -> None:
    """In the checkout. Links of the site to pages that are made for it are held by tests/docs."""
    made = ("reference/index.rst",)
    for page in (
        ROOT / "README.md",
        ROOT / "README.ko.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert target in made or (page.parent / target).exists(), f"{page.name}: {target}"


def test_front_doors_of_the_makefile() -> None:
    listed = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
    for door in re.findall(r"`?make ([a-z]+)", TEXT + (ROOT / "CONTRIBUTING.md").read_text()):
        assert f"make {door}" in listed


def test_results_are_those_of_the_recipes() -> None:
    from firstsight.recipes import RECIPES

    measured = [recipe for recipe in RECIPES.values() if recipe.result != "not measured"]
    assert len(measured) >= 6
    for recipe in measured:
        assert f"`{recipe.name}`" in TEXT
        assert recipe.result.split(" (")[0] in TEXT
