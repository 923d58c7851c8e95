"""Find the weights file that a name, a run directory or a path means."""

from collections.abc import Callable, Iterable
from pathlib import Path

from firstsight.arguments import check_type, expand_user, ignore
from firstsight.engine.rundir import LATEST, find_latest, latest_run
from firstsight.errors import UsageError, WeightsError, unknown_name
from firstsight.models.registry import MODELS
from firstsight.weights.bundled import bundled, cached, card_of
from firstsight.weights.pose_table import PUBLISHED_POSE, find_published_pose
from firstsight.weights.table import PUBLISHED


def resolve(
    name_or_path: str | Path, *, notify: Callable[[str], None] = ignore, other_names: Iterable[str] = ()
) -> Path:
    """Return the weights file that a name or a path means.

    Parameters
    ----------
    name_or_path : str | Path
        Tried in this order: the name of bundled weights ("lenet-fashion"); a file or a run directory; "latest" for the
        newest run in ``runs``; the name of cached weights ("resnet34-imagenet"); a network with published weights
        ("resnet34"), which are downloaded unless they are cached (never when ``FIRSTSIGHT_OFFLINE=1``).
    notify : Callable[[str], None]
        Called with a line for every download, and with the run that "latest" means.
    other_names : Iterable[str]
        Other names that the caller accepts; the error for an unknown name may suggest them.

    Raises
    ------
    UsageError
        If it is neither a known name nor an existing path, or "latest" and there is no run.
    WeightsError
        If the run directory has no weights, or published weights cannot be downloaded.
    """
    check_type("name_or_path", name_or_path, str | Path)
    name = str(name_or_path)
    path = bundled().get(name) or find_latest(name, notify=notify) or expand_user(name)
    if path.exists():
        return weights_of_run(path) if path.is_dir() else path
    if is_published(name):
        from firstsight.weights.published import get  # which returns the file in the cache unless it is damaged

        return get(name, notify=notify)
    in_cache = cached()
    if name in in_cache:
        return in_cache[name]
    if {"/", "\\"} & set(name) or path.suffix:
        hint = "; docs/howto/published-weights.md lists the published ones" if path.suffix == ".pth" else ""
        raise UsageError(f"no such file or run directory: {name}{hint}")
    raise _unknown_weights(name, other_names)


def is_published(name: str) -> bool:
    """Return whether a name means published weights, stored or not."""
    return name.removesuffix("-imagenet") in PUBLISHED or find_published_pose(name) is not None


def stored_weights(name: str) -> Path | None:
    """Return the weights file that a name or a path means if it is on this machine and complete; None otherwise.

    Nothing is downloaded, and torch is not imported. An unfinished run has no such file.
    """
    path = bundled().get(name) or expand_user(name)
    path = path / "model.safetensors" if path.is_dir() else path
    if path.is_file():
        return path
    files = cached()
    return files.get(name) or files.get(f"{name}-imagenet")


def _unknown_weights(name: str, other_names: Iterable[str]) -> UsageError:
    """Return the error for a name without weights: those of the same network if it names one, else similar names."""
    published = [*PUBLISHED, *(entry.name for entry in PUBLISHED.values()), *PUBLISHED_POSE]
    known = [*bundled(), *cached(), *published, *other_names, LATEST]
    model = name if name in MODELS else name.rpartition("-")[0]
    if model in MODELS:
        files = (bundled() | cached()).items()
        trained = [stem for stem, path in files if (card_of(path) or {}).get("model") == model]
        known = [*trained, f"{model}-imagenet"] if model in PUBLISHED else trained
        if not known:
            return UsageError(
                f"{model} has no trained weights; train it (firstsight train {name}), or give a run directory or a file"
            )
        if name in MODELS:
            return UsageError(f"{name} has no published weights; trained weights: {', '.join(known)}")
    return unknown_name(
        "weights or run", name, known, "see: firstsight weights list; or give a run directory or a file"
    )


def weights_of_run(run: Path) -> Path:
    """Return the weights file of a run: the finished model, or that of the newest checkpoint that verifies.

    Raises
    ------
    WeightsError
        If the folder is no run, has no checkpoint yet, or holds several runs.
    """
    finished = run / "model.safetensors"
    if finished.is_file():
        return finished
    from firstsight.engine import checkpoint  # imports torch

    while True:
        state, _ = checkpoint.load_newest(run / "checkpoints")
        if state is None:
            nested = latest_run(run)
            if nested:
                raise WeightsError(f"{run}: holds several runs; name one of them, as in {nested}")
            raise WeightsError(
                f"{run}: no trained weights in it (not a run directory, or no checkpoint was written yet)"
            )
        for path in sorted(state.folder.glob("*.safetensors")):
            if card_of(path):
                return path
        if state.folder.is_dir():  # else the process that trains has removed it: the next one is read
            raise WeightsError(
                f"{state.folder}: no weights file with a usable card in it; resume or repeat the training"
            )
