"""Paths and types of arguments; a message names the parameter."""

import inspect
import math
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from numbers import Integral, Number, Real
from pathlib import Path, PurePath
from types import UnionType
from typing import (
    Any,
    Literal,
    Protocol,
    TypeAlias,
    TypeGuard,
    TypeVar,
    Union,
    Unpack,
    get_args,
    get_origin,
    runtime_checkable,
)

from firstsight.errors import UsageError
from firstsight.text import one_line


@runtime_checkable
class HasRun(Protocol):
    """Result of a training, such as `TrainResult` or `RunSummary`: it stands for its run directory."""

    @property
    def run_dir(self) -> Path:
        """Run directory."""


NAMES: dict[Any, str] = {
    int: "an integer", float: "a number", str: "a string", bool: "True or False", Path: "a path", type(None): "None",
    None: "None", HasRun: "the result of a training",
}  # fmt: skip
"""Types that `check_type` knows, as messages name them."""
F = TypeVar("F", bound=Callable[..., Any])
Item = TypeVar("Item")
MAX_SHOWN = 60
"""Number of characters of a value that a message repeats."""


ModelSource: TypeAlias = str | Path | HasRun
"""Argument of `firstsight.load`: a name of weights, a path, or the result of a training."""


def is_source(model: Any) -> TypeGuard[ModelSource]:
    """Return whether this is what `firstsight.load` takes, and not a model."""
    return isinstance(model, str | Path | HasRun)


def to_source(model: ModelSource) -> str | Path:
    """Return the run directory of the result of a training; anything else unchanged.

    >>> to_source("lenet-digits")
    'lenet-digits'
    """
    return Path(model.run_dir) if isinstance(model, HasRun) else model


class Ignore:
    """Function that ignores a line; a signature shows it by its name."""

    def __call__(self, line: str) -> None:
        """Ignore the line."""

    def __repr__(self) -> str:
        return "ignore"


class Iterate:
    """Function `iter`, without a progress bar; a signature shows it by its name."""

    def __call__(self, items: Iterable[Item]) -> Iterator[Item]:
        """Return an iterator over the items."""
        return iter(items)

    def __repr__(self) -> str:
        return "iter"


ignore = Ignore()
"""Default of parameters that receive messages."""
iterate = Iterate()
"""Default of parameters that show a progress bar."""


def expand_user(path: str | Path) -> Path:
    """Return a path with ``~`` replaced by the home directory; unchanged if there is none.

    >>> expand_user("~no-such-user/x").as_posix()
    '~no-such-user/x'
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises an error


def check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Check the arguments of a call against the annotations of the function; the first line of a public function.

    Annotations of numbers, texts, paths, booleans and choices are checked, also inside unions and sequences. All others
    (images, models, functions) are left to the function. Of settings that are given as ``**settings:
    Unpack[SomeTypedDict]``, those that the TypedDict has are checked.

    Parameters
    ----------
    function : Callable[..., Any]
        The function.
    arguments : Mapping[str, Any]
        Values by parameter: ``locals()`` at the beginning of the function.

    Raises
    ------
    UsageError
        If the type of an argument is wrong, or it is none of the choices.

    Examples
    --------
    >>> def resize(size: int, *, keep: bool = True) -> None:
    ...     check_arguments(resize, locals())
    >>> resize("2")
    Traceback (most recent call last):
    firstsight.errors.UsageError: `size` must be an integer; got the text '2'
    """
    for name, hint in function.__annotations__.items():
        origin: Any = get_origin(hint)
        if origin is Unpack:
            known = typed_dict_hints(get_args(hint)[0])
            for setting, value in arguments[name].items():
                if setting in known and is_checkable(known[setting]):
                    check_type(setting, value, known[setting])
        elif name in arguments and is_checkable(hint):
            check_type(name, arguments[name], hint)


@cache
def typed_dict_hints(typed_dict: type) -> dict[str, Any]:
    """Return the annotations of a TypedDict; those that name a class by a string stay strings."""
    return {name: getattr(hint, "__forward_arg__", hint) for name, hint in typed_dict.__annotations__.items()}


def explicit_signature(function: F) -> F:
    """Decorate a function with ``**options: Unpack[SomeTypedDict]``: `inspect.signature` lists the keys one by one.

    So ``help`` and the completion of IPython and Jupyter show them. The function itself is returned, not a wrapper.

    Examples
    --------
    >>> from typing import TypedDict
    >>> class Options(TypedDict, total=False):
    ...     size: int
    >>> @explicit_signature
    ... def resize(image: str, **options: Unpack[Options]) -> None: ...
    >>> inspect.signature(resize)
    <Signature (image: str, *, size: int = ...) -> None>
    """
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    (hint,) = [p.annotation for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD]
    taken = {p.name for p in parameters}
    for name, kind in typed_dict_hints(get_args(hint)[0]).items():
        if name not in taken:
            new = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_Default(), annotation=kind)
            parameters.append(new)
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # as inspect reads it
    return function


class _Default:
    """Default of a parameter that the recipe or the network decides; shown as in a stub file."""

    def __repr__(self) -> str:
        return "..."


