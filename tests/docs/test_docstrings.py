"""Every public function is documented: a description, the shapes of its tensors, the errors that it raises itself."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from numpydoc.hooks.validate_docstrings import process_file

import firstsight
from firstsight import errors

SOURCE = Path(firstsight.__file__).parent
FILES = sorted(path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] != "cli")
SHAPE = re.compile(r"\((?:[A-Za-z0-9+\-*/^ ._()]+,)+[A-Za-z0-9+\-*/^ ._]*\)")
"""(N, C, H, W), (N,), (height, width), (N, 2 limbs, ceil(H/8), ceil(W/8)), (..., 2), ..."""
WITHOUT_SHAPE = ("any shape", "scalar", "shapes as in `")
ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
MAKERS = {"unknown_name": "UsageError"}
"""Functions that return an error to be raised."""
ELSEWHERE = re.compile(r"rules of `\w+`")
"""A reference to another function, which has the section."""


@cache
def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text())


@dataclass(frozen=True)
class Definition:
    """A public function, method or class in the source."""

    name: str
    node: ast.FunctionDef | ast.ClassDef
    owner: ast.ClassDef | None

    @property
    def doc(self) -> str:
        """Return the docstring, or an empty string."""
        return ast.get_docstring(self.node) or ""


def definitions(path: Path) -> Iterator[Definition]:
    """Yield the public functions and classes of a file, and their public methods."""
    where = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for node in parse(path).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if "overload" in map(ast.unparse, node.decorator_list):  # the implementation follows
            continue
        yield Definition(f"{where}.{node.name}", node, None)
        for inner in node.body if isinstance(node, ast.ClassDef) else []:
            if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                yield Definition(f"{where}.{node.name}.{inner.name}", inner, node)


ALL = [definition for path in FILES for definition in definitions(path)]


def test_the_public_functions_are_found() -> None:
    assert len(ALL) > 400


def overrides(definition: Definition) -> bool:
    """Return whether a method's class has bases: the method it overrides may document it (as in ruff's D102)."""
    return definition.owner is not None and bool(definition.owner.bases)


def test_every_public_name_has_a_docstring() -> None:
    assert [definition.name for definition in ALL if len(definition.doc) < 5 and not overrides(definition)] == []


def test_every_module_has_a_docstring() -> None:
    assert [path.name for path in FILES if not ast.get_docstring(parse(path))] == []


def test_names_in_all_exist_and_have_a_docstring() -> None:
    """Those in ``__all__`` of the package and of its packages; a constant has the string below it."""
    for path in FILES:
        parts = path.relative_to(SOURCE).with_suffix("").parts
        module = import_module(".".join(["firstsight", *parts]).removesuffix(".__init__"))
        for name in getattr(module, "__all__", []):
            value = getattr(module, name)
            assert not callable(value) or name == "Algorithm" or len(value.__doc__ or "") > 10, (module, name)


def is_tensor(annotation: ast.expr | None) -> bool:
    """Return whether an annotation is Tensor, NDArray[...], or one of these or None; not a container of them."""
    if annotation is None:
        return False
    text = ast.unparse(annotation).strip("'\"")
    return text != "None" and all(
        re.fullmatch(r"(torch\.)?Tensor|NDArray\[.*\]|np\.ndarray|None", part) for part in text.split(" | ")
    )


def takes_tensors(node: ast.FunctionDef) -> bool:
    """Return whether a function has tensor arguments and does more than check them."""
    if node.name.startswith("check_"):
        return False
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return any(is_tensor(argument.annotation) for argument in arguments)


def test_docstrings_give_the_shapes_of_tensors() -> None:
    """Those of functions and methods that take tensors, or those of their class or module."""
    lacking, checked = [], 0
    for definition in ALL:
        if (
            not isinstance(definition.node, ast.FunctionDef)
            or not takes_tensors(definition.node)
            or is_step(definition)
        ):
            continue
        if not definition.doc and overrides(definition):
            continue
        checked += 1
        words = " ".join(
            (
                definition.doc,
                (ast.get_docstring(definition.owner) or "") if definition.owner else "",
                *shared(definition),
            )
        )
        if not SHAPE.search(words) and not any(word in words for word in WITHOUT_SHAPE):
            lacking.append(definition.name)
    assert lacking == []
    assert checked > 100


def is_step(definition: Definition) -> bool:
    """Return whether it is forward or backward of an autograd function: the function that calls it has the shapes."""
    return definition.owner is not None and any("Function" in ast.unparse(base) for base in definition.owner.bases)


def shared(definition: Definition) -> list[str]:
    """Return the lines of a module's docstring that give the shapes of all its functions."""
    file = SOURCE.joinpath(*definition.name.split(".")[:2]).with_suffix(".py")
    text = (ast.get_docstring(parse(file)) or "") if file.is_file() else ""
    return [line for line in text.splitlines() if line.startswith("Shapes: ")]


def raised(node: ast.FunctionDef) -> set[str]:
    """Return the names of this package's errors that a function raises itself and does not catch itself."""
    errors_raised, caught = set(), set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.ExceptHandler) and inner.type is not None:
            caught |= set(re.findall(r"\w+", ast.unparse(inner.type)))
        if isinstance(inner, ast.Raise) and isinstance(inner.exc, ast.Call):
            name = ast.unparse(inner.exc.func).rpartition(".")[2]
            errors_raised |= {MAKERS.get(name, name)} & ERRORS
    return errors_raised - caught


