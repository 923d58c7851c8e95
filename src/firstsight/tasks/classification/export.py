"""Export of classifiers."""

import torch
from torch import Tensor

from firstsight.data.image_io import Preprocess
from firstsight.models.classification import create_model
from firstsight.models.registry import MODELS
from firstsight.tasks.classification.classifier import Classifier
from firstsight.tasks.export_plan import ExportPlan, describe_scaling, sample_images


def plan_export(classifier: Classifier) -> ExportPlan:
    """Return the plan of a classifier: normalized images (N, C, S, S) to logits (N, classes)."""
    preprocess = classifier.preprocess

    def draw(n: int) -> Tensor:
        pixels = [torch.from_numpy(preprocess.to_pixels(image)) for image in sample_images(n)]
        return preprocess.normalize(torch.stack(pixels))

    return ExportPlan(
        net=classifier.model,
        input_name="images",
        output_names=("logits",),
        shape=classifier.input_shape,
        draw_inputs=draw,
        metadata={
            "preprocess": describe_preprocess(preprocess),
            "classes": list(classifier.classes),
            "outputs": {"logits": "(N, classes); the softmax of a row gives the probabilities"},
        },
    )


def describe_preprocess(preprocess: Preprocess) -> dict[str, object]:
    """Return the metadata on the preprocessing of images."""
    order = "L" if preprocess.channels == 1 else "RGB"
    if preprocess.letterbox:
        side, text = preprocess.resize, "the longer side to `side` pixels, then black on both sides to a square"
    else:
        side, text = preprocess.shorter or preprocess.resize, "the shorter side to `side` pixels, then the central part"
    return {
        "size": [preprocess.input_size, preprocess.input_size],
        "resize": f"bilinear with antialiasing: {text} of `crop` pixels, then `pad` pixels of 0 on each side",
        "letterbox": preprocess.letterbox,
        "side": side,
        "crop": preprocess.resize,
        "pad": preprocess.pad,
        **describe_scaling(preprocess.mean, preprocess.std, order),
    }


def make_untrained(name: str) -> Classifier:
    """Return a classifier with random weights: a network of the registry with its default options."""
    info = MODELS[name]
    half = (0.5,) * info.in_channels
    preprocess = Preprocess(channels=info.in_channels, resize=info.image_size, pad=0, mean=half, std=half)
    classes = tuple(f"class {i}" for i in range(info.num_classes))
    card = {"kind": "classifier", "model": name, "about": {"data": "none (random weights)"}}
    return Classifier(create_model(name).eval(), preprocess, classes, card, "")
