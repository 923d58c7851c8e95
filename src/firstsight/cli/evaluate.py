"""``firstsight evaluate``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import Device, Flag, Maybe, parse
from firstsight.errors import UsageError


@dataclass(frozen=True)
class Arguments:
    """Measure a trained network on the test split of a data set.

    A classifier by its right answers; a generator against the pictures; a pose network on people with their joints, by
    average precision as COCO has it, and by correct keypoints: those no farther away than 0.2 of the person's torso.
    For these a picture of one person is measured by its surest pose; in one of several each pose, the surest first,
    goes to the most similar person that is left, of a similarity of 0.5 at least.
    """

    weights: Annotated[Positional[str], tyro.conf.arg(metavar="RUN_OR_WEIGHTS")]
    """A run directory, shipped or published weights (see: firstsight weights list), or a .safetensors file.
    Of a pose network also the published checkpoint_iter_370000.pth."""
    data: Maybe[str] = None
    """Data set: a name or a path (default: what the network was trained on).
    For a pose network a JSON file of COCO keypoints, all of it, or the folder of one."""
    device: Device = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    strict: Flag = False
    """Refuse data with unusable pictures instead of leaving them out."""
    images: Maybe[Path] = None
    """Pose: the folder of the JSON file's pictures (default: beside it, in images or under the file's name)."""
    height: Maybe[int] = None
    """Pose: what pictures are resized to, in pixels (default: the network's own); small people need more."""
    method: Maybe[Literal["fast", "exact"]] = None
    """Pose: how maps become people, from the network's own (fast, the default) or as the published code does."""
    scales: Maybe[str] = None
    """Pose: show each picture in several sizes, and average: 0.5,1,1.5."""
    flip: Flag = False
    """Pose: also show the mirror image, and average."""
    detector: Maybe[str] = None
    """Pose, one person at a time: weights of a bottom-up network that finds people (default: labelled boxes)."""
    limit: Maybe[int] = None
    """Pose: only so many pictures, those with the lowest ids."""
    results: Maybe[Path] = None
    """Pose: write the people that were found to this .json file, as COCO's keypoint results."""
    json: Flag = False
    """Print the result as one JSON document."""


FOR_POSES = ("images", "height", "method", "scales", "flip", "detector", "limit", "results")


def run(argv: list[str]) -> int:
    """Parse, evaluate, print."""
    arguments = parse(Arguments, "evaluate", argv)
    from firstsight.cli.console import log
    from firstsight.weights.classifier import kind_of

    kind = kind_of(arguments.weights, log)
    if kind in ("pose", "top-down"):
        from firstsight.cli import evaluate_pose

        return evaluate_pose.run(arguments)
    for option in FOR_POSES:
        given = getattr(arguments, option)
        if kind and given is not None and given is not False:
            raise UsageError(f"--{option} is for pose networks; {arguments.weights} is a {kind}")
    return _generator(arguments) if kind == "generator" else _classifier(arguments)


def _classifier(arguments: Arguments) -> int:
    from firstsight.cli.console import log, print_json
    from firstsight.engine.device import move
    from firstsight.tasks.classification.predict import evaluate
    from firstsight.weights.classifier import load

    network = load(arguments.weights, notify=log)
    move(arguments.device, network.model)
    found = evaluate(network, arguments.data, strict=arguments.strict)
    for note in found.notes:
        log(f"{found.data}: {note}")
    if arguments.json:
        print_json({"metrics": dict(found.metrics), "n": found.n, "model": found.model, "data": found.data})
    else:
        right = round(found.metrics["accuracy"] * found.n)
        print(
            f"{found.model} on {found.data}: accuracy {found.metrics['accuracy']:.2%} ({right:,} of {found.n:,} images)"
        )
        print(f"loss {found.metrics['loss']:.4f} nats")
    return 0


def _generator(arguments: Arguments) -> int:
    from dataclasses import asdict

    from firstsight.cli.console import log, out, print_json, table
    from firstsight.tasks.classification.evaluate import measure

    found = measure(arguments.weights, arguments.data, strict=arguments.strict, device=arguments.device)
    for note in found.notes:
        log(f"{found.data}: {note}")
    if arguments.json:
        print_json(asdict(found))
        return 0
    shown = table("measure", "value", "what it says", right=("value",))
    for name, value in found.metrics.items():
        shown.add_row(name, f"{value:.4g}", meaning(name))
    for name, shares in found.purities.items():
        what = "purity" if f"{name}_purity" in found.metrics else "share"
        shown.add_row(name, " ".join(f"{share:.2f}" for share in shares), f"the {what} of each of its values")
    screen = out()
    screen.print(
        f"{found.model} on {found.data}: {found.n:,} generated, drawn {found.draws} times,"
        f" against {found.n:,} test pictures"
    )
    screen.print(shown)
    screen.print(
        f"features of {found.reference} (SHA-256 {found.sha256[:12]}); not to be compared with other N or features"
    )
    return 0


MEANINGS = {
    "frechet": "distance to real pictures, less is better",
    "frechet_sd": "standard deviation of one draw of N pictures; the distance is the mean over draws",
    "frechet_floor": "the same of training pictures: what to come near to",
    "precision": "share of generated pictures that lie among real ones",
    "recall": "share of real pictures that lie among generated ones",
    "density": "how deep generated pictures lie among real ones",
    "coverage": "share of real pictures with a generated neighbour",
    "modes": "classes that at least one picture in a hundred shows",
    "kl": "KL divergence of the classes made from the real ones, in nats",
    "sure": "mean probability of the judge's answers",
    "c1_asked": "share of the pictures that are of the class asked for, mean over the classes",
    "q_error": "share of test pictures that Q puts into a wrong category, one for each class",
    "q_error_majority": "the same, with several categories for a class",
}
SHAPES = {"slant": "how far a digit leans", "width": "how wide it is", "stroke": "how wide its strokes are"}


def meaning(name: str) -> str:
    """What a measure of a generator says, in a line."""
    if name.endswith("_purity"):
        return (
            f"share of the pictures of a value of {name.partition('_')[0]} that are of one class, mean over its values"
        )
    code, _, shape = name.partition("_")
    if shape in SHAPES:
        who = f"the best mixture of {code.replace('-', ' to ')}" if "-" in code else code
        return f"correlation of {who} with {SHAPES[shape]}"
    return MEANINGS[name]
