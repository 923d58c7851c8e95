"""Top-down pose model: a network that sees one person per crop, and the head that decodes joints from its maps."""

import torch
from torch import Tensor, nn

from firstsight.models.pose.heads import HeatmapHead, Refine, SimccHead, upcast


class TopDown(nn.Module):
    """Network with a head, for crops of one person each.

    Parameters
    ----------
    net : nn.Module
        Network from crops (N, 3, H, W) to a list of maps (N, K, H/4, W/4), or 1/8 of the size. The last maps are the
        best.
    head : HeatmapHead | SimccHead
        Head that is applied to all maps of the list.
    """

    def __init__(self, net: nn.Module, head: HeatmapHead | SimccHead) -> None:
        super().__init__()
        self.net = net
        self.head = head

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return an output of the head for each of the network's maps.

        Parameters
        ----------
        images : Tensor
            Crops (N, 3, H, W), BGR, (pixel - 128) / 256.

        Returns
        -------
        list[Tensor]
            Outputs as of the head's ``forward``.
        """
        return [self.head(maps) for maps in self.net(images)]

    def losses(self, outputs: list[Tensor], keypoints: Tensor, visible: Tensor) -> Tensor:
        """Compute the loss of every sample, summed over all outputs.

        Parameters
        ----------
        outputs : list[Tensor]
            Outputs of ``forward``.
        keypoints : Tensor
            Joints (N, K, 2), x and y in pixels of the crop.
        visible : Tensor
            Mask (N, K), bool; other joints are ignored.

        Returns
        -------
        Tensor
            Losses (N,).
        """
        return torch.stack([self.head.losses(upcast(output), keypoints, visible) for output in outputs]).sum(0)

    def joints(self, images: Tensor, *, flip: tuple[int, ...] | None = None, refine: Refine = "dark") -> Tensor:
        """Predict the joints of the person in each crop.

        Parameters
        ----------
        images : Tensor
            Crops (N, 3, H, W), as in ``forward``.
        flip : tuple[int, ...] | None
            Permutation of the joints under a horizontal flip, as in `Skeleton`. The predictions for the crop and its
            horizontal flip are then averaged. None for the crop only.
        refine : Refine
            Subpixel refinement; see `firstsight.models.pose.heads.locate_peaks`.

        Returns
        -------
        Tensor
            Joints (N, K, 3): x and y in pixels of the crop, pixel centers at integers, and a score in [0, 1].
        """
        scores = self.head.to_scores(upcast(self(images)[-1]))
        if flip is not None:
            flipped_scores = self.head.to_scores(upcast(self(images.flip(3))[-1]))
            scores = (scores + self.head.flip_back(flipped_scores, flip)) / 2
        return self.head.decode(scores, refine=refine)
