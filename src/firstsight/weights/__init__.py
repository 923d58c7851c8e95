"""Trained weights: those shipped in the package, those of runs, those published by others, and their cards."""

from typing import TYPE_CHECKING

from firstsight.lazy import lazy_names

if TYPE_CHECKING:
    from firstsight.weights.classifier import Classifier, load
    from firstsight.weights.state_dict import load_published

__all__ = ["Classifier", "load", "load_published"]

__getattr__ = lazy_names(
    "firstsight.weights",
    {
        "Classifier": "classifier:Classifier",
        "load": "classifier:load",
        "load_published": "state_dict:load_published",
    },
)
