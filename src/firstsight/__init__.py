"""firstsight: the classic networks of computer vision, readable and trained by one command.

>>> import firstsight
>>> firstsight.list_models("vgg1*")[:2]
['vgg11', 'vgg11_bn']

Importing the package imports no torch; a name is imported when it is first used.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __dir__() -> list[str]:
    return sorted(__all__)
