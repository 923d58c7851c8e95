"""Layers with the names, parameters and state dicts of those in `torch.nn`, computed by the functions of this package.

Each class derives from PyTorch's class and overrides only ``forward``, so it can replace that class in a network.
"""

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from firstsight.ops.conv import conv2d
from firstsight.ops.conv_transpose import conv_transpose2d
from firstsight.ops.dense import linear, relu
from firstsight.ops.geometry import Padding, Pair
from firstsight.ops.loss import Reduction, cross_entropy
from firstsight.ops.norm import batch_norm, local_response_norm
from firstsight.ops.pool import avg_pool2d, max_pool2d
from firstsight.ops.sums import Algorithm


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d` computed by `conv2d`.

    Set the attribute ``algorithm`` to choose another algorithm of `conv2d`. Padding modes other than "zeros" use
    `torch.nn.functional.pad`.
    """

    algorithm: Algorithm = "im2col"

    def forward(self, x: Tensor) -> Tensor:
        padding = cast(Padding, self.padding)
        if self.padding_mode != "zeros":
            x = F.pad(x, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return conv2d(
            x,
            self.weight,
            self.bias,
            stride=cast(Pair, self.stride),
            padding=padding,
            dilation=cast(Pair, self.dilation),
            groups=self.groups,
            algorithm=self.algorithm,
        )


class ConvTranspose2d(nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d` computed by `conv_transpose2d`.

    Set the attribute ``algorithm`` to choose another algorithm of `conv_transpose2d`.
    """

    algorithm: Algorithm = "im2col"

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        output_padding = self._output_padding(
            x,
            output_size,
            list(self.stride),
            list(cast(Pair, self.padding)),
            list(self.kernel_size),
            2,
            list(self.dilation),
        )
        return conv_transpose2d(
            x,
            self.weight,
            self.bias,
            stride=cast(Pair, self.stride),
            padding=cast(Pair, self.padding),
            output_padding=(output_padding[0], output_padding[1]),
            dilation=cast(Pair, self.dilation),
            groups=self.groups,
            algorithm=self.algorithm,
        )


class MaxPool2d(nn.MaxPool2d):
    """`torch.nn.MaxPool2d` computed by `max_pool2d`; ``return_indices`` is not supported."""

    def forward(self, x: Tensor) -> Tensor:
        if self.return_indices:
            raise ValueError("firstsight.ops.max_pool2d does not support `return_indices`, got True")
        return max_pool2d(
            x,
            cast(Pair, self.kernel_size),
            stride=cast(Pair, self.stride),
            padding=cast(Pair, self.padding),
            dilation=cast(Pair, self.dilation),
            ceil_mode=self.ceil_mode,
        )


class AvgPool2d(nn.AvgPool2d):
    """`torch.nn.AvgPool2d` computed by `avg_pool2d`; ``divisor_override`` is not supported."""

    def forward(self, x: Tensor) -> Tensor:
        if self.divisor_override is not None:
            raise ValueError(
                f"firstsight.ops.avg_pool2d does not support `divisor_override`, got {self.divisor_override}"
            )
        return avg_pool2d(
            x,
            cast(Pair, self.kernel_size),
            stride=cast(Pair, self.stride),
            padding=cast(Pair, self.padding),
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
        )


class Linear(nn.Linear):
    """`torch.nn.Linear` computed by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class ReLU(nn.ReLU):
    """`torch.nn.ReLU` computed by `relu`; with ``inplace`` the output overwrites the input."""

    def forward(self, x: Tensor) -> Tensor:
        return x.copy_(relu(x)) if self.inplace else relu(x)


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` computed by `batch_norm`."""

    def forward(self, x: Tensor) -> Tensor:
        self._check_input_dim(x)
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if momentum is None:  # cumulative average over all batches
                momentum = 1 / float(self.num_batches_tracked)
        return batch_norm(
            x,
            self.running_mean,
            self.running_var,
            weight=self.weight,
            bias=self.bias,
            training=self.training or self.running_mean is None,
            momentum=momentum or 0.0,
            eps=self.eps,
        )


class LocalResponseNorm(nn.LocalResponseNorm):
    """`torch.nn.LocalResponseNorm` computed by `local_response_norm`."""

    def forward(self, x: Tensor) -> Tensor:
        return local_response_norm(x, self.size, alpha=self.alpha, beta=self.beta, k=self.k)


class CrossEntropyLoss(nn.CrossEntropyLoss):
    """`torch.nn.CrossEntropyLoss` computed by `cross_entropy`; ``weight`` and ``ignore_index`` are not supported."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        if self.weight is not None or self.ignore_index != -100:
            raise ValueError("firstsight.ops.cross_entropy supports neither `weight` nor `ignore_index`")
        return cross_entropy(
            logits,
            target,
            label_smoothing=self.label_smoothing,
            reduction=cast(Reduction, self.reduction),
        )
