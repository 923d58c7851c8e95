"""Published weights: download or import them once, store them with a card. Those of pose networks: `published_pose`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from firstsight.arguments import expand_user, ignore
from firstsight.data.checksum import sha256_of
from firstsight.data.image_io import Preprocess
from firstsight.documents.cards import MAX_CLASSES
from firstsight.errors import UsageError, WeightsError
from firstsight.models.classification import create_model
from firstsight.models.registry import CLASSIFICATION_MODELS
from firstsight.weights.bundled import cache_dir
from firstsight.weights.io import make_card, without_memory, write_weights
from firstsight.weights.pose_table import find_published_pose
from firstsight.weights.published_pose import get_pose
from firstsight.weights.retrieve import cannot_write, check_target, retrieve
from firstsight.weights.state_dict import fit, match, read_tensors
from firstsight.weights.table import ACCURACY_SOURCE, TERMS, Published, find_published, imagenet_classes, named_hash

HEADS = ("fc.weight", "classifier.6.weight")
"""Weight (classes, features) of the last layer: of ResNet and GoogLeNet, of AlexNet and VGG."""


def get(name: str, *, notify: Callable[[str], None] = ignore) -> Path:
    """Return the file of published weights in the cache; download, verify and convert it if it is missing.

    The download is from the publisher, or from the mirror ``$FIRSTSIGHT_WEIGHTS_URL``; never when
    ``FIRSTSIGHT_OFFLINE=1``.

    Parameters
    ----------
    name : str
        Network or weights: "resnet34" or "resnet34-imagenet"; "openpose-mobilenet".
    notify : Callable[[str], None]
        Called with a line for every download.

    Raises
    ------
    UsageError
        If nothing is published under that name.
    WeightsError
        If the file is neither cached nor can be downloaded, or is damaged.
    """
    pose = find_published_pose(name)
    if pose is not None:
        return get_pose(pose, notify=notify)
    source = find_published(name)
    return retrieve(
        source.target,
        (source.remote,),
        source.download_url,
        convert=lambda file: import_weights(file, source.model, force=True, notify=notify),
        import_command=f"firstsight weights import {source.file} --model {source.model}",
        notify=notify,
    )


def import_weights(
    file: str | Path,
    model: str,
    *,
    variant: str | None = None,
    classes: Sequence[str] | None = None,
    out: str | Path | None = None,
    force: bool = False,
    notify: Callable[[str], None] = ignore,
) -> Path:
    """Convert weights of another program to a weights file with a card.

    The number of classes is that of the last layer. 1000 classes are taken to be those of ImageNet; the file is then
    stored as ``<model>-imagenet``, others as ``<model>-<name of the file>``. Images are preprocessed as for the
    published weights. If ``file`` is not the published one (its SHA-256 differs), the card says so and ``notify`` is
    called.

    Parameters
    ----------
    file : str | Path
        See `load_published`. A hash in its name ("resnet34-b627a593.pth") is verified.
    model : str
        Network, one of `PUBLISHED`.
    variant : str | None
        Variant of the network; None for the first one, which is that of torchvision.
    classes : Sequence[str] | None
        Names of the classes; None for "class 0", "class 1", ...
    out : str | Path | None
        File to write; None for a file in ``$FIRSTSIGHT_HOME/weights``, which `load` finds by its name.
    force : bool
        Replace weights that came from another file; those from the same file are always replaced.
    notify : Callable[[str], None]
        Called with a line for everything unusual in the file.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    UsageError
        If the file, the network or the variant does not exist, if the number of names differs from that of the
        classes, if other weights are stored under the name, or the file to write is ``file``.
    WeightsError
        If the file has another hash than its name says, cannot be read, or does not fit the network.
    """
    path, source = expand_user(file), find_published(model)
    variants = CLASSIFICATION_MODELS[source.model].variants
    if variant is not None and variant not in variants:
        raise UsageError(f"{source.model} has no variant '{variant}' ({' or '.join(variants) or 'it has only one'})")
    digest = checked_hash(path)
    tensors = read_tensors(path)
    count = _count_classes(tensors, path, classes)
    imagenet = count == 1000 and classes is None and variant in (None, *variants[:1])
    target = _target(source, path, out, imagenet=imagenet)
    check_target(target, path, digest, force=force, notify=notify)
    display_name = f"{source.model} ({variant})" if variant else source.model
    with without_memory():
        shapes = create_model(source.model, num_classes=count, variant=variant)
    match(shapes, tensors, path, display_name=display_name, notify=ignore)
    net = _fresh(source.model, count, variant)
    fit(net, tensors, path, display_name=display_name, notify=notify)
    del tensors  # half a gigabyte for VGG, and writing makes another copy
    original = digest.startswith(source.sha256)
    if not original:
        named = " and classes are named" if imagenet else ""
        notify(f"{path.name} is not the published {source.file}; images are preprocessed{named} as for that file")
    names = imagenet_classes() if imagenet else tuple(classes or (f"class {i}" for i in range(count)))
    options = {"num_classes": count, "in_channels": 3, "image_size": source.size}
    card = make_card(
        "classifier",
        model=source.model,
        options=options if variant is None else options | {"variant": variant},
        preprocess=asdict(preprocess_of(source)),
        classes=list(names),
        views=1,
        about=_about(source, path, digest, original=original),
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_weights(target, net.state_dict(), card)
    except OSError as error:
        raise cannot_write(error, target) from error
    return target


def checked_hash(path: Path) -> str:
    """Return the SHA-256 of a file, compared with the one that its name may contain.

    Raises
    ------
    UsageError
        If the file does not exist.
    WeightsError
        If they differ: the file is damaged, or not what its name says.
    """
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    digest, expected = sha256_of(path), named_hash(path.name)
    if not digest.startswith(expected):
        start = digest[: len(expected)]
        raise WeightsError(f"{path}: its SHA-256 begins with {start}, not as its name says; damaged, or another file")
    return digest


def preprocess_of(source: Published) -> Preprocess:
    """Return the preprocessing for published weights."""
    return Preprocess(channels=3, resize=source.size, pad=0, mean=source.mean, std=source.std, shorter=source.shorter)


def _count_classes(tensors: Mapping[str, Tensor], path: Path, names: Sequence[str] | None) -> int:
    """Return the number of classes of the last layer; 1000 if it is missing, which `fit` will report."""
    head = next((tensors[name] for name in HEADS if name in tensors and tensors[name].ndim == 2), None)
    count = 1000 if head is None else len(head)
    if not 2 <= count <= MAX_CLASSES:
        raise WeightsError(f"{path}: its last layer has {count:,} classes; between 2 and {MAX_CLASSES:,} are possible")
    if names is not None and len(names) != count:
        raise UsageError(f"{path} has {count:,} classes, but {len(names):,} names were given")
    return count


def _target(source: Published, file: Path, out: str | Path | None, *, imagenet: bool) -> Path:
    if out is not None:
        if Path(out).suffix != ".safetensors":
            raise UsageError(f"`out` must end in .safetensors; got {out}")
        return expand_user(out)
    if imagenet:
        return source.target
    has_model_name = file.stem.startswith(f"{source.model}-") and file.stem != source.name
    return cache_dir() / f"{file.stem if has_model_name else f'{source.model}-{file.stem}'}.safetensors"


def _fresh(model: str, num_classes: int, variant: str | None) -> nn.Module:
    """Return a new network with fixed random weights, so that auxiliary classifiers missing in a file do not vary."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return create_model(model, num_classes=num_classes, variant=variant)


def _about(source: Published, file: Path, digest: str, *, original: bool) -> dict[str, Any]:
    if not original:
        terms = "not known"
        return {"data": "not known", "source": file.name, "sha256": digest, "terms": terms}
    return {
        "data": "imagenet",
        "source": source.base_url + source.file,
        "sha256": digest,
        "terms": TERMS,
        "published_accuracy": source.accuracy / 100,
        "accuracy_source": ACCURACY_SOURCE,
    }
