"""Paths and types of arguments; a message names the parameter."""

import os
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from firstsight.errors import UsageError

NAMES = {int: "an integer", float: "a number", str: "a string", bool: "True or False", type(None): "None"}


def expand_user(path: str | Path) -> Path:
    """Return a path with ``~`` replaced by the home directory; unchanged if there is none.

    >>> expand_user("~no-such-user/x").as_posix()
    '~no-such-user/x'
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises an error


def check_type(name: str, value: Any, hint: Any) -> None:
    """Raise an error if a value does not have the type of an annotation.

    Integers are accepted as numbers; numbers of NumPy are accepted, True and False are no numbers.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : Any
        The value.
    hint : Any
        A type, a union of types, or a Literal.

    Raises
    ------
    UsageError
        If the type is another one, or the value is none of the choices.

    Examples
    --------
    >>> check_type("epochs", 3, int)
    >>> check_type("epochs", "3", int)
    Traceback (most recent call last):
    firstsight.errors.UsageError: `epochs` must be an integer; got '3'
    """
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        if not isinstance(value, type(choices[0])) or value not in choices:
            raise UsageError(f"`{name}` must be one of {', '.join(map(str, choices))}; got {value}")
        return
    types = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if not any(_is_a(value, each) for each in types):
        expected = " or ".join(NAMES.get(each, f"a {getattr(each, '__name__', each)}") for each in types)
        got = repr(value) if isinstance(value, str | int | float) else type(value).__name__
        raise UsageError(f"`{name}` must be {expected}; got {got}")


def _is_a(value: Any, kind: Any) -> bool:
    if kind is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    return isinstance(value, kind)


def is_digits(text: str) -> bool:
    """Return whether a text is a number of 1 to 9 digits from 0 to 9.

    ``str.isdigit`` also accepts "²", which ``int`` refuses, and numbers of any length.

    >>> [is_digits(text) for text in ("224", "²", "٣", "", "-1", "1" * 10)]
    [True, False, False, False, False, False]
    """
    return text.isascii() and text.isdecimal() and len(text) < 10
