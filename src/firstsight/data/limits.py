"""Limits of the sizes of files and images, which environment variables change."""

import os

from firstsight.arguments import is_digits
from firstsight.errors import UsageError

MAX_MEGABYTES = "FIRSTSIGHT_MAX_MB"
MAX_MEGAPIXELS = "FIRSTSIGHT_MAX_MEGAPIXELS"


def max_bytes(default: int) -> int:
    """Return the limit of a file's size in bytes: ``$FIRSTSIGHT_MAX_MB`` million, or the default.

    Parameters
    ----------
    default : int
        Limit without the variable.

    Raises
    ------
    UsageError
        If the variable is not a positive integer.
    """
    return _read(MAX_MEGABYTES) or default


def max_pixels(default: int) -> int:
    """Return the limit of an image's size in pixels: ``$FIRSTSIGHT_MAX_MEGAPIXELS`` million, or the default.

    Parameters
    ----------
    default : int
        Limit without the variable.

    Raises
    ------
    UsageError
        If the variable is not a positive integer.
    """
    return _read(MAX_MEGAPIXELS) or default


def describe_bytes(limit: int) -> str:
    """Return the limit of a file's size, and how to raise it.

    Examples
    --------
    >>> describe_bytes(128_000_000)
    'the limit is 128 MB (set FIRSTSIGHT_MAX_MB to raise it)'
    """
    return f"the limit is {limit / 1e6:,.0f} MB (set {MAX_MEGABYTES} to raise it)"


def describe_pixels(limit: int) -> str:
    """Return the limit of an image's size, and how to raise it.

    Examples
    --------
    >>> describe_pixels(100_000_000)
    'the limit is 100 million (set FIRSTSIGHT_MAX_MEGAPIXELS to raise it)'
    """
    return f"the limit is {limit / 1e6:,.3g} million (set {MAX_MEGAPIXELS} to raise it)"


def _read(variable: str) -> int:
    """Return the value of a variable times a million, or 0 if it is not set."""
    text = os.environ.get(variable, "")
    if not text:
        return 0
    if not (is_digits(text) and len(text) <= 7 and int(text)):
        raise UsageError(f"{variable} must be a positive integer of at most 7 digits, got {text[:40]!r}")
    return int(text) * 1_000_000
