"""Parser of latent codes as users write them: ``c1=3`` sets a code, ``c2=-1..1`` traverses it."""

import re
from dataclasses import dataclass

from firstsight.errors import UsageError
from firstsight.models.gan.latent import Latent

ASSIGNMENT = re.compile(r"^(?P<name>c\d+)\s*=\s*(?P<low>-?[\d.]+?)(\.\.(?P<high>-?[\d.]+))?$")


@dataclass(frozen=True)
class Code:
    """Value or range of values of a latent code.

    Attributes
    ----------
    index : int
        Index of the code, from 0: categorical codes first, then continuous ones.
    low : float
        First value.
    high : float
        Last value; equal to ``low`` for a single value.
    """

    index: int
    low: float
    high: float

    @property
    def is_traversal(self) -> bool:
        """Return whether the code takes more than one value."""
        return self.low != self.high


def parse_codes(text: str, latent: Latent) -> tuple[list[Code], tuple[str, ...]]:
    """Parse a list of codes.

    Parameters
    ----------
    text : str
        Assignments such as "c1=3,c2=-1..1", separated by commas.
    latent : Latent
        Latent space of the generator.

    Returns
    -------
    codes : list[Code]
        The codes, in the order of ``text``.
    notes : tuple[str, ...]
        A note for each continuous code outside of its range in the training, [-1, 1].

    Raises
    ------
    UsageError
        If an assignment cannot be parsed, a code is given twice, or the generator has no such code or category.

    Examples
    --------
    >>> parse_codes("c1=3,c2=-1..1", Latent(62, (10,), 2))[0]
    [Code(index=0, low=3.0, high=3.0), Code(index=1, low=-1.0, high=1.0)]
    """
    codes: list[Code] = []
    notes = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        code = _parse_assignment(word)
        _check_index(code, latent)
        if code.index < len(latent.categories):
            _check_category(code, word, latent.categories[code.index])
        elif max(abs(code.low), abs(code.high)) > 1:
            notes.append(f"{word} is outside of [-1, 1], the range of the training; expect unusual images")
        if any(other.index == code.index for other in codes):
            raise UsageError(f"code c{code.index + 1} is given twice")
        codes.append(code)
    return codes, tuple(notes)


def _parse_assignment(word: str) -> Code:
    match = ASSIGNMENT.match(word)
    if not match:
        raise UsageError(f"code '{word}' cannot be parsed; write c1=3 for a value, or c2=-1..1 for a range")
    try:
        low = float(match["low"])
        high = float(match["high"]) if match["high"] else low
    except ValueError:
        raise UsageError(f"code '{word}' has a value that is not a number") from None
    return Code(int(match["name"][1:]) - 1, low, high)


def _check_index(code: Code, latent: Latent) -> None:
    """Refuse a code that the generator does not have."""
    count = len(latent.categories) + latent.continuous
    if 0 <= code.index < count:
        return
    known = "it was trained without codes"
    if count:
        known = "it has only c1" if count == 1 else f"it has c1 to c{count}"
    raise UsageError(f"this generator has no code c{code.index + 1}; {known}")


def _check_category(code: Code, word: str, num_values: int) -> None:
    """Refuse values that a categorical code does not have."""
    values = (code.low, code.high)
    if any(value % 1 for value in values) or not 0 <= min(values) <= max(values) < num_values:
        raise UsageError(f"code '{word}': c{code.index + 1} is a category from 0 to {num_values - 1}")
    if code.low > code.high:
        reverse = f"c{code.index + 1}={code.high:.0f}..{code.low:.0f}"
        raise UsageError(f"code '{word}': a range of categories must be ascending; write {reverse}")
