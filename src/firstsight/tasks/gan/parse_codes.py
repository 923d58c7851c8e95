"""InfoGAN's codes as a user writes them: c1=3, or c2=-1..1 for all values between."""

import re
from dataclasses import dataclass

from firstsight.errors import UsageError
from firstsight.models.gan.latent import Latent

WORD = re.compile(r"^(?P<name>c\d+)\s*=\s*(?P<low>-?[\d.]+?)(\.\.(?P<high>-?[\d.]+))?$")


@dataclass(frozen=True)
class Code:
    """What a code is set to: one value, or all from ``low`` to ``high``.

    Parameters
    ----------
    place : int
        Which code: the categorical ones first, then the continuous ones, from 0.
    """

    place: int
    low: float
    high: float

    @property
    def swept(self) -> bool:
        """Does it take more than one value?"""
        return self.low != self.high


def parse_codes(text: str, latent: Latent) -> tuple[list[Code], tuple[str, ...]]:
    """Codes as on the command line, and a remark on each that leaves the range of the training.

    Raises
    ------
    UsageError
        Not understood, no such code, or a category that is not there.

    >>> parse_codes("c1=3,c2=-1..1", Latent(62, (10,), 2))[0]
    [Code(place=0, low=3.0, high=3.0), Code(place=1, low=-1.0, high=1.0)]
    """
    wanted: list[Code] = []
    notes = []
    count = len(latent.categories) + latent.continuous
    for word in filter(None, (part.strip() for part in text.split(","))):
        found = WORD.match(word)
        if not found:
            raise UsageError(f"--code {word}: not understood; write c1=3, or c2=-1..1 for all values between")
        try:
            low = float(found["low"])
            high = float(found["high"]) if found["high"] else low
        except ValueError:
            raise UsageError(f"--code {word}: not a number") from None
        place = int(found["name"][1:]) - 1
        if not 0 <= place < count:
            own = f"it has c1{f' to c{count}' * (count > 1)}" if count else "it was trained without codes"
            raise UsageError(f"--code {found['name']}: this generator has no such code; {own}")
        if place < len(latent.categories):
            values = latent.categories[place]
            if low % 1 or high % 1 or not 0 <= min(low, high) <= max(low, high) < values:
                raise UsageError(f"--code {word}: c{place + 1} is a category from 0 to {values - 1}")
            if low > high:
                raise UsageError(
                    f"--code {word}: categories are swept upwards; write c{place + 1}={high:.0f}..{low:.0f}"
                )
        elif max(abs(low), abs(high)) > 1:
            notes.append(f"{word} leaves -1..1, the range of the training: the pictures there are a guess")
        if any(code.place == place for code in wanted):
            raise UsageError(f"--code {found['name']} is given twice")
        wanted.append(Code(place, low, high))
    return wanted, tuple(notes)
