"""Paths with ``~``: an unknown user, a user without a home directory, and options that the shell does not expand."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import firstsight
from firstsight.data.fetch import find_home, get_home
from firstsight.errors import FirstsightError, UsageError
from firstsight.tasks.gan.image_grid import ImageGrid
from firstsight.tasks.pose.evaluate import check_results_file
from firstsight.tasks.pose.provenance import _is_same

Run = Callable[..., tuple[int, str, str]]
GRID = ImageGrid(torch.zeros(1, 4), torch.zeros(1, 1, 8, 8, dtype=torch.uint8), 1)
PLACES: list[tuple[str, Callable[[str], object]]] = [
    ("load_data", lambda path: firstsight.load_data(path, "test")),
    ("train", lambda path: firstsight.train("lenet", data=path, out="run")),
    ("evaluate", lambda path: firstsight.evaluate("lenet-digits", path)),
    ("evaluate poses", lambda path: firstsight.evaluate("pose-tiny-lsp", path)),
    ("load", firstsight.load),
    ("export", lambda path: firstsight.export("lenet-digits", f"{path}.safetensors")),
    ("save", lambda path: GRID.save(f"{path}.png")),
    ("results", lambda path: check_results_file(f"{path}.json")),
]


@pytest.fixture(params=["no home", "unknown user"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a path whose ``~`` stands for no folder."""
    if request.param == "unknown user":
        return "~no-such-user/x"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 2_000_000_001)
    return "~/x"


@pytest.mark.parametrize(("name", "use"), PLACES, ids=[name for name, _ in PLACES])
def test_a_path_of_an_unknown_user_is_a_path_that_does_not_exist(
    path: str, name: str, use: Callable[[str], object]
) -> None:
    with pytest.raises(FirstsightError, match=path) as caught:
        use(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) <= 300
    assert not Path("run").exists()


def test_the_download_folder_is_not_known_without_a_home(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTSIGHT_HOME", path)
    assert find_home() is None
    with pytest.raises(UsageError, match="the home directory is not known; set FIRSTSIGHT_HOME"):
        get_home()


def test_paths_of_the_same_file_are_recognized(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    assert _is_same("~/x.json", "x.json") and _is_same("x.json", str(tmp_path / "sub/../x.json"))
    assert not _is_same("~no-such-user/x.json", "x.json")


@pytest.mark.parametrize(
    ("command", "option", "name"),
    [
        ("filter", "--out", "old.png"),
        ("summary lenet", "--out", "old.png"),
        ("weights import x.pth --model resnet18", "--out", "old.safetensors"),
        ("evaluate openpose-tiny-lsp", "--results", "old.json"),
    ],
)
def test_the_file_that_is_checked_is_the_one_that_would_be_written(
    run: Run, tmp_path: Path, command: str, option: str, name: str
) -> None:
    """A shell does not expand the ``~`` of ``--out=~/old.png``."""
    (tmp_path / name).write_bytes(b"old")
    code, out, err = run(*command.split(), f"{option}=~/{name}")
    assert (code, out) == (2, "") and (tmp_path / name).read_bytes() == b"old" and not Path("~").exists()
    assert err.startswith(f"firstsight: {tmp_path / name}: exists; replace it with --force")
