"""Heads of top-down networks: heatmaps, or classification of x and y (SimCC).

A network outputs K maps of 1/4 of its input's size, or 1/8. A head converts them to its output, computes the loss, and
decodes joints. Coordinates are input pixels, x then y, with pixel centers at integers. The center of cell i of a map
with stride s is at pixel s i + (s - 1) / 2.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstsight.pose.targets import gaussian_heatmaps

STRIDE = 4
"""Input pixels per cell of the maps of most networks."""
Refine = Literal["none", "quarter", "dark"]
HeadName = Literal["heatmap", "mse", "simcc"]
HEADS: tuple[HeadName, ...] = get_args(HeadName)


def upcast(output: Tensor) -> Tensor:
    """Convert half precision to single precision; tensors of any shape."""
    return output.float() if output.itemsize < 4 else output


class HeatmapHead(nn.Module):
    """Head whose output is the heatmaps themselves; it has no parameters.

    Parameters
    ----------
    sigma : float
        Standard deviation of the target Gaussians, in cells.
    loss : {"mse", "cross-entropy"}
        "mse" is half the squared error, summed over cells (Xiao 2018 average it). "cross-entropy" compares a softmax
        over all cells of a map with the target Gaussian, normalized to a sum of 1. Training with "mse" is slow at the
        beginning, because maps of zeros already have a small error.
    stride : int
        Input pixels per cell.
    align : {"center", "reference"}
        "center": the center of cell i is at pixel s i + (s - 1) / 2 of the input. "reference": it is at pixel s i, as
        in the code of Xiao 2018, so the maps of a flipped image are shifted by one cell.
    """

    def __init__(
        self,
        *,
        sigma: float = 2.0,
        loss: Literal["mse", "cross-entropy"] = "cross-entropy",
        stride: int = STRIDE,
        align: Literal["center", "reference"] = "center",
    ) -> None:
        super().__init__()
        self.sigma = sigma
        self.loss = loss
        self.stride = stride
        self.align = align
        self._shift = (stride - 1) / 2 if align == "center" else 0.0

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps (N, K, h, w) unchanged."""
        return maps

    def losses(self, output: Tensor, keypoints: Tensor, visible: Tensor) -> Tensor:
        """Compute the loss of every sample, summed over its visible joints.

        Parameters
        ----------
        output : Tensor
            Heatmaps (N, K, h, w).
        keypoints : Tensor
            Joints (N, K, 2), x and y in input pixels.
        visible : Tensor
            Mask (N, K), bool; other joints are ignored.

        Returns
        -------
        Tensor
            Losses (N,).
        """
        cells = (keypoints - self._shift) / self.stride
        size = (output.shape[2], output.shape[3])
        targets = gaussian_heatmaps(cells, visible, size=size, sigma=self.sigma).flatten(2)
        if self.loss == "mse":
            losses = (output.flatten(2) - targets).square().sum(2) / 2
        else:
            log_probs = F.log_softmax(output.flatten(2), 2)
            losses = -(targets * log_probs).sum(2) / targets.sum(2).clamp(min=1e-6)
        return torch.where(visible, losses, torch.zeros_like(losses)).sum(1)

    def to_scores(self, output: Tensor) -> Tensor:
        """Return score maps (N, K, h, w) for ``output`` (N, K, h, w), about 1 at the peak of a confident prediction."""
        if self.loss == "mse":
            return output
        return output.flatten(2).softmax(2).unflatten(2, output.shape[2:]) * (2 * torch.pi * self.sigma**2)

    def flip_back(self, scores: Tensor, flip: tuple[int, ...]) -> Tensor:
        """Convert the scores of a horizontally flipped image to those of the image.

        With ``align="center"``, pixel centers map to pixel centers, so no shift is needed. With "reference", the maps
        are shifted by one cell to the right, as in the published code.

        Parameters
        ----------
        scores : Tensor
            Score maps (N, K, h, w).
        flip : tuple[int, ...]
            Permutation of the joints under a horizontal flip, as in `Skeleton`.

        Returns
        -------
        Tensor
            Score maps (N, K, h, w).
        """
        flipped = scores[:, list(flip)].flip(3)
        return flipped if self.align == "center" else torch.cat([flipped[..., :1], flipped[..., :-1]], 3)

    def decode(self, scores: Tensor, *, refine: Refine = "dark") -> Tensor:
        """Decode joints from score maps; see `locate_peaks`.

        Parameters
        ----------
        scores : Tensor
            Score maps (N, K, h, w).
        refine : Refine
            Subpixel refinement.

        Returns
        -------
        Tensor
            Joints (N, K, 3): x and y in input pixels, within the maps, and a score in [0, 1].
        """
        peaks = locate_peaks(scores, refine=refine, sigma=self.sigma)
        last = peaks.new_tensor([scores.shape[3] - 1, scores.shape[2] - 1])
        xy = peaks[..., :2].clamp(min=torch.zeros_like(last), max=last) * self.stride + self._shift
        return torch.cat([xy, peaks[..., 2:].clamp(0, 1)], 2)


