"""Exceptions with one-sentence messages for users, each with the exit code of the command line."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import takewhile

from firstsight.text import one_line

CUTOFF = 0.75
"""Minimum similarity of a name that is suggested, see `difflib.SequenceMatcher.ratio`."""
MAX_SUGGESTIONS = 3
MIN_PREFIX = 3
"""Minimum length of a name that is completed to a longer one."""


class FirstsightError(Exception):
    """Base class of errors caused by the input or the machine.

    Parameters
    ----------
    message : str
        The fault and its remedy. It becomes one line of at most `text.MAX_MESSAGE` characters, without control
        characters, because it may contain names and values of a file.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class UsageError(FirstsightError):
    """Invalid request: an unknown name or an impossible value."""

    exit_code = 2


class DataError(FirstsightError):
    """Unusable data set or image.

    Parameters
    ----------
    message : str
        The fault and its remedy.
    image : str
        Name of the image, if it is one of several.
    index : int | None
        Its position among the images of the call, from 0.
    """

    def __init__(self, message: str, *, image: str = "", index: int | None = None) -> None:
        super().__init__(message)
        self.image = image
        self.index = index


class WeightsError(FirstsightError):
    """Unusable weights file."""


class CheckpointError(FirstsightError):
    """Checkpoint that cannot be read or does not belong to this run."""


class RunError(FirstsightError):
    """Unusable run directory, or a run that cannot continue."""


class Interrupted(FirstsightError):
    """Stop by a signal, after the checkpoint was saved; the exit code is 128 + signal number.

    Parameters
    ----------
    message : str
        How to continue the run.
    signal_number : int
        Number of the signal.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def similar_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the names that are most similar to an unknown name; only equally similar ones are listed together.

    A name that begins with the unknown one is similar. Of names with the same similarity ratio, those with swapped
    letters come first, then those with the longest common prefix. Case is ignored.

    Parameters
    ----------
    name : str
        The unknown name.
    known : Iterable[str]
        All valid names.

    Examples
    --------
    >>> similar_names("lnet", ["lenet", "alexnet"])
    ['lenet']
    >>> similar_names("vgg61", ["vgg11", "vgg16", "vgg19"])
    ['vgg16']
    >>> similar_names("conv9", ["conv1", "conv2", "fc"])
    ['conv1', 'conv2']
    >>> similar_names("fashion", ["fashion-mnist", "mnist"])
    ['fashion-mnist']
    >>> similar_names("weights", ["paf_weight"])
    []
    """
    wanted = name.casefold()
    scores: dict[str, tuple[float, bool, int]] = {}
    for candidate in sorted(set(known)):
        other = candidate.casefold()
        ratio = SequenceMatcher(None, other, wanted).ratio()
        if ratio >= CUTOFF or (len(wanted) >= MIN_PREFIX and other.startswith(wanted)):
            scores[candidate] = (ratio, sorted(other) == sorted(wanted), _common_prefix(other, wanted))
    best = max(scores.values(), default=None)
    return [candidate for candidate, score in scores.items() if score == best][:MAX_SUGGESTIONS]


def _common_prefix(a: str, b: str) -> int:
    """Return the length of the longest common prefix.

    >>> _common_prefix("resnet35", "resnet34"), _common_prefix("a", "")
    (7, 0)
    """
    return len([*takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))])


def suggest(names: Iterable[str]) -> str:
    """Return "did you mean a or b?" for names, or an empty string if there are none."""
    text = " or ".join(names)
    return f"did you mean {text}?" if text else ""


def unknown_name(kind: str, name: str, known: Iterable[str], hint: str) -> UsageError:
    """Return the error for an unknown name, with the most similar names.

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
    suggestion = suggest(similar_names(name, known))
    return UsageError(f"unknown {kind} '{name}'{f': {suggestion}' if suggestion else ''} ({hint})")
