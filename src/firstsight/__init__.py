"""firstsight: the classic networks of computer vision, readable and trained by one command.

>>> import firstsight
>>> firstsight.list_models("vgg1*")[:2]
['vgg11', 'vgg11_bn']

Importing the package imports no torch; a name is imported when it is first used.
"""

import sys

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Return a public name. The first call replaces this function by that of lazy_loader, and defines ``__all__``."""
    import lazy_loader

    find, _, names = lazy_loader.attach_stub(__name__, __file__)
    globals().update(__getattr__=find, __all__=[*names, "__version__"])
    return getattr(sys.modules[__name__], name)


def __dir__() -> list[str]:
    names: list[str] = sys.modules[__name__].__all__
    return sorted(names)
