"""Schemas of the documents of a run directory: ``config.json``, manifests of checkpoints, lines of ``metrics.jsonl``.

JSON has no numbers that are not finite. They are written as null, and null is read as NaN. Earlier versions wrote
``NaN`` and ``Infinity``, which are read as null.
"""

import json
import math
import re
from typing import Annotated, Any

import msgspec

from firstsight.documents.decode import Count, decode_document
from firstsight.errors import FirstsightError

Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Threads = Annotated[int, msgspec.Meta(ge=1, le=4096)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
FileName = Annotated[str, msgspec.Meta(pattern=r"\A[^/\\\x00-\x1f]{1,100}\.safetensors\Z")]
"""Name of a file in the folder of a checkpoint; no path."""
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Metrics = dict[str, Integer | float | None]
NOT_JSON = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b')
"""A string, which is kept, or a number that JSON does not have."""


class RunConfig(msgspec.Struct, kw_only=True):
    """Content of ``config.json``.

    Attributes
    ----------
    recipe : str
        Name of the recipe.
    model : str
        Name of the network.
    settings : dict[str, bool | int | float | str | None]
        Settings of the task by name.
    data : dict[str, Any]
        Description of the data, with their hashes.
    notes : list[str]
        Facts that a reader of the result must know.
    versions : dict[str, str]
        Package versions.
    processes : int
        Number of processes.
    device : str
        Device of the first process.
    threads : int | None
        Number of threads of torch, on which the bits of the result depend.
    launcher : str
        Identifier of the torchrun process that started the run; empty without torchrun.
    extended : list[int]
        Planned epochs before each extension of the run.
    """

    recipe: str
    model: str
    settings: dict[str, bool | Integer | float | str | None]
    data: dict[str, Any]
    notes: list[str] = []
    versions: dict[str, str] = {}
    processes: Count = 1
    device: str = ""
    threads: Threads | None = None
    launcher: str = ""
    extended: list[Count] = []


class TrainState(msgspec.Struct):
    """State of the training loop; each checkpoint saves all of it.

    Attributes
    ----------
    step : int
        Optimizer steps done since the start of the run.
    samples : int
        Training samples consumed, over all processes.
    sums : dict[str, float] | None
        Sum of each scalar of the current epoch, weighted by batch size.
    counted : int
        Samples in ``sums``.
    train_seconds, seconds : float
        Time in training steps, and total time.
    best_epoch : int
        Epoch with the lowest validation loss so far, counted from 1 (early stopping; 0 without).
    best_loss : float | None
        Its validation loss.
    """

    step: Count = 0
    samples: Count = 0
    sums: dict[str, float] | None = None
    counted: Count = 0
    train_seconds: Seconds = 0.0
    seconds: Seconds = 0.0
    best_epoch: Count = 0
    best_loss: float | None = None


class RunProgress(msgspec.Struct, kw_only=True):
    """Progress of a run, in the manifest of a checkpoint.

    Attributes
    ----------
    loop : TrainState
        State of the loop.
    metrics : dict[str, float]
        Metrics of the last evaluation.
    threads : int
        Number of threads of torch.
    scaler : dict[str, Any] | None
        State of the loss scaling of float16.
    """

    loop: TrainState
    metrics: Metrics
    threads: Threads
    scaler: dict[str, Any] | None = None


class ManifestFormat(msgspec.Struct):
    """The entry of a manifest that every format has.

    Attributes
    ----------
    format : int
        Number of the format.
    """

    format: Count


class Manifest(msgspec.Struct, kw_only=True):
    """Content of the ``manifest.json`` of a checkpoint.

    Attributes
    ----------
    step : int
        Optimizer steps done.
    progress : RunProgress
        Progress of the run.
    optimizers : dict[str, list[dict[str, Any]]]
        Parameter groups by name of the optimizer.
    sha256 : dict[str, str]
        Digest of each file.
    """

    step: Count
    progress: RunProgress
    optimizers: dict[str, list[dict[str, Any]]]
    sha256: dict[FileName, Digest]


class MetricsPosition(msgspec.Struct):
    """The entries of a line of ``metrics.jsonl`` that are no metrics.

    Attributes
    ----------
    epoch : int
        Epoch, counted from 1.
    step : int
        Optimizer steps done at its end.
    """

    epoch: Count
    step: Count


def decode_metrics_line(line: bytes, *, source: str, error: type[FirstsightError]) -> dict[str, Any]:
    """Return a line of ``metrics.jsonl``: integers for the epoch and the step, numbers for everything else.

    Parameters
    ----------
    line : bytes
        The line.
    source : str
        Name of the line in messages.
    error : type[FirstsightError]
        Class of the error that is raised if it is damaged.

    Examples
    --------
    >>> decode_metrics_line(b'{"epoch": 1, "step": 9, "test/loss": NaN}', source="line 1", error=FirstsightError)
    {'epoch': 1, 'step': 9, 'test/loss': nan}
    """
    line = replace_not_finite(line)
    decode_document(line, MetricsPosition, source=source, error=error)
    return {**null_to_nan(decode_document(line, Metrics, source=source, error=error))}


def replace_not_finite(document: bytes) -> bytes:
    r"""Replace ``NaN`` and ``Infinity``, which earlier versions wrote, by null; strings are kept.

    Parameters
    ----------
    document : bytes
        JSON with or without such numbers.

    Examples
    --------
    >>> replace_not_finite(b'{"NaN": [NaN, -Infinity, 1.0]}')
    b'{"NaN": [null, null, 1.0]}'
    """
    if b"NaN" not in document and b"Infinity" not in document:
        return document
    return NOT_JSON.sub(lambda match: match[0] if match[0].startswith(b'"') else b"null", document)


def null_to_nan(metrics: Metrics) -> dict[str, float]:
    """Return metrics with NaN in place of null.

    >>> null_to_nan({"loss": None, "accuracy": 1.0})
    {'loss': nan, 'accuracy': 1.0}
    """
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def encode(document: Any, *, indent: int | None = None, sort_keys: bool = False) -> str:
    """Return a document as JSON, with null in place of numbers that are not finite.

    Parameters
    ----------
    document : Any
        Mappings, sequences, text, numbers and structs of this module.
    indent : int | None
        Spaces per level; None writes one line.
    sort_keys : bool
        Sort the keys of mappings.

    Examples
    --------
    >>> encode({"loss": float("inf"), "betas": (0.9, 0.999)})
    '{"loss": null, "betas": [0.9, 0.999]}'
    """
    return json.dumps(_to_finite(document), indent=indent, sort_keys=sort_keys, allow_nan=False)


def _to_finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, msgspec.Struct):
        return _to_finite(msgspec.structs.asdict(value))
    if isinstance(value, dict):
        return {name: _to_finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_finite(each) for each in value]
    return value
