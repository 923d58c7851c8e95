"""Write labeled images as class folders, which `firstsight.load_data` reads."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from firstsight.errors import UsageError

UNSAFE = re.compile(r'[\\/:*?"<>|\x00-\x1f]|^\.|[. ]$')
"""Characters that a name of a folder must not have on some system."""


def write_class_folders(
    folder: Path, images: NDArray[np.uint8], labels: NDArray[np.int64], classes: Sequence[str]
) -> None:
    """Write ``folder/CLASS/NUMBER.png`` for each image; the folder appears when it is complete.

    Parameters
    ----------
    folder : Path
        New or empty folder.
    images : NDArray[np.uint8]
        (N, C, H, W), C = 1 or 3.
    labels : NDArray[np.int64]
        (N,) indices into ``classes``.
    classes : Sequence[str]
        Class names. In names of folders, "-" replaces characters that some system does not allow.

    Raises
    ------
    UsageError
        If the folder has files, or cannot be written.
    """
    names = folder_names(classes)
    digits = max(4, len(str(len(labels) - 1)))
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"`path={folder}` exists and is not empty; name a new folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        for name in {names[label] for label in labels}:
            (temporary / name).mkdir(parents=True)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
            Image.fromarray(np.ascontiguousarray(pixels)).save(temporary / names[label] / f"{number:0{digits}}.png")
        temporary.replace(folder)
    except OSError as error:
        raise UsageError(f"`path={folder}` cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def folder_names(classes: Sequence[str]) -> list[str]:
    """Return a name of a folder for each class, all different.

    >>> folder_names(["T-shirt/top", "T-shirt:top", "cat"])
    ['T-shirt-top', 'T-shirt-top-2', 'cat']
    """
    names: list[str] = []
    for text in classes:
        safe = UNSAFE.sub("-", text) or "-"
        name, number = safe, 1
        while name.casefold() in {other.casefold() for other in names}:
            number += 1
            name = f"{safe}-{number}"
        names.append(name)
    return names
