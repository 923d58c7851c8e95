"""Evaluate a trained model of any kind of task."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Unpack

import torch

from firstsight.arguments import check_arguments, explicit_signature, ignore, is_source, iterate
from firstsight.errors import UsageError, similar_names, suggest
from firstsight.tasks.evaluation import Evaluation
from firstsight.tasks.load import load
from firstsight.tasks.options import EvaluateOptions
from firstsight.tasks.spec import TASKS


@explicit_signature
def evaluate(
    model: Any,
    data: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    strict: bool = False,
    notify: Callable[[str], None] = ignore,
    progress: Callable[[Sequence[Any]], Iterable[Any]] = iterate,
    **options: Unpack[EvaluateOptions],
) -> Evaluation:
    """Evaluate a trained model on the test split of a data set.

    Parameters
    ----------
    model : Any
        Object that `load` returned, or what `load` takes: "lenet-mnist", a run directory, a file, the result of
        a training.
    data : str | Path | None
        Name or path of a data set, see `load_data`; a JSON file of COCO keypoints for a pose network. None for the data
        that the model was trained on.
    device : str | torch.device | None
        Device: "cpu", "cuda", "mps" or "auto". None leaves an object where it is, and is "auto" for a name.
    strict : bool
        Refuse data with unusable images instead of leaving them out.
    notify : Callable[[str], None]
        Called with a line for every download.
    progress : Callable[[Sequence[Any]], Iterable[Any]]
        Iterates over parts of the work, for a progress bar.
    **options : Unpack[EvaluateOptions]
        Options of the kind of task: ``n`` and ``seed`` of a generator (`evaluate_generator`); ``images``, ``height``,
        ``method``, ``scales``, ``flip``, ``detector``, ``limit``, ``results`` of a pose network (`evaluate_pose`).

    Returns
    -------
    Evaluation
        Metrics, number of images, and what a reader must know; prints as a table.

    Raises
    ------
    UsageError
        If the model or an option is unknown, or ``data`` is None and the training data are not available.
    DataError
        If the data cannot be used with this model.
    WeightsError
        If the weights cannot be used.

    Examples
    --------
    >>> evaluate("lenet-digits").metrics["accuracy"]
    0.9972...
    """
    check_arguments(evaluate, locals())
    if is_source(model):
        model = load(model, device=device or "auto", notify=notify)
    elif device:
        model = model.to(device)
    spec = TASKS.get(getattr(model, "task", ""))
    if spec is None:
        raise UsageError(
            f"`model` must be what firstsight.load returns, or a name of weights, a run directory, a file or the result"
            f" of a training; got {type(model).__name__}"
        )
    function = spec.resolve("evaluate")
    unknown = sorted(set(options) - set(function.__kwdefaults__ or {}))
    if unknown:
        known = sorted(set(function.__kwdefaults__ or {}) - {"strict", "notify", "progress"})
        hint = suggest(similar_names(unknown[0], known))
        raise UsageError(
            f"`{unknown[0]}` is not an option of the evaluation of a {spec.title};"
            f" it has {', '.join(known) or 'none'}{f'; {hint}' if hint else ''}"
        )
    result: Evaluation = function(model, data, strict=strict, notify=notify, progress=progress, **options)
    return result
