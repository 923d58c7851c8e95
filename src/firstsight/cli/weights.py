"""``firstsight weights``: list, get, import."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import Flag, Maybe, parse
from firstsight.errors import UsageError, WeightsError, unknown_name

USAGE = """usage: firstsight weights {list,get,import} [options]

List trained weights, download published ones, import a file of PyTorch.

examples:
  firstsight weights list                            list bundled, published and imported weights
  firstsight weights get resnet34                    download published weights, verify and store them
  firstsight weights import FILE --model resnet34    the same from a .pth or .safetensors file

  firstsight weights list --help, ... get --help, ... import --help    the options of each

Use cached weights by their name: firstsight predict resnet34 PHOTO
They are stored in $FIRSTSIGHT_HOME/weights (default: ~/.cache/firstsight/weights).
"""

LIST_EXAMPLES = ("firstsight weights list", "firstsight weights list --json")
GET_EXAMPLES = ("firstsight weights get resnet34", "firstsight weights get openpose-mobilenet")
IMPORT_EXAMPLES = (
    "firstsight weights import resnet34-b627a593.pth --model resnet34",
    "firstsight weights import human-pose-estimation-0001.xml",
)


EMPTY: dict[str, Any] = {
    "name": "", "source": "", "kind": "not known", "model": None, "data": None, "classes": None, "metrics": {},
    "parameters": None, "skeleton": None, "joints": None, "path": None, "usable": False, "error": None,
}  # fmt: skip
"""Entry of weights of which nothing is known."""

WIDE = 140
"""Width of a terminal, in characters, from which the list has the data that weights were evaluated on."""


@dataclass(frozen=True)
class ListArguments:
    """List the weights, bundled, published or imported, with their result and location."""

    json: Flag = False
    """Print as one JSON document."""


@dataclass(frozen=True)
class GetArguments:
    """Download published weights, verify the hash in the file name, and store them with a card."""

    name: Annotated[Positional[str], tyro.conf.arg(metavar="NAME")]
    """A network with published weights, like resnet34 or openpose-mobilenet (see: firstsight weights list)."""
    json: Flag = False
    """Print the result as one JSON document."""


@dataclass(frozen=True)
class ImportArguments:
    """Import weights from a file of torch.save, a .safetensors file or an OpenVINO file, and store them with a card.

    Nothing in the file is executed. 1000 classes are taken to be those of ImageNet and stored as MODEL-imagenet, others
    as MODEL-FILE. Images are preprocessed as for the published weights. A hash in the file name is verified. Published
    weights of lightweight OpenPose, human-pose-estimation-0001.xml with its .bin file or checkpoint_iter_370000.pth,
    need no --model.
    """

    file: Annotated[Positional[Path], tyro.conf.arg(metavar="FILE")]
    """File whose tensors have the names of torchvision, or published weights of lightweight OpenPose."""
    model: Maybe[str] = None
    """The network, like resnet34 (see: firstsight weights list)."""
    variant: Maybe[str] = None
    """Variant of a network with several, such as paper of alexnet; firstsight models lists them."""
    classes: Maybe[Path] = None
    """Text file with the names of the classes, one per line (default: those of ImageNet, or class 0, class 1, ...)."""
    out: Maybe[Path] = None
    """Write to this .safetensors file instead of the folder of cached weights."""
    force: Flag = False
    """Replace an existing file, also weights that were imported from another file."""
    no_verify: Flag = False
    """Import an OpenVINO file whose SHA-256 is not a published one."""
    json: Flag = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Run one of the three actions."""
    if argv and argv[0] in ("-h", "--help"):
        from firstsight.cli.console import say

        say(*USAGE.splitlines())
        return 0
    if not argv or argv[0].startswith("-"):
        raise UsageError("missing: list, get or import (see: firstsight weights --help)")
    actions = {"list": _list, "get": _get, "import": _import}
    if argv[0] not in actions:
        raise unknown_name("action", argv[0], actions, "see: firstsight weights --help")
    return actions[argv[0]](argv[1:])


