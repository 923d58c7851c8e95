"""Parse the arguments of a command into dataclasses, with help in two tiers and errors in one sentence.

A command declares its options as a dataclass whose fields are documented by the string below each. Settings of a task
are a second dataclass. Both are converted to typed dictionaries for tyro, so that only the options that were given come
back.
"""

import dataclasses
import inspect
import io
import itertools
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Annotated, Any, Literal, Required, TypedDict, TypeVar, get_args, get_origin, get_type_hints

import tyro

from firstsight.arguments import expand_user
from firstsight.cli.help import ADVANCED, NO_DEFAULT, Marker, as_list, groups_of, help_text, list_options
from firstsight.errors import UsageError

__all__ = ["ADVANCED", "NO_DEFAULT", "Device", "Flag", "Maybe", "parse", "parse_given"]

T = TypeVar("T")


Maybe = Annotated[T | None, NO_DEFAULT]
"""Type of an option without a default."""
Flag = Annotated[bool, NO_DEFAULT]
"""Type of an option without a value."""
Device = Literal["auto", "cpu", "cuda", "mps"]
"""Type of ``--device``."""
CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone, tyro.conf.HelptextFromCommentsOff)
REWRITES = (
    (
        re.compile(r"parsing (\S+): invalid literal for int\(\) with base 10: (.*)"),
        r"\1 must be a whole number; got \2",
    ),
    (re.compile(r"parsing (\S+): could not convert string to float: (.*)"), r"\1 must be a number; got \2"),
    (re.compile(r"parsing (\S+): no type matching \{INT INT\}.*"), r"\1 must be followed by two whole numbers"),
    (
        re.compile(r"invalid choice (.*) for argument '(.*)'\. Expected one of \((.*)\)"),
        r"\2 must be one of \3; got \1",
    ),
    (re.compile(r"Missing value for argument '(.*)'\. Expected 1 values"), r"\1 needs a value"),
)
"""Messages of Python about a value, and the text that replaces them."""
BORDER = re.compile(r"[│╭╮╰╯─┌┐└┘|]+")


def parse(kind: type[T], command: str, arguments: Sequence[str], *, examples: Sequence[str] = ()) -> T:
    """Parse arguments into a dataclass; print the help and exit on ``--help`` and ``--help-all``.

    Parameters
    ----------
    kind : type[T]
        Dataclass of the options; the first line of its docstring describes the command.
    command : str
        Name of the command.
    arguments : Sequence[str]
        Arguments after the name of the command.
    examples : Sequence[str]
        Command lines that the help shows.

    Raises
    ------
    UsageError
        If an option is unknown, a value is impossible or an argument is missing; the message names similar options.
    """
    given, _ = parse_given(kind, command, arguments, examples=examples)
    return kind(**given)


