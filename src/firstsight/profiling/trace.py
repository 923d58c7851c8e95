"""Record the operations of one forward pass: module, output, parameters, cost and receptive field of each."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from firstsight.profiling.macs import MacCounter
from firstsight.profiling.receptive_field import Field, input_field, propagate_field

UNRECORDED = {
    "__get__",
    "__set__",
    "size",
    "dim",
    "numel",
    "is_floating_point",
    "is_contiguous",
    "contiguous",
    "detach",
    "to",
    "__getitem__",
    "view",
    "reshape",
    "permute",
    "transpose",
    "unsqueeze",
    "squeeze",
    "expand",
    "chunk",
    "split",
}
"""Functions that only query or rearrange a tensor; they are not recorded as steps."""

WHOLE = (nn.MultiheadAttention,)
"""Modules with children that are one step: they call functions with the weights of their children."""
MAX_DEPTH = 8
"""Maximum depth of objects in which tensors are searched."""
EMPTY = torch.empty(0)


@dataclass
class Step:
    """One recorded operation: a module without children, or a function called by a module with children.

    Attributes
    ----------
    name : str
        Path of the module, or path of the calling module and name of the function.
    kind : str
        Class of the module, or name of the function.
    output : Tensor
        First output tensor.
    parameters : int
        Number of parameters that no earlier step used.
    macs : int
        Multiply-accumulates of convolutions and matrix products for the whole batch, without biases.
    not_counted : frozenset[str]
        Operations whose multiply-accumulates are not counted.
    field : Field | None
        Receptive field of the output in the image; None if the output does not depend on the image.
    seconds : float
        Wall time.
    parameter_ids : frozenset[int]
        ``id`` of each parameter counted in ``parameters``.
    """

    name: str
    kind: str
    output: Tensor = EMPTY
    parameters: int = 0
    macs: int = 0
    not_counted: frozenset[str] = frozenset()
    field: Field | None = None
    seconds: float = 0.0
    parameter_ids: frozenset[int] = frozenset()


def trace(net: nn.Module, images: Tensor, *others: Tensor, count: bool = True) -> list[Step]:
    """Run a network on images in eval mode, without gradients, and record each layer.

    Parameters
    ----------
    net : nn.Module
        Any module; its training modes are restored afterwards.
    images : Tensor
        Images of shape (N, C, H, W) on the device of ``net``. On the meta device nothing is computed.
    *others : Tensor
        Further inputs. Receptive fields are those in ``images``.
    count : bool
        Count multiply-accumulates. This takes time, so it is off where times are measured.

    Returns
    -------
    list[Step]
        The recorded steps in the order of execution.
    """
    recorder = OperationRecorder(net, images)
    is_fast = torch.backends.mha.get_fastpath_enabled()
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    torch.backends.mha.set_fastpath_enabled(False)  # one operation for a whole encoder layer
    try:
        with torch.no_grad(), recorder.hooks(), recorder, recorder.counter if count else nullcontext():
            net(images, *others)
    finally:
        torch.backends.mha.set_fastpath_enabled(is_fast)
        for module, training in modes:
            module.training = training
    return recorder.steps


class OperationRecorder(TorchFunctionMode):
    """Records each call of a PyTorch function, and through hooks the module that makes it.

    Parameters
    ----------
    net : nn.Module
        Network to record.
    images : Tensor
        Its input of shape (N, C, H, W).
    """

    def __init__(self, net: nn.Module, images: Tensor) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.net = net
        self.counter = MacCounter()
        self._module_stack: list[str] = []
        self._leaf: Step | None = None
        self._last_output: Tensor | None = None
        # Keys are ids of tensors. The tensors are stored too, so that their ids are not reused.
        self._fields: dict[int, tuple[Tensor, Field]] = {id(images): (images, input_field())}
        self._sources: dict[int, tuple[Tensor, dict[int, int]]] = {}
        self._counted: set[int] = set()
        self._names: dict[str, int] = {}

    @contextmanager
    def hooks(self) -> Iterator[None]:
        """Register hooks that track which module is running."""
        handles = []
        for name, module in self.net.named_modules():
            is_leaf = next(module.children(), None) is None or isinstance(module, WHOLE)
            handles.append(module.register_forward_pre_hook(self._enter_hook(name, is_leaf=is_leaf)))
            handles.append(module.register_forward_hook(self._leave_hook(is_leaf=is_leaf)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter_hook(self, name: str, *, is_leaf: bool) -> Any:
        def enter(module: nn.Module, _: Any) -> None:
            self._module_stack.append(name)
            if is_leaf:
                self._leaf = Step(self._unique_name(name or type(module).__name__), type(module).__name__)
                self._leaf.seconds = -time.perf_counter()
                self._last_output = None

        return enter

    def _leave_hook(self, *, is_leaf: bool) -> Any:
        def leave(module: nn.Module, _: Any, output: Any) -> None:
            self._module_stack.pop()
            step = self._leaf
            if is_leaf and step:
                step.seconds += time.perf_counter()
                result = next(iter(_tensors(output)), self._last_output)
                if result is not None:
                    step.output = result
                    step.field = self._field(result)
                    self.steps.append(step)
                self._leaf = None

        return leave

    def _unique_name(self, name: str) -> str:
        self._names[name] = self._names.get(name, 0) + 1
        return name if self._names[name] == 1 else f"{name}_{self._names[name]}"

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call the function and record it."""
        options = kwargs or {}
        macs, self.counter.not_counted = self.counter.macs, set()
        start = time.perf_counter()
        result = function(*args, **options)
        seconds = time.perf_counter() - start
        macs = self.counter.macs - macs
        outputs = list(_tensors(result))
        if outputs:
            name = _plain_name(function)
            inputs = list(_tensors([*args, *options.values()]))
            field = self._propagate(name, inputs, outputs, args[1:], options)
            if field is None:  # computed from parameters only, like a transposed weight
                for output in outputs:
                    self._sources[id(output)] = output, self._parameters(inputs)
            self._record(name, inputs, outputs[0], field, macs, seconds)
        return result

    def _record(
        self, name: str, inputs: Sequence[Tensor], output: Tensor, field: Field | None, macs: int, seconds: float
    ) -> None:
        step, not_counted = self._leaf, frozenset(self.counter.not_counted)
        self._last_output = output
        if step is None:
            if (name in UNRECORDED or field is None) and not macs and not not_counted:
                return
            caller = self._module_stack[-1] if self._module_stack else ""
            full_name = self._unique_name(f"{caller}.{name}" if caller else name)
            step = Step(full_name, name, output, field=field, seconds=seconds)
            self.steps.append(step)
        step.macs += macs
        step.not_counted |= not_counted
        new = {key: count for key, count in self._parameters(inputs).items() if key not in self._counted}
        self._counted |= set(new)
        step.parameters += sum(new.values())
        step.parameter_ids |= set(new)

    def _parameters(self, tensors: Sequence[Tensor]) -> dict[int, int]:
        """Return id and size of the parameters among the tensors, or from which they were computed."""
        sizes = {id(p): p.numel() for p in tensors if isinstance(p, nn.Parameter)}
        for tensor in tensors:
            sizes.update(self._sources.get(id(tensor), (tensor, {}))[1])
        return sizes

    def _field(self, tensor: Tensor) -> Field | None:
        entry = self._fields.get(id(tensor))
        return entry[1] if entry else None

    def _propagate(
        self,
        name: str,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Field | None:
        fields = [(field, tensor) for tensor in inputs if (field := self._field(tensor)) is not None]
        if not fields:
            return None
        kwargs = {key: value for key, value in kwargs.items() if key != "input"}
        for output in outputs:
            self._fields[id(output)] = (output, propagate_field(name, fields, output, args, kwargs))
        return self._field(outputs[0])


def _plain_name(function: Any) -> str:
    """Return the name of a function; operators and in-place functions have the name of the plain function."""
    name = str(getattr(function, "__name__", function))
    if name.startswith("__"):
        operator = name.strip("_").removeprefix("i").removeprefix("r")
        return operator if operator in ("add", "mul", "sub", "truediv", "matmul") else name
    return name.rstrip("_")


def _tensors(value: Any, depth: int = MAX_DEPTH) -> Iterable[Tensor]:
    """Yield the tensors in nested collections, dataclasses and other objects."""
    if isinstance(value, Tensor):
        yield value
        return
    parts: Iterable[Any] = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        parts = value
    elif is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, item.name, None) for item in fields(value)]
    elif not isinstance(value, type | nn.Module) and hasattr(value, "__dict__") and not callable(value):
        parts = vars(value).values()
    for part in parts if depth else ():
        yield from _tensors(part, depth - 1)