def documented(doc: str) -> set[str]:
    """Return the names in the section Raises of a docstring."""
    section = re.search(r"^Raises\n-+\n(.*?)(?=\n\n\S|\Z)", doc, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"\w+", section[1])) if section else set()


def test_docstrings_list_the_errors_that_are_raised() -> None:
    """Errors of a constructor are in the docstring of its class."""
    lacking = []
    for definition in ALL:
        functions = (
            [definition.node]
            if isinstance(definition.node, ast.FunctionDef)
            else [
                inner
                for inner in definition.node.body
                if isinstance(inner, ast.FunctionDef) and inner.name in ("__init__", "__post_init__")
            ]
        )
        missing = set().union(*map(raised, functions)) - documented(definition.doc) if functions else set()
        if missing and not ELSEWHERE.search(definition.doc) and not (overrides(definition) and not definition.doc):
            lacking.append(definition.name)
    assert lacking == []


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def f():\n    raise DataError('x')", {"DataError"}),
        ("def f():\n    raise unknown_name('a', 'b', [], '')", {"UsageError"}),
        ("def f():\n try:\n  raise DataError('x')\n except DataError:\n  raise RunError('y')", {"RunError"}),
        ("def f():\n    raise ValueError('x')", set()),
    ],
)
def test_raised_errors_are_found_in_the_source(code: str, names: set[str]) -> None:
    node = ast.parse(code).body[0]
    assert isinstance(node, ast.FunctionDef) and raised(node) == names


def test_shapes_are_recognized() -> None:
    for text in ("(N, C, H, W)", "(N,)", "(N, 2 limbs, height, width)", "(O, C / groups, kh)", "(N, ceil(H/2), 3)"):
        assert SHAPE.search(text), text
    for text in ("images of any kind", "(see there)", "(Cao 2017)"):
        assert not SHAPE.search(text), text


NUMPYDOC = {"SS01", "SS03", "SS04", "SS06", "PR02", "PR03", "PR04", "PR10", "GL06", "GL07", "RT02", "YD01"}
"""Checks of numpydoc: summary, parameters and their order, one per line with a type, names of sections."""


def numpydoc_findings(path: Path, checks: set[str]) -> list[tuple[str, str, str]]:
    """Return (object, check, message) of the public objects of a file."""
    config = {"checks": checks, "exclude": set(), "overrides": {}, "exclude_files": set()}
    findings = [(name, check, message) for _, name, check, message in process_file(str(path), config)]
    return [
        (name, check, message)
        for name, check, message in findings
        if not re.search(r"(^|\.)_(?!_)", name)
        and not (check.startswith("PR0") and name.rpartition(".")[2] in classes_without_init(path))
    ]


@cache
def classes_without_init(path: Path) -> frozenset[str]:
    """Return the dataclasses and named tuples of a file: their parameters are fields, which numpydoc does not see."""
    classes = [node for node in ast.walk(parse(path)) if isinstance(node, ast.ClassDef)]
    return frozenset(
        node.name
        for node in classes
        if not any(isinstance(inner, ast.FunctionDef) and inner.name == "__init__" for inner in node.body)
    )


def test_fields_in_docstrings_exist() -> None:
    """Those of dataclasses; a field may be inherited."""
    fields = {
        inner.target.id
        for path in FILES
        for inner in ast.walk(parse(path))
        if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name)
    }
    unknown = []
    for path in FILES:
        for definition in definitions(path):
            if isinstance(definition.node, ast.ClassDef) and definition.node.name in classes_without_init(path):
                section = re.search(r"^(?:Parameters|Attributes)\n-+\n(.*?)(?=\n\n\S|\Z)", definition.doc, re.M | re.S)
                names = re.findall(r"^(\w+(?:, \w+)*) : ", section[1], re.M) if section else []
                own = {name for inner in definition.node.body for name in re.findall(r"def (\w+)", ast.unparse(inner))}
                unknown += [
                    f"{definition.name}: {name}"
                    for name in ", ".join(names).split(", ")
                    if name and name not in fields | own
                ]
    assert unknown == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_docstrings_have_the_form_of_numpydoc(path: Path) -> None:
    assert numpydoc_findings(path, NUMPYDOC) == []


def test_a_docstring_with_parameters_documents_all_of_them() -> None:
    """And every function of the top level has the section."""
    public = set(firstsight.__all__)
    lacking = []
    for path in FILES:
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        docs = {definition.name.removeprefix(f"{module}."): definition.doc for definition in definitions(path)}
        for name, _, message in numpydoc_findings(path, {"PR01"}):
            inner = name.partition(".")[2]
            if inner in public or re.search(r"^Parameters\n-+$", docs.get(inner, ""), re.MULTILINE):
                lacking.append(f"{path.relative_to(SOURCE)}: {name}: {message}")
    assert lacking == []


def test_a_missing_parameter_would_be_noticed(tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    file.write_text(
        'def f(a: int, b: int) -> None:\n    """Return nothing.\n\n    Parameters\n    ----------\n'
        '    c : int\n        Nothing.\n    """\n'
    )
    assert {check for _, check, _ in numpydoc_findings(file, {"PR01", "PR02"})} == {"PR01", "PR02"}
