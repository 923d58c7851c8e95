"""``firstsight weights``: list, get, import."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import Flag, Maybe, parse
from firstsight.errors import UsageError, unknown_name

USAGE = """usage: firstsight weights {list,get,import} [options]

Trained weights: those inside the package, those that others published, trained on ImageNet, and your own.

  firstsight weights list                               what there is, what it reaches, where it lies
  firstsight weights get resnet34                       download, verify, store
  firstsight weights import FILE --model resnet34       the same from a .pth or .safetensors file on this machine

  firstsight weights list --help, ... get --help, ... import --help    the options of each

Stored weights are used by their name: firstsight predict resnet34 PHOTO
They lie in $FIRSTSIGHT_HOME/weights (by default ~/.cache/firstsight/weights).
"""


NO_POSE = dict.fromkeys(("skeleton", "joints", "parameters", "folded", "ap", "pck"))
"""What is told of pose networks only."""


@dataclass(frozen=True)
class ListArguments:
    """The weights there are, shipped, published or imported: what each reaches, where it lies."""

    json: Flag = False
    """Print as one JSON document."""


@dataclass(frozen=True)
class GetArguments:
    """Download published weights, check them against the hash in their file's name, store them with their card."""

    name: Annotated[Positional[str], tyro.conf.arg(metavar="NAME")]
    """A network with published weights, like resnet34 (see: firstsight weights list)."""
    json: Flag = False
    """Print the result as one JSON document."""


