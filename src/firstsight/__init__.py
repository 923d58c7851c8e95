"""firstsight: the classic networks of computer vision, readable and trained by one command.

>>> import firstsight
>>> firstsight.list_models("vgg1*")[:2]
['vgg11', 'vgg11_bn']

Importing the package imports no torch; a name is imported when it is first used.
"""

import sys

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Return a public name. The first call defines ``__all__`` and replaces this function by one that knows all names.

    Raises
    ------
    AttributeError
        If there is no such name; the message names similar ones.
    """
    import lazy_loader

    load_name, _, names = lazy_loader.attach_stub(__name__, __file__)

    def find(name: str) -> object:
        if name in names or name.startswith("_"):
            return load_name(name)
        from firstsight.errors import similar_names

        contained = [known for known in names if known.islower() and name.lower() in known.split("_")]
        similar = contained or similar_names(name, names)
        hint = f"; did you mean {' or '.join(similar)}?" if similar else " (see: dir(firstsight))"
        raise AttributeError(f"module 'firstsight' has no attribute '{name}'{hint}")

    globals().update(__getattr__=find, __all__=[*names, "__version__"])
    return getattr(sys.modules[__name__], name)


def __dir__() -> list[str]:
    names: list[str] = sys.modules[__name__].__all__
    return sorted(names)