def is_checkable(hint: Any) -> bool:
    """Return whether `check_type` knows all types of an annotation.

    >>> [is_checkable(hint) for hint in (int | None, Sequence[float], Literal["a"], Any, Callable[[], int])]
    [True, True, True, False, False]
    """
    if get_origin(hint) is Literal:
        return True
    if get_origin(hint) in (Union, UnionType, Sequence, tuple, list):
        return all(member is Ellipsis or is_checkable(member) for member in get_args(hint))
    return isinstance(hint, Hashable) and hint in NAMES


def check_type(name: str, value: Any, hint: Any) -> None:
    """Raise an error if a value does not have the type of an annotation.

    If a path is expected, a class may say in ``PATH_ADVICE`` how its objects become files.

    Integers are accepted as numbers, and numbers and booleans of NumPy as those of Python. True and False are no
    numbers, NaN is none, and a text is no sequence.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : Any
        The value.
    hint : Any
        A type, a union of types, a Literal, or a sequence of these.

    Raises
    ------
    UsageError
        If the type is another one, or the value is none of the choices.

    Examples
    --------
    >>> check_type("epochs", 3, int)
    >>> check_type("epochs", "3", int)
    Traceback (most recent call last):
    firstsight.errors.UsageError: `epochs` must be an integer; got the text '3'
    """
    if not _matches(value, hint):
        shown = one_line(value, MAX_SHOWN) if isinstance(value, str) and _is_choice(hint) else describe(value)
        advice = getattr(value, "PATH_ADVICE", "") if Path in get_args(hint) else ""
        raise UsageError(
            f"`{name}` must be {_expected(hint)}; got {shown or describe(value)}{f'; {advice}' if advice else ''}"
        )


def describe(value: Any) -> str:
    """Return a value as a message names it.

    >>> print(describe("2"), describe(2.5), describe(None), describe([1, 2]), describe(Path("a.png")), sep=", ")
    the text '2', 2.5, None, the list [1, 2], the path a.png
    """
    if isinstance(value, str):
        return f"the text '{one_line(value, MAX_SHOWN)}'"
    if isinstance(value, PurePath):
        return f"the path {one_line(str(value), MAX_SHOWN)}"
    if value is None or isinstance(value, bool | Number):
        return str(value)
    kind = type(value).__name__
    if isinstance(value, list | tuple | set | dict):
        return f"the {kind} {one_line(repr(value), MAX_SHOWN)}"
    return f"an object of type {kind}"


def to_plain(value: Any) -> Any:
    """Return numbers and booleans of NumPy as those of Python, and a path as text; other values unchanged.

    >>> to_plain(Path("photos")), to_plain(True), to_plain(2)
    ('photos', True, 2)
    """
    if isinstance(value, PurePath):
        return str(value)
    if _is_bool(value):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def _matches(value: Any, hint: Any) -> bool:
    origin, members = get_origin(hint), get_args(hint)
    if origin is Literal:
        return any(_is_a(value, type(choice)) and value == choice for choice in members)
    if origin in (Union, UnionType):
        return any(_matches(value, member) for member in members)
    if origin in (Sequence, tuple, list):
        return _is_sequence(value, origin, members)
    return _is_a(value, hint)


def _is_sequence(value: Any, origin: Any, members: tuple[Any, ...]) -> bool:
    if getattr(value, "ndim", 0) == 1:  # an array or a tensor
        value = value.tolist()
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return False
    if origin is tuple and members[-1] is not Ellipsis:
        return len(value) == len(members) and all(map(_matches, value, members))
    return all(_matches(item, members[0]) for item in value)


def _is_a(value: Any, kind: Any) -> bool:
    if kind is bool:
        return _is_bool(value)
    if kind is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, Real) and not isinstance(value, bool) and not math.isnan(value)
    return isinstance(value, kind)


def _is_bool(value: Any) -> bool:
    """Return whether a value is True or False, of Python or NumPy (which is not imported for this)."""
    return isinstance(value, bool) or (getattr(value, "dtype", None) == "bool" and getattr(value, "shape", None) == ())


def _is_choice(hint: Any) -> bool:
    """Return whether an annotation is a choice among texts, or a union of one with None."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return all(get_origin(member) is Literal or member is type(None) for member in members)


def _expected(hint: Any) -> str:
    """Return the values that an annotation allows, as in "an integer or None"."""
    origin, members = get_origin(hint), get_args(hint)
    if origin is Literal:
        choices = [str(choice) for choice in members]
        return f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
    if origin in (Union, UnionType):
        return " or ".join(map(_expected, members))
    if origin is tuple and members[-1] is not Ellipsis:
        return f"({', '.join(map(_expected, members))})"
    if origin in (Sequence, tuple, list):
        return f"a list, each value {_expected(members[0])}"
    return NAMES.get(hint, f"a {getattr(hint, '__name__', hint)}")


def is_digits(text: str) -> bool:
    """Return whether a text is a number of 1 to 9 digits from 0 to 9.

    ``str.isdigit`` also accepts "²", which ``int`` refuses, and numbers of any length.

    >>> [is_digits(text) for text in ("224", "²", "٣", "", "-1", "1" * 10)]
    [True, False, False, False, False, False]
    """
    return text.isascii() and text.isdecimal() and len(text) < 10
