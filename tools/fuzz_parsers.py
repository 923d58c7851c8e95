"""Parsers that fuzz.py tests, each with small valid files to mutate."""

import contextlib
import gzip
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from firstsight.data.image_io import open_image
from firstsight.data.images.cifar import read_cifar
from firstsight.data.images.idx import read_idx
from firstsight.data.images.loading import load_data
from firstsight.data.keypoints.keypoint_set import load_keypoints
from firstsight.documents.runs import RunProgress, TrainState
from firstsight.engine import checkpoint
from firstsight.engine.rundir import latest_run, read_config, read_metrics
from firstsight.errors import RunError
from firstsight.ops.kernels import parse_kernel
from firstsight.tasks.gan.parse_codes import parse_codes
from firstsight.tasks.load import load
from firstsight.tasks.pose.boxes import read_boxes, validate_boxes
from firstsight.weights.bundled import bundled
from firstsight.weights.io import CARD
from firstsight.weights.openvino import OpenVinoModel
from firstsight.weights.state_dict import read_state_dict
from helpers.openvino_files import random_network, write_openvino

SMALL = ("lenet-digits", "gan-digits", "openpose-tiny-lsp", "pose-tiny-lsp")
"""Bundled weights whose cards are mutated: one of each kind."""


@dataclass(frozen=True)
class Parser:
    """A function that reads a file, with files to mutate.

    Attributes
    ----------
    suffix : str
        Suffix of the files.
    seeds : Callable[[Path], list[bytes]]
        Return valid files; the argument is a folder for temporary files.
    parse : Callable[[Path], object]
        Read a file.
    weight : int
        Number of inputs relative to the other parsers; a video takes a separate process.
    """

    suffix: str
    seeds: Callable[[Path], list[bytes]]
    parse: Callable[[Path], object]
    weight: int = 1


