"""Where the people to learn from and those to measure on are: a folder of COCO keypoints, or one JSON file."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from firstsight.data.fetch import home
from firstsight.data.images.image_set import held_out_share, stratified_split
from firstsight.data.keypoints.keypoint_set import KeypointSet, load_keypoints
from firstsight.errors import DataError

EXPECTED = "expected person_keypoints_train.json and person_keypoints_val.json, in it or in its folder annotations"


def load_people(where: str | Path, *, share: float = 0.0) -> tuple[KeypointSet, KeypointSet]:
    """People to train on, and people to measure on.

    Parameters
    ----------
    where : str | Path
        A folder with annotation files whose names begin with ``person_keypoints``, one of them with ``train`` and one
        with ``val`` in its name, or only one; or a JSON file. Pictures are in ``images``, or as COCO has them in a
        folder of the file's name (``train2017``). A bare name is a folder of $FIRSTSIGHT_HOME/data.
    share : float
        Hold out so much of the training pictures, and measure on them; 0 for the ``val`` file, or where there is none a
        tenth or a fifth by rule (`held_out_share`).

    Raises
    ------
    DataError
        Nothing is there, or a file cannot be used (see `load_keypoints`).
    """
    train, test = _files(find_people(where))
    people = load_keypoints(train, _pictures(train))
    if test is not None and not share:
        return people, load_keypoints(test, _pictures(test))
    part = share or held_out_share(len(people))
    names = [picture.path.name for picture in people.pictures]
    kept, held = stratified_split(names, np.zeros(len(people), np.int64), part)
    if not len(held):
        raise DataError(f"{train}: one picture is too few to train on and to measure on")
    why = f"--val-fraction {share:g}" if share else "there is no file of others"
    note = f"measured on {len(held):,} of {len(people):,} pictures, those that a training holds out ({why})"
    left = people.select(kept)
    return replace(left, notes=(*left.notes, note)), people.select(held)


def people_to_measure(where: str | Path, images: str | Path | None = None) -> KeypointSet:
    """People to measure on alone: all those of a JSON file; of a folder the second of `load_people`.

    Parameters
    ----------
    where : str | Path
        As of `load_people`.
    images : str | Path | None
        The folder of a JSON file's pictures; None for where `load_people` looks.

    Raises
    ------
    DataError
        As `load_people`; or ``images`` are given for a folder, or are none.
    """
    place = find_people(where)
    if images is not None and not Path(images).expanduser().is_dir():
        raise DataError(f"--images {images}: there is no such folder")
    if images is not None and place.is_dir():
        raise DataError(f"--images {images} is for the pictures of a JSON file; {where} is a folder")
    if place.is_file():
        return load_keypoints(place, Path(images).expanduser() if images is not None else _pictures(place))
    _, test = _files(place)
    return held_out_people(place) if test is None else load_keypoints(test, _pictures(test))


def held_out_people(where: str | Path, *, share: float = 0.0) -> KeypointSet:
    """What `load_people` measures on, with its notes."""
    left, held = load_people(where, share=share)
    return replace(held, notes=tuple(dict.fromkeys((*held.notes, *left.notes))))


def find_people(where: str | Path) -> Path:
    """The file or folder that is meant by a path, or by the bare name of a folder of $FIRSTSIGHT_HOME/data.

    Raises
    ------
    DataError
        There is none.
    """
    place = Path(where).expanduser()
    if not place.exists() and len(place.parts) == 1:
        place = home() / "data" / place
    if not place.exists():
        raise DataError(
            f"{where}: there is no such file or folder; name a JSON file of COCO keypoints, or the folder of one,"
            " with --data"
        )
    return place


def _files(place: Path) -> tuple[Path, Path | None]:
    if not place.is_dir():
        return place, None
    found = sorted([*place.glob("person_keypoints*.json"), *place.glob("annotations/person_keypoints*.json")])
    train, test = ([file for file in found if word in file.stem] for word in ("train", "val"))
    if len(train) == 1 and len(test) == 1:
        return train[0], test[0]
    if len(found) == 1:
        return found[0], None
    names = ", ".join(file.name for file in found) or "no person_keypoints file"
    raise DataError(f"{place}: holds {names}; {EXPECTED}, or one such file alone")


def _pictures(file: Path) -> Path | None:
    """The folder of a file's pictures; None for where `load_keypoints` looks by itself."""
    root = file.parent.parent if file.parent.name == "annotations" else file.parent
    named = root / file.stem.rpartition("_")[2]
    if named.is_dir():
        return named
    return root / "images" if (root / "images").is_dir() else None
