"""Trained runs that many tests only read. Each kind is trained once per session and shared by all workers."""

from pathlib import Path
from typing import Any

from filelock import FileLock

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "lenet": ("lenet", {"epochs": 3}),
    "gan": ("gan-digits", {"epochs": 3, "image_size": 12}),
    "infogan": ("infogan-digits", {"epochs": 2, "d_width": 4, "image_size": 12}),
}


def trained_run(kind: str, folder: Path) -> Path:
    """Return the run directory of a kind below ``folder``; train it unless another worker has done so.

    The run must not be changed: copy it first.
    """
    from firstsight.recipes.train import train

    out = folder / kind
    with FileLock(folder / f"{kind}.lock"):
        if not (out / "report.html").exists():
            recipe, settings = KINDS[kind]
            train(recipe, out=out, **settings)
    return out
