"""Weights that others published, trained on ImageNet: fetched or imported once, stored with a card, used like any::

network = published("resnet34")
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor, nn

from firstsight.data.fetch import fetch, offline, sha256_of
from firstsight.data.image_io import Preprocess
from firstsight.errors import DataError, UsageError, WeightsError
from firstsight.models.classification import create_model
from firstsight.models.registry import CLASSIFICATION_MODELS
from firstsight.weights.bundled import cache_dir, card_of
from firstsight.weights.classifier import Classifier, make_card, read, write
from firstsight.weights.state_dict import fit, read_tensors
from firstsight.weights.table import ACCURACY_SOURCE, TERMS, Published, find, imagenet_classes, named_hash

HEADS = ("fc.weight", "classifier.6.weight")
"""The last layer's weight, (classes, features): of ResNet and GoogLeNet, of AlexNet and VGG."""
MAX_CLASSES = 100_000
"""A file can claim any number of classes without holding as many numbers."""


def published(model: str, *, notify: Callable[[str], None] = lambda line: None) -> Classifier:
    """A network with the weights that were published for it: 1000 classes of ImageNet.

    Stored weights are used; else they are fetched and stored (never when ``FIRSTSIGHT_OFFLINE=1``).

    Parameters
    ----------
    model : str
        One of `PUBLISHED`, as "resnet34" or "resnet34-imagenet".
    notify : Callable[[str], None]
        Called with a line for every download.

    Raises
    ------
    UsageError
        Nothing is published under that name.
    WeightsError
        Neither stored nor to be fetched, or the stored file is damaged.
    """
    return read(get(model, notify=notify))


def get(name: str, *, notify: Callable[[str], None] = lambda line: None) -> Path:
    """The file of published weights: as it is stored, or fetched, verified by its hash, and stored.

    The download comes from where the weights are published, or from the mirror ``$FIRSTSIGHT_WEIGHTS_URL``.

    Raises
    ------
    UsageError, WeightsError
        As `published`.
    """
    source = find(name)
    if card_of(source.target) is not None:
        return source.target
    folder = cache_dir() / "downloads"
    original = folder / source.file
    by_hand = f"firstsight weights import {source.file} --model {source.model}"
    if offline() and not original.is_file():
        raise WeightsError(
            f"{source.name} is not stored in {cache_dir()}, and FIRSTSIGHT_OFFLINE is set;"
            f" fetch {source.url} and then: {by_hand}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{source.model}.lock"):  # of several processes, one fetches
            if card_of(source.target) is None:
                fetch(
                    source.remote, (source.base_url,), folder, notify=notify,
                    otherwise=f"fetch it in another way and then: {by_hand}",
                )  # fmt: skip
                import_weights(original, source.model, replace=True, notify=notify)
                original.unlink()
    except DataError as error:
        raise WeightsError(str(error)) from None
    except OSError as error:
        raise _cannot_write(error, source.target) from error
    return source.target


def import_weights(
    file: str | Path,
    model: str,
    *,
    variant: str | None = None,
    classes: Sequence[str] | None = None,
    out: str | Path | None = None,
    replace: bool = False,
    notify: Callable[[str], None] = lambda line: None,
) -> Path:
    """Store weights of another program with a card, so that they can be used like any.

    How many classes there are is read from the last layer. 1000 are taken as ImageNet's; the file is then stored as
    ``<model>-imagenet``, any other as ``<model>-<name of the file>``. Pictures are prepared as for the published
    weights. When ``file`` is not the published one (its SHA-256 differs), the card says so, and ``notify`` is told.

    Parameters
    ----------
    file : str | Path
        See `load_published`. A hash in its name ("resnet34-b627a593.pth") is checked.
    model : str
        One of `PUBLISHED`.
    variant : str | None
        Of the network; its first one, which is torchvision's, if None.
    classes : Sequence[str] | None
        Names of the classes, as many as the last layer has; "class 0", ... if None.
    out : str | Path | None
        Where to write; below ``$FIRSTSIGHT_HOME/weights`` if None, where `load` finds it by its name.
    replace : bool
        Write over weights that came from another file.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    UsageError
        No such file, model or variant; another number of names than classes; other weights are there already.
    WeightsError
        The file has another hash than its name says, cannot be read, or does not fit.
    """
    path, source = Path(file).expanduser(), find(model)
    variants = CLASSIFICATION_MODELS[source.model].variants
    if variant is not None and variant not in variants:
        raise UsageError(f"{source.model} has no variant '{variant}' ({' or '.join(variants) or 'it has only one'})")
    digest = checked_hash(path)
    tensors = read_tensors(path)
    count = _count_classes(tensors, path, classes)
    imagenet = count == 1000 and classes is None and variant in (None, *variants[:1])
    target = _target(source, path, out, imagenet=imagenet)
    if not replace:
        _check_free(target, digest)
    net = _fresh(source.model, count, variant)
    fit(net, tensors, path, display_name=f"{source.model} ({variant})" if variant else source.model, notify=notify)
    del tensors  # VGG's are half a gigabyte, and are copied once more for writing
    original = digest.startswith(source.sha256)
    if not original:
        named = " and its classes named" if imagenet else ""
        notify(f"{path.name} is not the published {source.file}; its pictures are prepared{named} as for that")
    names = imagenet_classes() if imagenet else tuple(classes or (f"class {i}" for i in range(count)))
    card = make_card(
        model=source.model, in_channels=3, preprocess=preprocess_of(source), classes=names, variant=variant,
        about=_about(source, path, digest, original=original),
    )  # fmt: skip
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target, net.state_dict(), card)
    except OSError as error:
        raise _cannot_write(error, target) from error
    return target


