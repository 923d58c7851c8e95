"""Parse the arguments of a command into dataclasses, with help in two tiers and errors in one sentence.

A command declares its options as a dataclass whose fields are documented by the string below each. Settings of a task
are a second dataclass. Both are converted to typed dictionaries for tyro, so that only the options that were given come
back.
"""

import ast
import dataclasses
import inspect
import io
import itertools
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Required, TypedDict, TypeVar, cast, get_args, get_origin, get_type_hints

import tyro

from firstsight.arguments import expand_user
from firstsight.errors import UsageError

T = TypeVar("T")


class _Marker:
    """Marker in the annotation of an option."""


ADVANCED = _Marker()
"""The option is shown by --help-all only."""
NO_DEFAULT = _Marker()
"""The help text says what happens without the option: no default is added to it."""
Maybe = Annotated[T | None, NO_DEFAULT]
"""Type of an option without a default."""
Flag = Annotated[bool, NO_DEFAULT]
"""Type of an option without a value."""
Device = Literal["auto", "cpu", "cuda", "mps"]
"""Type of ``--device``."""
CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone)
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
    wants_all = "--help-all" in arguments
    wants_help = wants_all or bool({"-h", "--help"} & set(arguments))
    schema, defaults, hidden = _schema(kind, settings, basic if wants_help and not wants_all else None)
    if wants_help:
        text = _help(schema, defaults, command, inspect.getdoc(kind) or "")
        print(text.rstrip() + "\n" + _footer(examples, hidden, f"{command} {target}".rstrip()), end="")
        sys.exit(0)
    parsed = _run(schema, defaults, command, list(arguments), "", target)
    groups = [parsed.pop(title) for title in [*parsed] if title.startswith("group:")]
    options = {name: _expand(value) for name, value in parsed.items() if value is not None}
    return options, {name: _expand(value) for group in groups for name, value in group.items()}


def _expand(value: Any) -> Any:
    """Return a value, a path with the home directory; shells do not replace the ``~`` of ``--out=~/x.png``."""
    return expand_user(value) if isinstance(value, Path) else value


def _schema(kind: type[Any], settings: Any, basic: Sequence[str] | None) -> tuple[Any, dict[str, Any], int]:
    """Return the typed dictionary for tyro, its defaults, and the number of hidden options.

    Parameters
    ----------
    kind : type[Any]
        Dataclass of the options.
    settings : Any
        Dataclass instance of the settings, a list of them, or None.
    basic : Sequence[str] | None
        Names of the settings to show; None shows all options.
    """
    entries: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    hidden = 0
    docs = attribute_docs(kind)
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if basic is not None and _has(hint, ADVANCED):
            hidden += 1
            continue
        entries[field.name] = _option(hint, docs[field.name], field.default, is_flag=True)
        if field.default is False:
            defaults[field.name] = False
    instances = settings if isinstance(settings, list) else [settings] if settings is not None else []
    for instance in instances:
        docs = attribute_docs(type(instance))
        for group, fields in _groups(type(instance)).items():
            shown = {name: hint for name, hint in fields.items() if basic is None or name in basic}
            hidden += len(fields) - len(shown)
            if not shown:
                continue
            options = {
                name: _option(hint, docs[name], getattr(instance, name), is_flag=False) for name, hint in shown.items()
            }
            title = f"group:{group.__name__}"
            nested = _typed_dict(title, options)
            nested.__doc__ = (inspect.getdoc(group) or "").splitlines()[0]
            entries[title] = Annotated[nested, tyro.conf.arg(name=_title(group))]
            defaults[title] = {}
    return _typed_dict("Options", entries), defaults, hidden


def _typed_dict(name: str, entries: dict[str, Any]) -> Any:
    """Return a typed dictionary whose keys are all optional unless they are `Required`."""
    functional: Any = TypedDict  # a type checker accepts literals only
    return functional(name, entries, total=False)


def _groups(kind: type[Any]) -> dict[type[Any], dict[str, Any]]:
    """Return the fields of a dataclass by the class that defines them, base classes first."""
    hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in dataclasses.fields(kind)]
    owners: dict[type[Any], dict[str, Any]] = {}
    for name in names:
        first = next(base for base in reversed(kind.__mro__) if name in vars(base).get("__annotations__", {}))
        owners.setdefault(first, {})[name] = hints[name]
    return owners


def _option(hint: Any, text: str, default: Any, *, is_flag: bool) -> Any:
    """Return the annotation of an option for tyro."""
    parts: tuple[Any, ...] = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    base, extras = parts[0], parts[1:]
    config: Any = next((extra for extra in extras if hasattr(extra, "metavar")), tyro.conf.arg())
    rest = [extra for extra in extras if not isinstance(extra, _Marker) and not hasattr(extra, "metavar")]
    is_required = default is dataclasses.MISSING
    shows_default = not (is_required or default is None or default == "" or _has(hint, NO_DEFAULT) or default == ())
    config = dataclasses.replace(
        config, help=text, help_behavior_hint=f"(default: {_shown(default)})" if shows_default else ""
    )
    if is_flag and base is bool:
        rest += [tyro.conf.FlagCreatePairsOff]
    form: Any = Annotated
    annotated = form[(base, config, *rest)]
    return Required[annotated] if is_required else annotated


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _has(hint: Any, marker: _Marker) -> bool:
    return get_origin(hint) is Annotated and any(extra is marker for extra in get_args(hint)[1:])


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


def _title(group: type[Any]) -> str:
    """Return the title of a group of settings: its own ``TITLE``, or else the words of its class name."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", group.__name__.removesuffix("Settings"))
    return str(vars(group).get("TITLE", words.lower()))


def _help(schema: Any, defaults: Mapping[str, Any], command: str, description: str) -> str:
    """Return the help text of tyro."""
    output = io.StringIO()
    with redirect_stdout(output), suppress(SystemExit):
        _run(schema, defaults, command, ["--help"], description)
    return output.getvalue()


def _footer(examples: Sequence[str], hidden: int, command: str) -> str:
    """Return the end of the help: examples, and how to see the hidden options."""
    lines = ["", "examples:", *(f"  {line}" for line in examples)] if examples else []
    if hidden:
        lines += ["", f"{hidden} more options: firstsight {command} --help-all"]
    return "".join(f"{line}\n" for line in lines)


def _run(
    schema: Any, defaults: Mapping[str, Any], command: str, arguments: list[str], description: str, target: str = ""
) -> dict[str, Any]:
    """Run tyro; turn its complaints into one sentence."""
    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            result: dict[str, Any] = tyro.cli(
                schema,
                prog=f"firstsight {command}",
                args=arguments,
                default=dict(defaults),
                description=description,
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
