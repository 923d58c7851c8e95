"""What the README says is done, not copied: its commands are collected from the text and run."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from firstsight import create_model
from firstsight.cli.demo import write_digits
from firstsight.data import load
from firstsight.data.photo import sample_photo
from firstsight.data.picture import open_picture
from firstsight.data.video import VideoWriter
from firstsight.pose import create_pose
from firstsight.pose.skeleton import OPENPOSE_18
from firstsight.weights.published import import_weights

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
COMMANDS = [
    shlex.split(line.split("#")[0])[1:] for line in re.findall(r"^ {4}(firstsight .*)$", TEXT, flags=re.MULTILINE)
]


def test_they_are_found() -> None:
    from firstsight.cli import COMMANDS as KNOWN

    assert {command[0] for command in COMMANDS} == set(KNOWN)


@pytest.mark.slow
def test_commands_of_the_readme(
    run: Callable[..., tuple[int, str, str]], pictures: Callable[..., Path], sticks: Callable[..., Path], shared: Path
) -> None:
    """In the README's order, in one folder, each to its end (the long ones with one epoch)."""
    pictures({"cat": 6, "dog": 6}, where="my-photos")
    sticks(2, where="coco/val.json").with_name("images").rename("coco/val")
    home = Path("home/data")
    home.mkdir(parents=True)
    (home / "fashion-mnist").symlink_to(shared / "fashion-mnist")
    shutil.copy(sample_photo(), "photo.jpg")
    with VideoWriter(Path("walk.mp4"), frames_per_second=5) as film:
        for _ in range(3):
            film.add(open_picture(sample_photo()))
    Path("mypackage").mkdir()
    Path("mypackage/mymodule.py").write_text("from torch import nn\nbuild = nn.Conv2d(3, 4, 5)\n")
    torch.save(create_model("resnet34").state_dict(), "resnet34.pth")  # in place of the published file
    import_weights("resnet34.pth", "resnet34")
    torch.save(create_pose("openpose-mobilenet", skeleton=OPENPOSE_18).state_dict(), "checkpoint_iter_370000.pth")
    for command in COMMANDS:
        shorter = ["--epochs", "1"] if command[0] == "train" else []
        code, out, err = run(*command, *shorter)
        assert code == 0, (command, err)
        assert out
    names = {path.parent.name for path in Path("runs").glob("*/1")}
    assert names == {
        "lenet-digits",
        "lenet-fashion",
        "convnet-my-photos",
        "resnet34-my-photos",
        "gan-digits",
        "infogan-digits",
    }


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL))
def test_python_of_the_readme(code: str) -> None:
    folder = Path("runs/lenet-digits/1/digits")  # as after the demo
    folder.parent.mkdir(parents=True)
    write_digits(load("digits", "test"), folder)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout or "by_hand" in code


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


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
