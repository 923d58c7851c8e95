"""``firstsight generate``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional

from firstsight.cli.parse import NO_DEFAULT, Device, Flag, Maybe, parse
from firstsight.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from firstsight.tasks.gan.generate import ImageGrid
    from firstsight.weights.generator import Generator


NEEDS = {"--steps": "--interpolate", "--path": "--interpolate", "--data": "--nearest"}
"""Options that mean nothing without another."""
CONFLICTS = (
    ("--n", "--interpolate", "--steps says how many pictures"),
    ("--seed", "--interpolate", "the way is from one of its two seeds to the other"),
    ("--n", "--arithmetic", "it makes one sheet"),
    ("--nearest", "--interpolate", "it is for samples"),
    ("--nearest", "--arithmetic", "it is for samples"),
)
"""Options that mean nothing beside another, and why."""


@dataclass(frozen=True)
class Arguments:
    """Make pictures with a trained generator: samples, sweeps of its codes, paths between two, sums of classes."""

    generator: Annotated[Positional[str], tyro.conf.arg(metavar="RUN_OR_WEIGHTS")]
    """A run directory, shipped weights (see: firstsight weights list), or a .safetensors file."""
    n: Maybe[int] = None
    """How many pictures (default: 64, with --nearest 16; a sweep of codes has as many as it needs)."""
    seed: int = 0
    """Where the noise starts; the same seed gives the same pictures."""
    label: Annotated[str | None, tyro.conf.arg(name="class", help_behavior_hint="")] = None
    """Only of this class (infogan: by its table of codes; others if trained with --conditional)."""
    code: Annotated[str, NO_DEFAULT] = ""
    """Set codes: c1=3 a category (or --class), c2=-1..1 all values of a continuous code across a row."""
    interpolate: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="SEED SEED", help_behavior_hint="")] = None
    """The way from the picture of one seed to that of another; not digits or classes (those are --class, --code)."""
    steps: int = 12
    """With --interpolate: pictures on the way, both ends included."""
    path: Literal["slerp", "linear"] = "slerp"
    """With --interpolate: along the sphere on which the noise lies, or straight."""
    arithmetic: Maybe[str] = None
    """Sums and differences of classes: "7 - 1 + 0" (of a generator without codes)."""
    nearest: int = 0
    """Below each row, show so many of the nearest training images: did it memorise?"""
    data: Maybe[str] = None
    """With --nearest: the training images (default: what it was trained on)."""
    device: Device = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    out: Path = Path("generated.png")
    """Where to: a .png with all of them, a .gif that shows them in turn, or a folder for a file each."""
    json: Flag = False
    """Print what was made as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, generate, write, print."""
    arguments = parse(Arguments, "generate", argv)
    _check(arguments, [word.split("=")[0] for word in argv])
    from firstsight.cli.console import log, print_json
    from firstsight.engine.device import move
    from firstsight.tasks.gan.generate import judge_of
    from firstsight.weights.generator import load_generator

    made = load_generator(arguments.generator, notify=log)
    move(arguments.device, made.model)
    sheet = _make(arguments, made)
    for note in sheet.notes:
        log(note)
    files = _write(arguments, made, sheet)
    about = made.card["about"]
    if arguments.json:
        reference = judge_of(made)
        seen = reference.look(sheet.images) if reference.in_domain else None
        pictures = [
            {
                "codes": codes,
                "class": about["classes"][int(seen.labels[i])] if seen else None,
                "probability": round(float(seen.sure[i]), 4) if seen else None,
            }
            for i, codes in enumerate(_codes(made, sheet.z))
        ]
        print_json(
            {
                "generator": made.card["model"], "recipe": about["recipe"], "seed": arguments.seed,
                "files": [str(file) for file in files], "pictures": pictures, "notes": list(sheet.notes),
            }
        )  # fmt: skip
        return 0
    many = f"{files[0]} to {files[-1].name}" if len(files) > 1 else str(files[0])
    size = "x".join(map(str, sheet.images.shape[2:]))
    count = f"{len(sheet.images)} picture{'s' * (len(sheet.images) != 1)}"
    print(f"{count} of {size} by {made.card['model']} ({about['recipe']}): {many}")
    return 0


def _codes(made: "Generator", z: "Tensor") -> list[list[int | float | None]]:
    """The codes of each latent vector; None for a category that is between two, as on the way to another picture."""
    chosen, values = made.latent.codes(z)
    _, *parts = z.split((made.latent.noise, *made.latent.categories, made.latent.continuous), dim=1)
    pure = [part.amax(1) == 1 for part in parts[:-1]]
    return [
        [
            *(int(code[i]) if sure[i] else None for code, sure in zip(chosen, pure, strict=True)),
            *(round(float(value), 4) for value in values[i]),
        ]
        for i in range(len(z))
    ]


def _check(arguments: Arguments, given: list[str]) -> None:
    """Refuse what cannot be meant; ``given`` are the words of the command line, without values after "="."""
    from firstsight.tasks.settings import Settings

    kinds = {
        "--class": arguments.label is not None, "--code": bool(arguments.code),
        "--interpolate": arguments.interpolate is not None, "--arithmetic": arguments.arithmetic is not None,
    }  # fmt: skip
    asked = [name for name, wanted in kinds.items() if wanted]
    if len(asked) > 1 and asked != ["--class", "--code"]:
        raise UsageError(f"{' and '.join(asked)} cannot be asked for at once; choose one")
    if given.count("--code") > 1:
        raise UsageError("--code is given twice; write all codes in one, as in c1=3..5,c2=-1..1")
    for option, other in NEEDS.items():
        if option in given and other not in given:
            raise UsageError(f"{option} goes with {other}, which was not asked for")
    for option, other, why in CONFLICTS:
        if option in given and other in given:
            raise UsageError(f"{option} does not go with {other}: {why}")
    if not 0 <= arguments.nearest <= 20:
        raise UsageError(f"--nearest must lie between 0 and 20; got {arguments.nearest}")
    least, most = Settings.LIMITS["seed"]
    for seed in (arguments.seed, *(arguments.interpolate or ())):
        if not least <= seed <= most:
            raise UsageError(f"a seed must lie between {least} and {most}; got {seed}")
    suffix = arguments.out.suffix.lower()
    if arguments.nearest and suffix != ".png":
        raise UsageError(f"--nearest is drawn in one sheet, a .png; got {arguments.out}")
    if suffix not in ("", ".png", ".gif"):
        raise UsageError(f"--out must be a .png, a .gif or a folder; got {arguments.out}")
    if suffix and not arguments.out.parent.is_dir():
        raise UsageError(f"--out {arguments.out}: there is no folder {arguments.out.parent}")


def _make(arguments: Arguments, made: "Generator") -> "ImageGrid":
    from firstsight.tasks.gan import generate

    if arguments.interpolate:
        a, b = arguments.interpolate
        return generate.interpolate(made, a, b, steps=arguments.steps, path=arguments.path)
    if arguments.arithmetic is not None:
        return generate.latent_arithmetic(made, arguments.arithmetic, seed=arguments.seed)
    n = arguments.n if arguments.n is not None else 16 if arguments.nearest else 64
    return generate.generate(made, n, seed=arguments.seed, label=arguments.label, codes=arguments.code)


def _write(arguments: Arguments, made: "Generator", sheet: "ImageGrid") -> list[Path]:
    """One sheet, one animation, or a file for every picture."""
    from PIL import Image

    from firstsight import plots
    from firstsight.cli.console import log
    from firstsight.tasks.gan.generate import add_nearest_neighbors

    out, images = arguments.out, sheet.images.numpy()
    if out.suffix.lower() == ".gif":
        out.write_bytes(plots.gif([plots.tile_png(image[None], 1) for image in images]))
    elif out.suffix:
        columns, rows = sheet.columns, sheet.rows
        if arguments.nearest:
            sheet = add_nearest_neighbors(made, sheet, arguments.nearest, arguments.data)
            images, rows = sheet.images.numpy(), sheet.rows
        if rows or sheet.heads:
            out.write_bytes(plots.png(plots.sheet(images, columns, rows=rows, heads=sheet.heads)))
        else:
            out.write_bytes(plots.tile_png(images, columns, smallest=plots.ALONE))
    else:
        out.mkdir(parents=True, exist_ok=True)
        files = [out / f"{i:05d}.png" for i in range(len(images))]
        if others := len(set(out.iterdir()) - set(files)):
            log(f"{out} also holds {f'{others} files' if others > 1 else 'a file'} from before")
        for file, image in zip(files, images, strict=True):
            Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(file)
        return files
    return [out]
