"""Write a trained network to a file for other programs."""

import copy
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from firstsight.arguments import check_arguments, expand_user, ignore, is_source
from firstsight.atomic_io import replace_file, replacing
from firstsight.engine.device import device_of
from firstsight.errors import UsageError, WeightsError
from firstsight.models.registry import MODELS
from firstsight.tasks.calibrate import calibrate
from firstsight.tasks.export_plan import ExportPlan
from firstsight.tasks.load import load, read_any
from firstsight.tasks.spec import TASKS, task_of
from firstsight.weights.io import write_weights

FORMATS = {
    ".safetensors": "tensors by name, with the card as metadata",
    ".onnx": "ONNX, for onnxruntime and other programs",
    ".pt2": "torch.export program, which runs without firstsight",
}
PACKAGES = "onnx onnxscript onnxruntime"
"""Packages that an export to ONNX needs."""
TOLERANCE = 1e-4
"""Largest difference of outputs that the check accepts, in standard deviations of the output."""
ROUNDING = 2
"""Largest error of outputs that the check accepts, as a multiple of the network's own rounding errors."""
CHECKED_INPUTS = 16
CHECKED_AT_ONCE = 3
"""Number of inputs of a batch in the check; the example that the export traces has two."""


def export(
    model: Any,
    path: str | Path,
    *,
    check: bool = False,
    random_weights: bool = False,
    notify: Callable[[str], None] = ignore,
) -> Path:
    """Write a trained network to a file; the suffix chooses the format.

    Parameters
    ----------
    model : Any
        What `load` returns or takes: a `Classifier`, `Generator` or pose estimator, a name, a run directory, the result
        of a training.
    path : str | Path
        File to write. ``.onnx`` and ``.pt2``: a program with a dynamic batch size, and dynamic height and width for
        pose networks with maps. It maps normalized images (or latent vectors of a generator) to the outputs of the
        network's last stage. Preprocessing, classes, skeleton or latent space, and the card are in its metadata.
        ``.safetensors``: tensors by name with the card, which `load` reads again.
    check : bool
        Compare the file with the network on 16 inputs, see `check_export`. Not for ``.safetensors``.
    random_weights : bool
        Export a network of `list_models` with its default options and random weights (see `calibrate`), for example to
        measure its time in another program.
    notify : Callable[[str], None]
        Called with a line for every download, see `load`.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    UsageError
        If the suffix or the model is unknown, the model is a network without weights, the folder does not exist, or a
        package that the format needs is not installed.
    WeightsError
        If the weights cannot be used, or the outputs of the file differ.

    Examples
    --------
    Run the exported program in plain PyTorch::

        program = torch.export.load("lenet.pt2")
        logits = program.module()(images)
    """
    check_arguments(export, locals())
    target = expand_user(path)
    if not target.parent.is_dir():
        raise UsageError(f"`path={target}`: the folder {target.parent} does not exist")
    suffix = check_format(target, is_program=check or random_weights)
    loaded = find_model(model, random_weights=random_weights, notify=notify)
    plan = make_plan(loaded)
    if suffix == ".safetensors":
        _, weights = read_any(Path(loaded.source))
        write_weights(target, weights.tensors, json.dumps(weights.card, sort_keys=True))
    elif suffix == ".onnx":
        _write_onnx(plan, target)
    else:
        _write_program(plan, loaded.card, target)
    if check:
        check_export(loaded, target)
    return target


