"""Architecture: packages import lower layers only; fast imports; no pickle; only the command line prints."""

import ast
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest

import firstsight

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "firstsight"
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


def test_layers_import_downwards_and_without_cycles() -> None:
    """Contracts of import-linter in pyproject.toml: the layers, and no cycle inside any package."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 kept, 0 broken" in done.stdout


def test_an_import_of_a_higher_layer_and_a_cycle_would_be_noticed(tmp_path: Path) -> None:
    for path, text in {
        "pkg/__init__.py": "",
        "pkg/low/__init__.py": "from pkg import high",
        "pkg/high/__init__.py": "",
        "pkg/high/a.py": "from pkg.high import b",
        "pkg/high/b.py": "def f():\n    from pkg.high import a\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / ".importlinter").write_text(
        "[importlinter]\nroot_package = pkg\n"
        "[importlinter:contract:1]\nname = layers\ntype = layers\nlayers =\n  pkg.high\n  pkg.low\n"
        "[importlinter:contract:2]\nname = cycles\ntype = acyclic_siblings\nancestors = pkg\n"
    )
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "0 kept, 2 broken" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("matplotlib", {"plots"}),
        ("accelerate", {"tasks", "engine", "recipes"}),
        ("tyro", {"cli"}),
        ("rich", {"cli", "recipes"}),
        ("requests", {"data"}),
    ],
)
def test_heavy_packages_are_imported_only_where_allowed(package: str, allowed: set[str]) -> None:
    users = {
        package_of(path)
        for path in FILES
        if package in {name.split(".")[0] for name in imported(path) if "TYPE" not in name}
    }
    type_only = {"tasks", "engine", "recipes"} if package == "matplotlib" else set()  # annotations under TYPE_CHECKING
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


def test_names_are_printed_by_the_console_which_escapes_them() -> None:
    """The other files print texts of the package only: usage, help, the version."""
    users = {str(path.relative_to(SOURCE / "cli")) for path in FILES if "print" in {name for name, _ in calls(path)}}
    assert users == {"console.py", "__init__.py", "parse.py", "completion.py"}


def test_the_home_directory_is_expanded_in_one_place() -> None:
    """`Path.expanduser` raises an error for an unknown user; `expand_user` does not."""
    functions = ("expanduser", "home")
    users = {path.name for path in FILES for name, _ in calls(path) if name.rpartition(".")[2] in functions}
    assert users == {"arguments.py"}


WRITES = {"write_text", "write_bytes", "savefig", "imwrite", "tofile", "save_file"}
WRITERS = {
    "atomic_io.py": "writes and renames files",
    "rundir.py": "appends lines to metrics.jsonl",
    "download.py": "appends to a partial file, which is verified and renamed",
    "video.py": "writes to a temporary file of `replacing`",
    "predict.py": "writes to a temporary file of `replacing`",
    "process.py": "opens the null device",
    "encode.py": "writes to memory",
}
"""Files that open files for writing, and why."""


def test_files_are_written_through_atomic_io() -> None:
    """A file that is written directly would be destroyed by a full disk."""

    def writes(function: str, call: ast.Call) -> bool:
        """Return whether a call opens a file for writing; a mode may be a part of an expression."""
        nodes = [node for arg in (*call.args, *call.keywords) for node in ast.walk(arg)]
        modes = {node.value for node in nodes if isinstance(node, ast.Constant)} & {"w", "wb", "a", "ab", "x", "xb"}
        name = function.rpartition(".")[2]
        return name in WRITES or (name == "open" and bool(modes))

    assert {path.name for path in FILES for call in calls(path) if writes(*call)} == WRITERS.keys()


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
