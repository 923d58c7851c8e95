"""``--color``: colors on a terminal only, always, or never."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from firstsight.errors import UsageError

MODES = ("auto", "always", "never")
VARIABLES = {"always": "FORCE_COLOR", "never": "NO_COLOR"}


def split_color(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return the value of ``--color``, and the other arguments.

    `firstsight filter` has an option of the same name without a value, which is left to it.

    Raises
    ------
    UsageError
        If the value is another one.

    Examples
    --------
    >>> split_color(["models", "--color", "never"])
    ('never', ['models'])
    >>> split_color(["filter", "photo.jpg", "--color"])
    ('auto', ['filter', 'photo.jpg', '--color'])
    """
    mode, rest = "auto", []
    is_own = bool(arguments) and arguments[0] == "filter"
    words = iter([*arguments, ""])
    pending = next(words)
    for word in words:
        name, has_value, value = pending.partition("=")
        if name != "--color" or (is_own and not has_value and word not in MODES):
            rest.append(pending)
            pending = word
            continue
        mode = value if has_value else word
        if mode not in MODES:
            raise UsageError(f"`color` must be one of {', '.join(MODES)}; got {mode or 'nothing'}")
        pending = word if has_value else next(words, "")
    return mode, rest


@contextmanager
def color_variables(mode: str) -> Iterator[None]:
    """Context manager that sets ``NO_COLOR`` or ``FORCE_COLOR``, also for child processes, and restores them."""
    before = {name: os.environ.get(name) for name in VARIABLES.values()}
    if mode != "auto":
        for name in VARIABLES.values():
            os.environ.pop(name, None)
        os.environ[VARIABLES[mode]] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
