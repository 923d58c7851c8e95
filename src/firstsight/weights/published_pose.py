"""Published weights of pose networks, trained on COCO: download or import them once, store them with a card."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from firstsight.data.checksum import sha256_of
from firstsight.data.fetch import fetch, is_offline
from firstsight.errors import DataError, UsageError, WeightsError
from firstsight.models.pose.openpose_mobilenet import BridgeVariant
from firstsight.pose.skeleton import OPENPOSE_18
from firstsight.weights.bundled import cache_dir, card_of
from firstsight.weights.io import make_card, write_weights
from firstsight.weights.pose_table import CHECKPOINT, ELU_BRIDGE, HEIGHT, MODEL, OPEN_MODEL_ZOO, ZOO_URL, PublishedPose
from firstsight.weights.state_dict import read_tensors, skeleton_size


def get_pose(source: PublishedPose, *, notify: Callable[[str], None] = lambda line: None) -> Path:
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
    if card_of(source.target) is not None:
        return source.target
    folder = cache_dir() / "downloads"
    names = " and ".join(file.name for file in source.files)
    by_hand = f"firstsight weights import {source.files[0].name}"
    if is_offline() and not all((folder / file.name).is_file() for file in source.files):
        raise WeightsError(
            f"{source.name} is not stored in {cache_dir()}, and FIRSTSIGHT_OFFLINE is set; download {names} from"
            f" {source.url} and then: {by_hand}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{source.name}.lock"):  # only one of several processes downloads
            if card_of(source.target) is None:
                hint = f"download {names} from {source.url} in another way and then: {by_hand}"
                for file in source.files:
                    fetch(file, (source.url,), folder, notify=notify, hint=hint)
                import_pose(folder / source.files[0].name, replace=True, notify=notify)
                for file in source.files:
                    (folder / file.name).unlink()
    except DataError as error:
        raise WeightsError(str(error)) from None
    except OSError as error:
        raise _cannot_write(error, source.target) from error
    return source.target


def is_pose_file(file: str | Path) -> bool:
    """Return whether a file holds published weights of a pose network, by its suffix or the names of its tensors."""
    path = Path(file).expanduser()
    return path.suffix == ".xml" or (path.is_file() and bool(skeleton_size(read_tensors(path))))


def import_pose(
    file: str | Path,
    *,
    out: str | Path | None = None,
    replace: bool = False,
    verify: bool = True,
    notify: Callable[[str], None] = lambda line: None,
) -> Path:
    """Convert published weights of lightweight OpenPose to a weights file with a card.

    Parameters
    ----------
    file : str | Path
        ``human-pose-estimation-0001.xml`` with its .bin file next to it, in the precision FP32, FP16 or FP16-INT8; or
        ``checkpoint_iter_370000.pth``.
    out : str | Path | None
        File to write; None for a file in ``$FIRSTSIGHT_HOME/weights``, which `load` finds by its name.
    replace : bool
        Overwrite weights that came from another file.
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
        If the file does not exist, or other weights are stored under the name.
    WeightsError
        If it cannot be read, has another hash than the published one, or is of another network.
    """
    from firstsight.models.pose import create_bottom_up
    from firstsight.weights.state_dict import fit

    path = Path(file).expanduser()
    if out is not None and Path(out).suffix != ".safetensors":
        raise UsageError(f"`out` must end in .safetensors; got {out}")
    tensors = read_tensors(path)
    bridge: BridgeVariant = "elu" if ELU_BRIDGE in tensors else "relu"
    source = OPEN_MODEL_ZOO if bridge == "elu" else CHECKPOINT
    parts = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
    digests = tuple(sha256_of(part) for part in parts)
    if verify and source.precisions and digests not in source.precisions:
        raise WeightsError(
            f"{path}: the SHA-256 of it or of its .bin file is not a published one, so it is damaged or was trained"
            " again; download it again, or import it with --no-verify"
        )
    target = Path(out).expanduser() if out is not None else source.target
    card = card_of(target)
    if target.exists() and not replace and (card is None or card["about"].get("sha256") != digests[-1]):
        raise UsageError(f"{target} exists already, from another file; remove it, or choose another file with `out`")
    if not source.precisions:
        notify(f"no hash of {path.name} is published; the SHA-256 of this file is {digests[-1]}")
    net = create_bottom_up(MODEL, skeleton=OPENPOSE_18, bridge=bridge)
    fit(net, tensors, path, display_name=type(net).__name__, notify=notify)
    about: dict[str, Any] = {"data": "not known", "source": path.name, "sha256": digests[-1], "terms": "not known"}
    if digests in source.precisions or not source.precisions:
        folder = f"{ZOO_URL}{source.precisions[digests]}/" if source.precisions else source.base_url
        about |= {
            "data": "coco",
            "source": folder + source.files[0].name,
            "terms": source.terms,
            "published_ap": source.ap,
            "ap_source": source.ap_source,
        }
        if source.measured:
            about["measured"] = source.measured
    category = OPENPOSE_18.to_category() | {"paf_channels": list(OPENPOSE_18.paf_channels)}
    fields: dict[str, Any] = {"stages": 1, "height": HEIGHT, "bridge": bridge, "skeleton": category}
    if "published_ap" in about and source.calibration is not None:
        fields["score_calibration"] = dict(source.calibration)
    text = make_card("pose", model=MODEL, about=about, **fields)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_weights(target, net.state_dict(), text)
    except OSError as error:
        raise _cannot_write(error, target) from error
    return target


def _cannot_write(error: OSError, target: Path) -> WeightsError:
    reason = error.strerror or str(error)
    return WeightsError(f"{error.filename or target}: {reason}; choose another place with FIRSTSIGHT_HOME or `out`")