def checked_hash(path: Path) -> str:
    """SHA-256 of a file, after comparing it with the beginning of one that its name may carry.

    Raises
    ------
    UsageError
        No such file.
    WeightsError
        They differ: the file is damaged, or not what its name says.
    """
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    digest, expected = sha256_of(path), named_hash(path.name)
    if not digest.startswith(expected):
        found = digest[: len(expected)]
        raise WeightsError(f"{path}: its SHA-256 begins with {found}, not as its name says; damaged, or another file")
    return digest


def preprocess_of(source: Published) -> Preprocess:
    """How pictures come into a network with published weights."""
    return Preprocess(channels=3, resize=source.size, pad=0, mean=source.mean, std=source.std, shorter=source.shorter)


def _count_classes(tensors: Mapping[str, Tensor], path: Path, names: Sequence[str] | None) -> int:
    """How many classes the last layer has; 1000 where it is missing, which `fit` will tell."""
    head = next((tensors[name] for name in HEADS if name in tensors and tensors[name].ndim == 2), None)
    count = 1000 if head is None else len(head)
    if not 2 <= count <= MAX_CLASSES:
        raise WeightsError(f"{path}: its last layer has {count:,} classes; 2 to {MAX_CLASSES:,} can be used")
    if names is not None and len(names) != count:
        raise UsageError(f"{path} has {count:,} classes, but {len(names):,} names were given")
    return count


def _target(source: Published, file: Path, out: str | Path | None, *, imagenet: bool) -> Path:
    if out is not None:
        if Path(out).suffix != ".safetensors":
            raise UsageError(f"--out must end in .safetensors; got {out}")
        return Path(out).expanduser()
    if imagenet:
        return source.target
    own = file.stem.startswith(f"{source.model}-") and file.stem != source.name
    return cache_dir() / f"{file.stem if own else f'{source.model}-{file.stem}'}.safetensors"


def _check_free(target: Path, digest: str) -> None:
    """Nothing is at ``target``, or what was made there from the file with this hash."""
    card = card_of(target)
    if target.exists() and (card is None or card["about"].get("sha256") != digest):
        raise UsageError(f"{target} is there already, from another file; remove it, or choose another place with --out")


def _fresh(model: str, num_classes: int, variant: str | None) -> nn.Module:
    """A new network, always with the same numbers: the auxiliary classifiers that a file may lack do not vary."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return create_model(model, num_classes=num_classes, variant=variant)


def _cannot_write(error: OSError, target: Path) -> WeightsError:
    reason = error.strerror or str(error)
    return WeightsError(f"{error.filename or target}: {reason}; choose another place with FIRSTSIGHT_HOME or --out")


def _about(source: Published, file: Path, digest: str, *, original: bool) -> dict[str, Any]:
    if not original:
        terms = "not known; those of whoever trained it"
        return {"data": "not known", "source": file.name, "sha256": digest, "terms": terms}
    return {
        "data": "imagenet", "source": source.place + source.file, "sha256": digest, "terms": TERMS,
        "published_accuracy": source.accuracy / 100, "accuracy_source": ACCURACY_SOURCE,
    }  # fmt: skip
