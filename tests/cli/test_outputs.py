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
    ("pose walk.mp4", "--out", "old.mp4"),
    ("pose camera --track --json", "--out", "old.MP4"),
    ("weights import net.pth --model resnet18", "--out", "old.safetensors"),
    ("weights import human-pose.xml", "--out", "old.safetensors"),
    ("generate no-such-weights", "--out", "old.png"),
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


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("pose walk.mp4", "old/walk-pose.mp4"),
        ("pose camera:1", "old/camera-1-pose.mp4"),
        ("pose in.png", "old/in-pose.png"),
        ("pose in.png --compare", "old/in-compared.png"),
        ("generate no-such-weights", "old/00000.png"),
        ("generate gan-digits --n 3", "old/00002.png"),
    ],
)
def test_existing_files_of_a_folder_are_kept(run: Run, command: str, file: str) -> None:
    Path("old").mkdir()
    Path(file).write_bytes(b"old")
    code, out, err = run(*command.split(), "--out", "old")
    assert (code, out) == (2, "") and Path(file).read_bytes() == b"old" and [*Path("old").iterdir()] == [Path(file)]
    assert err == f"firstsight: {file}: exists; replace it with --force, or choose another name with --out\n"


@pytest.mark.parametrize(
    "command",
    ["pose walk.mp4", "pose in.png", "pose in.png --compare", "generate no-such-weights", "generate gan-digits"],
)
def test_a_file_with_the_name_of_the_folder_is_refused_before_any_work(run: Run, command: str) -> None:
    Path("file").write_bytes(b"old")
    for out in ("file", "file/sub"):
        code, printed, err = run(*command.split(), "--out", out, "--force")
        assert (code, printed, err) == (2, "", "firstsight: --out file: a file has this name; name a folder\n")
    assert Path("file").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("file", "command", "names"),
    [
        ("walk.mp4", "pose walk.mp4", ("walk.mp4", "./walk.mp4", "soft.mp4", "hard.mp4")),
        ("walk.mp4", "pose camera", ("walk.mp4", "soft.mp4")),
        ("net.mp4", "pose walk.mp4 --model net.mp4", ("net.mp4", "soft.mp4")),
        ("net.safetensors", "weights import net.safetensors --model resnet18", ("net.safetensors", "hard.safetensors")),
        ("net.safetensors", "weights import x.pth --classes net.safetensors --model vgg16", ("soft.safetensors",)),
    ],
)
def test_videos_and_weights_are_never_replaced_if_they_are_inputs(
    run: Run, monkeypatch: pytest.MonkeyPatch, file: str, command: str, names: tuple[str, ...]
) -> None:
    monkeypatch.setenv("FIRSTSIGHT_CAMERA", "mp4:walk.mp4")
    path = Path(file)
    path.write_bytes(b"old")
    path.with_stem("soft").symlink_to(path)
    os.link(path, path.with_stem("hard"))
    for name in names:
        code, out, err = run(*command.split(), "--out", name, "--force")
        assert (code, out) == (2, "") and path.read_bytes() == b"old"
        assert err == f"firstsight: --out {Path(name)}: is an input of this command; choose another name\n"


def test_force_replaces_and_default_names_are_numbered(run: Run) -> None:
    command = ("generate", "gan-digits", "--n", "1")
    for number, name in enumerate(("generated.png", "generated-2.png", "generated-3.png")):
        code, out, err = run(*command, "--json")
        assert code == 0 and json.loads(out)["files"] == [name]
        assert err == (f"generated.png exists: the file is {name} (--force replaces generated.png)\n" if number else "")
    kept = Path("generated-2.png").read_bytes()
    assert run(*command, "--seed", "4", "--force")[0] == 0
    assert Path("generated.png").read_bytes() != kept == Path("generated-2.png").read_bytes()
    assert len([*Path().glob("*.png")]) == 4


@pytest.mark.parametrize(
    ("command", "default"),
    [
        ("filter --kernel nope", "filter.png"),
        ("filter no.png", "filter.png"),
        ("filter in.png --at 999,999", "filter.png"),
        ("features no-such-weights", "features.png"),
        ("features lenet-digits --layer nope", "features.png"),
        ("generate no-such-weights", "generated.png"),
        ("generate gan-digits --class 4", "generated.png"),
        ("runs compare no-run no-run-2 --open", "runs-compare.html"),
    ],
)
def test_a_command_that_fails_does_not_name_a_file_that_it_would_write(run: Run, command: str, default: str) -> None:
    Path(default).write_bytes(b"old")
    code, out, err = run(*command.split())
    assert code and not out and err.count("\n") == 1 and default not in err, err


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
