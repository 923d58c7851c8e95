"""Write the keyword arguments of `firstsight.train`: recipes/train_settings.py and recipes/signature.pyi.

    python tools/make_train_settings.py [--check]

Editors complete these names, and a type checker rejects an unknown one. They are the fields of the settings of all
kinds of tasks; a field that has another type in another task gets the union. The first file has them as a TypedDict.
The second one has the signature of `train` with all of them, for editors that do not look into a TypedDict (Jedi).
--check writes nothing and fails if a file is out of date.
"""

import argparse
import inspect
import sys
import textwrap
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

from firstsight.cli.help import attribute_docs
from firstsight.recipes.train import train
from firstsight.tasks.spec import TASKS

PATHS = ("data", "weights")
"""Settings that may be a path."""
TARGET = Path(__file__).parents[1] / "src/firstsight/recipes/train_settings.py"
STUB = TARGET.with_name("signature.pyi")
INDENT = " " * 4
STUB_HEADER = '''"""Signature of `firstsight.train`. Written by tools/make_train_settings.py; do not edit."""

from pathlib import Path
from typing import Literal

from firstsight.arguments import HasRun
from firstsight.engine.device import Device
from firstsight.engine.loop import Callback
from firstsight.recipes.train import TrainResult

def train(
'''
HEADER = '''"""Keyword arguments of `firstsight.train`. Written by tools/make_train_settings.py; do not edit."""

from pathlib import Path
from typing import Literal, TypedDict

from firstsight.arguments import HasRun


class TrainSettings(TypedDict, total=False):
    """Settings of a training of any kind; missing ones keep the value of the recipe."""

'''


def settings_fields() -> dict[str, tuple[str, str]]:
    """Return the annotation and the description of every setting."""
    types: dict[str, list[object]] = {}
    docs: dict[str, str] = {}
    for spec in TASKS.values():
        settings = spec.resolve("settings")
        for name, hint in get_type_hints(settings).items():
            if name.isupper():
                continue
            types.setdefault(name, [])
            types[name] += [each for each in _members(hint) if each not in types[name]]
            docs.setdefault(name, attribute_docs(settings)[name])
    fields = {}
    for name, members in types.items():
        literals = [member for member in members if not isinstance(member, type)]
        parts = [member.__name__ for member in members if isinstance(member, type)]
        if literals:
            parts.append(f"Literal[{', '.join(map(_quoted, literals))}]")
        if name in PATHS:
            parts.append("Path")
        if name == "weights":
            parts.append("HasRun")
        fields[name] = (" | ".join(parts), docs[name])
    return fields


def text() -> str:
    """Return the content of the file with the TypedDict."""
    lines = []
    for name, (annotation, doc) in settings_fields().items():
        lines += [
            f"    {name}: {annotation}",
            textwrap.fill(f'"""{doc}"""', 120, initial_indent=INDENT, subsequent_indent=INDENT),
        ]
    return HEADER + "\n".join(lines) + "\n"


def stub() -> str:
    """Return the content of the stub file."""
    lines = ["recipe: str", "*"]
    function = inspect.getsource(train)
    own = function[function.index("    *,\n") + 7 : function.index("    **settings")]
    lines += [line.strip().rstrip(",") for line in own.splitlines()]
    lines += [f"{name}: {annotation} = ..." for name, (annotation, _) in settings_fields().items()]
    return STUB_HEADER + "".join(f"{INDENT}{line},\n" for line in lines) + ") -> TrainResult: ...\n"


def _members(hint: object) -> list[object]:
    """Return the members of a union, and the values of a Literal."""
    return list(get_args(hint)) if get_origin(hint) is not None else [hint]


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def main() -> int:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        return int(TARGET.read_text(encoding="utf-8") != text() or STUB.read_text(encoding="utf-8") != stub())
    TARGET.write_text(text(), encoding="utf-8")
    STUB.write_text(stub(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
