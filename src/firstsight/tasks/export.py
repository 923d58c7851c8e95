"""Write a trained network to a file for other programs."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from firstsight.arguments import expand_user
from firstsight.atomic_io import replace_file
from firstsight.engine.device import device_of
from firstsight.errors import UsageError
from firstsight.tasks.load import load, read_any
from firstsight.weights.io import write_weights

FORMATS = {
    ".safetensors": "tensors by name, with the card as metadata",
    ".pt2": "torch.export program, which runs without firstsight",
}


def export(model: Any, path: str | Path) -> Path:
    """Write a trained network to a file; the suffix chooses the format.

    Parameters
    ----------
    model : Any
        What `load` returns or takes: a `Classifier`, `Generator` or pose estimator, a name, a run directory.
    path : str | Path
        File to write. ``.safetensors``: tensors by name with the card, which `load` reads again. ``.pt2``: a program of
        ``torch.export`` with a dynamic batch size. It maps normalized images (or latent vectors of a generator) to the
        outputs of the network; the card is in its extra file "firstsight.json".

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    UsageError
        If the suffix or the model is unknown, or the folder does not exist.
    WeightsError
        If the weights cannot be used.

    Examples
    --------
    Run the exported program in plain PyTorch::

        program = torch.export.load("lenet.pt2")
        logits = program.module()(images)
    """
    target = expand_user(path)
    if target.suffix not in FORMATS:
        known = "; ".join(f"{suffix} ({text})" for suffix, text in FORMATS.items())
        raise UsageError(f"`path` must end in one of: {known}; got {target}")
    if not target.parent.is_dir():
        raise UsageError(f"`path={target}`: the folder {target.parent} does not exist")
    if isinstance(model, str | Path):
        model = load(model)
    network = getattr(model, "network", model)
    net = getattr(network, "model", None)
    if not isinstance(net, nn.Module):
        raise UsageError(f"`model` must be what firstsight.load returns or takes; got {type(model).__name__}")
    if target.suffix == ".safetensors":
        _, weights = read_any(Path(model.source))
        write_weights(target, weights.tensors, json.dumps(weights.card, sort_keys=True))
    else:
        example = torch.zeros(2, *model.input_shape, device=device_of(net))
        program = torch.export.export(net, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        content = BytesIO()
        torch.export.save(program, content, extra_files={"firstsight.json": json.dumps(model.card, sort_keys=True)})
        replace_file(target, content.getvalue())
    return target
