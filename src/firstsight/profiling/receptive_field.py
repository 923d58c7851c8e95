"""Theoretical receptive fields, propagated through windows, branches and shortcuts.

Along each axis, the receptive field of unit p is the interval ``[start + stride * p, start + stride * p + size - 1]``
in pixels of the image; ``start`` can be in the padding. A window of k taps with dilation d and stride s, and ``pad``
zeros before the first unit, gives (Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural
Networks")::

    start' = start - pad * stride      size' = size + (k - 1) * d * stride      stride' = s * stride

Where branches meet, the receptive field is the smallest interval that contains those of all branches. Sizes are those
for a large image: a unit near the border, or with a receptive field larger than the image, sees fewer pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """Receptive fields of all units along one axis.

    Attributes
    ----------
    start : float
        First pixel in the receptive field of unit 0; negative in the padding.
    size : float
        Size of the receptive field in pixels.
    stride : float
        Distance between the receptive fields of neighboring units in pixels; 0 if there is only one unit.
    is_exact : bool
        False if windows differ in size (adaptive pooling with a remainder, resampling); ``size`` is then that of the
        largest window.
    """

    start: float
    size: float
    stride: float
    is_exact: bool = True

    @property
    def center(self) -> float:
        """Center of the receptive field of unit 0 in pixels; the center of the first pixel is 0."""
        return self.start + (self.size - 1) / 2

    def apply_window(self, taps: int, *, stride: int = 1, pad: int = 0, dilation: int = 1) -> "Axis":
        """Return the receptive fields after a convolution or pooling.

        Parameters
        ----------
        taps : int
            Kernel size.
        stride : int
            Stride of the window in units.
        pad : int
            Number of padded units before the first one; negative if units are cut off.
        dilation : int
            Distance between neighboring taps in units.

        Returns
        -------
        Axis
            Receptive fields of the outputs.
        """
        return replace(
            self,
            start=self.start - pad * self.stride,
            size=self.size + (taps - 1) * dilation * self.stride,
            stride=self.stride * stride,
        )

    def merge_units(self, units: int) -> "Axis":
        """Return the receptive field of a single output that depends on ``units`` neighboring units."""
        return replace(self, size=self.size + (units - 1) * self.stride, stride=0.0)


Field = tuple[Axis, Axis]
"""Receptive fields along the vertical and the horizontal axis."""


def input_field() -> Field:
    """Return the receptive field of the pixels of the input image."""
    return Axis(0, 1, 1), Axis(0, 1, 1)


def merge_fields(fields: Sequence[tuple[Field, tuple[int, int]]]) -> Field:
    """Return the receptive field where branches meet.

    Parameters
    ----------
    fields : Sequence[tuple[Field, tuple[int, int]]]
        Receptive field and number of units (rows, columns) of each branch.

    Returns
    -------
    Field
        The smallest receptive field that contains all of them.
    """
    return _merge_axes([(f[0], n[0]) for f, n in fields]), _merge_axes([(f[1], n[1]) for f, n in fields])


def _merge_axes(branches: Sequence[tuple[Axis, int]]) -> Axis:
    if len({axis.stride for axis, _ in branches}) > 1:  # one branch is a single unit, broadcast to the others
        branches = [(axis.merge_units(units), 1) for axis, units in branches]
    axes = [axis for axis, _ in branches]
    start = min(axis.start for axis in axes)
    end = max(axis.start + axis.size for axis in axes)
    return Axis(start, end - start, axes[0].stride, all(axis.is_exact for axis in axes))


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[-1]))


def _apply_windows(field: Field, taps: tuple[int, int], stride: Any, padding: Any, dilation: Any) -> Field:
    strides = _pair(stride)
    dilations = _pair(dilation)
    if padding == "same":  # in PyTorch only with stride 1; an odd zero is added at the end
        pads = tuple(d * (k - 1) // 2 for k, d in zip(taps, dilations, strict=True))
    else:
        pads = (0, 0) if padding == "valid" else _pair(padding)
    rows, columns = (
        axis.apply_window(k, stride=s, pad=p, dilation=d)
        for axis, k, s, p, d in zip(field, taps, strides, pads, dilations, strict=True)
    )
    return rows, columns


def _convolution(
    field: Field,
    x: Tensor,
    out: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Field:
    return _apply_windows(field, (weight.shape[2], weight.shape[3]), stride, padding, dilation)


def _max_pooling(
    field: Field,
    x: Tensor,
    out: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Field:
    taps = _pair(kernel_size)
    return _apply_windows(field, taps, stride or taps, padding, dilation)


def _average_pooling(
    field: Field, x: Tensor, out: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, *_: Any, **__: Any
) -> Field:
    taps = _pair(kernel_size)
    return _apply_windows(field, taps, stride or taps, padding, 1)


def _adaptive_pooling(field: Field, x: Tensor, out: Tensor, *_: Any, **__: Any) -> Field:
    """Return the field of adaptive pooling: output i of m pools inputs floor(i n / m) to ceil((i + 1) n / m) - 1."""
    rows, columns = (_pool_adaptively(a, n, m) for a, n, m in zip(field, x.shape[2:], out.shape[2:], strict=True))
    return rows, columns


def _pool_adaptively(axis: Axis, n: int, m: int) -> Axis:
    if m == 1:
        return axis.merge_units(n)
    if n % m == 0:
        return axis.apply_window(n // m, stride=n // m)
    largest = max(-(-(i + 1) * n // m) - i * n // m for i in range(m))
    return replace(axis, size=axis.size + (largest - 1) * axis.stride, stride=axis.stride * n / m, is_exact=False)


def _padding(field: Field, x: Tensor, out: Tensor, pad: Sequence[int], *_: Any, **__: Any) -> Field:
    sides = [*pad, 0, 0, 0, 0]
    return field[0].apply_window(1, pad=sides[2]), field[1].apply_window(1, pad=sides[0])


def _slices(field: Field, x: Tensor, out: Tensor, index: Any) -> Field:
    indices = index if isinstance(index, tuple) else (index,)
    if out.ndim != 4 or len(indices) < 3 or not all(isinstance(i, slice) for i in indices):
        return field if out.shape[2:] == x.shape[2:] else _unknown(field, x, out)
    rows, columns = (
        axis.apply_window(1, stride=(part.indices(n)[2]), pad=-part.indices(n)[0])
        for axis, part, n in zip(field, (*indices[2:], slice(None))[:2], x.shape[2:], strict=True)
    )
    return rows, columns


def _transposed_convolution(
    field: Field,
    x: Tensor,
    out: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Field:
    """Return the field of a transposed convolution: output q = stride * p + dilation * tap - padding depends on p."""
    axes = []
    values = zip(field, weight.shape[2:], _pair(stride), _pair(padding), _pair(dilation), strict=True)
    for axis, k, s, p, d in values:
        extent = (k - 1) * d  # in units of the output
        num_inputs = extent // s + 1
        start = axis.start + axis.stride * ((p - extent) / s)
        size = axis.size + (num_inputs - 1) * axis.stride
        axes.append(Axis(start, size, axis.stride / s, axis.is_exact and s == 1))
    return axes[0], axes[1]


def _unknown(field: Field, x: Tensor, out: Tensor, *_: Any, **__: Any) -> Field:
    """Return the field of an operation without a rule: each output may depend on all inputs."""
    rows, columns = (replace(axis.merge_units(n), is_exact=False) for axis, n in zip(field, x.shape[2:], strict=True))
    return rows, columns


RULES: Mapping[str, Callable[..., Field]] = {
    "conv2d": _convolution,
    "max_pool2d": _max_pooling,
    "avg_pool2d": _average_pooling,
    "conv_transpose2d": _transposed_convolution,
    "adaptive_avg_pool2d": _adaptive_pooling,
    "adaptive_max_pool2d": _adaptive_pooling,
    "interpolate": _unknown,
    "pad": _padding,
    "__getitem__": _slices,
    "flip": _unknown,
    "roll": _unknown,
    "unfold": _unknown,
}
"""Rules by function name. All other functions act on each position separately, or on all positions together."""


def propagate_field(
    name: str, fields: Sequence[tuple[Field, Tensor]], out: Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Field:
    """Return the receptive field of an operation's output.

    Parameters
    ----------
    name : str
        Name of the function in ``torch`` or ``torch.nn.functional``.
    fields : Sequence[tuple[Field, Tensor]]
        Receptive field and tensor of each input that depends on the image.
    out : Tensor
        Output of any shape; if it is not (N, C, H, W), it depends on all inputs.
    args : Sequence[Any]
        Positional arguments of the function after the first.
    kwargs : Mapping[str, Any]
        Keyword arguments of the function.

    Returns
    -------
    Field
        Receptive field of ``out``.
    """
    first, x = fields[0]
    spatial = [(field, _num_units(tensor)) for field, tensor in fields]
    if out.ndim != 4:  # flattened or averaged
        return merge_fields([((f[0].merge_units(n[0]), f[1].merge_units(n[1])), (1, 1)) for f, n in spatial])
    if x.ndim == 4 and name in RULES:
        return RULES[name](first, x, out, *args, **kwargs)
    if all(n in (tuple(out.shape[2:]), (1, 1)) for _, n in spatial):
        return merge_fields(spatial)
    if x.ndim == 4 and tuple(out.shape[2:]) == (1, 1):  # global mean or maximum with keepdim
        return first[0].merge_units(x.shape[2]), first[1].merge_units(x.shape[3])
    return _unknown(first, x, out) if x.ndim == 4 else merge_fields(spatial)


def _num_units(tensor: Tensor) -> tuple[int, int]:
    return (tensor.shape[2], tensor.shape[3]) if tensor.ndim == 4 else (1, 1)
