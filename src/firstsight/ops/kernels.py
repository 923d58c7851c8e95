"""Classic kernels for filtering pictures, as the field writes them: laid on the picture as they stand (correlation)."""

import math
import re

import torch
from torch import Tensor

from firstsight.errors import UsageError, unknown_name

FIXED: dict[str, tuple[str, str]] = {
    "identity": ("0 0 0; 0 1 0; 0 0 0", "the picture itself"),
    "sharpen": ("0 -1 0; -1 5 -1; 0 -1 0", "the picture plus what its neighbours lack"),
    "sobel-x": ("-1 0 1; -2 0 2; -1 0 1", "upright edges: brighter to the right is positive"),
    "sobel-y": ("-1 -2 -1; 0 0 0; 1 2 1", "level edges: brighter below is positive"),
    "prewitt-x": ("-1 0 1; -1 0 1; -1 0 1", "upright edges, all rows alike"),
    "prewitt-y": ("-1 -1 -1; 0 0 0; 1 1 1", "level edges, all columns alike"),
    "laplacian": ("0 1 0; 1 -4 1; 0 1 0", "second derivative: where the brightness bends"),
    "emboss": ("-2 -1 0; -1 1 1; 0 1 2", "as if lit from the upper left"),
}
SIZED = {
    "box": ("mean over a square", 3),
    "gaussian": ("mean with bell-shaped weights, deviation size / 5", 5),
    "motion": ("mean along the diagonal, as if the camera had moved", 9),
}
"""Kernels of any size, with the size they have unless told otherwise."""

NAMES = (*FIXED, *SIZED)
LARGEST = 31


def kernel(name_or_text: str, size: int | None = None) -> Tensor:
    """A kernel by name, or from its numbers.

    Parameters
    ----------
    name_or_text : str
        One of `NAMES`, or rows parted by ``;`` with numbers parted by spaces or commas: "0 -1 0; -1 5 -1; 0 -1 0";
        fractions as 1/9.
    size : int | None
        Side in pixels of box, gaussian and motion, 1 to 31.

    Returns
    -------
    Tensor
        (kh, kw) float64.

    Raises
    ------
    UsageError
        Unknown name, or text that is not a matrix.

    Examples
    --------
    >>> kernel("1 2; 3 4")
    tensor([[1., 2.],
            [3., 4.]], dtype=torch.float64)
    """
    name = name_or_text.strip()
    if size is not None and name not in SIZED:
        raise UsageError(f"--size is for {', '.join(SIZED)}; {name} has a size of its own")
    if name in FIXED:
        return parse_kernel(FIXED[name][0])
    if name in SIZED:
        side = SIZED[name][1] if size is None else size
        if not 1 <= side <= LARGEST:
            raise UsageError(f"--size must lie between 1 and {LARGEST}; got {side}")
        return _sized(name, side)
    if re.search(r"\d", name):
        return parse_kernel(name)
    raise unknown_name("kernel", name, NAMES, 'or give its numbers: "0 -1 0; -1 5 -1; 0 -1 0"')


def _sized(name: str, side: int) -> Tensor:
    if name == "box":
        return torch.full((side, side), 1 / side**2, dtype=torch.float64)
    if name == "motion":
        return torch.eye(side, dtype=torch.float64) / side
    places = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    bell = torch.exp(-(places**2) / (2 * (side / 5) ** 2))
    bell = bell / bell.sum()
    return torch.outer(bell, bell)


def parse_kernel(text: str) -> Tensor:
    """Numbers as a matrix; see `kernel`.

    Raises
    ------
    UsageError
        They are none, or too many.
    """
    rows = [row.replace(",", " ").split() for row in text.strip().strip("[]").split(";")]
    rows = rows[:-1] if len(rows) > 1 and not rows[-1] else rows
    lengths = {len(row) for row in rows}
    if len(lengths) != 1:
        counts = ", ".join(str(len(row)) for row in rows)
        raise UsageError(f'--kernel "{text}": not a matrix, its rows have {counts} numbers')
    if max(len(rows), *lengths) > LARGEST:
        raise UsageError(f"--kernel: {len(rows)}x{len(rows[0])} is too large; at most {LARGEST}x{LARGEST}")
    return torch.tensor([[_number(entry, text) for entry in row] for row in rows], dtype=torch.float64)


def _number(entry: str, text: str) -> float:
    above, _, below = entry.partition("/")
    try:
        value = float(above) / (float(below) if below else 1.0)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f'--kernel "{text}": not a matrix, "{entry}" is not a number')
    return value
