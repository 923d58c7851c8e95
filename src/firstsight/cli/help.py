"""Options of a command as a list, and the help text made from them: examples first, at most 80 columns wide."""

import ast
import dataclasses
import inspect
import itertools
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from tyro.conf import Positional

WIDTH = 80
"""Width of the help in a pipe or a file, in columns."""
MAX_WIDTH = 100
"""Maximum width of the help on a terminal, in columns."""
NAME_WIDTH = 21
"""Width of the column of names; the text of a longer name begins after it."""
SHORT_LINES = 2
"""Number of lines of an option in the short help; of a longer text only --help-all shows the last clauses."""
VALUES = {int: "INT", float: "FLOAT", str: "STR", Path: "PATH"}
"""Words for a value, by its type."""


class Marker:
    """Marker in the annotation of an option."""


ADVANCED = Marker()
"""The option is shown by --help-all only."""
NO_DEFAULT = Marker()
"""The help text says what happens without the option: no default is added to it."""


@dataclasses.dataclass(frozen=True)
class Option:
    """An option or a positional argument of a command.

    Parameters
    ----------
    name : str
        Name, as in ``--batch-size``; the word for the value of a positional argument.
    value : str
        Word for the value, as in ``INT``; empty for an option without a value.
    choices : tuple[str, ...]
        Possible values; empty for any.
    text : str
        Description.
    default : str
        "(default: ...)"; empty if the option has none, or its description says it.
    group : str
        Title of its group of settings; empty for the options of the command itself.
    is_positional : bool
        Whether it is an argument without a name.
    is_advanced : bool
        Whether only ``--help-all`` shows it.
    is_pair : bool
        Whether ``--no-...`` exists too.
    """

    name: str
    value: str = ""
    choices: tuple[str, ...] = ()
    text: str = ""
    default: str = ""
    group: str = ""
    is_positional: bool = False
    is_advanced: bool = False
    is_pair: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All spellings of the option."""
        return (self.name, f"--no-{self.name[2:]}") if self.is_pair else (self.name,)


def list_options(kind: type[Any], settings: Any = None, basic: Sequence[str] = ()) -> list[Option]:
    """Return the options of a command.

    Parameters
    ----------
    kind : type[Any]
        Dataclass of the options.
    settings : Any
        Dataclass instance of the settings, a list of them, or None.
    basic : Sequence[str]
        Names of the settings that ``--help`` shows.
    """
    docs, hints = attribute_docs(kind), get_type_hints(kind, include_extras=True)
    options = [
        _option(field.name, hints[field.name], docs[field.name], field.default, is_flag=True)
        for field in dataclasses.fields(kind)
    ]
    for instance in as_list(settings):
        docs = attribute_docs(type(instance))
        for group, fields in groups_of(type(instance)).items():
            for name, hint in fields.items():
                option = _option(name, hint, docs[name], getattr(instance, name), is_flag=False)
                options.append(dataclasses.replace(option, group=title_of(group), is_advanced=name not in basic))
    return options


def as_list(settings: Any) -> list[Any]:
    """Return instances of settings as a list; None is an empty list."""
    return settings if isinstance(settings, list) else [settings] if settings is not None else []


def groups_of(kind: type[Any]) -> dict[type[Any], dict[str, Any]]:
    """Return the fields of a dataclass by the class that defines them, base classes first."""
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in dataclasses.fields(kind)]
    owners: dict[type[Any], dict[str, Any]] = {}
    for name in names:
        first = next(base for base in reversed(kind.__mro__) if name in vars(base).get("__annotations__", {}))
        owners.setdefault(first, {})[name] = hints[name]
    return owners


def title_of(group: type[Any]) -> str:
    """Return the title of a group of settings: its own ``TITLE``, or else the words of its class name."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", group.__name__.removesuffix("Settings"))
    return str(vars(group).get("TITLE", words.lower()))


def has_marker(hint: Any, marker: Marker) -> bool:
    """Return whether the annotation of an option has a marker."""
    return get_origin(hint) is Annotated and any(extra is marker for extra in get_args(hint)[1:])


def default_text(hint: Any, default: Any) -> str:
    """Return "(default: ...)"; an empty string if the option has none, or its text says it."""
    if default is dataclasses.MISSING or default in (None, "", ()) or has_marker(hint, NO_DEFAULT):
        return ""
    if isinstance(default, bool):
        return f"(default: {'on' if default else 'off'})"
    return f"(default: {f'{default:g}' if isinstance(default, float) else default})"