class SimccHead(nn.Module):
    """SimCC head (Li 2022): the position of a joint is one class of x and one class of y.

    The maps (N, K, h, w) are flattened and pass through one linear layer for x and one for y, which all joints share.

    Parameters
    ----------
    size : tuple[int, int]
        Height and width of the network's input.
    split : int
        Number of classes per input pixel.
    sigma : float
        Standard deviation of the target distribution, in input pixels.
    stride : int
        Input pixels per cell of the maps.
    """

    def __init__(self, *, size: tuple[int, int], split: int = 2, sigma: float = 3.0, stride: int = STRIDE) -> None:
        super().__init__()
        self.size = size
        self.split = split
        self.sigma = sigma
        cells = (size[0] // stride) * (size[1] // stride)
        self.x = nn.Linear(cells, size[1] * split)
        self.y = nn.Linear(cells, size[0] * split)

    def forward(self, maps: Tensor) -> Tensor:
        """Return logits (N, K, split (W + H)), those of x before those of y, for maps (N, K, h, w)."""
        flat = maps.flatten(2)  # (N, K, h*w)
        return torch.cat([self.x(flat), self.y(flat)], 2)

    def losses(self, output: Tensor, keypoints: Tensor, visible: Tensor) -> Tensor:
        """Compute the cross entropy of x and y for every sample, summed over its visible joints.

        Parameters
        ----------
        output : Tensor
            Logits (N, K, split (W + H)).
        keypoints : Tensor
            Joints (N, K, 2), x and y in input pixels.
        visible : Tensor
            Mask (N, K), bool; other joints are ignored.

        Returns
        -------
        Tensor
            Losses (N,).
        """
        total = torch.zeros_like(visible, dtype=output.dtype)
        for logits, coordinate in zip(self._split_axes(output), keypoints.unbind(2), strict=True):
            classes = torch.arange(logits.shape[2], dtype=output.dtype, device=output.device)
            distance = (classes - self._to_class(coordinate)[..., None]) / (self.sigma * self.split)
            targets = torch.softmax(-distance.square() / 2, 2)
            total = total - (targets * F.log_softmax(logits, 2)).sum(2)
        return torch.where(visible, total, torch.zeros_like(total)).sum(1)

    def to_scores(self, output: Tensor) -> Tensor:
        """Return scores of x and y for logits, both (N, K, split (W + H)); about 1 if confident."""
        peak = (2 * torch.pi) ** 0.5 * self.sigma * self.split
        return torch.cat([logits.softmax(2) * peak for logits in self._split_axes(output)], 2)

    def flip_back(self, scores: Tensor, flip: tuple[int, ...]) -> Tensor:
        """Convert the scores of a horizontally flipped image to those of the image.

        Parameters
        ----------
        scores : Tensor
            Scores (N, K, split (W + H)).
        flip : tuple[int, ...]
            Permutation of the joints under a horizontal flip, as in `Skeleton`.

        Returns
        -------
        Tensor
            Scores (N, K, split (W + H)).
        """
        x, y = self._split_axes(scores[:, list(flip)])
        return torch.cat([x.flip(2), y], 2)

    def decode(self, scores: Tensor, *, refine: Refine = "none") -> Tensor:
        """Decode joints from scores.

        Parameters
        ----------
        scores : Tensor
            Scores (N, K, split (W + H)).
        refine : Refine
            Ignored; classes are finer than pixels.

        Returns
        -------
        Tensor
            Joints (N, K, 3): x and y in input pixels, and the lower score of both, in [0, 1].
        """
        (x_score, x), (y_score, y) = (axis.max(2) for axis in self._split_axes(scores))
        coordinates = [(index + 0.5) / self.split - 0.5 for index in (x, y)]
        return torch.stack([*coordinates, torch.minimum(x_score, y_score).clamp(0, 1)], 2)

    def _split_axes(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Split logits or scores into those of x (N, K, split W) and y (N, K, split H)."""
        x, y = output.split([self.size[1] * self.split, self.size[0] * self.split], 2)
        return x, y

    def _to_class(self, coordinate: Tensor) -> Tensor:
        """Convert pixels to (fractional) classes; a class is at the center of its part of the pixel."""
        return (coordinate + 0.5) * self.split - 0.5


def make_head(name: HeadName, *, size: tuple[int, int], sigma: float, stride: int = STRIDE) -> HeatmapHead | SimccHead:
    """Build a head by name.

    Parameters
    ----------
    name : HeadName
        "heatmap" (heatmaps with cross entropy), "mse" (heatmaps with squared errors) or "simcc".
    size : tuple[int, int]
        Height and width of the network's input.
    sigma : float
        Standard deviation of the target, in input pixels.
    stride : int
        Input pixels per cell of the network's maps.

    Returns
    -------
    HeatmapHead | SimccHead
        Head with randomly initialized weights.
    """
    if name == "simcc":
        return SimccHead(size=size, sigma=sigma, stride=stride)
    return HeatmapHead(sigma=sigma / stride, loss="mse" if name == "mse" else "cross-entropy", stride=stride)


def locate_peaks(heatmaps: Tensor, *, refine: Refine, sigma: float = 2.0) -> Tensor:
    """Locate the maximum of every map with subcell accuracy.

    Parameters
    ----------
    heatmaps : Tensor
        Maps (N, K, h, w). Half precision, which has no exact numbers above 2,048 or 256, is converted to float32.
    refine : Refine
        "none" returns the highest cell. "quarter" adds a quarter of a cell toward the higher neighbor, in x and in y
        (Newell 2016). "dark" smooths the map with the Gaussian of the target and takes one Newton step of its
        logarithm from the highest cell (Zhang 2020); the second derivatives are differences over two cells, as in the
        published code. Cells at the border are not refined, for "dark" neither those next to it.
    sigma : float
        Standard deviation of the target, in cells; for "dark".

    Returns
    -------
    Tensor
        Peaks (N, K, 3): x and y in cells, and the value of the highest cell.
    """
    heatmaps = upcast(heatmaps)
    height, width = heatmaps.shape[2:]
    score, cell = heatmaps.flatten(2).max(2)
    x = cell % width
    y = cell.div(width, rounding_mode="floor")
    peaks = torch.stack([x.to(score), y.to(score), score], 2)
    margin = 2 if refine == "dark" else 1
    if refine == "none" or min(height, width) < 2 * margin + 1:
        return peaks
    is_inner = (x >= margin) & (x < width - margin) & (y >= margin) & (y < height - margin)
    x, y = x.clamp(margin, width - 1 - margin), y.clamp(margin, height - 1 - margin)
    if refine == "quarter":
        dx, dy = _gradient(_neighborhood(heatmaps, x, y, radius=margin))
        offset = torch.stack([dx.sign(), dy.sign()], 2) / 4
    else:
        logs = smooth_heatmaps(heatmaps, sigma).clamp(min=1e-10).log()
        offset, is_valid = _newton_step(_neighborhood(logs, x, y, radius=margin))
        is_inner = is_inner & is_valid
    peaks[..., :2] += torch.where(is_inner[..., None], offset, torch.zeros_like(offset))
    return peaks


def _gradient(around: Tensor) -> tuple[Tensor, Tensor]:
    """Return the central differences in x and y at the center of (N, K, n, n) cells, each (N, K)."""
    c = around.shape[-1] // 2
    dx = (around[..., c, c + 1] - around[..., c, c - 1]) / 2
    dy = (around[..., c + 1, c] - around[..., c - 1, c]) / 2
    return dx, dy


def _newton_step(around: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Newton step (N, K, 2) at the center of 5x5 cells (N, K, 5, 5), and whether there is one (N, K)."""
    dx, dy = _gradient(around)
    center = around[..., 2, 2]
    dxx = (around[..., 2, 4] - 2 * center + around[..., 2, 0]) / 4
    dyy = (around[..., 4, 2] - 2 * center + around[..., 0, 2]) / 4
    dxy = (around[..., 3, 3] - around[..., 3, 1] - around[..., 1, 3] + around[..., 1, 1]) / 4
    determinant = dxx * dyy - dxy.square()
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], 2) / determinant[..., None]
    is_valid = (determinant != 0) & step.isfinite().all(2)
    return torch.where(is_valid[..., None], step, torch.zeros_like(step)), is_valid


def smooth_heatmaps(heatmaps: Tensor, sigma: float) -> Tensor:
    """Convolve maps (N, K, h, w) with a Gaussian of standard deviation ``sigma`` and sum 1."""
    radius = round(2.5 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=heatmaps.dtype, device=heatmaps.device)
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    maps = heatmaps.flatten(0, 1)[:, None]  # (N*K, 1, h, w)
    maps = F.conv2d(maps, kernel[None, None, None, :], padding=(0, radius))
    maps = F.conv2d(maps, kernel[None, None, :, None], padding=(radius, 0))
    return maps[:, 0].unflatten(0, heatmaps.shape[:2])


def _neighborhood(maps: Tensor, x: Tensor, y: Tensor, *, radius: int) -> Tensor:
    """Return the n x n cells (N, K, n, n) around (x, y), both (N, K), of each map (N, K, h, w); n is 2 radius + 1."""
    width, n = maps.shape[3], 2 * radius + 1
    offsets = torch.arange(-radius, radius + 1, device=maps.device)
    cells = (y[..., None, None] + offsets[:, None]) * width + x[..., None, None] + offsets
    return maps.flatten(2).gather(2, cells.flatten(2)).unflatten(2, (n, n))
