"""Training and validation people, from a folder of COCO keypoints or one JSON file."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from firstsight.arguments import expand_user
from firstsight.data.fetch import find_home
from firstsight.data.images.image_set import holdout_fraction, stratified_split
from firstsight.data.keypoints.keypoint_set import KeypointSet, load_keypoints
from firstsight.errors import DataError

EXPECTED = "expected person_keypoints_train.json and person_keypoints_val.json in it or in annotations/"

SOURCES = {
    "coco": "COCO keypoints, https://cocodataset.org",
    "lspet": "LSP extended as COCO keypoints, http://sam.johnson.io/research/lspet.html",
    "photos": "photographs that tools/label_photos.py labels",
}
"""Data sets of the pose recipes, and where they are from."""


def load_people(path: str | Path, *, val_fraction: float = 0.0) -> tuple[KeypointSet, KeypointSet]:
    """Load people for training and people for validation.

    Parameters
    ----------
    path : str | Path
        JSON file, or folder with annotation files. Their names begin with ``person_keypoints``; one contains ``train``
        and one ``val``, or there is only one file. Images are in ``images``, or, as in COCO, in a folder with the last
        part of the file name (``train2017``). A bare name is a folder in ``$FIRSTSIGHT_HOME/data``.
    val_fraction : float
        Fraction of the training images to hold out for validation. 0 uses the ``val`` file; without one, 10 or 20 % of
        the images are held out (see `holdout_fraction`).

    Returns
    -------
    tuple[KeypointSet, KeypointSet]
        Training and validation people.

    Raises
    ------
    DataError
        If nothing is found, or a file cannot be used (see `load_keypoints`).
    """
    train_file, val_file = _find_files(find_people(path))
    people = load_keypoints(train_file, _image_folder(train_file))
    if val_file is not None and not val_fraction:
        return people, load_keypoints(val_file, _image_folder(val_file))
    names = [image.path.name for image in people.images]
    fraction = val_fraction or holdout_fraction(len(people))
    kept, held_out = stratified_split(names, np.zeros(len(people), np.int64), fraction)
    if not len(held_out):
        raise DataError(f"{train_file}: one image is too few for training and validation")
    note = f"evaluated on {len(held_out):,} of {len(people):,} images, held out of training"
    note = f"{note} (val_fraction={val_fraction:g})" if val_fraction else f"no validation file found: {note}"
    train = people.select(kept)
    return replace(train, notes=(*train.notes, note)), people.select(held_out)


def load_val_people(path: str | Path, images: str | Path | None = None) -> KeypointSet:
    """Load people for evaluation: all people of a JSON file or of a folder with one, else the validation people.

    Parameters
    ----------
    path : str | Path
        See `load_people`.
    images : str | Path | None
        Folder with the images of a JSON file. None means that of `load_people`.

    Returns
    -------
    KeypointSet
        The people.

    Raises
    ------
    DataError
        If `load_people` would fail, ``images`` is not a folder, or ``path`` is a folder and ``images`` is given.
    """
    source = find_people(path)
    if images is not None and not expand_user(images).is_dir():
        raise DataError(f"`images={images}`: there is no such folder")
    if images is not None and source.is_dir():
        raise DataError(f"`images={images}` requires a JSON file as `data`; {path} is a folder")
    if source.is_file():
        people = load_keypoints(source, expand_user(images) if images is not None else _image_folder(source))
        return replace(people, notes=(*people.notes, f"measured on all {len(people):,} images of {source.name}"))
    train_file, val_file = _find_files(source)
    if val_file is not None:
        people = load_keypoints(val_file, _image_folder(val_file))
        note = f"measured on the validation file {val_file.name}: {len(people):,} images"
        return replace(people, notes=(*people.notes, note))
    people = load_keypoints(train_file, _image_folder(train_file))
    return replace(people, notes=(*people.notes, f"one file of people found: measured on all {len(people):,} images"))


def load_held_out_people(path: str | Path, *, val_fraction: float = 0.0) -> KeypointSet:
    """Load the validation people of `load_people`, with the notes of both sets."""
    train, val = load_people(path, val_fraction=val_fraction)
    return replace(val, notes=tuple(dict.fromkeys((*val.notes, *train.notes))))


def find_people(path: str | Path) -> Path:
    """Return an existing file or folder: ``path``, or for a bare name also a folder in ``$FIRSTSIGHT_HOME/data``.

    Raises
    ------
    DataError
        If it does not exist.
    """
    resolved = expand_user(path)
    home = find_home()
    if home and not resolved.exists() and len(resolved.parts) == 1:
        resolved = home / "data" / resolved
    if not resolved.exists():
        raise DataError(f"{path}: no such file or folder; pass a JSON file of COCO keypoints or its folder as `data`")
    return resolved


def _find_files(path: Path) -> tuple[Path, Path | None]:
    """Return the annotation files for training and validation; the second is None if there is only one."""
    if not path.is_dir():
        return path, None
    files = sorted([*path.glob("person_keypoints*.json"), *path.glob("annotations/person_keypoints*.json")])
    train, val = ([file for file in files if word in file.stem] for word in ("train", "val"))
    if len(train) == 1 and len(val) == 1:
        return train[0], val[0]
    if len(files) == 1:
        return files[0], None
    names = ", ".join(file.name for file in files) or "no person_keypoints file"
    raise DataError(f"{path}: contains {names}; {EXPECTED}, or only one such file")


def _image_folder(file: Path) -> Path | None:
    """Return the folder with the images of an annotation file, or None for the default of `load_keypoints`."""
    root = file.parent.parent if file.parent.name == "annotations" else file.parent
    named = root / file.stem.rpartition("_")[2]
    if named.is_dir():
        return named
    return root / "images" if (root / "images").is_dir() else None