def attribute_docs(kind: Any) -> dict[str, str]:
    """Return the strings below the fields of a dataclass and its bases, by field, in one line each."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(cast(type[Any], base)))).body[0]
        assert isinstance(body, ast.ClassDef)
        for statement, following in itertools.pairwise(body.body):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
            ):
                docs[statement.target.id] = " ".join(str(following.value.value).split())
    return docs


def _option(name: str, hint: Any, text: str, default: Any, *, is_flag: bool) -> Option:
    """Return the option of a field."""
    parts: tuple[Any, ...] = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    config = next((extra for extra in parts[1:] if hasattr(extra, "metavar")), None)
    is_positional = get_args(Positional[str])[1] in parts[1:]
    types = [part for part in _members(parts[0]) if part is not NoneType]
    choices = tuple(str(value) for part in types if get_origin(part) is Literal for value in get_args(part))
    words = [_value_word(part) for part in types]
    value = getattr(config, "metavar", None) or "|".join(dict.fromkeys(words))
    option = f"--{(getattr(config, 'name', None) or name).replace('_', '-')}"
    return Option(
        name=value if is_positional else option,
        value="" if bool in types else value,
        choices=choices,
        text=text,
        default=default_text(hint, default),
        is_positional=is_positional,
        is_advanced=has_marker(hint, ADVANCED),
        is_pair=bool in types and not (is_flag and parts[0] is bool),
    )


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _value_word(part: Any) -> str:
    if get_origin(part) is Literal:
        return "|".join(map(str, get_args(part)))
    return VALUES.get(part, "STR")


def help_text(
    command: str,
    description: str,
    options: Sequence[Option],
    *,
    examples: Sequence[str] = (),
    show_all: bool = False,
    more: str = "",
) -> str:
    """Return the help of a command: usage, examples, arguments, options.

    Parameters
    ----------
    command : str
        Name of the command.
    description : str
        Docstring of its options.
    options : Sequence[Option]
        All options.
    examples : Sequence[str]
        Command lines.
    show_all : bool
        Whether to show the advanced options too.
    more : str
        Command line that shows all options.
    """
    width = _width()
    shown = [option for option in options if show_all or not option.is_advanced]
    positional = [option for option in shown if option.is_positional]
    named = [option for option in shown if not option.is_positional]
    words = ["usage: firstsight", command, *(option.name for option in positional), "[options]"]
    lines = [" ".join(words), ""]
    paragraphs = description.split("\n\n")
    for text in paragraphs if show_all else paragraphs[:1]:
        lines += [*textwrap.wrap(" ".join(text.split()), width), ""]
    lines += ["examples:", *(f"  {line}" for line in examples), ""] if examples else []
    max_lines = None if show_all else SHORT_LINES
    by_title = {"arguments": positional} if positional else {}
    for option in named:
        by_title.setdefault(f"{option.group} options".strip(), []).append(option)
    for title, members in by_title.items():
        lines += [f"{title}:", *_rows(members, width, max_lines), *([""] if show_all else [])]
    hidden = len(options) - len(shown)
    if not show_all:
        lines += [f"{f'{hidden} more options' if hidden else 'more'}: {more}"]
    return "\n".join(lines).rstrip() + "\n"


def _width() -> int:
    if not sys.stdout.isatty():
        return WIDTH
    return max(WIDTH // 2, min(shutil.get_terminal_size().columns, MAX_WIDTH))


def _rows(options: Sequence[Option], width: int, max_lines: int | None) -> Iterator[str]:
    """Yield the lines of options: names on the left, text on the right."""
    for option in options:
        name = f"  --[no-]{option.name[2:]}" if option.is_pair else f"  {option.name}"
        if option.value and not option.is_positional:
            name += f" {option.value}"
        texts = _beginnings(option.text) if max_lines else [option.text]
        wrapped = [_wrap(name, f"{text} {option.default}", width) for text in texts]
        yield from next((lines for lines in wrapped if len(lines) <= (max_lines or len(lines))), wrapped[-1])


def _beginnings(text: str) -> list[str]:
    """Return a text and its beginnings that are whole clauses, the longest first.

    >>> _beginnings("Stop (never; always). Or not; it is free.")
    ['Stop (never; always). Or not; it is free.', 'Stop (never; always). Or not.', 'Stop (never; always).']
    """
    outside = re.sub(r"\([^)]*\)|\"[^\"]*\"", lambda match: "x" * len(match[0]), text)
    ends = [match.start() for match in re.finditer(r"[.;](?= )", outside)]
    return [text, *(f"{text[:end]}." for end in reversed(ends))]


def _wrap(name: str, text: str, width: int) -> list[str]:
    indent = " " * (NAME_WIDTH + 2)
    first = f"{name:<{NAME_WIDTH}}  "
    return textwrap.wrap(
        text.strip(), width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
    ) or [name]
