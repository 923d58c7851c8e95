"""Exceptions with one-sentence messages for users, each with the exit code of the command line."""

from collections.abc import Iterable
from difflib import get_close_matches


class FirstsightError(Exception):
    """Base class of errors caused by the input or the machine; the message says what is wrong and what to do."""

    exit_code = 1


class UsageError(FirstsightError):
    """Invalid request: an unknown name or an impossible value."""

    exit_code = 2


class DataError(FirstsightError):
    """Unusable data set or image."""


class WeightsError(FirstsightError):
    """Unusable weights file."""


class CheckpointError(FirstsightError):
    """Checkpoint that cannot be read or does not belong to this run."""


class RunError(FirstsightError):
    """Unusable run directory, or a run that cannot continue."""


class Interrupted(FirstsightError):
    """Stop by a signal, after the checkpoint was saved; the exit code is 128 + signal number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def unknown_name(kind: str, name: str, known: Iterable[str], hint: str) -> UsageError:
    """Return the error for an unknown name, with suggestions of similar names.

    Parameters
    ----------
    kind : str
        Kind of the name, such as "model".
    name : str
        The unknown name.
    known : Iterable[str]
        All valid names.
    hint : str
        Where the valid names are listed, such as "see: firstsight models".

    Returns
    -------
    UsageError
        To be raised by the caller.

    Examples
    --------
    >>> print(unknown_name("model", "lenett", ["lenet", "convnet", "lenet"], "see: firstsight models"))
    unknown model 'lenett': did you mean lenet? (see: firstsight models)
    """
    similar = get_close_matches(name, sorted(set(known)), n=3, cutoff=0.5)
    suggestion = f": did you mean {' or '.join(similar)}?" if similar else ""
    return UsageError(f"unknown {kind} '{name}'{suggestion} ({hint})")
