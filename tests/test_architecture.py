"""The house stays as it was planned: floors, fast imports, no pickle, no ambient code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "firstsight"
FLOORS = {
    "errors": -1, "lazy": -1,
    "ops": 0,
    "data": 1, "inspect": 1, "nets": 1, "pose": 1, "gan": 1,
    "engine": 2, "weights": 2, "plots": 2,
    "tasks": 3, "export": 3,
    "recipes": 4,
    "cli": 5,
    "__init__": 6, "__main__": 6,
}  # fmt: skip
FILES = sorted(SOURCE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Modules that a file names in imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_only_go_down(path: Path) -> None:
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != "firstsight" or len(parts) < 2 or parts[1] not in FLOORS or room(path) == parts[1]:
            continue
        same_floor = (room(path), parts[1]) == ("weights", "engine")  # weights reads the checkpoints that engine writes
        same_floor |= room(path) == "data" and parts[1:3] == ["pose", "skeleton"]  # annotations are of its joints
        assert FLOORS[parts[1]] < FLOORS[room(path)] or same_floor, f"{path.name} imports {name}"


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("matplotlib", {"plots"}),
        ("accelerate", {"tasks", "engine", "recipes"}),
        ("tyro", {"cli"}),
        ("rich", {"cli"}),
        ("requests", {"data"}),
    ],
)
def test_who_may_import_what(package: str, rooms: set[str]) -> None:
    users = {
        room(path) for path in FILES if package in {name.split(".")[0] for name in imported(path) if "TYPE" not in name}
    }
    type_only = {"tasks", "engine"} if package == "matplotlib" else set()  # annotations under TYPE_CHECKING
    assert users <= rooms | type_only
    assert users


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_pickle_and_no_unguarded_load(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"} & {
        name.split(".")[0] for name in imported(path)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "torch.load",
            "torch.save",
            "np.load",
            "exec",
            "eval",
        ):
            keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
            assert ast.unparse(node.func) == "torch.load"
            assert keywords.get("weights_only") == "True"
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".extractall", ".extract")):
            pytest.fail(f"{path.name} extracts an archive")
    if room(path) != "cli":
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not calls & {"print", "sys.exit", "exit"}


@pytest.mark.parametrize(
    "code",
    [
        "import firstsight; firstsight.list_models(); firstsight.list_recipes(); dir(firstsight)",
        "from firstsight.cli import main; main(['--help'])",
        "from firstsight.cli import main; main(['models'])",
        "from firstsight.cli import main; main(['data'])",
        "from firstsight.cli import main\ntry: main(['train', 'lenet', '--help'])\nexcept SystemExit: pass",
    ],
)
def test_torch_is_not_imported_without_need(code: str) -> None:
    heavy = "{'torch', 'accelerate', 'matplotlib', 'sklearn', 'scipy'} & set(sys.modules)"
    check = f"import sys; found = {heavy}; assert not found, found"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_are_there_and_described() -> None:
    import firstsight

    for name in firstsight.__all__:
        thing = getattr(firstsight, name)
        assert name == "__version__" or (thing.__doc__ and len(thing.__doc__) > 20), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        firstsight.nothing  # noqa: B018


def test_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    import firstsight

    assert version("firstsight") == firstsight.__version__
