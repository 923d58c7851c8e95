"""Multiply-accumulates (MACs) of the operations that PyTorch executes.

Every function of PyTorch is executed as a sequence of operations of the library "aten". Matrix products and
convolutions are few of them, so all functions are counted: attention, recurrent layers, `torch.einsum` and so on. The
counts of `torch.utils.flop_counter` are used where it has one (a MAC is two of its operations), and the formulas of
`FORMULAS` for the rest. Operations with products and without a formula are named.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten
PRODUCTS = re.compile(
    r"\w*mm|\w*mv|matmul|linear|linalg|conv|convolution|conv(tbc|\dd)|attention|transformer|rnn|lstm|gru|einsum|cdist|fft"
    r"|cholesky|solve|inverse|svd|eigh?|qr|geqrf|orgqr|ormqr|lu|det|slogdet|householder|exp_matrix"
)
"""Parts of names of operations that compute products. One without a count is named in the summary."""
ELEMENTWISE = re.compile(r"linalg_(vector_norm|cross|check_errors|diagonal)|\w*_cell")
"""Operations whose names contain such a part, but which act on single values."""


def _mv(matrix: Tensor, vector: Tensor, *_: Any) -> int:
    return matrix.numel()


def _dot(a: Tensor, b: Tensor, *_: Any) -> int:
    return a.numel()


def _addmv(x: Tensor, matrix: Tensor, vector: Tensor, *_: Any) -> int:
    return matrix.numel()


def _addbmm(x: Tensor, a: Tensor, b: Tensor, *_: Any) -> int:
    return a.numel() * b.shape[-1]


def _rnn_layer(x: Tensor, weight: Tensor, recurrent_weight: Tensor, *_: Any) -> int:
    """Count one direction of a recurrent layer: both matrices at each step of x, of shape (T, N, I)."""
    return x.shape[0] * x.shape[1] * (weight.numel() + recurrent_weight.numel())


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any) -> int:
    """Count attention of (N, heads, L, E), (N, heads, S, E) and (N, heads, S, V): the scores and their average."""
    return prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _trilinear(a: Tensor, b: Tensor, c: Tensor, expand_a: list[int], expand_b: list[int], expand_c: list[int],
               *_: Any) -> int:  # fmt: skip
    """Count the sum over products of three tensors, as in a bilinear layer: one MAC for each product."""
    shapes = []
    for tensor, axes in ((a, expand_a), (b, expand_b), (c, expand_c)):
        shape = list(tensor.shape)
        for axis in axes:
            shape.insert(axis, 1)
        shapes.append(shape)
    return int(prod(torch.broadcast_shapes(*shapes)))


def _cdist(a: Tensor, b: Tensor, *_: Any) -> int:
    batch: int = prod(torch.broadcast_shapes(a.shape[:-2], b.shape[:-2]))
    return batch * a.shape[-2] * b.shape[-2] * a.shape[-1]


FORMULAS: Mapping[Any, Callable[..., int]] = {
    aten.mv: _mv,
    aten.dot: _dot,
    aten.vdot: _dot,
    aten.addmv: _addmv,
    aten.addmv_: _addmv,
    aten.addbmm: _addbmm,
    aten.mkldnn_rnn_layer: _rnn_layer,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._trilinear: _trilinear,
    aten._cdist_forward: _cdist,
}
"""MACs of operations that `torch.utils.flop_counter` does not count, from their arguments."""


class MacCounter(TorchDispatchMode):
    """Context manager that counts the MACs of all operations in it.

    Attributes
    ----------
    macs : int
        Multiply-accumulates so far, without biases.
    not_counted : set[str]
        Names of operations so far whose products are not counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0
        self.not_counted: set[str] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Execute an operation and count it."""
        options = dict(kwargs or {})
        operation = function._overloadpacket
        is_known = operation in FORMULAS or operation in flop_registry
        if not is_known and torch.is_inference_mode_enabled():  # otherwise these arrive as their parts
            with self:
                result = function.decompose(*args, **options)
            if result is not NotImplemented:
                return result
        result = function(*args, **options)
        if operation in FORMULAS:
            self.macs += FORMULAS[operation](*args, **options)
        elif is_known:
            self.macs += flop_registry[operation](*args, **options, out_val=result) // 2
        elif _has_products(function):
            self.not_counted.add(str(operation).removeprefix("aten.").strip("_"))
        return result


def _has_products(function: Any) -> bool:
    """Return whether an operation may compute products; operations of other libraries may."""
    if function.namespace not in ("aten", "prim", "prims", "profiler"):
        return True
    name = function._opname.strip("_")
    return not ELEMENTWISE.fullmatch(name) and any(PRODUCTS.fullmatch(part) for part in name.split("_"))
