"""Files that commands write: existing files and inputs are kept, `--force` replaces existing files only."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from firstsight.cli.outputs import check_outputs
from firstsight.errors import UsageError
from helpers.colored_people import color_weights

Run = Callable[..., tuple[int, str, str]]
COMMANDS = [
    ("filter in.png", "--out", "old.png"),
    ("features lenet-digits in.png", "--out", "old.png"),
    ("summary lenet", "--out", "old.png"),
    ("generate gan-digits", "--out", "old.png"),
    ("generate gan-digits", "--out", "old.gif"),
    ("pose in.png", "--out", "old.jpg"),
    ("pose in.png --compare", "--out", "old.png"),
    ("pose in.png", "--coco", "old.json"),
    ("evaluate openpose-tiny-lsp --data people.json", "--results", "old.json"),
]
INPUTS = [
    ("filter in.png", "--out"),
    ("features lenet-digits in.png", "--out"),
    ("pose in.png", "--out"),
    ("pose in.png --compare", "--out"),
]


@pytest.fixture(autouse=True)
def image() -> Path:
    Image.effect_noise((40, 40), 80).convert("RGB").save("in.png")
    return Path("in.png")


@pytest.mark.parametrize(("command", "option", "name"), COMMANDS)
def test_an_existing_file_is_kept(run: Run, command: str, option: str, name: str) -> None:
    Path(name).write_bytes(b"old")
    code, out, err = run(*command.split(), option, name)
    assert (code, out) == (2, "") and Path(name).read_bytes() == b"old"
    assert err == f"firstsight: {name}: exists; replace it with --force, or choose another name with {option}\n"


@pytest.mark.parametrize(("command", "option"), INPUTS)
def test_an_input_is_never_replaced(run: Run, image: Path, command: str, option: str) -> None:
    """Neither by its name, nor by another spelling, nor through a link."""
    content = image.read_bytes()
    Path("sub").mkdir()
    Path("soft.png").symlink_to(image)
    os.link(image, "hard.png")
    for name in ("in.png", "./in.png", "sub/../in.png", Path("in.png").absolute(), "soft.png", "hard.png"):
        code, out, err = run(*command.split(), option, name, "--force")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"{option} {Path(name)}: is an input of this command; choose another name" in err
        assert image.read_bytes() == content


def test_documents_that_a_command_reads_are_never_replaced(run: Run) -> None:
    Path("boxes.json").write_text("[[1, 2, 30, 30]]")
    outcome = run(
        "pose", "in.png", "--model", "pose-tiny-lsp", "--boxes", "boxes.json", "--coco", "boxes.json", "--force"
    )
    assert outcome[0] == 2 and "--coco boxes.json: is an input" in outcome[2]
    Path("coco").mkdir()
    Path("coco/person_keypoints_val.json").write_text("{}")
    for data in ("coco", "coco/person_keypoints_val.json"):
        results = ("--results", "./coco/person_keypoints_val.json", "--force")
        outcome = run("evaluate", "openpose-tiny-lsp", "--data", data, *results)
        assert outcome[0] == 2 and "is an input of this command" in outcome[2], outcome
    assert Path("coco/person_keypoints_val.json").read_text() == "{}"


def test_force_replaces_and_default_names_are_numbered(run: Run) -> None:
    command = ("generate", "gan-digits", "--n", "1")
    for number, name in enumerate(("generated.png", "generated-2.png", "generated-3.png")):
        code, out, err = run(*command, "--json")
        assert code == 0 and json.loads(out)["files"] == [name]
        assert err == (f"generated.png exists: writing {name} (--force replaces generated.png)\n" if number else "")
    kept = Path("generated-2.png").read_bytes()
    assert run(*command, "--seed", "4", "--force")[0] == 0
    assert Path("generated.png").read_bytes() != kept == Path("generated-2.png").read_bytes()
    assert len([*Path().glob("*.png")]) == 4


def test_a_folder_of_drawings_is_checked_before_any_image_is_read(run: Run, image: Path) -> None:
    weights = color_weights(Path("net.safetensors"))
    Path("photos").mkdir()
    for name in ("a.png", "b.png"):
        Path("photos", name).write_bytes(image.read_bytes())
    assert run("pose", "photos", "--model", weights, "--out", "drawn")[0] == 0
    Path("drawn/a-pose.png").unlink()
    content = Path("drawn/b-pose.png").read_bytes()
    code, _, err = run("pose", "photos", "--model", weights, "--out", "drawn")
    assert code == 2 and "drawn/b-pose.png: exists" in err and not Path("drawn/a-pose.png").exists()
    Path("photos/b.png").write_bytes(image.read_bytes()[:60])
    code, _, err = run("pose", "photos", "--model", weights, "--out", "drawn", "--force")
    assert code == 1 and Path("drawn/a-pose.png").exists() and Path("drawn/b-pose.png").read_bytes() == content
    Path("photos/a-pose.png").write_bytes(image.read_bytes())  # it is an image of the folder, and the drawing of a.png
    code, _, err = run("pose", "photos", "--model", weights, "--out", "photos", "--force")
    assert code == 2 and "photos/a-pose.png: is an input" in err


def test_a_disk_that_is_full_is_named_with_the_file(run: Run) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    Path("x.png").symlink_to("/dev/full")
    assert run("generate", "gan-digits", "--n", "1", "--out", "x.png") == (
        1,
        "",
        "firstsight: x.png: the disk is full\n",
    )


def test_files_that_cannot_be_written_are_refused_with_the_name_of_the_option() -> None:
    Path("folder.png").mkdir()
    Path("file").write_text("")
    for path, message in (
        ("x.txt", "`out` must be a .png file; got x.txt"),
        ("no/x.png", "the folder no does not exist"),
        ("file/x.png", "the folder file does not exist"),
        ("folder.png", "is a folder; name a file"),
    ):
        with pytest.raises(UsageError, match=message):
            check_outputs([Path(path)], force=True, suffixes=(".png",))
    check_outputs([Path("X.PNG")], inputs=["in.png", None, "lenet-digits", "x" * 5000], force=False, suffixes=(".png",))
