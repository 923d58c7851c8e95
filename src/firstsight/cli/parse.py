"""Arguments into a dataclass with tyro; its errors as one sentence."""

import io
import itertools
import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import Annotated, Literal, TypeVar

import tyro

from firstsight.errors import UsageError

T = TypeVar("T")
CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone)
NO_DEFAULT = tyro.conf.arg(help_behavior_hint="")
"""For options whose text says what happens without them: no default is added to it."""
Maybe = Annotated[T | None, NO_DEFAULT]
"""What an option holds that need not be given."""
Flag = Annotated[bool, NO_DEFAULT]
"""An option without a value."""
Device = Literal["auto", "cpu", "cuda", "mps"]
"""What ``--device`` may be."""
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
"""What Python says of a value, and how it is told."""
BORDER = re.compile(r"[│╭╮╰╯─┌┐└┘|]+")


def parse(kind: type[T], command: str, arguments: Sequence[str], *, default: T | None = None, pairs: bool = False) -> T:
    """Parse ``arguments`` into ``kind``; ``--help`` prints and exits.

    Parameters
    ----------
    pairs : bool
        Every flag has a ``--no-...`` beside it, for flags that are on by default.

    Raises
    ------
    UsageError
        Unknown options, impossible values, missing arguments - in one sentence with the close matches.
    """
    complaint = io.StringIO()
    config = CONFIG if pairs else (*CONFIG, tyro.conf.FlagCreatePairsOff)
    try:
        with redirect_stderr(complaint):
            prog, given = f"firstsight {command}", list(arguments)
            if default is None:
                return tyro.cli(kind, prog=prog, args=given, config=config)
            return tyro.cli(kind, prog=prog, args=given, config=config, default=default)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UsageError(f"{_sentence(complaint.getvalue())} (see: firstsight {command} --help)") from None


def scales_of(text: str) -> tuple[float, ...]:
    """The numbers of ``--scales``.

    Raises
    ------
    UsageError
        They are none.

    >>> scales_of("0.5,1")
    (0.5, 1.0)
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--scales {text}: not understood; write numbers with commas, as in 0.5,1,1.5") from None


def _sentence(text: str) -> str:
    """What tyro says in a box, as a sentence: the complaint, and the options it would rather have seen."""
    lines = [BORDER.sub("", raw).strip() for raw in text.splitlines()][1:]
    body = [line for line in lines if line and not line.startswith(("For full helptext", "firstsight "))]
    if not body:
        return "the arguments cannot be understood"
    said = " ".join(itertools.takewhile(bool, lines))  # up to an empty line or a rule
    for pattern, plain in REWRITES:
        said = pattern.sub(plain, said)
    if said.startswith("Missing from"):
        return f"missing: {' '.join(body[1:2])}"
    meant = (
        [line.split()[0].rstrip(",") for line in body[1:] if line.startswith("--")]
        if "Perhaps you meant:" in body
        else []
    )
    hint = f"; did you mean {' or '.join(dict.fromkeys(meant))}?" if meant else ""
    said = said[0].lower() + said[1:]
    if said.startswith("unrecognized options: "):  # not their values
        said = ", ".join(word for word in said.split(", ") if word.startswith(("-", "unrecognized options: ")))
    return said.removeprefix("error ").rstrip(".") + hint
