"""The arithmetic by hand: convolution, forward and backward, written out."""

from typing import TYPE_CHECKING

from firstsight.lazy import lazy_names

if TYPE_CHECKING:
    from firstsight.ops.conv import Algorithm, conv2d

__all__ = ["Algorithm", "conv2d"]

__getattr__ = lazy_names("firstsight.ops", {"Algorithm": "conv:Algorithm", "conv2d": "conv:conv2d"})