def _list(argv: list[str]) -> int:
    arguments = parse(ListArguments, "weights list", argv, examples=LIST_EXAMPLES)
    from firstsight.cli.console import print_json, print_table, say, table, table_width
    from firstsight.data.fetch import find_home
    from firstsight.weights.table import TERMS

    entries = [*_bundled(), *_published(), *_imported()]
    if arguments.json:
        print_json(entries)
        return 0
    is_wide = table_width() >= WIDE
    rows = table("weights", "kind", "result", *(["evaluated on"] if is_wide else []), "location")
    for entry in entries:
        data = [_evaluated_on(entry)] if is_wide else []
        rows.add_row(entry["name"], entry["kind"], _result(entry), *data, _location(entry))
    print_table(rows, "result", "kind")
    say("" if is_wide else f"The data of the results: --json, or a terminal of {WIDE} columns.")
    for entry in entries:
        if entry["error"]:
            say(f"{entry['error']}; remove or replace this file")
    say(f"Published weights: {TERMS}. Their accuracy is as stated by torchvision.")
    home = find_home()
    folder = home / "weights" if home else "the weights folder of FIRSTSIGHT_HOME, which is not set"
    say(f"firstsight weights get NAME stores them in {folder}; firstsight weights import FILE reads a file.")
    return 0


def _result(entry: dict[str, Any]) -> str:
    """Return the metrics by which weights of this kind are compared."""
    from firstsight.tasks.spec import TASKS

    results = next((spec.results for spec in TASKS.values() if spec.title == entry["kind"]), ())
    values = [f"{m.label} {entry['metrics'][m.key]:{m.format}}" for m in results if m.key in entry["metrics"]]
    return ", ".join(values) or "-"


def _evaluated_on(entry: dict[str, Any]) -> str:
    if entry["skeleton"] is not None:
        return f"{entry['data'] or 'not known'}; {entry['skeleton']}, {entry['joints']} keypoints"
    if entry["source"] == "bundled":
        return f"{entry['data']}, test images"
    return "ImageNet, as published" if entry["metrics"] else "not known"


def _location(entry: dict[str, Any]) -> str:
    if entry["source"] == "bundled":
        return "in the package"
    if not entry["path"]:
        size = f" {entry['megabytes']:.0f} MB" if entry["megabytes"] else ""
        return f"download{size}"
    return "stored" if entry["usable"] else "not usable"


def _bundled() -> list[dict[str, Any]]:
    from firstsight.weights.bundled import bundled

    return [_entry(path, source="bundled") for path in bundled().values()]


def _published() -> list[dict[str, Any]]:
    from firstsight.weights.bundled import cached
    from firstsight.weights.pose_table import MODEL, PUBLISHED_POSE
    from firstsight.weights.table import PUBLISHED, TERMS

    in_cache, entries = cached(), []
    for source in PUBLISHED_POSE.values():
        entry = EMPTY | {
            "name": source.name,
            "source": "published",
            "kind": "bottom-up pose network",
            "model": MODEL,
            "data": "coco",
            "metrics": {"ap": source.ap},
            "skeleton": "openpose-18",
            "joints": 18,
        }
        if source.name in in_cache:
            entry = _entry(in_cache[source.name], source="published")
        facts = {
            "file": source.files[0].name,
            "url": source.url + source.files[0].name,
            "megabytes": source.megabytes,
            "terms": source.terms,
        }
        entries.append(entry | facts)
    for info in PUBLISHED.values():
        entry = EMPTY | {
            "name": info.name,
            "source": "published",
            "kind": "classifier",
            "model": info.model,
            "data": "imagenet",
            "classes": 1000,
            "metrics": {"accuracy": round(info.accuracy / 100, 5)},
        }
        if info.name in in_cache:
            entry = _entry(in_cache[info.name], source="published")
        facts = {"file": info.file, "url": info.url, "megabytes": info.megabytes, "terms": TERMS}
        entries.append(entry | facts)
    return entries


def _imported() -> list[dict[str, Any]]:
    from firstsight.weights.bundled import cached
    from firstsight.weights.pose_table import PUBLISHED_POSE
    from firstsight.weights.table import PUBLISHED

    published = {*(info.name for info in PUBLISHED.values()), *PUBLISHED_POSE}
    return [_entry(path, source="imported") for name, path in cached().items() if name not in published]


