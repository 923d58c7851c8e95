"""Published weights of pose networks: download from a server on loopback, import, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import firstsight
from firstsight.data.checksum import sha256_of
from firstsight.data.datasets import RemoteFile
from firstsight.errors import UsageError, WeightsError
from firstsight.models.pose import create_bottom_up
from firstsight.pose.skeleton import OPENPOSE_18
from firstsight.weights import published_pose
from firstsight.weights.bundled import cache_dir, card_of
from firstsight.weights.pose_table import CHECKPOINT, OPEN_MODEL_ZOO, PublishedPose, find_published_pose
from firstsight.weights.published import get
from firstsight.weights.published_pose import get_pose, import_pose
from helpers.mirror import Mirror
from helpers.openvino_files import random_network, write_openvino


@pytest.fixture
def zoo(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> PublishedPose:
    """The entry of Open Model Zoo, with the hashes of files of a random network that the server has."""
    xml = write_openvino(random_network(), mirror.folder, "FP32")
    files = tuple(
        RemoteFile(path.name, sha256_of(path), path.stat().st_size) for path in (xml, xml.with_suffix(".bin"))
    )
    source = replace(OPEN_MODEL_ZOO, files=files, precisions={tuple(file.sha256 for file in files): "FP32"})
    monkeypatch.setattr(published_pose, "OPEN_MODEL_ZOO", source)
    return source


def test_both_files_are_downloaded_once_and_stored_with_source_and_calibration(
    zoo: PublishedPose, mirror: Mirror
) -> None:
    messages: list[str] = []
    path = get_pose(zoo, notify=messages.append)
    assert path == cache_dir() / "openpose-mobilenet-coco.safetensors"
    assert [message.split(" (")[0] for message in messages] == [
        f"downloading {mirror.url}human-pose-estimation-0001.{suffix}" for suffix in ("xml", "bin")
    ]
    card = card_of(path)
    assert card is not None
    assert card["about"]["source"].endswith("/FP32/human-pose-estimation-0001.xml")
    assert card["about"]["published_ap"] == 0.428 and "Apache-2.0" in card["about"]["terms"]
    assert "AP 0.335" in card["about"]["measured"]
    estimator = firstsight.load("openpose-mobilenet-coco")
    assert estimator.min_score == card["score_calibration"]["min_score"] > 0
    assert [file.suffix for file in (cache_dir() / "downloads").iterdir()] == [".lock"]
    assert get_pose(zoo) == path and len(mirror.requests) == 2


def test_a_download_with_another_hash_is_refused(zoo: PublishedPose, mirror: Mirror) -> None:
    file = mirror.folder / "human-pose-estimation-0001.bin"
    data = bytearray(file.read_bytes())
    data[1000] ^= 1
    file.write_bytes(data)
    with pytest.raises(
        WeightsError, match=r"hash of the file differs.*firstsight weights import human-pose-estimation"
    ):
        get_pose(zoo)
    assert not zoo.target.exists()


def test_an_interrupted_download_is_resumed(zoo: PublishedPose, mirror: Mirror) -> None:
    """The first half of the .bin file is there from a download that was interrupted."""
    content = (mirror.folder / "human-pose-estimation-0001.bin").read_bytes()
    folder = cache_dir() / "downloads"
    folder.mkdir(parents=True)
    (folder / "human-pose-estimation-0001.bin.part").write_bytes(content[: len(content) // 2])
    assert firstsight.load(get_pose(zoo)).height == 368


def test_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "1")
    with pytest.raises(
        WeightsError,
        match=r"openpose-mobilenet-coco is not stored, and FIRSTSIGHT_OFFLINE is set; download"
        r" https://storage.*/FP32/human-pose-estimation-0001\.xml and \.bin and then: firstsight weights import",
    ):
        get("openpose-mobilenet")


def test_the_checkpoint_without_a_published_hash_is_stored_with_its_own(mirror: Mirror) -> None:
    net = create_bottom_up("openpose-mobilenet", skeleton=OPENPOSE_18)
    torch.save({"state_dict": net.state_dict()}, mirror.folder / "checkpoint_iter_370000.pth")
    digest = sha256_of(mirror.folder / "checkpoint_iter_370000.pth")
    messages: list[str] = []
    path = get("openpose-mobilenet-iter370000", notify=messages.append)
    assert messages == [
        f"downloading {mirror.url}checkpoint_iter_370000.pth",
        f"no hash of checkpoint_iter_370000.pth is published; the SHA-256 of this file is {digest}",
    ]
    card = card_of(path)
    assert card is not None and card["bridge"] == "relu" and "score_calibration" not in card
    assert card["about"]["sha256"] == digest and card["about"]["published_ap"] == 0.40
    assert firstsight.load(path).min_score == 0


def test_other_weights_of_the_same_name_are_not_replaced(tmp_path: Path) -> None:
    files = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        net = create_bottom_up("openpose-mobilenet", skeleton=OPENPOSE_18)
        files.append(tmp_path / f"checkpoint-{seed}.pth")
        torch.save(net.state_dict(), files[-1])
    path = import_pose(files[0])
    assert import_pose(files[0]) == path
    with pytest.raises(UsageError, match=r"exists already, from checkpoint_iter_370000\.pth; replace it with `force`"):
        import_pose(files[1])
    with pytest.raises(UsageError, match=r"`out` must end in \.safetensors"):
        import_pose(files[1], out=tmp_path / "other.pth")


def test_names_of_published_weights() -> None:
    assert find_published_pose("openpose-mobilenet") is find_published_pose("openpose-mobilenet-coco") is OPEN_MODEL_ZOO
    assert find_published_pose("openpose-mobilenet-iter370000") is CHECKPOINT
    assert find_published_pose("resnet34") is None
    assert OPEN_MODEL_ZOO.megabytes == pytest.approx(16.55, abs=0.01)
