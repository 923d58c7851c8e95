"""Filter an image with a kernel."""

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from PIL import Image

from firstsight import display
from firstsight.arguments import check_arguments
from firstsight.data.image_input import ImageLike, to_pil
from firstsight.display import FORMATS, Result
from firstsight.ops.filtering import FilterResult, filter_image
from firstsight.ops.kernels import get_kernel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_TERMS = 9
"""Number of products that `ImageFilterResult` prints."""


@dataclass(frozen=True, repr=False)
class ImageFilterResult(FilterResult, Result):
    """Filtered image, with the arithmetic of one output pixel.

    The other attributes are those of `FilterResult`.

    Attributes
    ----------
    title : str
        Kernel and steps, the title of the figure.
    """

    title: str = ""

    IMAGE_FORMATS: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".svg", ".pdf")

    def figure(self) -> "Figure":
        """Return the figure: the image, the kernel, the output, and the arithmetic of one pixel."""
        from firstsight import plots

        return plots.filtering(self, self.title)

    def draw(self) -> Image.Image:
        """Return the figure as an image, mode "RGB"."""
        return Image.open(BytesIO(self.encode(".png"))).convert("RGB")

    def encode(self, suffix: str) -> bytes:
        """Return the content of a file with this suffix: the figure, or the numbers; see `save`."""
        if suffix.lower() in FORMATS:
            return super().encode(suffix)
        from firstsight.plots import encode_figure

        return encode_figure(self.figure(), suffix)

    def lines(self) -> tuple[str, str]:
        """Return sizes and range of values, and the arithmetic of one pixel, as text."""
        (y, x), (rows, columns) = self.at, self.output.shape[1:]
        low, high = self.output.min(), self.output.max()
        size = f"{self.image.shape[2]}x{self.image.shape[1]} to {columns}x{rows}, values {low:.1f} to {high:.1f}"
        terms = [f"{p:.0f}*{k:.3g}" for p, k in zip(self.patch.flat, self.kernel.flat, strict=True) if k]
        more = f" + ... ({len(terms)} terms)" if len(terms) > MAX_TERMS else ""
        return size, f"output pixel x={x}, y={y}: {' + '.join(terms[:MAX_TERMS])}{more} = {self.total:.6g}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.lines()[0]})"

    def __str__(self) -> str:
        return "\n".join([repr(self), self.lines()[1]])

    def _repr_html_(self) -> str:
        return display.paragraph(self) + display.embed(self.draw(), alt=self.title)

    def _show_in_terminal(self) -> None:
        display.open_image(self.draw())


def apply_filter(
    image: ImageLike,
    kernel: str = "sobel-x",
    *,
    size: int | None = None,
    stride: int = 1,
    padding: int | Literal["same"] = "same",
    dilation: int = 1,
    color: bool = False,
    at: tuple[int, int] | None = None,
    bgr: bool = False,
) -> ImageFilterResult:
    """Convolve an image with a kernel and return the arithmetic of one output pixel.

    Parameters
    ----------
    image : ImageLike
        Image of any form, see `firstsight.data.image_input.to_pil`. It is converted to gray unless ``color``.
    kernel : str
        Name of a kernel or a matrix as text, see `firstsight.ops.kernels.get_kernel`.
    size : int | None
        Side of a kernel that exists in several sizes.
    stride : int
        Step between output pixels, at least 1.
    padding : int | Literal['same']
        Zeros on every side, or "same" for an output of the size of the image.
    dilation : int
        Distance between the taps of the kernel, at least 1.
    color : bool
        Filter red, green and blue separately; the arithmetic is that of the channel with the strongest response.
    at : tuple[int, int] | None
        (row, column) of the output pixel whose arithmetic is returned; None for the strongest response.
    bgr : bool
        Channels of an array or a tensor are blue, green, red (OpenCV); images of other forms are not changed.

    Returns
    -------
    ImageFilterResult
        Filtered image, kernel, and the arithmetic of one pixel.

    Raises
    ------
    UsageError
        If the kernel or a value is impossible.
    DataError
        If the image cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> apply_filter(np.eye(8, dtype=np.uint8) * 255, "box", size=3).output.shape
    (1, 8, 8)
    """
    check_arguments(apply_filter, locals())
    matrix = get_kernel(kernel, size)
    pixels = np.array(to_pil(image, bgr=bgr).convert("RGB" if color else "L"))
    channels_first = torch.from_numpy(pixels).permute(2, 0, 1) if color else torch.from_numpy(pixels)[None]
    result = filter_image(channels_first, matrix, stride=stride, padding=padding, dilation=dilation, at=at)
    title = f"{kernel} (stride {stride}, padding {padding}, dilation {dilation})"
    return ImageFilterResult(**vars(result), title=title)
