"""What can be called is described: in words, with the shapes of its tensors, with the errors that it raises itself."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

import firstsight
from firstsight import errors

SOURCE = Path(firstsight.__file__).parent
FILES = sorted(path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] != "cli")
SHAPE = re.compile(r"\((?:[A-Za-z0-9+\-*/^ ._()]+,)+[A-Za-z0-9+\-*/^ ._]*\)")
"""(N, C, H, W), (N,), (height, width), (N, 2 limbs, ceil(H/8), ceil(W/8)), (..., 2), ..."""
WITHOUT_SHAPE = ("any shape", "scalar", "shapes as in `")
ERRORS = {name for name, thing in vars(errors).items() if isinstance(thing, type) and issubclass(thing, Exception)}
MAKERS = {"unknown_name": "UsageError"}
"""Functions that make an error to be raised."""
ELSEWHERE = re.compile(r"rules of `\w+`")
"""Words that send the reader to another function, which has the section."""


@dataclass(frozen=True)
class Thing:
    """A public function, method or class as it is written."""

    name: str
    node: ast.FunctionDef | ast.ClassDef
    owner: ast.ClassDef | None

    @property
    def doc(self) -> str:
        return ast.get_docstring(self.node) or ""


def things(path: Path) -> Iterator[Thing]:
    """Public functions and classes of a file, and their public methods."""
    where = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        yield Thing(f"{where}.{node.name}", node, None)
        for inner in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                yield Thing(f"{where}.{node.name}.{inner.name}", inner, node)


ALL = [thing for path in FILES for thing in things(path)]


def test_there_is_much_to_hold() -> None:
    assert len(ALL) > 400


def overrides(thing: Thing) -> bool:
    """A method of a class that has bases is described by the one that it takes the place of (ruff's D102 likewise)."""
    return thing.owner is not None and bool(thing.owner.bases)


def test_every_public_name_is_described() -> None:
    assert [thing.name for thing in ALL if len(thing.doc) < 5 and not overrides(thing)] == []


def test_every_module_is_described() -> None:
    assert [path.name for path in FILES if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_exported_names_are_there_and_described() -> None:
    """Those of ``__all__`` of the package and of its packages; constants by the string below them."""
    for path in FILES:
        parts = path.relative_to(SOURCE).with_suffix("").parts
        module = import_module(".".join(["firstsight", *parts]).removesuffix(".__init__"))
        for name in getattr(module, "__all__", []):
            thing = getattr(module, name)
            assert not callable(thing) or name == "Algorithm" or len(thing.__doc__ or "") > 10, (module, name)


def is_tensor(annotation: ast.expr | None) -> bool:
    """Tensor, NDArray[...], or either or None; not a container of them."""
    if annotation is None:
        return False
    text = ast.unparse(annotation).strip("'\"")
    return text != "None" and all(
        re.fullmatch(r"(torch\.)?Tensor|NDArray\[.*\]|np\.ndarray|None", part) for part in text.split(" | ")
    )


def takes_tensors(node: ast.FunctionDef) -> bool:
    """Does it, and more than to refuse what does not fit?"""
    if node.name.startswith("check_"):
        return False
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return any(is_tensor(argument.annotation) for argument in arguments)


def test_shapes_of_tensors_are_given() -> None:
    """Of functions and methods that take tensors, in their own words, those of their class, or those of their file."""
    lacking, held = [], 0
    for thing in ALL:
        if not isinstance(thing.node, ast.FunctionDef) or not takes_tensors(thing.node) or is_step(thing):
            continue
        if not thing.doc and overrides(thing):
            continue
        held += 1
        words = " ".join((thing.doc, (ast.get_docstring(thing.owner) or "") if thing.owner else "", *shared(thing)))
        if not SHAPE.search(words) and not any(word in words for word in WITHOUT_SHAPE):
            lacking.append(thing.name)
    assert lacking == []
    assert held > 100


def is_step(thing: Thing) -> bool:
    """Forward and backward of an autograd function: the function that calls it has the shapes."""
    return thing.owner is not None and any("Function" in ast.unparse(base) for base in thing.owner.bases)


def shared(thing: Thing) -> list[str]:
    """The line of a module's docstring that gives the shapes of all its functions, if it has one."""
    file = SOURCE.joinpath(*thing.name.split(".")[:2]).with_suffix(".py")
    text = (ast.get_docstring(ast.parse(file.read_text())) or "") if file.is_file() else ""
    return [line for line in text.splitlines() if line.startswith("Shapes: ")]


def raised(node: ast.FunctionDef) -> set[str]:
    """Names of this package's errors that the function itself raises, except those that it catches itself."""
    found, caught = set(), set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.ExceptHandler) and inner.type is not None:
            caught |= set(re.findall(r"\w+", ast.unparse(inner.type)))
        if isinstance(inner, ast.Raise) and isinstance(inner.exc, ast.Call):
            name = ast.unparse(inner.exc.func).rpartition(".")[2]
            found |= {MAKERS.get(name, name)} & ERRORS
    return found - caught


def documented(doc: str) -> set[str]:
    """The names in the section Raises."""
    section = re.search(r"^Raises\n-+\n(.*?)(?=\n\n\S|\Z)", doc, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"\w+", section[1])) if section else set()


def test_errors_that_are_raised_are_documented() -> None:
    """Those of a class when it is made are in the docstring of the class."""
    lacking = []
    for thing in ALL:
        functions = [thing.node] if isinstance(thing.node, ast.FunctionDef) else [
            inner for inner in thing.node.body
            if isinstance(inner, ast.FunctionDef) and inner.name in ("__init__", "__post_init__")
        ]  # fmt: skip
        missing = set().union(*map(raised, functions)) - documented(thing.doc) if functions else set()
        if missing and not ELSEWHERE.search(thing.doc) and not (overrides(thing) and not thing.doc):
            lacking.append(thing.name)
    assert lacking == []


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def f():\n    raise DataError('x')", {"DataError"}),
        ("def f():\n    raise unknown_name('a', 'b', [], '')", {"UsageError"}),
        ("def f():\n try:\n  raise DataError('x')\n except DataError:\n  raise RunError('y')", {"RunError"}),
        ("def f():\n    raise ValueError('x')", set()),
    ],
)  # fmt: skip
def test_what_is_raised_is_seen(code: str, names: set[str]) -> None:
    node = ast.parse(code).body[0]
    assert isinstance(node, ast.FunctionDef) and raised(node) == names


def test_what_is_a_shape() -> None:
    for text in ("(N, C, H, W)", "(N,)", "(N, 2 limbs, height, width)", "(O, C / groups, kh)", "(N, ceil(H/2), 3)"):
        assert SHAPE.search(text), text
    for text in ("images of any kind", "(see there)", "(Cao 2017)"):
        assert not SHAPE.search(text), text
