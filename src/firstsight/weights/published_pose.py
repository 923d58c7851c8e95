"""Published weights of pose networks, trained on COCO: download or import them once, store them with a card."""

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from firstsight.arguments import expand_user, ignore
from firstsight.data.checksum import sha256_of
from firstsight.errors import UsageError, WeightsError
from firstsight.models.pose import create_bottom_up
from firstsight.models.pose.openpose_mobilenet import BridgeVariant
from firstsight.pose.skeleton import OPENPOSE_18
from firstsight.weights.io import WeightsFile, make_card, write_weights
from firstsight.weights.pose_table import CHECKPOINT, ELU_BRIDGE, HEIGHT, MODEL, OPEN_MODEL_ZOO, PublishedPose
from firstsight.weights.retrieve import cannot_write, check_target, retrieve
from firstsight.weights.state_dict import fit, read_tensors, skeleton_size


def get_pose(source: PublishedPose, *, notify: Callable[[str], None] = ignore) -> Path:
    """Return the file of published weights in the cache; download, verify and convert it if it is missing.

    Parameters
    ----------
    source : PublishedPose
        Weights, see `find_published_pose`.
    notify : Callable[[str], None]
        Called with a line for every download.

    Raises
    ------
    WeightsError
        If the files are neither cached nor can be downloaded, or are damaged.
    """
    return retrieve(
        source.target,
        source.files,
        source.url,
        convert=lambda file: import_pose(file, force=True, notify=notify),
        import_command=f"firstsight weights import {source.files[0].name}",
        notify=notify,
    )


def recognize_pose(path: Path, tensors: Mapping[str, Tensor], *, notify: Callable[[str], None]) -> WeightsFile | None:
    """Return published weights of lightweight OpenPose as a weights file, or None if it is another network.

    If the SHA-256 of the file is a published one, or none is published, the card has source, terms, average precision
    and the calibration of scores.

    Parameters
    ----------
    path : Path
        File that the tensors come from.
    tensors : Mapping[str, Tensor]
        Its tensors by name, see `read_tensors`.
    notify : Callable[[str], None]
        Called with a line if refinement stages are left out.

    Raises
    ------
    WeightsError
        If the tensors are those of such a network but do not fit.
    """
    if not skeleton_size(tensors):
        return None
    bridge: BridgeVariant = "elu" if ELU_BRIDGE in tensors else "relu"
    source = OPEN_MODEL_ZOO if bridge == "elu" else CHECKPOINT
    net = create_bottom_up(MODEL, skeleton=OPENPOSE_18, bridge=bridge)
    fit(net, tensors, path, display_name=type(net).__name__, notify=notify)
    parts = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
    digests = tuple(sha256_of(part) for part in parts)
    about = {"data": "not known", "source": path.name, "sha256": digests[-1], "terms": "not known"}
    category = OPENPOSE_18.to_category() | {"paf_channels": list(OPENPOSE_18.paf_channels)}
    card = {"kind": "pose", "model": MODEL, "stages": 1, "height": HEIGHT, "bridge": bridge, "skeleton": category}
    if source.has_hashes(digests):
        about |= source.about(digests)
        if source.calibration is not None:
            card["score_calibration"] = dict(source.calibration)
    return WeightsFile(path, card | {"about": about}, net.state_dict())


def is_pose_file(file: str | Path) -> bool:
    """Return whether a file holds published weights of a pose network, by its suffix or the names of its tensors."""
    path = expand_user(file)
    return path.suffix == ".xml" or (path.is_file() and bool(skeleton_size(read_tensors(path))))


def import_pose(
    file: str | Path,
    *,
    out: str | Path | None = None,
    force: bool = False,
    verify: bool = True,
    notify: Callable[[str], None] = ignore,
) -> Path:
    """Convert published weights of lightweight OpenPose to a weights file with a card.

    Parameters
    ----------
    file : str | Path
        ``human-pose-estimation-0001.xml`` with its .bin file next to it, in the precision FP32, FP16 or FP16-INT8; or
        ``checkpoint_iter_370000.pth``.
    out : str | Path | None
        File to write; None for a file in ``$FIRSTSIGHT_HOME/weights``, which `load` finds by its name.
    force : bool
        Replace weights that came from another file; those from the same file are always replaced.
    verify : bool
        Refuse OpenVINO files whose SHA-256 is not a published one.
    notify : Callable[[str], None]
        Called with a line for everything unusual in the file.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    UsageError
        If the file does not exist, other weights are stored under the name, or the file to write is ``file``.
    WeightsError
        If it cannot be read, has another hash than the published one, or is of another network.
    """
    path = expand_user(file)
    if out is not None and Path(out).suffix != ".safetensors":
        raise UsageError(f"`out` must end in .safetensors; got {out}")
    weights = recognize_pose(path, read_tensors(path), notify=notify)
    if weights is None:
        raise WeightsError(f"{path}: is not lightweight OpenPose; its tensors have other names")
    card = weights.card
    source = OPEN_MODEL_ZOO if card["bridge"] == "elu" else CHECKPOINT
    digest = card["about"]["sha256"]
    if verify and card["about"]["data"] == "not known":
        raise WeightsError(
            f"{path}: the SHA-256 of it or of its .bin file is not a published one, so it is damaged or was trained"
            " again; download it again, or import it with --no-verify"
        )
    target = expand_user(out) if out is not None else source.target
    check_target(target, path, digest, force=force, notify=notify)
    if not source.precisions:
        notify(f"no hash of {path.name} is published; the SHA-256 of this file is {digest}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_weights(target, weights.tensors, make_card(**card))
    except OSError as error:
        raise cannot_write(error, target) from error
    return target