def check_format(path: Path, *, is_program: bool = False) -> str:
    """Return the suffix of a file to export, in lower case, after checking that it can be written.

    Parameters
    ----------
    path : Path
        The file.
    is_program : bool
        Whether the file must contain the network, not only its tensors.

    Raises
    ------
    UsageError
        If the suffix is unknown, does not support the options, or needs packages that are not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        known = "; ".join(f"{suffix} ({text})" for suffix, text in FORMATS.items())
        raise UsageError(f"`path` must end in one of: {known}; got {path}")
    if suffix == ".safetensors" and is_program:
        raise UsageError("`check` and `random_weights` are for .onnx and .pt2 files")
    if suffix == ".onnx":
        _require_onnx()
    return suffix


def find_model(model: Any, *, random_weights: bool = False, notify: Callable[[str], None] = ignore) -> Any:
    """Return the object to export: a loaded model, or a network with random weights.

    Parameters
    ----------
    model : Any
        See `export`.
    random_weights : bool
        See `export`.
    notify : Callable[[str], None]
        See `export`.

    Raises
    ------
    UsageError
        If the model is unknown, or a network without weights.
    """
    if random_weights:
        if not isinstance(model, str) or model not in MODELS:
            raise UsageError(f"`random_weights` is for the name of a network (see: firstsight models); got {model}")
        spec = task_of(model)
        if not spec.untrained:
            raise UsageError(f"`random_weights`: not available for a {spec.title}")
        loaded = spec.resolve("untrained")(model)
        calibrate(make_plan(loaded))
        return loaded
    return load(model, notify=notify) if is_source(model) else model


def make_plan(loaded: Any) -> ExportPlan:
    """Return what the exported file of a loaded model contains.

    Raises
    ------
    UsageError
        If it is no loaded model.
    """
    network = getattr(loaded, "network", loaded)
    net = getattr(network, "model", None)
    if not isinstance(net, nn.Module):
        raise UsageError(f"`model` must be what firstsight.load returns or takes; got {type(loaded).__name__}")
    spec = TASKS.get(getattr(loaded, "task", ""))
    if spec is not None and spec.export:
        plan: ExportPlan = spec.resolve("export")(loaded)
    else:  # a kind of task that was registered without a plan
        shape = tuple(loaded.input_shape)
        generator = torch.Generator().manual_seed(0)
        plan = ExportPlan(
            net=net,
            input_name="input",
            output_names=("output",),
            shape=shape,
            draw_inputs=lambda n: torch.randn(n, *shape, generator=generator),
        )
    plan.metadata.update(model=loaded.card.get("model", ""), kind=loaded.card.get("kind", ""), card=loaded.card)
    return plan


def check_export(loaded: Any, path: str | Path) -> dict[str, float]:
    """Compare an exported file with the network on 16 inputs, in batches of three.

    Parameters
    ----------
    loaded : Any
        Object that was exported, see `find_model`.
    path : str | Path
        The ``.onnx`` or ``.pt2`` file.

    Returns
    -------
    dict[str, float]
        Largest difference of each output, in units of the output's standard deviation.

    Raises
    ------
    WeightsError
        If a difference is larger than `TOLERANCE`, and the rounding errors of float32 do not explain it: the file
        differs from the network in float64 by more than `ROUNDING` times as much as the network in float32 does.
    """
    plan, path = make_plan(loaded), Path(path)
    inputs = plan.draw_inputs(CHECKED_INPUTS).split(CHECKED_AT_ONCE)
    run = _open_onnx(path, plan) if path.suffix.lower() == ".onnx" else _open_program(path)
    device = device_of(plan.net)
    with torch.inference_mode():
        expected = _concatenate([_as_tuple(plan.net(batch.to(device))) for batch in inputs])
        outputs = _concatenate([run(batch) for batch in inputs])
    differences = {
        name: _difference(a, b, std=b.std()) for name, a, b in zip(plan.output_names, outputs, expected, strict=True)
    }
    if all(difference <= TOLERANCE for difference in differences.values()):
        return differences
    net = copy.deepcopy(plan.net).cpu().double()
    with torch.inference_mode():
        exact = _concatenate([_as_tuple(net(batch.double())) for batch in inputs])
    for name, output, a, b in zip(plan.output_names, outputs, expected, exact, strict=True):
        rounding, error = (_difference(values, b, std=a.std()) for values in (a, output))
        if not (differences[name] <= TOLERANCE or error <= ROUNDING * rounding):
            raise WeightsError(
                f"{path}: {name} differs from the network by {differences[name]:.2g} standard deviations, more than"
                f" {TOLERANCE:g} (rounding of float32 changes it by {rounding:.1g})"
            )
    return differences


def _difference(a: Tensor, b: Tensor, *, std: Tensor) -> float:
    """Return the largest difference of two outputs in standard deviations."""
    return float((a - b).abs().max() / std)


def _concatenate(batches: list[tuple[Tensor, ...]]) -> list[Tensor]:
    """Return each output for all batches, in double precision on the CPU."""
    return [torch.cat([output.cpu().double() for output in outputs]) for outputs in zip(*batches, strict=True)]


def _as_tuple(output: Any) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)


def _open_onnx(path: Path, plan: ExportPlan) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """Return a function that runs an ONNX file in onnxruntime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(batch: Tensor) -> tuple[Tensor, ...]:
        outputs = session.run(list(plan.output_names), {plan.input_name: batch.numpy()})
        return tuple(torch.from_numpy(output) for output in outputs)

    return run


