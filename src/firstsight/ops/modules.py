"""The layers of `torch.nn` with the arithmetic by hand: parameters, names and state dicts are the same.

Each is the library's class with another ``forward``, so that one can stand where the other stood.
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
    """`torch.nn.Conv2d` computed by `conv2d`; ``algorithm`` can be set to another of its three.

    Padding that repeats or mirrors the picture is laid around it by the library.
    """

    algorithm: Algorithm = "im2col"

    def forward(self, x: Tensor) -> Tensor:
        padding = cast(Padding, self.padding)
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._reversed_padding_repeated_twice, mode=self.padding_mode), 0
        return conv2d(
            x, self.weight, self.bias, stride=cast(Pair, self.stride), padding=padding,
            dilation=cast(Pair, self.dilation), groups=self.groups, algorithm=self.algorithm,
        )  # fmt: skip


class ConvTranspose2d(nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d` computed by `conv_transpose2d`; ``algorithm`` can be set to another of its three."""

    algorithm: Algorithm = "im2col"

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        more = self._output_padding(
            x, output_size, list(self.stride), list(cast(Pair, self.padding)), list(self.kernel_size), 2,
            list(self.dilation),
        )  # fmt: skip
        return conv_transpose2d(
            x, self.weight, self.bias, stride=cast(Pair, self.stride), padding=cast(Pair, self.padding),
            output_padding=(more[0], more[1]), dilation=cast(Pair, self.dilation), groups=self.groups,
            algorithm=self.algorithm,
        )  # fmt: skip


class MaxPool2d(nn.MaxPool2d):
    """`torch.nn.MaxPool2d` computed by `max_pool2d`, which does not return indices."""

    def forward(self, x: Tensor) -> Tensor:
        if self.return_indices:
            raise ValueError("max_pool2d by hand has no return_indices; got True")
        return max_pool2d(
            x, cast(Pair, self.kernel_size), stride=cast(Pair, self.stride), padding=cast(Pair, self.padding),
            dilation=cast(Pair, self.dilation), ceil_mode=self.ceil_mode,
        )  # fmt: skip


class AvgPool2d(nn.AvgPool2d):
    """`torch.nn.AvgPool2d` computed by `avg_pool2d`, which divides by the count alone."""

    def forward(self, x: Tensor) -> Tensor:
        if self.divisor_override is not None:
            raise ValueError(f"avg_pool2d by hand has no divisor_override; got {self.divisor_override}")
        return avg_pool2d(
            x, cast(Pair, self.kernel_size), stride=cast(Pair, self.stride), padding=cast(Pair, self.padding),
            ceil_mode=self.ceil_mode, count_include_pad=self.count_include_pad,
        )  # fmt: skip


class Linear(nn.Linear):
    """`torch.nn.Linear` computed by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class ReLU(nn.ReLU):
    """`torch.nn.ReLU` computed by `relu`; with ``inplace`` the result is written over x."""

    def forward(self, x: Tensor) -> Tensor:
        return x.copy_(relu(x)) if self.inplace else relu(x)


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` computed by `batch_norm`."""

    def forward(self, x: Tensor) -> Tensor:
        self._check_input_dim(x)
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if momentum is None:  # the plain average over all batches so far
                momentum = 1 / float(self.num_batches_tracked)
        return batch_norm(
            x, self.running_mean, self.running_var, weight=self.weight, bias=self.bias,
            training=self.training or self.running_mean is None, momentum=momentum or 0.0, eps=self.eps,
        )  # fmt: skip


class LocalResponseNorm(nn.LocalResponseNorm):
    """`torch.nn.LocalResponseNorm` computed by `local_response_norm`."""

    def forward(self, x: Tensor) -> Tensor:
        return local_response_norm(x, self.size, alpha=self.alpha, beta=self.beta, k=self.k)


class CrossEntropyLoss(nn.CrossEntropyLoss):
    """`torch.nn.CrossEntropyLoss` computed by `cross_entropy`, which weighs all classes alike and ignores no label."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        if self.weight is not None or self.ignore_index != -100:
            raise ValueError("cross_entropy by hand has no weight and no ignore_index")
        return cross_entropy(
            logits, target, label_smoothing=self.label_smoothing, reduction=cast(Reduction, self.reduction)
        )
