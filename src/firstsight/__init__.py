"""firstsight: the classic vision networks, readable at first sight, proven, trained by one command on a laptop.

>>> import firstsight
>>> firstsight.list_models("vgg1*")[:2]
['vgg11', 'vgg11_bn']

Importing the package imports no torch; the names below are fetched when they are first used.
"""

from typing import TYPE_CHECKING

from firstsight.lazy import lazy_names

if TYPE_CHECKING:
    from firstsight.data import ImageSet, load as load_data  # isort: skip
    from firstsight.models.classification import create_model
    from firstsight.models.registry import list_models
    from firstsight.recipes import list_recipes
    from firstsight.recipes.train import train
    from firstsight.tasks.classification.evaluate import measure
    from firstsight.tasks.classification.predict import Prediction, evaluate, predict
    from firstsight.tasks.gan.generate import add_nearest_neighbors, generate, interpolate, latent_arithmetic
    from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
    from firstsight.tasks.pose.evaluate import evaluate_pose
    from firstsight.tasks.pose.top_down.estimate import TopDownEstimator
    from firstsight.tasks.pose.video import track_video
    from firstsight.weights.classifier import Classifier, load
    from firstsight.weights.generator import Generator, load_generator

__version__ = "0.1.0"

_PLACES = {
    "Classifier": "weights.classifier:Classifier",
    "Generator": "weights.generator:Generator",
    "ImageSet": "data:ImageSet",
    "PoseEstimator": "tasks.pose.bottom_up.estimate:PoseEstimator",
    "Prediction": "tasks.classification.predict:Prediction",
    "TopDownEstimator": "tasks.pose.top_down.estimate:TopDownEstimator",
    "latent_arithmetic": "tasks.gan.generate:latent_arithmetic",
    "create_model": "models.classification:create_model",
    "evaluate": "tasks.classification.predict:evaluate",
    "track_video": "tasks.pose.video:track_video",
    "generate": "tasks.gan.generate:generate",
    "interpolate": "tasks.gan.generate:interpolate",
    "list_models": "models.registry:list_models",
    "list_recipes": "recipes:list_recipes",
    "load": "weights.classifier:load",
    "load_data": "data:load",
    "load_generator": "weights.generator:load_generator",
    "measure": "tasks.classification.evaluate:measure",
    "evaluate_pose": "tasks.pose.evaluate:evaluate_pose",
    "predict": "tasks.classification.predict:predict",
    "train": "recipes.train:train",
    "add_nearest_neighbors": "tasks.gan.generate:add_nearest_neighbors",
}

__all__ = [
    "Classifier",
    "Generator",
    "ImageSet",
    "PoseEstimator",
    "Prediction",
    "TopDownEstimator",
    "__version__",
    "add_nearest_neighbors",
    "create_model",
    "evaluate",
    "evaluate_pose",
    "generate",
    "interpolate",
    "latent_arithmetic",
    "list_models",
    "list_recipes",
    "load",
    "load_data",
    "load_generator",
    "measure",
    "predict",
    "track_video",
    "train",
]


__getattr__ = lazy_names("firstsight", _PLACES)


def __dir__() -> list[str]:
    return __all__
