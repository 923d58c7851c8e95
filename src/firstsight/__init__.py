"""firstsight: the classic vision networks, readable at first sight, proven, trained by one command on a laptop.

>>> import firstsight
>>> firstsight.list_models("vgg1")[:2]
['vgg11', 'vgg11_bn']

Importing the package imports no torch; the names below are fetched when they are first used.
"""

from typing import TYPE_CHECKING

from firstsight.lazy import lazy_names

if TYPE_CHECKING:
    from firstsight.data import ImageSet, load as load_data  # isort: skip
    from firstsight.nets import create_model, list_models
    from firstsight.recipes import list_recipes
    from firstsight.recipes.train import train
    from firstsight.tasks.predict import Prediction, evaluate, predict
    from firstsight.weights.classifier import Classifier, load

__version__ = "0.1.0"

_PLACES = {
    "Classifier": "weights.classifier:Classifier",
    "ImageSet": "data:ImageSet",
    "Prediction": "tasks.predict:Prediction",
    "create_model": "nets:create_model",
    "evaluate": "tasks.predict:evaluate",
    "list_models": "nets:list_models",
    "list_recipes": "recipes:list_recipes",
    "load": "weights.classifier:load",
    "load_data": "data:load",
    "predict": "tasks.predict:predict",
    "train": "recipes.train:train",
}

__all__ = [
    "Classifier",
    "ImageSet",
    "Prediction",
    "__version__",
    "create_model",
    "evaluate",
    "list_models",
    "list_recipes",
    "load",
    "load_data",
    "predict",
    "train",
]


__getattr__ = lazy_names("firstsight", _PLACES)


def __dir__() -> list[str]:
    return __all__
