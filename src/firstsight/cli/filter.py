"""``firstsight filter``."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from firstsight.cli.names import check_image
from firstsight.cli.parse import Flag, Maybe, parse
from firstsight.errors import UsageError, unknown_name

KERNELS = (
    *("identity", "sharpen", "sobel-x", "sobel-y", "prewitt-x", "prewitt-y", "laplacian", "emboss"),
    *("box", "gaussian", "motion"),
)
"""Names of kernels, those of `firstsight.ops.kernels` without importing torch."""
EXAMPLES = ("firstsight filter", 'firstsight filter photo.jpg --kernel "0 -1 0; -1 5 -1; 0 -1 0" --color')


@dataclass(frozen=True)
class Arguments:
    """Convolve an image with a kernel; draw input, kernel, output, and the arithmetic of one pixel."""

    image: Annotated[Positional[str], tyro.conf.arg(metavar="[IMAGE]")] = ""
    """Image file; without one, a bundled photograph is used (Grace Hopper, public domain)."""
    kernel: str = "sobel-x"
    """identity, sharpen, sobel-x, sobel-y, prewitt-x, prewitt-y, laplacian, emboss, box, gaussian, motion, or numbers
    in rows, as in "0 -1 0; -1 5 -1; 0 -1 0"; fractions such as 1/9 are allowed."""
    size: Maybe[int] = None
    """Side of box, gaussian and motion in pixels."""
    stride: int = 1
    """Step between output pixels."""
    padding: str = "same"
    """Zeros on every side in pixels; same keeps the size (divided by the stride)."""
    dilation: int = 1
    """Distance between the taps of the kernel in pixels."""
    color: Flag = False
    """Filter red, green and blue instead of a gray image."""
    at: Maybe[str] = None
    """Output pixel whose arithmetic to print, as X,Y from 0 (default: the strongest response away from the border)."""
    out: Maybe[Path] = None
    """Figure: .png, .jpg, .svg or .pdf (default: filter.png, with a number if it exists)."""
    force: Flag = False
    """Replace an existing file."""
    json: Flag = False
    """Print the arithmetic as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse, filter, draw, print."""
    arguments = parse(Arguments, "filter", argv, examples=EXAMPLES)
    from firstsight.cli.outputs import FIGURES, check_outputs, choose_output, report_output

    target = choose_output(arguments.out, "filter.png", force=arguments.force)
    check_outputs([target], inputs=[arguments.image], force=arguments.force, suffixes=FIGURES)
    padding, at = _parse_padding(arguments.padding), _parse_pixel(arguments.at)
    if arguments.kernel not in KERNELS and not re.search(r"\d", arguments.kernel):
        hint = f'kernels: {", ".join(KERNELS)}; or give numbers: "0 -1 0; -1 5 -1; 0 -1 0"'
        raise unknown_name("kernel", arguments.kernel, KERNELS, hint)
    if arguments.image:
        check_image(arguments.image)
    from firstsight import plots
    from firstsight.cli.console import log, print_json, say, write_figure
    from firstsight.data.sample_image import sample_photo
    from firstsight.tasks.filter import apply_filter

    image = arguments.image or sample_photo()
    result = apply_filter(
        image,
        arguments.kernel,
        size=arguments.size,
        stride=arguments.stride,
        padding=padding,
        dilation=arguments.dilation,
        color=arguments.color,
        at=at,
    )
    if not arguments.image:
        log(f"no image given: using the sample photograph {Path(image).name}")
    steps = f"stride {arguments.stride}, padding {arguments.padding}, dilation {arguments.dilation}"
    name = Path(image).name
    write_figure(plots.filtering(result, f"{name}: {arguments.kernel} ({steps})"), target)
    report_output(target, arguments.out, "filter.png")
    if arguments.json:
        print_json({"image": str(image), "out": str(target), **result.to_dict()})
        return 0
    size, arithmetic = result.lines()
    say(f"{name}: {size}")
    say(arithmetic)
    say(f"figure: {target}")
    return 0


def _parse_padding(text: str) -> int | Literal["same"]:
    from firstsight.arguments import is_digits
    from firstsight.text import one_line

    if text == "same":
        return "same"
    if not is_digits(text):
        raise UsageError(f"`padding` must be a number of pixels, or same; got {one_line(text, 60)}")
    return int(text)


def _parse_pixel(text: str | None) -> tuple[int, int] | None:
    from firstsight.arguments import is_digits
    from firstsight.text import one_line

    if text is None:
        return None
    numbers = text.replace("x", ",").split(",")
    if len(numbers) != 2 or not all(is_digits(number.strip()) for number in numbers):
        raise UsageError(f"`at` must be X,Y, two numbers from 0; got {one_line(text, 60)}")
    return int(numbers[0]), int(numbers[1])