def _pixels(*shape: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _encode(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _image_files(_: Path) -> list[bytes]:
    rgb, gray = Image.fromarray(_pixels(12, 9, 3)), Image.fromarray(_pixels(9, 12))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x8769] = 6, "text", {0x9286: b"comment", 0x829A: (1, 50)}
    return [
        _encode(rgb, "PNG"), _encode(gray, "PNG"), _encode(rgb.quantize(8), "PNG", transparency=1),
        _encode(Image.fromarray(_pixels(9, 9).astype(np.uint16) * 257), "PNG"), _encode(rgb, "PNG", exif=exif),
        _encode(rgb, "JPEG", exif=exif), _encode(gray, "JPEG", progressive=True), _encode(rgb.convert("CMYK"), "JPEG"),
        _encode(rgb.quantize(8), "GIF", save_all=True, append_images=[gray.quantize(8)]), _encode(rgb, "BMP"),
        _encode(rgb, "TIFF"), _encode(gray, "TIFF", compression="tiff_lzw"),
        _encode(Image.fromarray(_pixels(9, 9).astype(np.float32) / 255), "TIFF"),
        _encode(Image.fromarray(_pixels(9, 9).astype(np.int32) * 100), "TIFF", compression="tiff_adobe_deflate"),
        _encode(rgb, "WEBP", lossless=True), _encode(rgb, "WEBP", exif=exif), _encode(rgb, "PPM"), _encode(gray, "PPM"),
    ]  # fmt: skip


def _archives(_: Path) -> list[bytes]:
    files = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for index in range(8):
                image = Image.fromarray(_pixels(8, 8) // (1 + index % 2))
                archive.writestr(f"set/{'ab'[index % 2]}/{index}.png", _encode(image, "PNG"))
        files.append(out.getvalue())
    return files


def _parse_in_folder(path: Path) -> object:
    """Read a folder of which one image is the input."""
    folder = path.parent / "folder"
    for name in "ab":
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(2):
            file = folder / name / f"{index}.png"
            if not file.exists():
                file.write_bytes(_encode(Image.fromarray(_pixels(8, 8)), "PNG"))
    (folder / "a" / "input.png").write_bytes(path.read_bytes())
    return load_data(folder, size=8)


def _idx(values: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bytes:
    return bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()


def _idx_files(_: Path) -> list[bytes]:
    images, labels = _idx(_pixels(6, 5, 4)), _idx(_pixels(6) % 3)
    return [images, labels, gzip.compress(images), gzip.compress(labels)]


def _parse_labels(path: Path) -> object:
    """Read a data set whose labels are the input."""
    folder = path.parent / "idx"
    folder.mkdir(exist_ok=True)
    for split in ("train", "t10k"):
        (folder / f"{split}-images-idx3-ubyte").write_bytes(_idx(_pixels(6, 28, 28)))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(_idx(_pixels(6) % 3))
    (folder / "train-labels-idx1-ubyte").write_bytes(path.read_bytes())
    return load_data(folder)


def _parse_cifar(path: Path) -> object:
    folder = path.parent / "cifar-10-batches-bin"
    folder.mkdir(exist_ok=True)
    (folder / "test_batch.bin").write_bytes(path.read_bytes())
    return read_cifar(folder, "test")


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _coco_documents(_: Path) -> list[bytes]:
    joints = ["nose", "left_eye", "right_eye"]
    document = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "width": 64, "height": 48},
            {"id": 2, "file_name": "b/b.jpg", "width": 32, "height": 32, "license": 4},
        ],
        "annotations": [
            {
                "id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30.5, 40], "area": 900.5, "iscrowd": 0,
                "keypoints": [3, 4, 2, 5.5, 6, 1, 0, 0, 0], "num_keypoints": 2,
            },
            {
                "id": 2, "image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 1,
                "keypoints": [0] * 9, "num_keypoints": 0, "segmentation": {"counts": [1, 2], "size": [4, 4]},
            },
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": joints, "skeleton": [[1, 2], [1, 3]]}],
    }  # fmt: skip
    return [json.dumps(document).encode(), json.dumps(document, indent=1).encode()]


def _parse_keypoints(path: Path) -> object:
    images = path.parent / "images" / "b"
    if not images.is_dir():
        images.mkdir(parents=True)
        for file in (images.parent / "a.jpg", images / "b.jpg"):
            file.write_bytes(_encode(Image.fromarray(_pixels(48, 64)), "JPEG"))
    return load_keypoints(path)


def _boxes(_: Path) -> list[bytes]:
    return [b"[[1, 2, 3, 4], [5.5, 6, 7, 8]]", b'{"a.jpg": [[1, 2, 3, 4]], "b.jpg": []}', b"[]"]


def _parse_boxes(path: Path) -> object:
    return [validate_boxes(rows, (64, 48), name) for name, rows in read_boxes(path).items()]


def _cards(_: Path) -> list[bytes]:
    files = []
    for name in SMALL:
        with safe_open(bundled()[name], framework="pt") as file:
            files.append(f"{name}\n{file.metadata()[CARD]}".encode())
    return files


def _parse_card(path: Path) -> object:
    """Load weights whose card is the input; the first line names the bundled weights with the tensors."""
    name, _, card = _text(path).partition("\n")
    source = bundled().get(name)
    if source is None:
        return None
    file = path.with_suffix(".safetensors")
    try:
        save_file(load_file(source), file, {CARD: card})
    except UnicodeEncodeError:  # safetensors stores UTF-8 only
        return None
    return repr(load(file))


def _weights(folder: Path) -> list[bytes]:
    file = folder / "seed.safetensors"
    with safe_open(bundled()["lenet-digits"], framework="pt") as source:
        save_file({name: torch.zeros(2, 3) for name in ("a", "b")}, file, source.metadata())
    return [bundled()["lenet-digits"].read_bytes(), file.read_bytes()]


def _parse_weights(path: Path) -> object:
    return repr(load(path))


def _checkpoints(folder: Path) -> list[bytes]:
    files = []
    tensors = {"conv.weight": torch.zeros(2, 1, 3, 3), "conv.bias": torch.zeros(2), "n": torch.tensor(3)}
    for content in (
        tensors,
        {"state_dict": tensors, "epoch": 3, "lr": 0.1},
        {"model": {"module." + k: v for k, v in tensors.items()}},
    ):
        torch.save(content, folder / "seed.pth")
        files.append((folder / "seed.pth").read_bytes())
    torch.save(tensors, folder / "seed.pth", _use_new_zipfile_serialization=False)
    files.append((folder / "seed.pth").read_bytes())
    return files


def _openvino_files(folder: Path) -> list[bytes]:
    xml = write_openvino(random_network(), folder, "FP32")
    _BIN.append(xml.with_suffix(".bin").read_bytes())
    return [xml.read_bytes()]


_BIN: list[bytes] = []


def _parse_openvino(path: Path) -> object:
    weights = path.with_suffix(".bin")
    if not weights.exists() or weights.stat().st_size != len(_BIN[0]):
        weights.write_bytes(_BIN[0])
    return OpenVinoModel(path)


def _config(_: Path) -> list[bytes]:
    config = {
        "model": "lenet", "recipe": "lenet-digits", "device": "cpu", "processes": 1, "notes": [], "launcher": "",
        "data": {"name": "digits", "train_images": 5, "train_sha256": "ab" * 32, "classes": ["0", "1"]},
        "settings": {"batch_size": 32, "lr": 0.1, "data": "digits", "flip": "none"}, "versions": {"torch": "2.13.0"},
    }  # fmt: skip
    return [json.dumps(config, indent=2).encode()]


def _parse_config(path: Path) -> object:
    run = path.parent / "runs" / "1"
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_bytes(path.read_bytes())
    return latest_run(run.parent), read_config(run)


def _metrics(_: Path) -> list[bytes]:
    lines = [
        {"epoch": i, "step": 10 * i, "train/loss": 1.5 / i, "test/accuracy": 0.5, "seconds": 3.5 * i}
        for i in range(1, 4)
    ]
    return ["".join(json.dumps(line) + "\n" for line in lines).encode()]


def _parse_metrics(path: Path) -> object:
    run = path.parent / "runs" / "2"
    run.mkdir(parents=True, exist_ok=True)
    (run / "metrics.jsonl").write_bytes(path.read_bytes())
    metrics = read_metrics(run)
    if metrics.problems:
        raise RunError(max(metrics.problems, key=len))
    return [line["step"] + 1 for line in metrics.lines]


def _manifests(folder: Path) -> list[bytes]:
    net = torch.nn.Linear(2, 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.zeros(1, 2)).sum().backward()
    optimizer.step()
    root = folder / "checkpoints"
    checkpoint.save(
        root,
        3,
        models={"net": net},
        optimizers={"net": optimizer},
        progress=RunProgress(loop=TrainState(step=3, samples=96), metrics={"test/loss": 0.5}, threads=1),
        cards={},
        versions={},
    )
    return [checkpoint._without_checksum((root / "00000003" / checkpoint.MANIFEST).read_bytes())]


def _parse_manifest(path: Path) -> object:
    """Load a checkpoint whose manifest is the input, with a right checksum, and restore it."""
    root = path.parent / "checkpoints"
    text = path.read_bytes().decode("utf-8", "replace")
    (root / "00000003" / checkpoint.MANIFEST).write_text(checkpoint._with_checksum(text))
    saved = checkpoint.load(root / "00000003")
    net = torch.nn.Linear(2, 3)
    checkpoint.restore(saved, models={"net": net}, optimizers={"net": torch.optim.SGD(net.parameters(), lr=0.1)})
    return saved


def _parse_shelf(path: Path) -> object:
    """List weights when the cache has the input."""
    from firstsight.cli import weights

    shelf = path.parent / "home" / "weights"
    shelf.mkdir(parents=True, exist_ok=True)
    (shelf / "input.safetensors").write_bytes(path.read_bytes())
    home = mock.patch.dict(os.environ, {"FIRSTSIGHT_HOME": str(shelf.parent)})
    with home, contextlib.redirect_stdout(io.StringIO()):
        return weights.run(["list"]), weights.run(["list", "--json"])


def _videos(folder: Path) -> list[bytes]:
    import av

    files = []
    for suffix, codec in (("mp4", "libx264"), ("mkv", "mpeg4"), ("avi", "mpeg4"), ("webm", "libvpx")):
        path = folder / f"seed.{suffix}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
            for index in range(3):
                frame = av.VideoFrame.from_ndarray(_pixels(32, 32, 3) // (index + 1), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        files.append(path.read_bytes())
    return files


def _parse_video(path: Path) -> object:
    from firstsight.data.video import Video

    with Video(str(path)) as video:
        return [frame.image.size for frame, _ in zip(video, range(5), strict=False)]


def _kernels(_: Path) -> list[bytes]:
    return [b"0 -1 0; -1 5 -1; 0 -1 0", b"1/9 1/9; 1e-3 .5"]


def _parse_kernel(path: Path) -> object:
    return parse_kernel(_text(path))


def _parse_codes(path: Path) -> object:
    return parse_codes(_text(path), _generator().latent)


def _generator() -> object:
    if not _GENERATOR:
        _GENERATOR.append(load("infogan-mnist"))
    return _GENERATOR[0]


_GENERATOR: list[object] = []

PARSERS = {
    "image": Parser(".png", _image_files, open_image, 20),
    "image in a folder": Parser(".png", _image_files, _parse_in_folder, 2),
    "archive": Parser(".zip", _archives, load_data, 5),
    "idx": Parser(".gz", _idx_files, read_idx, 10),
    "idx labels": Parser("", lambda _: [_idx(_pixels(6) % 3)], _parse_labels, 2),
    "cifar": Parser(".bin", lambda _: [_pixels(2 * 3073).tobytes()], _parse_cifar, 2),
    "kernel": Parser(".txt", _kernels, _parse_kernel, 20),
    "codes": Parser(".txt", lambda _: [b"c1=0..9,c2=-1..1", b"c1=3,c2=0.5", b"c2=-2..2"], _parse_codes, 12),
    "keypoints": Parser(".json", _coco_documents, _parse_keypoints, 20),
    "boxes": Parser(".json", _boxes, _parse_boxes, 20),
    "card": Parser(".txt", _cards, _parse_card, 3),
    "weights": Parser(".safetensors", _weights, _parse_weights, 6),
    "weights list": Parser(".safetensors", _weights, _parse_shelf, 1),
    "checkpoint of torch": Parser(".pth", _checkpoints, read_state_dict, 12),
    "openvino": Parser(".xml", _openvino_files, _parse_openvino, 4),
    "config": Parser(".json", _config, _parse_config, 16),
    "metrics": Parser(".jsonl", _metrics, _parse_metrics, 16),
    "manifest": Parser(".json", _manifests, _parse_manifest, 12),
    "video": Parser(".mkv", _videos, _parse_video, 1),
}  # fmt: skip
