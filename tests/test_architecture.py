"""The architecture: layers import downwards only, imports are fast, no pickle, no print outside of the command line."""

import ast
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest

import firstsight

SOURCE = Path(__file__).parents[1] / "src" / "firstsight"
LAYERS = {
    "errors": -1, "lazy": -1, "migrate": -1,
    "ops": 0, "pose": 1,
    "models": 2, "metrics": 2, "optim": 2, "profiling": 2,
    "data": 3,
    "engine": 4, "plots": 4,
    "weights": 5,
    "tasks": 6, "export": 6,
    "recipes": 7,
    "cli": 8,
    "__init__": 9, "__main__": 9,
}  # fmt: skip
FILES = sorted(SOURCE.rglob("*.py"))


def package_of(path: Path) -> str:
    """Return the name directly below firstsight that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@cache
def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text())


@cache
def imported(path: Path) -> frozenset[str]:
    """Return the modules that a file imports, anywhere in the file."""
    names: set[str] = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return frozenset(names)


@cache
def calls(path: Path) -> tuple[tuple[str, ast.Call], ...]:
    """Return the calls in a file, each with the source text of the function that is called."""
    return tuple((ast.unparse(node.func), node) for node in ast.walk(parse(path)) if isinstance(node, ast.Call))


def is_allowed(importer: str, parts: list[str]) -> bool:
    """Return whether a package below firstsight may import the module with these parts of a name."""
    return importer == parts[1] or LAYERS[parts[1]] < LAYERS[importer]


def test_packages_import_only_packages_of_lower_layers() -> None:
    imports = [(path, name.split(".")) for path in FILES for name in imported(path) if name.startswith("firstsight.")]
    imports = [(path, parts) for path, parts in imports if parts[1] in LAYERS]
    assert len(imports) > 500
    assert [
        f"{path.name} imports {'.'.join(parts)}" for path, parts in imports if not is_allowed(package_of(path), parts)
    ] == []


def test_a_package_may_not_import_a_higher_layer() -> None:
    assert is_allowed("tasks", ["firstsight", "engine", "loop"])
    assert not is_allowed("engine", ["firstsight", "tasks", "classification"])
    assert not is_allowed("data", ["firstsight", "engine", "loop"])


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("matplotlib", {"plots"}),
        ("accelerate", {"tasks", "engine", "recipes"}),
        ("tyro", {"cli"}),
        ("rich", {"cli"}),
        ("requests", {"data"}),
    ],
)
def test_heavy_packages_are_imported_only_where_allowed(package: str, allowed: set[str]) -> None:
    users = {
        package_of(path)
        for path in FILES
        if package in {name.split(".")[0] for name in imported(path) if "TYPE" not in name}
    }
    type_only = {"tasks", "engine"} if package == "matplotlib" else set()  # annotations under TYPE_CHECKING
    assert users <= allowed | type_only
    assert users


PICKLE = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def test_nothing_is_unpickled_evaluated_or_extracted() -> None:
    assert [path.name for path in FILES if PICKLE & {name.split(".")[0] for name in imported(path)}] == []
    loads = 0
    for path in FILES:
        for function, call in calls(path):
            assert function not in ("torch.save", "np.load", "exec", "eval"), f"{path.name} calls {function}"
            assert not function.endswith((".extractall", ".extract")), f"{path.name} extracts an archive"
            if function == "torch.load":
                keywords = {k.arg: ast.unparse(k.value) for k in call.keywords}
                assert keywords.get("weights_only") == "True", f"{path.name} loads pickled objects"
                loads += 1
    assert loads


def test_only_the_command_line_prints_and_exits() -> None:
    users = {package_of(path) for path in FILES if {"print", "sys.exit", "exit"} & {name for name, _ in calls(path)}}
    assert users == {"cli"}


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
    check = f"import sys; imported = {heavy}; assert not imported, imported"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_exist_and_have_a_docstring() -> None:
    for name in firstsight.__all__:
        value = getattr(firstsight, name)
        assert name == "__version__" or (value.__doc__ and len(value.__doc__) > 20), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        firstsight.nothing  # noqa: B018


def test_the_version_is_that_of_the_installed_package() -> None:
    assert version("firstsight") == firstsight.__version__
