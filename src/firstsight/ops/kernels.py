"""Classic image filter kernels. They are applied without flipping (cross-correlation)."""

import math
import re

import torch
from torch import Tensor

from firstsight.errors import UsageError, unknown_name
from firstsight.text import one_line

FIXED: dict[str, tuple[str, str]] = {
    "identity": ("0 0 0; 0 1 0; 0 0 0", "the image itself"),
    "sharpen": ("0 -1 0; -1 5 -1; 0 -1 0", "the image minus its Laplacian"),
    "sobel-x": ("-1 0 1; -2 0 2; -1 0 1", "vertical edges: positive if brighter to the right"),
    "sobel-y": ("-1 -2 -1; 0 0 0; 1 2 1", "horizontal edges: positive if brighter below"),
    "prewitt-x": ("-1 0 1; -1 0 1; -1 0 1", "vertical edges, equal weights for all rows"),
    "prewitt-y": ("-1 -1 -1; 0 0 0; 1 1 1", "horizontal edges, equal weights for all columns"),
    "laplacian": ("0 1 0; 1 -4 1; 0 1 0", "sum of the second derivatives"),
    "emboss": ("-2 -1 0; -1 1 1; 0 1 2", "relief lit from the upper left"),
}
"""Kernels of fixed size: name -> (values, description)."""

SIZED = {
    "box": ("mean over a square", 3),
    "gaussian": ("Gaussian blur with standard deviation size / 5", 5),
    "motion": ("mean along the diagonal (motion blur)", 9),
}
"""Kernels of variable size: name -> (description, default size)."""

NAMES = (*FIXED, *SIZED)
MAX_SIZE = 31


def get_kernel(kernel: str, size: int | None = None) -> Tensor:
    """Return a kernel, given its name or its values.

    Parameters
    ----------
    kernel : str
        A name in `NAMES`, or the values: rows separated by ``;`` and numbers separated by spaces or commas, as in
        "0 -1 0; -1 5 -1; 0 -1 0". Fractions such as 1/9 are allowed.
    size : int | None
        Side of box, gaussian and motion in pixels, 1 to 31. None: the default of the kernel.

    Returns
    -------
    Tensor
        Kernel of shape (kh, kw), float64.

    Raises
    ------
    UsageError
        If the name is unknown, the values are not a matrix, or ``size`` is invalid.

    Examples
    --------
    >>> get_kernel("1 2; 3 4")
    tensor([[1., 2.],
            [3., 4.]], dtype=torch.float64)
    """
    name = kernel.strip()
    if size is not None and name not in SIZED:
        raise UsageError(f"`size` applies to {', '.join(SIZED)} only; {name} has a fixed size")
    if name in FIXED:
        return parse_kernel(FIXED[name][0])
    if name in SIZED:
        side = SIZED[name][1] if size is None else size
        if not 1 <= side <= MAX_SIZE:
            raise UsageError(f"`size` must be between 1 and {MAX_SIZE}, got {side}")
        return _make_sized_kernel(name, side)
    if re.search(r"\d", name):
        return parse_kernel(name)
    raise unknown_name(
        "kernel", name, NAMES, f'kernels: {", ".join(NAMES)}; or give numbers: "0 -1 0; -1 5 -1; 0 -1 0"'
    )


def _make_sized_kernel(name: str, side: int) -> Tensor:
    if name == "box":
        return torch.full((side, side), 1 / side**2, dtype=torch.float64)
    if name == "motion":
        return torch.eye(side, dtype=torch.float64) / side
    x = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    gaussian = torch.exp(-(x**2) / (2 * (side / 5) ** 2))
    gaussian = gaussian / gaussian.sum()
    return torch.outer(gaussian, gaussian)


def parse_kernel(text: str) -> Tensor:
    """Parse the values of a kernel.

    Parameters
    ----------
    text : str
        The values in the format of `get_kernel`.

    Returns
    -------
    Tensor
        Kernel of shape (kh, kw), float64.

    Raises
    ------
    UsageError
        If the values are not a matrix of numbers, or the matrix is larger than 31x31.
    """
    rows = [row.replace(",", " ").split() for row in text.strip().strip("[]").split(";")]
    rows = rows[:-1] if len(rows) > 1 and not rows[-1] else rows
    lengths = {len(row) for row in rows}
    if len(lengths) != 1:
        counts = ", ".join(str(len(row)) for row in rows)
        reason = f'the rows of "{one_line(text, 60)}" have {one_line(counts, 60)} numbers'
        raise UsageError(f"`kernel` must be a matrix, but {reason}")
    if max(len(rows), *lengths) > MAX_SIZE:
        raise UsageError(f"`kernel` must be at most {MAX_SIZE}x{MAX_SIZE}, got {len(rows)}x{len(rows[0])}")
    return torch.tensor([[_parse_number(entry, text) for entry in row] for row in rows], dtype=torch.float64)


def _parse_number(entry: str, text: str) -> float:
    numerator, _, denominator = entry.partition("/")
    try:
        value = float(numerator) / (float(denominator) if denominator else 1.0)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value):
        reason = f'"{one_line(entry, 60)}" in "{one_line(text, 60)}" is not a number'
        raise UsageError(f"`kernel` must be a matrix of numbers, but {reason}")
    return value
