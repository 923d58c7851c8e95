"""How a top-down network says where a joint is: as a heatmap, or as a class of x and a class of y (SimCC).

A network gives K maps a quarter of its input's size; a head makes its answer of them, says how wrong an answer is, and
reads joints off it. Places are pixels of the input, x then y, pixel centres at integers; the centre of cell i of a map
stands for pixel 4 i + 1.5.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstsight.pose.targets import gaussian_heatmaps

STRIDE = 4
Refine = Literal["none", "quarter", "dark"]
HeadName = Literal["heatmap", "mse", "simcc"]
HEADS: tuple[HeadName, ...] = get_args(HeadName)


class HeatmapHead(nn.Module):
    """The maps themselves are the answer; it has no parameters.

    Parameters
    ----------
    sigma : float
        Standard deviation of a joint's bump, in cells.
    loss : Literal['mse', 'cross-entropy']
        "mse", half the squared error, summed over cells (Xiao 2018 take the mean); or "cross-entropy", of a softmax
        over all cells of a map against the bump that sums to one. Squares are slow to leave zeros, an answer that is
        never far off.
    """

    def __init__(self, *, sigma: float = 2.0, loss: Literal["mse", "cross-entropy"] = "cross-entropy") -> None:
        super().__init__()
        self.sigma, self.loss = sigma, loss

    def forward(self, maps: Tensor) -> Tensor:
        """(N, K, h, w) to (N, K, h, w)."""
        return maps

    def losses(self, answer: Tensor, keypoints: Tensor, visible: Tensor) -> Tensor:
        """Of every sample, (N,): the sum over its visible joints.

        Parameters
        ----------
        answer : Tensor
            (N, K, h, w).
        keypoints : Tensor
            (N, K, 2). visible : (N, K) bool; only those count.
        """
        places = (keypoints - (STRIDE - 1) / 2) / STRIDE
        size = (answer.shape[2], answer.shape[3])
        wanted = gaussian_heatmaps(places, visible, size=size, sigma=self.sigma).flatten(2)
        if self.loss == "mse":
            each = (answer.flatten(2) - wanted).square().sum(2) / 2
        else:
            each = -(wanted * F.log_softmax(answer.flatten(2), 2)).sum(2) / wanted.sum(2).clamp(min=1e-6)
        return torch.where(visible, each, torch.zeros_like(each)).sum(1)

    def likely(self, answer: Tensor) -> Tensor:
        """(N, K, h, w): about 1 where the network is sure of a joint, as a wanted bump is."""
        if self.loss == "mse":
            return answer
        return answer.flatten(2).softmax(2).unflatten(2, answer.shape[2:]) * (2 * torch.pi * self.sigma**2)

    def mirrored(self, likely: Tensor, flip: tuple[int, ...]) -> Tensor:
        """The answer to a mirror image, (N, K, H, W), as one to the picture; ``flip`` as of a `Skeleton`.

        Published code moves it by a cell too, for it counts from the corners of cells; here centres fall on centres.
        """
        return likely[:, list(flip)].flip(3)

    def decode(self, likely: Tensor, *, refine: Refine = "dark") -> Tensor:
        """(N, K, 3): x, y and a score in [0, 1]; see `peaks`."""
        found = peaks(likely, refine=refine, sigma=self.sigma)
        return torch.cat([found[..., :2] * STRIDE + (STRIDE - 1) / 2, found[..., 2:].clamp(0, 1)], 2)


class SimccHead(nn.Module):
    """Where a joint is as one of so many classes of x, and one of y (Li 2022, "SimCC").

    Each map, flattened, goes through one linear layer for x and one for y, the same for all joints.

    Parameters
    ----------
    size : tuple[int, int]
        (height, width) of the network's input.
    split : int
        Classes for one pixel of the input.
    sigma : float
        Standard deviation of the wanted probability around the joint, in pixels of the input.
    """

    def __init__(self, *, size: tuple[int, int], split: int = 2, sigma: float = 3.0) -> None:
        super().__init__()
        self.size, self.split, self.sigma = size, split, sigma
        cells = (size[0] // STRIDE) * (size[1] // STRIDE)
        self.x, self.y = nn.Linear(cells, size[1] * split), nn.Linear(cells, size[0] * split)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, K, h, w) to (N, K, split (W + H)): logits of x, then of y."""
        flat = maps.flatten(2)
        return torch.cat([self.x(flat), self.y(flat)], 2)

    def losses(self, answer: Tensor, keypoints: Tensor, visible: Tensor) -> Tensor:
        """Of every sample, (N,): cross entropy of x and of y, summed over its visible joints."""
        total = torch.zeros_like(visible, dtype=answer.dtype)
        for logits, place in zip(self._halves(answer), keypoints.unbind(2), strict=True):
            classes = torch.arange(logits.shape[2], dtype=answer.dtype, device=answer.device)
            apart = (classes - self._class(place)[..., None]) / (self.sigma * self.split)
            wanted = torch.softmax(-apart.square() / 2, 2)
            total = total - (wanted * F.log_softmax(logits, 2)).sum(2)
        return torch.where(visible, total, torch.zeros_like(total)).sum(1)

    def likely(self, answer: Tensor) -> Tensor:
        """(N, K, split (W + H)): about 1 where the network is sure, of x and of y."""
        peak = (2 * torch.pi) ** 0.5 * self.sigma * self.split
        return torch.cat([logits.softmax(2) * peak for logits in self._halves(answer)], 2)

    def mirrored(self, likely: Tensor, flip: tuple[int, ...]) -> Tensor:
        """The answer to a mirror image, (N, K, split (W + H)), as one to the picture; ``flip`` as of a `Skeleton`."""
        x, y = self._halves(likely[:, list(flip)])
        return torch.cat([x.flip(2), y], 2)

    def decode(self, likely: Tensor, *, refine: Refine = "none") -> Tensor:
        """(N, K, 3): x, y and a score in [0, 1], that of the less sure of the two; ``refine`` changes nothing."""
        (x_score, x), (y_score, y) = (half.max(2) for half in self._halves(likely))
        places = [(each + 0.5) / self.split - 0.5 for each in (x, y)]
        return torch.stack([*places, torch.minimum(x_score, y_score).clamp(0, 1)], 2)

    def _halves(self, answer: Tensor) -> tuple[Tensor, Tensor]:
        x, y = answer.split([self.size[1] * self.split, self.size[0] * self.split], 2)
        return x, y

    def _class(self, place: Tensor) -> Tensor:
        """Of pixels: class c is a part of a pixel, and stands for its middle."""
        return (place + 0.5) * self.split - 0.5


