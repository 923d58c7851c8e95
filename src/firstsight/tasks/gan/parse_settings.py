"""Parsers of the GAN settings that are lists in a string."""

import math
from typing import TYPE_CHECKING

from firstsight.arguments import is_digits
from firstsight.errors import UsageError
from firstsight.text import one_line

if TYPE_CHECKING:
    from firstsight.models.gan.losses import CodeStd


def parse_categories(categories: str) -> tuple[int, ...]:
    """Return the number of values of each categorical code.

    Parameters
    ----------
    categories : str
        Integers from 2 to 1000, separated by commas; empty for no categorical codes.

    Raises
    ------
    UsageError
        If it is not such a list.

    Examples
    --------
    >>> parse_categories("10,3"), parse_categories("")
    ((10, 3), ())
    """
    words = [word.strip() for word in categories.split(",")] if categories.strip() else []
    if not all(is_digits(word) and 2 <= int(word) <= 1000 for word in words):
        raise UsageError(
            f"`categories` must be integers from 2 to 1000, as in 10 or 10,3; got {one_line(categories, 60)}"
        )
    return tuple(map(int, words))


def parse_code_std(code_std: float | str, continuous: int) -> "CodeStd":
    """Return the standard deviation of Q's Gaussian for each continuous code.

    Parameters
    ----------
    code_std : float | str
        Number above 0, a list in a string with one number for each continuous code, or "learned".
    continuous : int
        Number of continuous codes.

    Raises
    ------
    UsageError
        If ``code_std`` is none of these.

    Examples
    --------
    >>> parse_code_std(0.5, 2), parse_code_std("0.3,0.6", 2), parse_code_std("learned", 2)
    (0.5, (0.3, 0.6), 'learned')
    """
    if code_std == "learned":
        return "learned"
    try:
        numbers = tuple(float(word) for word in str(code_std).split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, continuous) or not all(0 < number < math.inf for number in numbers):
        raise UsageError(
            f"`code_std` must be a number above 0, one for each of the {continuous} continuous codes, or learned;"
            f" got {one_line(str(code_std), 60)}"
        )
    return numbers[0] if len(numbers) == 1 else numbers
