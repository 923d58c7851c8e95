"""One forward pass, watched: which operation ran in which module, on what, and what it saw of the image."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from firstsight.profiling.receptive_field import Field, of_image, through

SILENT = {
    "__get__", "__set__", "size", "dim", "numel", "is_floating_point", "is_contiguous", "contiguous", "detach", "to",
    "__getitem__", "view", "reshape", "permute", "transpose", "unsqueeze", "squeeze", "expand", "chunk", "split",
}  # fmt: skip
"""Functions that only ask or rearrange; they make no line of their own."""

NOTHING = torch.empty(0)


@dataclass
class Step:
    """A layer at work: a module without children, or a function that a larger module called itself.

    Parameters
    ----------
    name : str
        The module's path, or that of the calling module with the function's name.
    kind : str
        Class of the module, or name of the function.
    output : Tensor
        The first tensor that came out.
    parameters : int
        How many that no step before it used; ``used`` are their ids.
    macs : int
        Multiply-accumulates of convolutions and matrix products for the whole batch, biases not counted.
    field : Field | None
        What a unit of the output sees of the image; None where nothing of the image came in.
    seconds : float
        Wall time of this step.
    """

    name: str
    kind: str
    output: Tensor = NOTHING
    parameters: int = 0
    macs: int = 0
    field: Field | None = None
    seconds: float = 0.0
    used: frozenset[int] = frozenset()


def trace(net: nn.Module, images: Tensor) -> list[Step]:
    """Run ``net`` on ``images`` and write down every layer.

    Parameters
    ----------
    net : nn.Module
        Any module; run in eval mode, as it stands, without gradients.
    images : Tensor
        (N, C, H, W), on the device of ``net`` ("meta" costs nothing).
    """
    watch = Watch(net, images)
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with torch.no_grad(), watch.hooks(), watch:
            net(images)
    finally:
        for module, training in modes:
            module.training = training
    return watch.steps


class Watch(TorchFunctionMode):
    """Sees every call of a torch function, and through hooks which module it is in."""

    def __init__(self, net: nn.Module, images: Tensor) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.net = net
        self._inside: list[str] = []
        self._leaf: Step | None = None
        self._fields: dict[int, tuple[Tensor, Field]] = {id(images): (images, of_image())}  # tensors are kept: ids stay
        self._made_of: dict[int, tuple[Tensor, dict[int, int]]] = {}
        self._counted: set[int] = set()
        self._names: dict[str, int] = {}

    @contextmanager
    def hooks(self) -> Iterator[None]:
        """Keep track of the module that is running."""
        handles = []
        for name, module in self.net.named_modules():
            leaf = next(module.children(), None) is None
            handles.append(module.register_forward_pre_hook(self._enter(name, leaf=leaf)))
            handles.append(module.register_forward_hook(self._leave(leaf=leaf)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, name: str, *, leaf: bool) -> Any:
        def enter(module: nn.Module, _: Any) -> None:
            self._inside.append(name)
            if leaf:
                self._leaf = Step(self._unique(name or type(module).__name__), type(module).__name__)
                self._leaf.seconds = -time.perf_counter()

        return enter

    def _leave(self, *, leaf: bool) -> Any:
        def leave(module: nn.Module, _: Any, output: Any) -> None:
            self._inside.pop()
            step = self._leaf
            if leaf and step:
                step.seconds += time.perf_counter()
                tensors = list(_tensors(output))
                if tensors:
                    step.output, step.field = tensors[0], self._field(tensors[0])
                    self.steps.append(step)
                self._leaf = None

        return leave

    def _unique(self, name: str) -> str:
        self._names[name] = self._names.get(name, 0) + 1
        return name if self._names[name] == 1 else f"{name}_{self._names[name]}"

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the function; write down what it did."""
        options = kwargs or {}
        started = time.perf_counter()
        result = function(*args, **options)
        seconds = time.perf_counter() - started
        outputs = list(_tensors(result))
        if outputs:
            name, inputs = _plain(function), list(_tensors([*args, *options.values()]))
            seen = self._follow(name, inputs, outputs, args[1:], options)
            if seen is None:  # made of parameters only, like a transposed weight: it stands for them
                for output in outputs:
                    self._made_of[id(output)] = output, self._parameters(inputs)
            self._write_down(name, inputs, outputs[0], seen, seconds)
        return result

    def _write_down(
        self, name: str, inputs: Sequence[Tensor], output: Tensor, seen: Field | None, seconds: float
    ) -> None:
        step = self._leaf
        if step is None:
            if name in SILENT or seen is None:
                return
            where = self._inside[-1]
            step = Step(self._unique(f"{where}.{name}" if where else name), name, output, field=seen, seconds=seconds)
            self.steps.append(step)
        step.macs += multiply_accumulates(name, inputs, output)
        new = {key: count for key, count in self._parameters(inputs).items() if key not in self._counted}
        self._counted |= set(new)
        step.parameters, step.used = step.parameters + sum(new.values()), step.used | set(new)

    def _parameters(self, tensors: Sequence[Tensor]) -> dict[int, int]:
        """The parameters among the tensors, or that they were made of: id and size."""
        found = {id(p): p.numel() for p in tensors if isinstance(p, nn.Parameter)}
        for tensor in tensors:
            found.update(self._made_of.get(id(tensor), (tensor, {}))[1])
        return found

    def _field(self, tensor: Tensor) -> Field | None:
        known = self._fields.get(id(tensor))
        return known[1] if known else None

    def _follow(
        self,
        name: str,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        rest: Sequence[Any],
        options: Mapping[str, Any],
    ) -> Field | None:
        fields = [(seen, tensor) for tensor in inputs if (seen := self._field(tensor)) is not None]
        if not fields:
            return None
        options = {key: value for key, value in options.items() if key != "input"}
        for output in outputs:
            self._fields[id(output)] = (output, through(name, fields, output, rest, options))
        return self._field(outputs[0])


def multiply_accumulates(name: str, tensors: Sequence[Tensor], out: Tensor) -> int:
    """Products that a convolution or a matrix product sums up, for the whole batch.

    What is multiplied inside other functions (einsum, attention, recurrent cells) is not seen.
    """
    if name in ("conv1d", "conv2d", "conv3d", "linear"):
        return out.numel() * tensors[1][0].numel()
    if name.startswith("conv_transpose"):
        return tensors[0].numel() * tensors[1][0].numel()
    if name in ("matmul", "mm", "bmm"):
        return out.numel() * tensors[0].shape[-1]
    return 0


def _plain(function: Any) -> str:
    """The function's name, that of an operator or of an in-place form being the plain one's."""
    name = str(getattr(function, "__name__", function))
    if name.startswith("__"):
        operator = name.strip("_").removeprefix("i").removeprefix("r")
        return operator if operator in ("add", "mul", "sub", "truediv", "matmul") else name
    return name.rstrip("_")


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
