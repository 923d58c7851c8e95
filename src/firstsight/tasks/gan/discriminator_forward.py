"""Forward pass and targets of the discriminator in training: augmentation, packing, class labels, label smoothing."""

from typing import Any

import torch
from torch import Tensor, nn

from firstsight.models.gan.augment import add_noise, random_translate
from firstsight.models.gan.infogan import CodePrediction
from firstsight.tasks.gan.settings import GANSettings


class DiscriminatorForward:
    """Forward pass of the discriminator D in training.

    Parameters
    ----------
    settings : GANSettings
        ``instance_noise``, ``packing``, ``real_label`` and ``label_flip_prob`` are used.
    is_conditional : bool
        Whether D is class-conditional and gets the labels of the images.

    Attributes
    ----------
    max_shift : int
        Maximum random shift of the images in pixels; the training step sets it.
    """

    def __init__(self, settings: GANSettings, *, is_conditional: bool) -> None:
        self.settings = settings
        self.is_conditional = is_conditional
        self.max_shift = 0

    def __call__(self, net: nn.Module, labels: Tensor, *image_sets: Tensor) -> tuple[Tensor, CodePrediction | None]:
        """Return the logits of one set of images, or of several in one batch.

        Parameters
        ----------
        net : nn.Module
            D: images to logits (N,), or to logits and a `CodePrediction`.
        labels : Tensor
            (N,) classes of the images; real and generated images have the same classes in the same order.
        *image_sets : Tensor
            Sets of images (N, C, H, W). Packs contain images of one set only.

        Returns
        -------
        logits : Tensor
            (sets * packs,) in at least single precision.
        prediction : CodePrediction | None
            Q's prediction of the codes, if D has a Q.
        """
        inputs = [self.pack(self.augment(images)) for images in image_sets]
        output = self._forward(net, labels, torch.cat(inputs) if len(inputs) > 1 else inputs[0])
        logits, prediction = output if isinstance(output, tuple) else (output, None)
        return at_least_float32(logits), prediction and prediction.map(at_least_float32)

    def packed_logits(self, net: nn.Module, labels: Tensor, packs: Tensor) -> Tensor:
        """Return the logits of packed images (packs, packing * C, H, W), without augmentation."""
        output = self._forward(net, labels, packs)
        logits: Tensor = output[0] if isinstance(output, tuple) else output
        return logits

    def _forward(self, net: nn.Module, labels: Tensor, packs: Tensor) -> Any:
        if not self.is_conditional:
            return net(packs)
        return net(packs, labels.repeat(len(packs) // len(labels)))

    def augment(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W) with a random shift (DiffAugment) and instance noise."""
        return add_noise(random_translate(images, self.max_shift), self.settings.instance_noise)

    def pack(self, images: Tensor) -> Tensor:
        """Concatenate the channels of ``packing`` images (PacGAN; Lin 2018); images that fill no pack are dropped.

        Parameters
        ----------
        images : Tensor
            (N, C, H, W) images.

        Returns
        -------
        Tensor
            (N // packing, packing * C, H, W).
        """
        packing = self.settings.packing
        if packing == 1:
            return images
        n, c, h, w = images.shape
        packs = n // packing
        return images[: packs * packing].reshape(packs, packing * c, h, w)

    def real_targets(self, logits: Tensor) -> Tensor | float:
        """Return D's target for real images: a number, or (N,) if some labels are flipped at random."""
        return self._flip(logits, self.settings.real_label, 0.0)

    def fake_targets(self, logits: Tensor) -> Tensor | float:
        """Return D's target for generated images: a number, or (N,) if some labels are flipped at random."""
        return self._flip(logits, 0.0, self.settings.real_label)

    def _flip(self, logits: Tensor, label: float, flipped_label: float) -> Tensor | float:
        if not self.settings.label_flip_prob:
            return label
        is_flipped = torch.rand_like(logits) < self.settings.label_flip_prob
        return torch.where(is_flipped, flipped_label, label)


def at_least_float32(x: Tensor) -> Tensor:
    """Convert a tensor of any shape to single precision, except for double precision."""
    return x if x.dtype == torch.float64 else x.float()
