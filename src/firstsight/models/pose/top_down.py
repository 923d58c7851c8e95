"""A network that looks at one person at a time, together with the head that reads joints off its maps."""

import torch
from torch import Tensor, nn

from firstsight.models.pose.heads import HeatmapHead, Refine, SimccHead


class TopDown(nn.Module):
    """Pictures of one person each to where their joints are.

    Parameters
    ----------
    net : nn.Module
        (N, 3, H, W), normalised, to one or several (N, K, H/4, W/4) maps, the last the best.
    head : HeatmapHead | SimccHead
        Makes answers of maps; the same for all of them.
    """

    def __init__(self, net: nn.Module, head: HeatmapHead | SimccHead) -> None:
        super().__init__()
        self.net, self.head = net, head

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W), blue, green, red, (pixel - 128) / 256, to an answer of the head for each of the net's."""
        return [self.head(maps) for maps in self.net(images)]

    def losses(self, answers: list[Tensor], keypoints: Tensor, visible: Tensor) -> Tensor:
        """Of every sample, (N,), over all answers; see `HeatmapHead.losses`."""
        return torch.stack([self.head.losses(wide(answer), keypoints, visible) for answer in answers]).sum(0)

    def joints(self, images: Tensor, *, flip: tuple[int, ...] | None = None, refine: Refine = "dark") -> Tensor:
        """Joints of one person in each picture.

        Parameters
        ----------
        images : Tensor
            (N, 3, H, W), as of `forward`.
        flip : tuple[int, ...] | None
            Of the skeleton, to also show the mirror images, and average; None not to.
        refine : Refine
            See `firstsight.models.pose.heads.peaks`.

        Returns
        -------
        Tensor
            (N, K, 3): x, y in pixels of the picture, pixel centres at integers, and a score in [0, 1].
        """
        likely = self.head.likely(wide(self(images)[-1]))
        if flip is not None:
            other = self.head.likely(wide(self(images.flip(3))[-1]))
            likely = (likely + self.head.mirrored(other, flip)) / 2
        return self.head.decode(likely, refine=refine)


def wide(answer: Tensor) -> Tensor:
    """At least single precision, of any shape."""
    return answer.float() if answer.itemsize < 4 else answer