def _entry(path: Path, *, source: str) -> dict[str, Any]:
    """Return what the card of a weights file says."""
    from firstsight.tasks.spec import task_of_card
    from firstsight.weights.bundled import parameters_of, read_card

    entry = EMPTY | {"name": path.stem, "source": source, "path": str(path)}
    try:
        card = read_card(path)
        kind, parameters = task_of_card(card["kind"], path).title, parameters_of(path)
    except WeightsError as error:
        return entry | {"error": str(error)}
    about = card["about"]
    metrics = dict(about.get("metrics", {}))
    for published, metric in (("published_accuracy", "accuracy"), ("published_ap", "ap")):
        if about.get(published) is not None:
            metrics.setdefault(metric, about[published])
    entry |= {
        "kind": kind,
        "model": card["model"],
        "data": about.get("data"),
        "classes": _count(card.get("classes", about.get("classes", []))),
        "metrics": metrics,
        "parameters": parameters,
        "usable": True,
    }
    skeleton = card.get("skeleton")
    if isinstance(skeleton, dict):
        entry |= {"skeleton": skeleton.get("skeleton_name", "custom"), "joints": _count(skeleton.get("keypoints"))}
    return entry


def _count(values: Any) -> int | None:
    """Return the length of a list; None for an entry of another type, which the card of a new kind of task may have."""
    return len(values) if isinstance(values, list) else None


def _get(argv: list[str]) -> int:
    arguments = parse(GetArguments, "weights get", argv, examples=GET_EXAMPLES)
    from firstsight.cli.console import log
    from firstsight.cli.names import check_published

    check_published(arguments.name)
    from firstsight.weights.published import get

    return _print_stored(get(arguments.name, notify=log), as_json=arguments.json)


def _import(argv: list[str]) -> int:
    arguments = parse(ImportArguments, "weights import", argv, examples=IMPORT_EXAMPLES)
    from firstsight.cli.outputs import check_outputs

    if arguments.out is not None:
        inputs, suffixes = [arguments.file, arguments.classes], (".safetensors",)
        check_outputs([arguments.out], inputs=inputs, force=arguments.force, suffixes=suffixes, makes_folder=True)
    from firstsight.cli.console import log
    from firstsight.cli.names import check_published
    from firstsight.weights.pose_table import MODEL

    if arguments.model not in (None, MODEL):
        check_published(arguments.model)
    from firstsight.weights.published import import_weights
    from firstsight.weights.published_pose import import_pose, is_pose_file
    from firstsight.weights.table import read_classes

    if arguments.model == MODEL or (arguments.model is None and is_pose_file(arguments.file)):
        path = import_pose(
            arguments.file, out=arguments.out, force=arguments.force, verify=not arguments.no_verify, notify=log
        )
        return _print_stored(path, as_json=arguments.json)
    if arguments.model is None:
        raise UsageError("missing: --model; name the network of the weights (see: firstsight weights list)")
    classes = read_classes(arguments.classes) if arguments.classes else None
    path = import_weights(
        arguments.file,
        arguments.model,
        variant=arguments.variant,
        classes=classes,
        out=arguments.out,
        force=arguments.force,
        notify=log,
    )
    return _print_stored(path, as_json=arguments.json)


def _print_stored(path: Path, *, as_json: bool) -> int:
    """Print what is known of a stored file."""
    from firstsight.cli.console import print_json, say
    from firstsight.weights.bundled import cached, read_card

    card = read_card(path)
    about = {"source": "an unknown source", "terms": "not known", **card["about"]}
    name = path.stem if cached().get(path.stem) == path else str(path)
    if as_json:
        facts = {"name": name, "path": str(path), "model": card["model"]}
        if "classes" in card:
            facts["classes"] = len(card["classes"])
        keys = ("source", "sha256", "terms", "published_accuracy", "published_ap", "measured")
        print_json(facts | {key: about.get(key) for key in keys})
        return 0
    if "skeleton" in card:
        outputs, command = f"{len(card['skeleton']['keypoints'])} keypoints", f"firstsight pose PHOTO --model {name}"
        ap = about.get("published_ap")
        published = f", AP {ap:.3f} on COCO as published" if ap is not None else ""
    else:
        outputs, command = f"{len(card['classes']):,} classes", f"firstsight predict {name} PHOTO"
        accuracy = about.get("published_accuracy")
        published = f", {accuracy:.2%} on ImageNet as published" if accuracy is not None else ""
    say(f"{name}: {card['model']}, {outputs}{published}; from {about['source']}")
    say(f"stored at {path}")
    if "measured" in about:
        say(f"measured: {about['measured']}")
    say(f"terms: {about['terms']}")
    say(f"use it: {command}")
    return 0