@dataclass(frozen=True)
class ImportArguments:
    """Store weights from a file of torch.save, or a .safetensors file, with a card; nothing in it is executed.

    1000 classes are taken as ImageNet's and stored as MODEL-imagenet; any others as MODEL-FILE. Pictures are prepared
    as for the published weights. A hash in the file's name is checked.
    """

    file: Annotated[Positional[Path], tyro.conf.arg(metavar="FILE")]
    """The file; the names of its tensors are torchvision's."""
    model: str
    """The network, like resnet34 (see: firstsight weights list)."""
    variant: Maybe[str] = None
    """paper or torchvision, for the networks that have both."""
    classes: Maybe[Path] = None
    """A text file with the names of the classes, one a line (default: ImageNet's, or class 0, class 1, ...)."""
    out: Maybe[Path] = None
    """Write here (.safetensors) instead of where it is found by its name."""
    json: Flag = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Dispatch to one of the three."""
    if argv and argv[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if not argv or argv[0].startswith("-"):
        raise UsageError("missing: list, get or import (see: firstsight weights --help)")
    actions = {"list": _list, "get": _get, "import": _import}
    if argv[0] not in actions:
        raise unknown_name("action", argv[0], actions, "see: firstsight weights --help")
    return actions[argv[0]](argv[1:])


def _list(argv: list[str]) -> int:
    arguments = parse(ListArguments, "weights list", argv)
    from firstsight.cli.console import out, print_json, table
    from firstsight.weights.bundled import cache_dir
    from firstsight.weights.table import TERMS

    lines = [*_shipped(), *_published(), *_imported()]
    if arguments.json:
        print_json(lines)
        return 0
    shown = table("weights", "result", "of", "where", right=("result",))
    for line in lines:
        shown.add_row(line["name"], _result(line), _measured(line), _where(line))
    console = out()
    console.print(shown)
    print(f"\nPublished weights: {TERMS}. Their accuracy is what torchvision states.")
    print(f"firstsight weights get NAME stores them in {cache_dir()}; firstsight weights import FILE does from a file.")
    return 0


def _result(line: dict[str, Any]) -> str:
    if line["skeleton"] is not None:
        reached = [
            f"{name} {line[key]:.1%}" for name, key in (("AP", "ap"), ("PCK@0.2", "pck")) if line[key] is not None
        ]
        return ", ".join(reached) or "-"
    if line["frechet"] is not None:
        return f"Frechet {line['frechet']:.1f}"
    return f"{line['accuracy']:.2%}" if line["accuracy"] is not None else "-"


def _measured(line: dict[str, Any]) -> str:
    if line["skeleton"] is not None:
        folded = " without batch norms" if line["folded"] else ""
        size = f"{line['skeleton']}, {line['joints']} joints, {line['parameters']:,} parameters{folded}"
        return f"{line['data'] or 'not known'}; pose: {size}"
    if line["kind"] == "shipped":
        return f"{line['data']}, test images"
    return "ImageNet, as published" if line["accuracy"] is not None else "not known"


def _where(line: dict[str, Any]) -> str:
    if line["kind"] == "shipped":
        return "inside the package"
    if not line["path"]:
        return f"not here; get downloads {line['megabytes']:.0f} MB"
    return "stored" if line["usable"] else "stored, but damaged: remove it"


def _shipped() -> list[dict[str, Any]]:
    from firstsight.weights.bundled import bundled

    return [_line(path, kind="shipped") for path in bundled().values()]


def _published() -> list[dict[str, Any]]:
    from firstsight.weights.bundled import cached
    from firstsight.weights.table import PUBLISHED, TERMS

    kept, lines = cached(), []
    for entry in PUBLISHED.values():
        facts = {"file": entry.file, "address": entry.url, "megabytes": entry.megabytes, "terms": TERMS}
        line = {
            "name": entry.name, "kind": "published", "model": entry.model, "classes": 1000, "data": "imagenet",
            "accuracy": round(entry.accuracy / 100, 5), "frechet": None, "path": None, "usable": False, **NO_POSE,
        }  # fmt: skip
        if entry.name in kept:
            line = _line(kept[entry.name], kind="published")
        lines.append(line | facts)
    return lines


def _imported() -> list[dict[str, Any]]:
    from firstsight.weights.bundled import cached
    from firstsight.weights.table import PUBLISHED

    names = {entry.name for entry in PUBLISHED.values()}
    return [_line(path, kind="imported") for name, path in cached().items() if name not in names]


def _line(path: Path, *, kind: str) -> dict[str, Any]:
    """What the card of a weights file says."""
    from firstsight.weights.bundled import card_of, parameters_of

    card = card_of(path)
    about: dict[str, Any] = card["about"] if card else {}
    metrics = about.get("metrics", {})
    line = {
        "name": path.stem, "kind": kind, "model": card["model"] if card else None,
        "classes": len(card.get("classes", about.get("classes", ()))) if card else None, "data": about.get("data"),
        "accuracy": metrics.get("accuracy", about.get("published_accuracy")), "frechet": metrics.get("frechet"),
        "path": str(path), "usable": card is not None, **NO_POSE,
    }  # fmt: skip
    if card and card.get("kind") in ("pose", "top-down"):
        joints = card["skeleton"]["keypoints"]
        line |= {
            "skeleton": card["skeleton"].get("skeleton_name", "its own"), "joints": len(joints),
            "parameters": parameters_of(path), "folded": bool(card.get("folded")),
            "ap": metrics.get("ap"), "pck": metrics.get("pck"),
        }  # fmt: skip
    return line


def _get(argv: list[str]) -> int:
    arguments = parse(GetArguments, "weights get", argv)
    from firstsight.cli.console import log
    from firstsight.weights.published import get

    return _tell(get(arguments.name, notify=log), as_json=arguments.json)


def _import(argv: list[str]) -> int:
    arguments = parse(ImportArguments, "weights import", argv)
    from firstsight.cli.console import log
    from firstsight.weights.published import import_weights
    from firstsight.weights.table import read_classes

    classes = read_classes(arguments.classes) if arguments.classes else None
    path = import_weights(
        arguments.file, arguments.model, variant=arguments.variant, classes=classes, out=arguments.out, notify=log
    )
    return _tell(path, as_json=arguments.json)


def _tell(path: Path, *, as_json: bool) -> int:
    from firstsight.cli.console import print_json
    from firstsight.weights.bundled import cached, card_of

    card = card_of(path)
    assert card is not None
    about = card["about"]
    name = path.stem if cached().get(path.stem) == path else str(path)
    if as_json:
        facts = {"name": name, "path": str(path), "model": card["model"], "classes": len(card["classes"])}
        print_json(facts | {key: about.get(key) for key in ("source", "sha256", "terms", "published_accuracy")})
        return 0
    reaches = about.get("published_accuracy")
    told = f", {reaches:.2%} on ImageNet as published" if reaches is not None else ""
    print(f"{name}: {card['model']}, {len(card['classes']):,} classes{told}; from {about['source']}")
    print(f"stored at {path}")
    print(f"terms: {about['terms']}")
    print(f"use it: firstsight predict {name} PHOTO")
    return 0