def make_head(name: HeadName, *, size: tuple[int, int], sigma: float) -> HeatmapHead | SimccHead:
    """A head by name: "heatmap" (with cross entropy), "mse" (a heatmap with squared errors), or "simcc".

    Parameters
    ----------
    size : tuple[int, int]
        (height, width) of the network's input.
    sigma : float
        Of a wanted bump, in pixels of the input.
    """
    if name == "simcc":
        return SimccHead(size=size, sigma=sigma)
    return HeatmapHead(sigma=sigma / STRIDE, loss="mse" if name == "mse" else "cross-entropy")


def peaks(heatmaps: Tensor, *, refine: Refine, sigma: float = 2.0) -> Tensor:
    """The highest cell of every map, and where between the cells the joint lies.

    Parameters
    ----------
    heatmaps : Tensor
        (N, K, h, w).
    refine : Refine
        "none"; "quarter", a quarter of a cell towards the higher neighbour, along x and along y (Newell 2016); or
        "dark": the map is smoothed as its bumps are, and the joint is where a parabola through the logarithm around the
        highest cell has its top (Zhang 2020). At the border of a map nothing is refined.
    sigma : float
        Of the bumps, in cells; for "dark".

    Returns
    -------
    Tensor
        (N, K, 3): x, y in cells, and the value of the highest cell.
    """
    height, width = heatmaps.shape[2:]
    score, cell = heatmaps.flatten(2).max(2)
    x, y = cell % width, cell.div(width, rounding_mode="floor")
    found = torch.stack([x.to(score), y.to(score), score], 2)
    if refine == "none" or min(height, width) < 3:
        return found
    inner = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    maps = heatmaps if refine == "quarter" else smoothed(heatmaps, sigma).clamp(min=1e-10).log()
    if refine == "dark":
        x, y = x.clamp(1, max(1, width - 2)), y.clamp(1, max(1, height - 2))
    around = _around(maps, x.clamp(1, width - 2), y.clamp(1, height - 2))
    step_x, step_y = (around[..., 1, 2] - around[..., 1, 0]) / 2, (around[..., 2, 1] - around[..., 0, 1]) / 2
    if refine == "quarter":
        shift = torch.stack([step_x.sign(), step_y.sign()], 2) / 4
    else:
        middle = around[..., 1, 1]
        xx = around[..., 1, 2] - 2 * middle + around[..., 1, 0]
        yy = around[..., 2, 1] - 2 * middle + around[..., 0, 1]
        corners = around[..., 2, 2] - around[..., 2, 0] - around[..., 0, 2] + around[..., 0, 0]
        xy = corners / 4
        determinant = xx * yy - xy.square()
        top = (xx < 0) & (determinant > 1e-12)
        inner = inner & top
        below = torch.where(top, determinant, torch.ones_like(determinant))
        shift = torch.stack([xy * step_y - yy * step_x, xy * step_x - xx * step_y], 2) / below[..., None]
        shift = shift.clamp(-1, 1)
    found[..., :2] += torch.where(inner[..., None], shift, torch.zeros_like(shift))
    return found


def smoothed(heatmaps: Tensor, sigma: float) -> Tensor:
    """Maps (N, K, h, w) under a Gaussian of the bumps' own deviation, as high as before."""
    reach = round(2.5 * sigma)
    places = torch.arange(-reach, reach + 1, dtype=heatmaps.dtype, device=heatmaps.device)
    kernel = torch.exp(-places.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    flat = heatmaps.flatten(0, 1)[:, None]
    flat = F.conv2d(flat, kernel[None, None, None, :], padding=(0, reach))
    flat = F.conv2d(flat, kernel[None, None, :, None], padding=(reach, 0))
    return flat[:, 0].unflatten(0, heatmaps.shape[:2])


def _around(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The 3x3 cells around (x, y), both (N, K), of each map: (N, K, 3, 3)."""
    width = maps.shape[3]
    steps = torch.arange(-1, 2, device=maps.device)
    places = (y[..., None, None] + steps[:, None]) * width + x[..., None, None] + steps
    return maps.flatten(2).gather(2, places.flatten(2)).unflatten(2, (3, 3))
