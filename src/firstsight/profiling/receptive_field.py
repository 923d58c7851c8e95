"""Which pixels of the input a unit sees, followed through windows, branches and shortcuts.

Along each axis the field of unit p is the interval ``[start + step * p, start + step * p + size - 1]``; ``start`` may
lie in the padding. A window of k taps at distance d, moved by s, with ``pad`` zeros before the first unit::

    start' = start - pad * step      size' = size + (k - 1) * d * step      step' = s * step

(Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks"). Where branches meet, the
field is the smallest interval that holds those of all branches. The sizes are those of a large image: near the border,
and where the field outgrows the image, a unit sees less.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Axis:
    """The fields of all units along one axis.

    Parameters
    ----------
    start : float
        Lowest pixel that unit 0 sees; below 0 in the padding.
    size : float
        How many pixels a unit sees.
    step : float
        By how many pixels the fields of neighbouring units are apart; 0 where there is one unit, which sees it all.
    exact : bool
        False where windows differ in size (adaptive pooling that does not divide, resampling): ``size`` is then that of
        the widest.
    """

    start: float
    size: float
    step: float
    exact: bool = True

    @property
    def centre(self) -> float:
        """The middle of unit 0's field, in pixels; the first pixel is 0."""
        return self.start + (self.size - 1) / 2

    def window(self, taps: int, *, stride: int = 1, pad: int = 0, dilation: int = 1) -> "Axis":
        """What a window over these units sees."""
        return replace(
            self,
            start=self.start - pad * self.step,
            size=self.size + (taps - 1) * dilation * self.step,
            step=self.step * stride,
        )

    def whole(self, units: int) -> "Axis":
        """What one unit sees that sees all of these."""
        return replace(self, size=self.size + (units - 1) * self.step, step=0.0)


Field = tuple[Axis, Axis]
"""Vertical and horizontal."""


def of_image() -> Field:
    """The field of the pixels themselves."""
    return Axis(0, 1, 1), Axis(0, 1, 1)


def join(fields: Sequence[tuple[Field, tuple[int, int]]]) -> Field:
    """The field where branches meet; every branch with how many units (rows, columns) it has."""
    return _join([(f[0], n[0]) for f, n in fields]), _join([(f[1], n[1]) for f, n in fields])


def _join(branches: Sequence[tuple[Axis, int]]) -> Axis:
    if len({axis.step for axis, _ in branches}) > 1:  # one is a single unit, handed to all the others
        branches = [(axis.whole(units), 1) for axis, units in branches]
    axes = [axis for axis, _ in branches]
    start = min(axis.start for axis in axes)
    end = max(axis.start + axis.size for axis in axes)
    return Axis(start, end - start, axes[0].step, all(axis.exact for axis in axes))


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[-1]))