def _open_program(path: Path) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """Return a function that runs a program of torch.export."""
    with _quiet():
        program = torch.export.load(str(path))
    net = program.module()
    device = next((tensor.device for tensor in program.state_dict.values()), torch.device("cpu"))
    return lambda batch: _as_tuple(net(batch.to(device)))


def _require_onnx() -> None:
    """Raise UsageError if the packages of ONNX are not installed."""
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - only whether it is installed
    except ImportError as error:
        raise UsageError(
            f"an export to .onnx needs the package {error.name}; install all with: pip install {PACKAGES}"
        ) from None
    del onnx, onnxruntime


def _trace(plan: ExportPlan) -> ExportedProgram:
    """Return the program of a network, with a dynamic batch size, and dynamic sides if the plan has a multiple."""
    shape = plan.shape
    axes: dict[int, Any] = {0: Dim("batch")}
    if plan.side_multiple:
        multiple = plan.side_multiple
        shape = (shape[0], 3 * multiple * max(1, 32 // multiple), 2 * multiple * max(1, 32 // multiple))
        axes |= {2: multiple * Dim("rows"), 3: multiple * Dim("columns")}
    example = torch.zeros(2, *shape, device=device_of(plan.net))
    with _quiet():
        return torch.export.export(plan.net, (example,), dynamic_shapes=(axes,))


def _write_onnx(plan: ExportPlan, path: Path) -> None:
    """Write an ONNX file with its metadata."""
    program = _trace(plan)
    with _quiet():
        onnx_program = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[plan.input_name],
            output_names=list(plan.output_names),
            verbose=False,
        )
    assert onnx_program is not None
    model: Any = onnx_program.model
    model.producer_name = "firstsight"
    model.metadata_props.update({key: json.dumps(value) for key, value in plan.metadata.items()})
    _name_axes(model, plan)
    with replacing(path) as temporary:
        onnx_program.save(str(temporary), external_data=False)


def _name_axes(model: Any, plan: ExportPlan) -> None:
    """Name the dynamic axes of the inputs and outputs."""
    from onnx_ir import SymbolicDim

    for values, sides in (
        (model.graph.inputs, ("height", "width")),
        (model.graph.outputs, (f"height/{plan.map_stride}", f"width/{plan.map_stride}")),
    ):
        for value in values:
            shape = list(value.shape)
            names = dict(enumerate(("batch", None, *sides))) if plan.side_multiple else {0: "batch"}
            dims = [SymbolicDim(names[i]) if not isinstance(size, int) else size for i, size in enumerate(shape)]
            value.shape = type(value.shape)(dims)


def _write_program(plan: ExportPlan, card: dict[str, Any], path: Path) -> None:
    """Write a program of torch.export with the card and the metadata as extra files."""
    content = BytesIO()
    files = {
        "firstsight.json": json.dumps(card, sort_keys=True),
        "metadata.json": json.dumps(plan.metadata, sort_keys=True),
    }
    program = _trace(plan)
    with _quiet():
        torch.export.save(program, content, extra_files=files)
    replace_file(path, content.getvalue())


@contextmanager
def _quiet() -> Iterator[None]:
    """Context manager without the warnings and log messages of the exporter, which concern its own code."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