def parse_given(
    kind: type[Any],
    command: str,
    arguments: Sequence[str],
    *,
    settings: Any = None,
    basic: Sequence[str] = (),
    examples: Sequence[str] = (),
    target: str = "",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse arguments; return only the options and the settings that were given.

    Parameters
    ----------
    kind : type[Any]
        Dataclass of the options.
    command : str
        Name of the command.
    arguments : Sequence[str]
        Arguments after the name of the command.
    settings : Any
        Dataclass instance, or a list of them, whose fields are options too; the values are the defaults that the help
        shows.
    basic : Sequence[str]
        Settings that ``--help`` shows; ``--help-all`` shows all.
    examples : Sequence[str]
        Command lines that the help shows.
    target : str
        First argument of the command, such as a recipe, for hints to its help.

    Returns
    -------
    tuple[dict[str, Any], dict[str, Any]]
        Options of ``kind`` and settings by name.

    Raises
    ------
    UsageError
        See `parse`.
    """
    if {"-h", "--help", "--help-all"} & set(arguments):
        options = list_options(kind, settings, basic)
        more = f"firstsight {f'{command} {target}'.rstrip()} --help-all"
        show_all = "--help-all" in arguments
        description = inspect.getdoc(kind) or ""
        print(help_text(command, description, options, examples=examples, show_all=show_all, more=more), end="")
        sys.exit(0)
    schema, defaults = _schema(kind, settings)
    parsed = _run(schema, defaults, command, list(arguments), target)
    own = {field.name for field in dataclasses.fields(kind)}
    given = {name: _expand(value) for name, value in parsed.items() if name in own and value is not None}
    return given, {name: _expand(value) for name, value in parsed.items() if name not in own}


def _expand(value: Any) -> Any:
    """Return a value, a path with the home directory; shells do not replace the ``~`` of ``--out=~/x.png``."""
    return expand_user(value) if isinstance(value, Path) else value


def _schema(kind: type[Any], settings: Any) -> tuple[Any, dict[str, Any]]:
    """Return the typed dictionary for tyro, and its defaults.

    Parameters
    ----------
    kind : type[Any]
        Dataclass of the options.
    settings : Any
        Dataclass instance of the settings, a list of them, or None.
    """
    entries: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        entries[field.name] = _option(hints[field.name], field.default, is_flag=True)
        if field.default is False:
            defaults[field.name] = False
    for instance in as_list(settings):
        for fields in groups_of(type(instance)).values():
            for name, hint in fields.items():
                entries.setdefault(name, _option(hint, getattr(instance, name), is_flag=False))
    functional: Any = TypedDict  # a type checker accepts literals only
    return functional("Options", entries, total=False), defaults


def _option(hint: Any, default: Any, *, is_flag: bool) -> Any:
    """Return the annotation of an option for tyro."""
    parts: tuple[Any, ...] = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    extras = [extra for extra in parts[1:] if not isinstance(extra, Marker)]
    if is_flag and parts[0] is bool:
        extras += [tyro.conf.FlagCreatePairsOff]
    form: Any = Annotated
    annotated = form[(parts[0], *extras, tyro.conf.arg())] if not extras else form[(parts[0], *extras)]
    return Required[annotated] if default is dataclasses.MISSING else annotated


def _run(schema: Any, defaults: Mapping[str, Any], command: str, arguments: list[str], target: str) -> dict[str, Any]:
    """Run tyro; turn its complaints into one sentence."""
    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            result: dict[str, Any] = tyro.cli(
                schema,
                prog=f"firstsight {command}",
                args=arguments,
                default=dict(defaults),
                config=CONFIG,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        hint = f"see: {f'firstsight {command} {target}'.rstrip()} --help"
        raise UsageError(f"{_sentence(complaint.getvalue())} ({hint})") from None
    return result


def _sentence(text: str) -> str:
    """Convert a boxed message of tyro to one sentence, with the similar options that it lists."""
    lines = [BORDER.sub("", line).strip() for line in text.splitlines()][1:]
    body = [line for line in lines if line and not line.startswith(("For full helptext", "firstsight "))]
    if not body:
        return "the arguments are not understood"
    message = " ".join(itertools.takewhile(bool, lines))  # up to an empty line or a rule
    for pattern, replacement in REWRITES:
        message = pattern.sub(replacement, message)
    if message.startswith("Missing from"):
        return f"missing: {' '.join(body[1:2])}"
    message = message[0].lower() + message[1:]
    if message.startswith("unrecognized options: "):
        words = message.removeprefix("unrecognized options: ").split(", ")
        options = [word for word in words if word.startswith("-")]  # without their values
        message = f"unrecognized options: {', '.join(options)}" if options else f"unexpected argument '{words[0]}'"
    return message.removeprefix("error ").rstrip(".") + _similar_options(body)


def _similar_options(body: Sequence[str]) -> str:
    """Return "; did you mean ...?" if tyro suggests options, or an empty string."""
    if "Perhaps you meant:" not in body:
        return ""
    options = dict.fromkeys(line.split()[0].rstrip(",") for line in body[1:] if line.startswith("--"))
    return f"; did you mean {' or '.join(options)}?"
