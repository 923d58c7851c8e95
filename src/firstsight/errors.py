"""The errors a user can meet: one clear sentence each, and the exit code that belongs to it."""

from collections.abc import Iterable
from difflib import get_close_matches


class FirstsightError(Exception):
    """Something outside the code is wrong: the message says what, where and what to do."""

    exit_code = 1


class UsageError(FirstsightError):
    """The request itself cannot be meant: an unknown name, an impossible value."""

    exit_code = 2


class DataError(FirstsightError):
    """A data set or a picture cannot be used."""


class WeightsError(FirstsightError):
    """A weights file cannot be used."""


class CheckpointError(FirstsightError):
    """A checkpoint cannot be read or does not belong to this run."""


class RunError(FirstsightError):
    """A run directory cannot be used, or a run cannot go on."""


class Interrupted(FirstsightError):
    """A signal stopped the run after its checkpoint was saved; exit code 128 + signal number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def unknown_name(kind: str, name: str, known: Iterable[str], hint: str) -> UsageError:
    """Say that a name is unknown and offer the close matches.

    >>> print(unknown_name("model", "lenett", ["lenet", "convnet", "lenet"], "see: firstsight models"))
    unknown model 'lenett': did you mean lenet? (see: firstsight models)
    """
    close = get_close_matches(name, sorted(set(known)), n=3, cutoff=0.5)
    meant = f": did you mean {' or '.join(close)}?" if close else ""
    return UsageError(f"unknown {kind} '{name}'{meant} ({hint})")
