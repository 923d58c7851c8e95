"""Load trained weights of any kind of task."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from firstsight.arguments import ModelSource, check_arguments, ignore, is_source, to_source
from firstsight.errors import UsageError, WeightsError
from firstsight.tasks.spec import TASKS, TaskSpec, task_of_card, wrong_kind
from firstsight.weights.bundled import card_of, display_name
from firstsight.weights.io import FOREIGN_SUFFIXES, WeightsFile, read_weights
from firstsight.weights.resolve import resolve

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


def load(
    name_or_path: ModelSource,
    *,
    device: "str | torch.device" = "cpu",
    notify: Callable[[str], None] = ignore,
) -> Any:
    """Load trained weights of any kind, ready to use.

    Parameters
    ----------
    name_or_path : ModelSource
        The result of `firstsight.train`, or a name or a path.
        Tried in this order: the name of bundled weights ("lenet-fashion"); a run directory, a ``.safetensors`` file
        that firstsight wrote, or the published ``.pth`` checkpoint of lightweight OpenPose; "latest" for the newest run
        in ``runs``; the name of cached weights ("resnet34-imagenet"); a network with published weights ("resnet34"),
        which are downloaded unless they are cached (never when ``FIRSTSIGHT_OFFLINE=1``).
    device : str | torch.device
        Device: "cpu", "cuda", "mps", or "auto" for a GPU if there is one.
    notify : Callable[[str], None]
        Called with a line for every download and for everything unusual in the file.

    Returns
    -------
    Classifier | Generator | PoseEstimator | TopDownEstimator
        Object of the kind that the weights are of; each is callable.

    Raises
    ------
    UsageError
        If it is neither a known name nor an existing path, or this machine has no such device.
    WeightsError
        If the file is damaged, of another program, or does not fit the network that its card names, or if published
        weights cannot be downloaded.

    Examples
    --------
    >>> load("lenet-digits")
    Classifier(lenet: 10 classes, trained on digits, test accuracy 99.72%, input 1x32x32)
    """
    check_arguments(load, locals())
    spec, weights = read_resolved(name_or_path, lambda path: read_any(path, notify=notify), notify=notify)
    return spec.resolve("load")(weights).to(device)


def read_resolved(
    name_or_path: ModelSource,
    read: Callable[[Path], T],
    *,
    notify: Callable[[str], None] = ignore,
    other_names: Iterable[str] = (),
) -> T:
    """Find a weights file by a name or a path, and read it.

    A process that trains may remove the checkpoint of a run after it was found. Then the newest one is searched again.

    Parameters
    ----------
    name_or_path : ModelSource
        See `load`.
    read : Callable[[Path], T]
        Function that reads the file.
    notify : Callable[[str], None]
        See `load`.
    other_names : Iterable[str]
        Other names that the caller accepts; the error for an unknown name may suggest them.

    Returns
    -------
    T
        What ``read`` returns.

    Raises
    ------
    UsageError, WeightsError
        See `load`.
    """
    source = to_source(name_or_path)
    previous = None
    while True:
        path = resolve(source, notify=notify, other_names=other_names)
        try:
            return read(path)
        except WeightsError:
            if path.exists() or path == previous:
                raise
            previous = path


def read_any(path: Path, *, notify: Callable[[str], None] = ignore) -> tuple[TaskSpec, WeightsFile]:
    """Read a weights file of any kind; return its task and its content.

    Raises
    ------
    WeightsError
        If it is not readable, or of an unknown kind.
    """
    if path.suffix not in FOREIGN_SUFFIXES:
        weights = read_weights(path)
        return task_of_card(weights.card["kind"], path), weights
    from firstsight.weights.state_dict import read_tensors

    tensors = read_tensors(path)
    for spec in TASKS.values():
        if spec.recognize:
            recognized: WeightsFile | None = spec.resolve("recognize")(path, tensors, notify=notify)
            if recognized is not None:
                return spec, recognized
    raise WeightsError(
        f"{path}: holds tensors but no card; its network, classes and preprocessing are not in it"
        " (see: firstsight weights import --help)"
    )


def read_kind(path: Path, task: str, *, notify: Callable[[str], None] = ignore) -> WeightsFile:
    """Read a weights file of one kind of task.

    Raises
    ------
    WeightsError
        If it is not readable, or of another kind.
    """
    spec, weights = read_any(path, notify=notify)
    if spec.name != task:
        raise wrong_kind(display_name(path), spec, TASKS[task])
    return weights


def load_as(
    task: str,
    model: Any,
    *,
    device: "str | torch.device | None" = None,
    notify: Callable[[str], None] = ignore,
) -> Any:
    """Return a trained model of one kind of task.

    Parameters
    ----------
    task : str
        Name of the task.
    model : Any
        Object that `load` returned, or what `load` takes.
    device : str | torch.device | None
        Device to compute on. None leaves an object where it is, and is "auto" for a name or a path.
    notify : Callable[[str], None]
        See `load`.

    Raises
    ------
    UsageError
        If ``model`` is of another type, or a name that is unknown.
    WeightsError
        If it is of another kind of task, or cannot be used.
    """
    if is_source(model):
        weights = read_resolved(model, lambda path: read_kind(path, task, notify=notify), notify=notify)
        return TASKS[task].resolve("load")(weights).to(device or "auto")
    kind = getattr(model, "task", None)
    if kind not in TASKS:
        raise UsageError(
            f"`model` must be a name of weights, a run directory, a file, the result of a training, or a"
            f" {TASKS[task].title};"
            f" got {type(model).__name__}"
        )
    if kind != task:
        raise wrong_kind(f"`model` ({type(model).__name__})", TASKS[kind], TASKS[task])
    return model.to(device) if device else model


def kind_of(name_or_path: ModelSource, *, notify: Callable[[str], None] = ignore) -> TaskSpec:
    """Return the kind of task that weights are of, by their card alone where they have one.

    Raises
    ------
    UsageError, WeightsError
        See `load`.
    """

    def read(path: Path) -> TaskSpec:
        card = card_of(path)
        return task_of_card(str(card.get("kind")), path) if card else read_any(path, notify=notify)[0]

    return read_resolved(name_or_path, read, notify=notify)
