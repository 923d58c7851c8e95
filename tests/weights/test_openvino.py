"""human-pose-estimation-0001 of Open Model Zoo: converter, published hashes, and files that are refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import firstsight
from firstsight.errors import WeightsError
from firstsight.weights.bundled import card_of
from firstsight.weights.open_model_zoo import convert
from firstsight.weights.pose_table import OPEN_MODEL_ZOO
from firstsight.weights.published_pose import import_pose
from helpers.openvino_files import Precision, random_network, write_openvino

GOLDEN = Path(__file__).parents[1] / "parity/golden-openvino.safetensors"


@pytest.fixture
def teacher(shared: Path) -> Path:
    """XML file of the published model in FP16-INT8."""
    return shared / "teacher/human-pose-estimation-0001.xml"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """XML file of a random network in FP16; its .bin file is next to it."""
    return write_openvino(random_network(), tmp_path_factory.mktemp("ir"), "FP16")


@pytest.fixture
def copy(files: Path, tmp_path: Path) -> Callable[..., Path]:
    """Function that copies both files, after replacing bytes of the XML file, and returns the XML file."""

    def make(*replacements: tuple[bytes, bytes]) -> Path:
        xml = tmp_path / files.name
        text = files.read_bytes()
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new, 1)
        xml.write_bytes(text)
        shutil.copy(files.with_suffix(".bin"), xml.with_suffix(".bin"))
        return xml

    return make


def test_teacher_computes_the_maps_of_openvino(teacher: Path) -> None:
    golden = load_file(GOLDEN)
    net = convert(teacher)
    with torch.no_grad():
        maps = net((golden["image"].float() - 128) / 256)[-2:]
    for name, ours in zip(("heatmaps", "pafs"), maps, strict=True):
        theirs, quantized = golden[name], golden[f"quantized_{name}"]
        correlation = np.corrcoef(ours.flatten(), theirs.flatten())[0, 1]
        assert correlation >= 0.99999, (name, correlation)
        assert (ours - theirs).abs().mean() < 1e-4
        assert (ours - theirs).abs().mean() < 0.1 * (quantized - theirs).abs().mean()


@pytest.mark.parametrize("precision", ["FP32", "FP16", "FP16-INT8"])
def test_every_precision_gives_the_weights_of_the_network(precision: Precision, tmp_path: Path) -> None:
    net = random_network()
    converted = convert(write_openvino(net, tmp_path, precision)).state_dict()
    for name, expected in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        step = expected.abs().amax() / 127 if precision == "FP16-INT8" and expected.ndim == 4 else 1e-6
        torch.testing.assert_close(converted[name], expected, atol=float(step), rtol=1e-3, msg=name)


def test_flipped_byte_is_refused_by_the_hash(copy: Callable[..., Path]) -> None:
    xml = copy()
    with pytest.raises(WeightsError, match=r"the SHA-256 .* is not a published one, so it is damaged .*--no-verify$"):
        import_pose(xml, out=xml.with_suffix(".safetensors"))
    path = import_pose(xml, out=xml.with_suffix(".safetensors"), verify=False)
    card = card_of(path)
    assert card is not None and card["bridge"] == "elu" and card["about"]["data"] == "not known"
    assert firstsight.load(path).height == 368


def test_published_file_is_stored_with_its_source(teacher: Path, tmp_path: Path) -> None:
    card = card_of(import_pose(teacher, out=tmp_path / "a.safetensors"))
    assert card is not None
    about = card["about"]
    assert about["source"].endswith("FP16-INT8/human-pose-estimation-0001.xml") and about["published_ap"] == 0.428
    assert about["sha256"] == "df2a9f41f15c3a0c8a0c5a704650338a3cc5c7bb588f2bfc14ea7093fa37b446"
    damaged = tmp_path / teacher.name
    shutil.copy(teacher, damaged)
    data = bytearray(teacher.with_suffix(".bin").read_bytes())
    data[len(data) // 2] ^= 1
    damaged.with_suffix(".bin").write_bytes(data)
    with pytest.raises(WeightsError, match="is not a published one"):
        import_pose(damaged, out=tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()


BOMB = b'<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><net name="&b;" version="10"/>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "declares a document type or entities"),
        (b"<net", "not an XML file"),
        (b"", "has 0 bytes"),
        (b"<html/>", r"not a network of OpenVINO \(its root is <html>"),
        (b'<net version="7"><layers/><edges/></net>', "IR of version 7; expected version 10 or 11"),
        (
            b'<net version="10"><layers/><edges/></net>',
            "is not human-pose-estimation-0001.*it has 0 convolutions, not 58",
        ),
        (b'<net version="10"><layers><layer/></layers><edges/></net>', "its layers cannot be read"),
    ],
)
def test_other_xml_is_refused(content: bytes, message: str, copy: Callable[..., Path]) -> None:
    xml = copy()
    xml.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        convert(xml)


@pytest.mark.parametrize(
    ("replacements", "message"),
    [
        ([(b'type="Elu"', b'type="Selu"')], "has layers of type Selu, which cannot be converted"),
        ([(b'type="Elu"', b'type="ReLU"')], "its maps differ from those of our network"),
        ([(b'pads_begin="1,1"', b'pads_begin="0,0"')], "its padding is not supported"),
        ([(b'offset="16"', b'offset="999999999"')], "human-pose-estimation-0001.bin is too short"),
        ([(b'shape="32,3,3,3"', b'shape="16,3,3,3"')], r"bytes do not hold the shape \[16, 3, 3, 3\]"),
        ([(b'<edge from-layer="8"', b'<edge from-layer="99999"')], "a layer is missing"),
    ],
)
def test_changed_graph_is_refused(
    replacements: list[tuple[bytes, bytes]], message: str, copy: Callable[..., Path]
) -> None:
    with pytest.raises(WeightsError, match=message):
        convert(copy(*replacements))


def test_missing_constants_are_named(copy: Callable[..., Path]) -> None:
    xml = copy()
    xml.with_suffix(".bin").unlink()
    with pytest.raises(WeightsError, match=r"\.bin: No such file or directory; the constants of .* must be next to it"):
        convert(xml)


def test_nan_in_the_constants_is_refused(copy: Callable[..., Path]) -> None:
    xml = copy()
    data = np.frombuffer(bytearray(xml.with_suffix(".bin").read_bytes()), np.float16).copy()
    data[20] = np.nan
    xml.with_suffix(".bin").write_bytes(data.tobytes())
    with pytest.raises(WeightsError, match="values that are not finite"):
        convert(xml)


def test_hashes_of_the_download_are_those_of_a_precision() -> None:
    assert OPEN_MODEL_ZOO.precisions[tuple(file.sha256 for file in OPEN_MODEL_ZOO.files)] == "FP32"
    assert OPEN_MODEL_ZOO.base_url.endswith("/FP32/")
