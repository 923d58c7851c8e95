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
    from firstsight.tasks.generate import arithmetic, generate, interpolate, with_nearest
    from firstsight.tasks.measure import measure
    from firstsight.tasks.measure_pose import measure_pose
    from firstsight.tasks.pose import PoseEstimator
    from firstsight.tasks.pose_video import follow_video
    from firstsight.tasks.predict import Prediction, evaluate, predict
    from firstsight.tasks.top_down_pose import TopDownEstimator
    from firstsight.weights.classifier import Classifier, load
    from firstsight.weights.generator import Generator, load_generator

__version__ = "0.1.0"

_PLACES = {
    "Classifier": "weights.classifier:Classifier",
    "Generator": "weights.generator:Generator",
    "ImageSet": "data:ImageSet",
    "PoseEstimator": "tasks.pose:PoseEstimator",
    "Prediction": "tasks.predict:Prediction",
    "TopDownEstimator": "tasks.top_down_pose:TopDownEstimator",
    "arithmetic": "tasks.generate:arithmetic",
    "create_model": "nets:create_model",
    "evaluate": "tasks.predict:evaluate",
    "follow_video": "tasks.pose_video:follow_video",
    "generate": "tasks.generate:generate",
    "interpolate": "tasks.generate:interpolate",
    "list_models": "nets:list_models",
    "list_recipes": "recipes:list_recipes",
    "load": "weights.classifier:load",
    "load_data": "data:load",
    "load_generator": "weights.generator:load_generator",
    "measure": "tasks.measure:measure",
    "measure_pose": "tasks.measure_pose:measure_pose",
    "predict": "tasks.predict:predict",
    "train": "recipes.train:train",
    "with_nearest": "tasks.generate:with_nearest",
}

__all__ = [
    "Classifier",
    "Generator",
    "ImageSet",
    "PoseEstimator",
    "Prediction",
    "TopDownEstimator",
    "__version__",
    "arithmetic",
    "create_model",
    "evaluate",
    "follow_video",
    "generate",
    "interpolate",
    "list_models",
    "list_recipes",
    "load",
    "load_data",
    "load_generator",
    "measure",
    "measure_pose",
    "predict",
    "train",
    "with_nearest",
]


__getattr__ = lazy_names("firstsight", _PLACES)


def __dir__() -> list[str]:
    return __all__