def _windows(field: Field, taps: tuple[int, int], stride: Any, padding: Any, dilation: Any) -> Field:
    strides, dilations = _pair(stride), _pair(dilation)
    if padding == "same":  # torch knows it with stride 1 only; the odd zero stands at the end
        pads = tuple(d * (k - 1) // 2 for k, d in zip(taps, dilations, strict=True))
    else:
        pads = (0, 0) if padding == "valid" else _pair(padding)
    rows, columns = (
        axis.window(k, stride=s, pad=p, dilation=d)
        for axis, k, s, p, d in zip(field, taps, strides, pads, dilations, strict=True)
    )
    return rows, columns


def _convolution(field: Field, x: Tensor, out: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1,
                 padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Field:  # fmt: skip
    return _windows(field, (weight.shape[2], weight.shape[3]), stride, padding, dilation)


def _maximum(field: Field, x: Tensor, out: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
             dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False) -> Field:  # fmt: skip
    taps = _pair(kernel_size)
    return _windows(field, taps, stride or taps, padding, dilation)


def _average(field: Field, x: Tensor, out: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
             *_: Any, **__: Any) -> Field:  # fmt: skip
    taps = _pair(kernel_size)
    return _windows(field, taps, stride or taps, padding, 1)


def _adaptive(field: Field, x: Tensor, out: Tensor, *_: Any, **__: Any) -> Field:
    """Unit i of m looks at units floor(i n / m) to ceil((i + 1) n / m) - 1 of n."""
    rows, columns = (_shared_out(a, n, m) for a, n, m in zip(field, x.shape[2:], out.shape[2:], strict=True))
    return rows, columns


def _shared_out(axis: Axis, n: int, m: int) -> Axis:
    if m == 1:
        return axis.whole(n)
    if n % m == 0:
        return axis.window(n // m, stride=n // m)
    widest = max(-(-(i + 1) * n // m) - i * n // m for i in range(m))
    return replace(axis, size=axis.size + (widest - 1) * axis.step, step=axis.step * n / m, exact=False)


def _padding(field: Field, x: Tensor, out: Tensor, pad: Sequence[int], *_: Any, **__: Any) -> Field:
    sides = [*pad, 0, 0, 0, 0]
    return field[0].window(1, pad=sides[2]), field[1].window(1, pad=sides[0])


def _slices(field: Field, x: Tensor, out: Tensor, index: Any) -> Field:
    places = index if isinstance(index, tuple) else (index,)
    if out.ndim != 4 or len(places) < 3 or not all(isinstance(place, slice) for place in places):
        return field if out.shape[2:] == x.shape[2:] else _unknown(field, x, out)
    rows, columns = (
        axis.window(1, stride=(place.indices(n)[2]), pad=-place.indices(n)[0])
        for axis, place, n in zip(field, (*places[2:], slice(None))[:2], x.shape[2:], strict=True)
    )
    return rows, columns


def _transposed(field: Field, x: Tensor, out: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1,
                padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Field:  # fmt: skip
    """Unit q hears of the units p with q = stride * p + dilation * tap - padding."""
    axes = []
    values = zip(field, weight.shape[2:], _pair(stride), _pair(padding), _pair(dilation), strict=True)
    for axis, k, s, p, d in values:
        reach = (k - 1) * d  # in units of the output
        heard = reach // s + 1
        start = axis.start + axis.step * ((p - reach) / s)
        axes.append(Axis(start, axis.size + (heard - 1) * axis.step, axis.step / s, axis.exact and s == 1))
    return axes[0], axes[1]


def _unknown(field: Field, x: Tensor, out: Tensor, *_: Any, **__: Any) -> Field:
    """An operation that mixes places in a way not known here: every unit may see all that was seen."""
    rows, columns = (replace(axis.whole(n), exact=False) for axis, n in zip(field, x.shape[2:], strict=True))
    return rows, columns


RULES: Mapping[str, Callable[..., Field]] = {
    "conv2d": _convolution, "max_pool2d": _maximum, "avg_pool2d": _average, "conv_transpose2d": _transposed,
    "adaptive_avg_pool2d": _adaptive, "adaptive_max_pool2d": _adaptive, "interpolate": _unknown,
    "pad": _padding, "__getitem__": _slices, "flip": _unknown, "roll": _unknown, "unfold": _unknown,
}  # fmt: skip
"""By name of the function; all others act on every place by itself, or on all places together."""


def through(
    name: str, fields: Sequence[tuple[Field, Tensor]], out: Tensor, arguments: Sequence[Any], options: Mapping[str, Any]
) -> Field:
    """The field of an operation's output.

    Parameters
    ----------
    name : str
        Of the function, as in ``torch`` or ``torch.nn.functional``.
    fields : Sequence[tuple[Field, Tensor]]
        Of the tensors that went in, each with its tensor, as far as they come from the image.
    out : Tensor
        Of any shape; where it is not (N, C, H, W), it sees all that went in.
    arguments, options
        What the function was given after its first argument.
    """
    first, x = fields[0]
    spatial = [(field, _units(tensor)) for field, tensor in fields]
    if out.ndim != 4:  # places are gone: flattened, averaged
        whole = [((f[0].whole(n[0]), f[1].whole(n[1])), (1, 1)) for f, n in spatial]
        return join(whole)
    if x.ndim == 4 and name in RULES:
        return RULES[name](first, x, out, *arguments, **options)
    if all(n in (tuple(out.shape[2:]), (1, 1)) for _, n in spatial):
        return join(spatial)
    if x.ndim == 4 and tuple(out.shape[2:]) == (1, 1):  # a mean or a maximum over all places, axes kept
        return first[0].whole(x.shape[2]), first[1].whole(x.shape[3])
    return _unknown(first, x, out) if x.ndim == 4 else join(spatial)


def _units(tensor: Tensor) -> tuple[int, int]:
    return (tensor.shape[2], tensor.shape[3]) if tensor.ndim == 4 else (1, 1)
