"""The arithmetic by hand: what a convolutional network computes, forward and backward, written out.

Functions (`conv2d`, `max_pool2d`, ...) with their gradients by formula; layers of the same names as torch's (`Conv2d`,
`MaxPool2d`, ...) that use them; `by_hand`, which copies a whole network so; `fold_batch_norm`, which copies one without
its batch norms; the first lesson's `conv2d_numpy`, and `NUMPY_AND_TORCH`, where the two differ.
"""

from firstsight.ops.conv import conv2d
from firstsight.ops.conv_transpose import conv_transpose2d
from firstsight.ops.dense import linear, relu
from firstsight.ops.fold import fold_batch_norm
from firstsight.ops.loss import cross_entropy
from firstsight.ops.modules import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    CrossEntropyLoss,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
)
from firstsight.ops.norm import batch_norm, local_response_norm
from firstsight.ops.numpy_conv import conv2d_numpy
from firstsight.ops.numpy_torch import NUMPY_AND_TORCH, Difference
from firstsight.ops.pool import avg_pool2d, max_pool2d
from firstsight.ops.replace import by_hand
from firstsight.ops.sums import Algorithm

__all__ = [
    "NUMPY_AND_TORCH",
    "Algorithm",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Difference",
    "Linear",
    "LocalResponseNorm",
    "MaxPool2d",
    "ReLU",
    "avg_pool2d",
    "batch_norm",
    "by_hand",
    "conv2d",
    "conv2d_numpy",
    "conv_transpose2d",
    "cross_entropy",
    "fold_batch_norm",
    "linear",
    "local_response_norm",
    "max_pool2d",
    "relu",
]
