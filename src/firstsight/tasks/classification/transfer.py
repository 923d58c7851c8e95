"""Transfer learning: a new network starts from the weights of a trained one, except for its head."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from firstsight.arguments import expand_user, ignore
from firstsight.engine import checkpoint
from firstsight.errors import UsageError, WeightsError
from firstsight.models.classification import create_model
from firstsight.tasks.classification.classifier import Classifier, load_classifier
from firstsight.text import shorten
from firstsight.weights.bundled import display_name
from firstsight.weights.io import FOREIGN_SUFFIXES, read_weights, without_memory
from firstsight.weights.published import get, import_weights


def load_pretrained(weights: str, model: str, *, notify: Callable[[str], None] = ignore) -> Classifier:
    """Load the trained network that fine-tuning starts from.

    Parameters
    ----------
    weights : str
        "imagenet" for the published weights of ``model``; a name, a run directory or a file, see `firstsight.load`; or
        a ``.pth`` file of ``model``.
    model : str
        Name of the network.
    notify : Callable[[str], None]
        Called with a line for every download.

    Raises
    ------
    UsageError
        If the weights are unknown, or those of another network.
    WeightsError
        If they cannot be downloaded or used.
    """
    path = expand_user(weights)
    if weights == "imagenet":
        base = load_classifier(read_weights(get(model, notify=notify)))
    elif path.suffix in FOREIGN_SUFFIXES and path.is_file():
        with TemporaryDirectory() as folder:
            imported = import_weights(path, model, out=Path(folder) / "weights.safetensors", notify=notify)
            base = load_classifier(read_weights(imported))
    else:
        from firstsight.tasks.load import read_kind, read_resolved

        saved = read_resolved(
            weights, lambda path: read_kind(path, "classification"), notify=notify, other_names=["imagenet"]
        )
        base = load_classifier(saved)
    if base.card["model"] != model:
        trained = base.card["model"]
        raise UsageError(
            f"`weights={weights}`: holds weights of {trained}, not of {model}; type: firstsight train {trained} with"
            f" `weights={weights}`"
        )
    return base


def transfer(net: nn.Module, base: Classifier, classes: Sequence[str]) -> frozenset[str]:
    """Copy the weights of a trained classifier into a new network of the same architecture.

    The head is every tensor whose shape depends on the number of classes. It is copied only if the classes are the
    same, in the same order.

    Parameters
    ----------
    net : nn.Module
        New network, changed in place.
    base : Classifier
        Trained network.
    classes : Sequence[str]
        Classes of ``net``.

    Returns
    -------
    frozenset[str]
        Names of the tensors of the head.

    Raises
    ------
    WeightsError
        If the networks differ in more than the head.
    """
    head = head_of(base.card, len(classes))
    initial = net.state_dict()
    tensors = base.model.state_dict()
    if tuple(classes) != base.classes:
        tensors = {name: initial[name] if name in head else tensor for name, tensor in tensors.items()}
    mismatch = checkpoint.describe_mismatch(net, tensors)
    if mismatch:
        raise WeightsError(f"{base.source}: does not fit this {base.card['model']}: {mismatch}")
    net.load_state_dict(tensors)
    return head


def describe_head(base: Classifier, classes: Sequence[str]) -> str:
    """Return a sentence that says whether `transfer` keeps the head of a trained classifier, and why.

    Parameters
    ----------
    base : Classifier
        Trained network.
    classes : Sequence[str]
        Classes of the new network.
    """
    name = display_name(base.source)
    if tuple(classes) == base.classes:
        return f"{name}: the head is kept, because the {len(classes)} classes are the same"
    if sorted(classes) == sorted(base.classes):
        return f"{name}: the head is new, because the classes have another order"
    if len(classes) == len(base.classes):
        other = next(pair for pair in zip(base.classes, classes, strict=True) if pair[0] != pair[1])
        reason = f"the classes have other names ({shorten(other[0], 24)} was trained, not {shorten(other[1], 24)})"
        return f"{name}: the head is new, because {reason}"
    return f"{name}: the head is new, because the data have {len(classes)} classes, and the weights {len(base.classes)}"


def head_of(card: Mapping[str, Any], num_classes: int) -> frozenset[str]:
    """Return the names of the tensors whose shape depends on the number of classes."""
    shapes = []
    for count in (num_classes, num_classes + 1):
        with without_memory():
            net = create_model(card["model"], **{**card["options"], "num_classes": count})
        shapes.append({name: tensor.shape for name, tensor in net.state_dict().items()})
    return frozenset(name for name, shape in shapes[0].items() if shape != shapes[1][name])


def freeze(net: nn.Module, head: frozenset[str]) -> None:
    """Freeze all parameters except those of the head."""
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name in head)


def restore_train_mode(net: nn.Module) -> None:
    """Set training mode, but keep frozen batch norms in eval mode: their running statistics stay fixed too."""
    net.train()
    for module in net.modules():
        parameters = list(module.parameters(recurse=False))
        if isinstance(module, _BatchNorm) and parameters and not any(p.requires_grad for p in parameters):
            module.eval()
