"""Fine-tuning: a new network begins with the weights of a trained one, all but its head."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from firstsight.engine import checkpoint
from firstsight.errors import WeightsError
from firstsight.models.classification import create_model
from firstsight.weights.classifier import PYTORCH_SUFFIXES, Classifier, load, read
from firstsight.weights.published import import_weights, published


def load_pretrained(wanted: str, model: str, *, notify: Callable[[str], None] = lambda line: None) -> Classifier:
    """The trained network that ``--weights`` means.

    Parameters
    ----------
    wanted : str
        "imagenet" for what was published for ``model``; what `load` takes; or a ``.pth`` file of ``model``.

    Raises
    ------
    UsageError, WeightsError
        As `load`, `published` and `import_weights`.
    """
    if wanted == "imagenet":
        return published(model, notify=notify)
    path = Path(wanted).expanduser()
    if path.suffix in PYTORCH_SUFFIXES and path.is_file():
        with TemporaryDirectory() as folder:
            return read(import_weights(path, model, out=Path(folder) / "weights.safetensors", notify=notify))
    return load(wanted, notify=notify)


def transfer(net: nn.Module, base: Classifier, classes: Sequence[str]) -> frozenset[str]:
    """Hand the weights of ``base`` to ``net``, a network of the same kind for other classes.

    The head is every tensor whose shape depends on the number of classes. It stays as ``net`` has it, unless the
    classes are the same, in the same order.

    Returns
    -------
    frozenset[str]
        The names of the head's tensors.

    Raises
    ------
    WeightsError
        The networks differ in more than the head.
    """
    head = head_of(base.card, len(classes))
    own, given = net.state_dict(), base.model.state_dict()
    if tuple(classes) != base.classes:
        given = {name: own[name] if name in head else tensor for name, tensor in given.items()}
    misfit = checkpoint.compare(net, given)
    if misfit:
        raise WeightsError(f"{base.source}: does not fit this {base.card['model']}: {misfit}")
    net.load_state_dict(given)
    return head


def head_of(card: Mapping[str, Any], num_classes: int) -> frozenset[str]:
    """Names of the tensors, of the network that a card names, whose shape depends on the number of classes."""
    shapes = []
    for count in (num_classes, num_classes + 1):
        with torch.device("meta"):
            other = create_model(card["model"], **{**card["options"], "num_classes": count})
        shapes.append({name: tensor.shape for name, tensor in other.state_dict().items()})
    return frozenset(name for name, shape in shapes[0].items() if shape != shapes[1][name])


def freeze(net: nn.Module, head: frozenset[str]) -> None:
    """Fix everything but the head."""
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name in head)


def train_mode(net: nn.Module) -> None:
    """Training mode, except for batch norms that are fixed altogether: their statistics stay too."""
    net.train()
    for module in net.modules():
        own = list(module.parameters(recurse=False))
        if isinstance(module, _BatchNorm) and own and not any(p.requires_grad for p in own):
            module.eval()
