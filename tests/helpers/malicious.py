"""An object as a malicious file holds it."""

import os
from collections.abc import Callable


class RunsCommand:
    """An object whose unpickling creates the file ``executed`` in the current folder."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        """Return the call that unpickling makes."""
        return os.system, ("touch executed",)
