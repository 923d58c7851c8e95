"""Names that are imported when they are first used, so that `import firstsight` and `--help` stay fast."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` for names that live in its submodules.

    Parameters
    ----------
    places : Mapping[str, str]
        Name to "submodule:attribute" below ``package``.
    """

    def getattribute(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        module, attribute = places[name].split(":")
        return getattr(import_module(f"{package}.{module}"), attribute)

    return getattribute
