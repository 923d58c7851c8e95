"""Feature maps of a layer: of a classifier or a pose network for an image, of a generator for a latent vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from firstsight import display
from firstsight.arguments import check_arguments, is_source
from firstsight.data.image_input import ImageLike, image_name, to_pil
from firstsight.display import FORMATS, Result
from firstsight.errors import UsageError, unknown_name
from firstsight.profiling import trace
from firstsight.tasks.feature_input import FeatureInput
from firstsight.tasks.load import load
from firstsight.tasks.spec import TASKS
from firstsight.weights.bundled import display_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_NAMES = 6
"""Number of layers that a message names."""


@dataclass(frozen=True, repr=False, eq=False)
class Features(Result):
    """Filters and feature maps of a layer.

    Attributes
    ----------
    layer : str
        Name of the layer, as `firstsight summary` prints it.
    image : NDArray[np.uint8]
        (C, H, W) input of the network before normalization, or the image that a generator makes.
    maps : NDArray[np.float32]
        (channels, h, w) output of the layer.
    filters : NDArray[np.float32] | None
        (outputs, inputs, kh, kw) of a convolution; None for other layers. Three inputs, the channels of an image, are
        red, green, blue, also of a network that takes blue, green, red.
    heading : str
        What ``image`` is: "input image" or "generated image".
    name : str
        What a sample image is, or the seed of the latent vector; empty for an image that was given.
    source : str
        Name of the weights.
    """

    layer: str
    image: NDArray[np.uint8]
    maps: NDArray[np.float32]
    filters: NDArray[np.float32] | None
    heading: str = "input image"
    name: str = ""
    source: str = ""

    IMAGE_FORMATS: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".svg", ".pdf")

    @property
    def title(self) -> str:
        """Title of the figure: weights, layer and image."""
        return f"{f'{self.source}, ' if self.source else ''}{self.layer}: {self.name or 'image'}"

    def to_dict(self) -> dict[str, Any]:
        """Return layer, shapes and range of values as plain data for JSON; without pixels and maps."""
        return {
            "image": self.name,
            "layer": self.layer,
            "maps": list(self.maps.shape),
            "filters": None if self.filters is None else list(self.filters.shape),
            "range": [float(self.maps.min()), float(self.maps.max())],
        }

    def figure(self) -> "Figure":
        """Return the figure: the image, the filters if the layer is a convolution, and the feature maps."""
        from firstsight import plots

        return plots.features(self.image, self.maps, self.filters, self.title, heading=self.heading)

    def encode(self, suffix: str) -> bytes:
        """Return the content of a file with this suffix: the figure, or its description; see `save`."""
        if suffix.lower() in FORMATS:
            return super().encode(suffix)
        from firstsight.plots import encode_figure

        return encode_figure(self.figure(), suffix)

    def __str__(self) -> str:
        channels, height, width = self.maps.shape
        low, high = float(self.maps.min()), float(self.maps.max())
        return f"{self.layer}: {channels} maps of {width}x{height}, values {low:.3g} to {high:.3g}"

    def __repr__(self) -> str:
        return f"Features({self})"

    def _repr_html_(self) -> str:
        return display.paragraph(self) + display.embed(self._draw(), alt=self.title)

    def _show_in_terminal(self) -> None:
        display.open_image(self._draw())

    def _draw(self) -> Image.Image:
        return Image.open(BytesIO(self.encode(".png"))).convert("RGB")


def compute_features(
    model: Any,
    image: ImageLike | None = None,
    layer: str | None = None,
    *,
    seed: int | None = None,
    bgr: bool = False,
) -> Features:
    """Compute the feature maps of a layer, as ``firstsight features`` draws them.

    Parameters
    ----------
    model : Any
        What `firstsight.load` returns (on the CPU) or takes.
    image : ImageLike | None
        Image of any form; None for one of the training data that is on this machine, or else a sample photograph. A
        generator takes none.
    layer : str | None
        Name of a layer of the cost table; None for the first convolution.
    seed : int | None
        Seed of the latent vector of a generator; None for 0.
    bgr : bool
        Channels of an array or a tensor are blue, green, red (OpenCV); images of other forms are not changed.

    Returns
    -------
    Features
        Image, filters and maps; ``.show()`` and ``.save(path)`` draw them.

    Raises
    ------
    UsageError
        If there is no such layer, or it has no feature maps (a linear layer); if an image is given for a generator, or
        a seed for another network.
    DataError
        If the image cannot be read.
    """
    check_arguments(compute_features, locals())
    if is_source(model):
        model = load(model)
    spec = TASKS.get(getattr(model, "task", ""))
    if spec is None:
        raise UsageError(f"`model` must be what firstsight.load returns or takes; got {type(model).__name__}")
    if not spec.features:
        raise UsageError(f"feature maps of a {spec.title} cannot be drawn")
    pil = None if image is None else to_pil(image, bgr=bgr)
    given: FeatureInput = spec.resolve("features")(model, pil, seed=seed)
    steps = {step.name: step for step in trace(given.net, given.inputs, count=False)}
    with_maps = {name: step for name, step in steps.items() if step.output.ndim == 4}
    if layer is None:
        convolutions = (name for name, step in with_maps.items() if "Conv" in step.kind)
        layer = next(convolutions, next(iter(with_maps), ""))
    if layer not in with_maps:
        raise _no_maps(layer, [*with_maps], has_layer=layer in steps)
    maps = with_maps[layer].output[0].float().numpy()
    filters = _filters_of(dict(given.net.named_modules()).get(layer))
    if given.is_bgr and filters is not None and filters.shape[1] == 3:
        filters = filters[:, ::-1]
    name = given.name or (Path(image_name(image)).name if image is not None else "")
    source = display_name(Path(model.source)) if getattr(model, "source", "") else ""
    return Features(layer, given.image, maps, filters, given.heading, name, source)


def _no_maps(layer: str, with_maps: Sequence[str], *, has_layer: bool) -> UsageError:
    """Return the error for a layer that does not exist, or has no feature maps."""
    if not with_maps:
        return UsageError("no layer of this network has feature maps: the outputs of all layers are vectors")
    names = ", ".join(with_maps[:MAX_NAMES])
    if len(with_maps) > MAX_NAMES:
        names += f" and {len(with_maps) - MAX_NAMES} more, which firstsight summary lists"
    if has_layer:
        return UsageError(f"{layer} has a vector as output, no feature maps; layers with maps: {names}")
    return unknown_name("layer", layer, with_maps, f"layers with maps: {names}")


def _filters_of(module: nn.Module | None) -> NDArray[np.float32] | None:
    """Return the filters (outputs, inputs, kh, kw) of a convolution, also of a transposed one; None without any."""
    if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        return None
    weight = module.weight.detach().float()
    if isinstance(module, nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    filters: NDArray[np.float32] = weight.numpy()
    return filters
