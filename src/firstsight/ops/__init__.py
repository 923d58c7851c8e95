"""Operations of convolutional networks, written out in Python with their gradients.

The functions (`conv2d`, `max_pool2d`, ...) compute outputs and gradients by explicit formulas. The layers (`Conv2d`,
`MaxPool2d`, ...) have the names and state dicts of those in `torch.nn` and use these functions. `by_hand` copies a
network and replaces its layers and function calls by them. `fold_batch_norm` copies a network and folds its batch norms
into convolutions. `conv2d_numpy` is convolution as nested loops in NumPy; `NUMPY_AND_TORCH` lists differences between
NumPy and PyTorch.
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
