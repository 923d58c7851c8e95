"""``firstsight generate``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from firstsight.cli.names import check_weights
from firstsight.cli.parse import ADVANCED, NO_DEFAULT, Device, Flag, Maybe, parse
from firstsight.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from firstsight.tasks.gan.generator import Generator
    from firstsight.tasks.gan.image_grid import ImageGrid


REQUIRES = {"--steps": "--interpolate", "--path": "--interpolate", "--data": "--nearest"}
"""Options that need another option."""
CONFLICTS = (
    ("--n", "--interpolate", "--steps is the number of images"),
    ("--seed", "--interpolate", "it goes from one of its two seeds to the other"),
    ("--n", "--arithmetic", "it makes one grid"),
    ("--nearest", "--interpolate", "it is for samples"),
    ("--nearest", "--arithmetic", "it is for samples"),
)
"""Options that exclude each other, and why."""
EXAMPLES = ("firstsight generate dcgan-fashion", "firstsight generate infogan-mnist --class 7 --out sevens.png")


@dataclass(frozen=True)
class Arguments:
    """Generate images: samples, latent traversals, interpolations, latent arithmetic."""

    generator: Annotated[Positional[str], tyro.conf.arg(metavar="RUN_OR_WEIGHTS")]
    """Run directory, latest, .safetensors file, or name of weights (see: firstsight weights list); latest is the newest
    run."""
    n: Maybe[int] = None
    """Number of images (default: 64, with --nearest 16; a traversal has as many as it needs)."""
    seed: int = 0
    """Seed of the latent vectors; the same seed gives the same images."""
    label: Annotated[str | None, tyro.conf.arg(name="class"), NO_DEFAULT] = None
    """Generate this class only (infogan, or a generator trained with --conditional)."""
    code: Annotated[str, NO_DEFAULT] = ""
    """Set latent codes: c1=3 a category, c2=-1..1 a traversal of a continuous code along each row."""
    interpolate: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="SEED SEED"), NO_DEFAULT] = None
    """Interpolate between the images of two seeds."""
    steps: Annotated[int, ADVANCED] = 12
    """Number of images of --interpolate, both ends included."""
    path: Annotated[Literal["slerp", "linear"], ADVANCED] = "slerp"
    """Spherical (slerp) or linear interpolation of the latent vectors, with --interpolate."""
    arithmetic: Maybe[str] = None
    """Add and subtract mean latent vectors of classes: "7 - 1 + 0" (generators without codes)."""
    nearest: int = 0
    """Show this many nearest training images below each row, to detect memorization."""
    data: Annotated[str | None, NO_DEFAULT, ADVANCED] = None
    """Training images for --nearest (default: those the generator was trained on)."""
    device: Device = "auto"
    """Device to compute on; auto uses a GPU if there is one."""
    out: Maybe[Path] = None
    """Figure (.png, .jpg, .svg, .pdf), .gif animation, or folder for a file per image (default: generated.png); the
    default name gets a number if it exists."""
    force: Flag = False
    """Replace existing files."""
    json: Flag = False
    """Print the codes and classes of the images as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, generate, write, print."""
    arguments = parse(Arguments, "generate", argv, examples=EXAMPLES)
    from firstsight.cli.outputs import choose_output, report_output

    out = choose_output(arguments.out, "generated.png", force=arguments.force)
    _check(arguments, out, [word.split("=")[0] for word in argv])
    check_weights(arguments.generator, "generate", "gan", argv=argv)
    from firstsight.cli.console import log, print_json, say
    from firstsight.tasks.load import load_as

    generator = load_as("gan", arguments.generator, device=arguments.device, notify=log)
    grid = _make(arguments, generator)
    for note in grid.notes:
        log(note)
    files = _write(arguments, out, generator, grid)
    report_output(out, arguments.out, "generated.png")
    about = generator.card["about"]
    if arguments.json:
        document = {
            "generator": generator.card["model"],
            "recipe": about["recipe"],
            "seed": arguments.seed,
            "files": [str(file) for file in files],
            "images": _describe(generator, grid),
            "notes": list(grid.notes),
        }
        print_json(document)
        return 0
    names = f"{files[0]} to {files[-1].name}" if len(files) > 1 else str(files[0])
    size = "x".join(map(str, grid.images.shape[2:]))
    count = f"{len(grid.images)} image{'s' * (len(grid.images) != 1)}"
    say(f"{count} of {size} by {generator.card['model']} ({about['recipe']}): {names}")
    return 0


def _describe(generator: "Generator", grid: "ImageGrid") -> list[dict[str, Any]]:
    """Return the codes of every image, and the class that the reference classifier predicts."""
    from firstsight.tasks.gan.evaluate import reference_of

    reference = reference_of(generator)
    output = reference(grid.images) if reference.in_domain else None
    classes = generator.card["about"]["classes"]
    return [
        {
            "codes": codes,
            "class": classes[int(output.labels[i])] if output else None,
            "probability": round(float(output.confidence[i]), 4) if output else None,
        }
        for i, codes in enumerate(_codes(generator, grid.z))
    ]


def _codes(generator: "Generator", z: "Tensor") -> list[list[int | float | None]]:
    """Return the codes of each latent vector; None for a category between two values, as in an interpolation."""
    categories, values = generator.latent.codes(z)
    _, *parts = z.split((generator.latent.noise, *generator.latent.categories, generator.latent.continuous), dim=1)
    one_hot = [part.amax(1) == 1 for part in parts[:-1]]
    return [
        [
            *(int(code[i]) if is_pure[i] else None for code, is_pure in zip(categories, one_hot, strict=True)),
            *(round(float(value), 4) for value in values[i]),
        ]
        for i in range(len(z))
    ]


def _check(arguments: Arguments, out: Path, given: list[str]) -> None:
    """Refuse impossible combinations; ``given`` are the words of the command line, without values after "="."""
    kinds = {
        "--class": arguments.label is not None,
        "--code": bool(arguments.code),
        "--interpolate": arguments.interpolate is not None,
        "--arithmetic": arguments.arithmetic is not None,
    }
    used = [name for name, is_used in kinds.items() if is_used]
    if len(used) > 1 and used != ["--class", "--code"]:
        raise UsageError(f"{' and '.join(used)} exclude each other; choose one")
    if given.count("--code") > 1:
        raise UsageError("--code is given twice; write all codes in one option, as in c1=3..5,c2=-1..1")
    for option, other in REQUIRES.items():
        if option in given and other not in given:
            raise UsageError(f"{option} needs {other}")
    for option, other, why in CONFLICTS:
        if option in given and other in given:
            raise UsageError(f"{option} excludes {other}: {why}")
    _check_values(arguments, out)


def _check_values(arguments: Arguments, out: Path) -> None:
    """Refuse impossible values."""
    from firstsight.cli.outputs import FIGURES, check_outputs
    from firstsight.tasks.settings import Settings

    if not 0 <= arguments.nearest <= 20:
        raise UsageError(f"--nearest must be between 0 and 20; got {arguments.nearest}")
    least, most = Settings.LIMITS["seed"]
    for seed in (arguments.seed, *(arguments.interpolate or ())):
        if not least <= seed <= most:
            raise UsageError(f"a seed must be between {least} and {most}; got {seed}")
    suffix = out.suffix.lower()
    if arguments.nearest and suffix not in FIGURES:
        raise UsageError(f"--nearest needs a figure, as in nearest.png; got {out}")
    if suffix not in ("", *FIGURES, ".gif"):
        raise UsageError(f"--out must be a .png, .jpg, .svg, .pdf or .gif file, or a folder; got {out}")
    first = out if suffix else _file_in(out, 0)  # more files are checked when their number is known
    inputs = [arguments.generator, arguments.data]
    check_outputs([first], inputs=inputs, force=arguments.force, makes_folder=not suffix)


def _make(arguments: Arguments, generator: "Generator") -> "ImageGrid":
    from firstsight.tasks.gan import generate as gan

    if arguments.interpolate:
        a, b = arguments.interpolate
        return gan.interpolate(generator, a, b, steps=arguments.steps, path=arguments.path)
    if arguments.arithmetic is not None:
        return gan.latent_arithmetic(generator, arguments.arithmetic, seed=arguments.seed)
    n = arguments.n if arguments.n is not None else 16 if arguments.nearest else 64
    return gan.generate(generator, n, seed=arguments.seed, label=arguments.label, codes=arguments.code)


def _write(arguments: Arguments, out: Path, generator: "Generator", grid: "ImageGrid") -> list[Path]:
    """Write one grid, one animation, or one file per image; return the files."""
    from firstsight.atomic_io import replace_file
    from firstsight.tasks.gan.generate import add_nearest_neighbors

    if not out.suffix:
        return _write_folder(out, grid, force=arguments.force)
    if arguments.nearest:
        grid = add_nearest_neighbors(generator, grid, arguments.nearest, arguments.data)
    replace_file(out, grid.encode(out.suffix))
    return [out]


def _write_folder(folder: Path, grid: "ImageGrid", *, force: bool) -> list[Path]:
    """Write one PNG file per image."""
    from PIL import Image

    from firstsight.atomic_io import replace_file
    from firstsight.cli.console import warn
    from firstsight.cli.outputs import check_outputs, make_folder
    from firstsight.plots import encode_image

    images = grid.images.numpy()
    files = [_file_in(folder, i) for i in range(len(images))]
    check_outputs(files, force=force, makes_folder=True)
    make_folder(folder)
    if others := len(set(folder.iterdir()) - set(files)):
        warn(f"{folder} also holds {f'{others} other files' if others > 1 else 'another file'}")
    for file, image in zip(files, images, strict=True):
        pixels = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
        replace_file(file, encode_image(pixels, ".png"))
    return files


def _file_in(folder: Path, number: int) -> Path:
    """Return the file of an image in a folder."""
    return folder / f"{number:05d}.png"
