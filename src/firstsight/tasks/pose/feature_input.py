"""Input of a pose network whose feature maps are drawn."""

import numpy as np
import torch
from PIL import Image

from firstsight.data.image_input import to_pil
from firstsight.data.sample_image import sample_people, sample_photo
from firstsight.tasks.feature_input import FeatureInput, refuse_seed
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
from firstsight.tasks.pose.top_down.estimate import TopDownEstimator


def bottom_up_input(estimator: PoseEstimator, image: Image.Image | None, *, seed: int | None) -> FeatureInput:
    """Return the input of a bottom-up network: an image, or a photograph of four people."""
    refuse_seed(seed)
    name = "" if image else f"the sample photograph {sample_people().name}"
    inputs = estimator.make_input(image or to_pil(sample_people()))
    pixels = (inputs[0].flip(0) * 256 + 128).round().to(torch.uint8).numpy()
    return FeatureInput(estimator.network.model, inputs, pixels, "input image", name, is_bgr=True)


def top_down_input(estimator: TopDownEstimator, image: Image.Image | None, *, seed: int | None) -> FeatureInput:
    """Return the input of a top-down network: an image, or a portrait, which is taken as one person."""
    refuse_seed(seed)
    name = "" if image else f"the sample photograph {sample_photo().name}"
    pil = image or to_pil(sample_photo())
    pixels = torch.from_numpy(np.array(pil.convert("RGB"))).permute(2, 0, 1)
    crops, inputs, _ = estimator.make_inputs(pixels, torch.from_numpy(estimator.whole_image(pil)))
    is_bgr = not estimator.network.is_published
    crop = crops[0].round().clamp(0, 255).to(torch.uint8).numpy()
    return FeatureInput(estimator.network.model, inputs, crop, "input image", name, is_bgr=is_bgr)
