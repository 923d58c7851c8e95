"""Files of torch.save: where training scripts keep weights, other content, and archives with false sizes."""

import argparse
import datetime
import struct
import types
import warnings
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from firstsight.errors import WeightsError
from firstsight.models.classification import create_model
from firstsight.models.pose import create_bottom_up, create_top_down
from firstsight.models.registry import BOTTOM_UP_MODELS, CLASSIFICATION_MODELS, TOP_DOWN_MODELS
from firstsight.pose.skeleton import OPENPOSE_18
from firstsight.text import MAX_MESSAGE
from firstsight.weights.io import without_memory
from firstsight.weights.state_dict import load_published, read_tensors
from firstsight.weights.torch_file import read_state_dict, strip_wrappers
from helpers.limited_memory import call_limited

State = dict[str, Tensor]


def state() -> State:
    """Return the state dict of a small network."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).state_dict()


def save(content: Any, *, legacy: bool = False) -> Path:
    torch.save(content, "x.pth", _use_new_zipfile_serialization=not legacy)
    return Path("x.pth")


def prefixed(tensors: State, *prefixes: str) -> State:
    return {"".join(prefixes) + name: tensor for name, tensor in tensors.items()}


def refusal(path: Path) -> str:
    """Return the message for a file that is refused without a warning, after checking its form."""
    with warnings.catch_warnings(), pytest.raises(WeightsError) as caught:
        warnings.simplefilter("error")
        read_tensors(path)
    message = str(caught.value)
    assert len(message) <= MAX_MESSAGE and message.isprintable() and "weights_only" not in message
    return message


LAYOUTS: dict[str, Callable[[State], Any]] = {
    "tutorial": lambda s: {"epoch": 3, "model_state_dict": s, "optimizer_state_dict": ADAM, "loss": 0.3},
    "net": lambda s: {"net": s, "acc": 93.1, "epoch": 3},
    "params": lambda s: {"params": s},
    "EMA alone": lambda s: {"state_dict_ema": s, "epoch": 2},
    "model and EMA": lambda s: {"model": s, "model_ema": {name: tensor * 0 for name, tensor in s.items()}},
    "nested": lambda s: {"checkpoint": {"state_dict": s, "optimizer": ADAM}},
    "nested twice": lambda s: {"state_dict": {"model": s}},
    "own name": lambda s: {"resnet": s, "best_acc": torch.tensor(0.9)},
    "own name and an optimizer": lambda s: {"my_net": s, "optim_g": ADAM, "lr_scheduler": {"a": torch.ones(2)}},
    "number and tensors": lambda s: OrderedDict(s, epoch=3),
    "number and a state dict": lambda s: {"state_dict": s, "best": torch.tensor(0.9)},
    "SWA": lambda s: {"n_averaged": torch.tensor(5), **prefixed(s, "module.")},
    "Lightning": lambda s: {"state_dict": prefixed(s, "model."), "hyper_parameters": {"lr": 0.1}, "epoch": 1},
    "compiled in Lightning": lambda s: {"state_dict": prefixed(s, "net.", "_orig_mod.")},
    "prefixes": lambda s: {"model": prefixed(s, "module.", "model.", "backbone.", "module.")},
}
ADAM = {"state": {0: {"exp_avg": torch.ones(2), "step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_are_found_where_training_scripts_keep_them(layout: str, legacy: bool) -> None:
    expected = state()
    tensors = read_tensors(save(LAYOUTS[layout](expected), legacy=legacy))
    assert list(tensors) == list(expected)
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"netG": state(), "netD": state()}, "holds the weights of several networks (netG, netD); save one of them"),
        ({"a": {"model": state()}, "b": {"model": state()}}, "several networks (a.model, b.model)"),
        ({"epoch": 3, "losses": [0.1]}, "does not hold tensors by name (a state dict); it holds: epoch, losses"),
        ({"optimizer": ADAM}, "it holds: optimizer"),
        (torch.zeros(3), "it holds: Tensor"),
        ({"x" * 1000: 1}, "it holds: xxx"),
    ],
)
def test_the_message_names_what_a_file_holds(content: Any, message: str) -> None:
    assert message in refusal(save(content))


def test_prefixes_of_the_network_itself_are_kept() -> None:
    net = nn.ModuleDict({"model": nn.Linear(4, 3)})
    expected = {name: tensor + 1 for name, tensor in net.state_dict().items()}
    for tensors in (expected, prefixed(expected, "module."), {k.removeprefix("model."): expected[k] for k in expected}):
        load_published(net, save(tensors))
        assert all(torch.equal(tensor, expected[name]) for name, tensor in net.state_dict().items())


def test_no_network_of_the_package_has_a_prefix_of_wrappers() -> None:
    with without_memory():
        nets = [create_model(name) for name in CLASSIFICATION_MODELS]
        nets += [create_bottom_up(name, skeleton=OPENPOSE_18) for name in BOTTOM_UP_MODELS]
        nets += [create_top_down(name, skeleton=OPENPOSE_18, size=(64, 64)).net for name in TOP_DOWN_MODELS]
    for net in nets:
        prefix, tensors = strip_wrappers(net.state_dict())
        assert prefix == "" and list(tensors) == list(net.state_dict())


BESIDE: dict[str, Any] = {
    "numpy number": np.float64(91.2),
    "numpy integer": np.int64(3),
    "numpy array": np.arange(5.0),
    "array of objects": np.array([{}, "a"], dtype=object),
    "Namespace": argparse.Namespace(lr=0.1, sizes=[1, 2], out=Path("x"), best=np.float32(1)),
    "SimpleNamespace": types.SimpleNamespace(a=1),
    "path": Path("runs/1"),
    "dates": [datetime.datetime(2024, 1, 2), datetime.date(2024, 1, 2), datetime.timedelta(1)],
    "type": float,
    "range": range(3),
    "set": {1, 2},
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", BESIDE)
def test_harmless_objects_beside_weights_are_left_out(name: str, legacy: bool) -> None:
    expected = state()
    for content in ({"state_dict": expected, "extra": BESIDE[name]}, {**expected, "extra": BESIDE[name]}):
        tensors = read_state_dict(save(content, legacy=legacy))
        assert all(torch.equal(tensors[key], expected[key]) for key in expected) and len(tensors) == len(expected)


class Config:
    """A class of a training script."""


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (Config(), "test_torch_file.Config"),
        (nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        (np.random.default_rng(0), "numpy.random"),
        (defaultdict(list), "collections.defaultdict"),
        (print, "print"),
    ],
)
def test_the_message_names_the_type_that_stands_in_the_file(thing: object, name: str) -> None:
    message = refusal(save({"state_dict": state(), "extra": thing}))
    assert message.startswith("x.pth: refused, because reading it would execute code of ") and name in message
    assert message.endswith("; nothing was executed; if you trust the file, save its tensors alone with"
                            " torch.save(net.state_dict(), FILE)")  # fmt: skip


def write_script() -> None:
    torch.jit.trace(nn.Sequential(nn.Conv2d(3, 8, 3)), torch.rand(1, 3, 8, 8)).save("x.pth")


def write_protocol_4() -> None:
    torch.save(state(), "x.pth", pickle_protocol=4)


def write_bytes(content: bytes) -> Callable[[], object]:
    return lambda: Path("x.pth").write_bytes(content)


FORMATS: dict[str, tuple[Callable[[], object], str]] = {
    "TorchScript": (write_script, "is a TorchScript archive, which holds a program; save its tensors alone with"),
    "protocol 4": (write_protocol_4, "or one with pickle protocol 4 instead of 2; save it again with torch.save"),
    "zip": (lambda: zipfile.ZipFile("x.pth", "w").writestr("a.npy", b""), "is a zip archive, but not one of torch"),
    "npy": (write_bytes(b"\x93NUMPY" + bytes(99)), "is an array of NumPy, without names"),
    "HDF5": (write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "is an HDF5 file (Keras)"),
    "gzip": (write_bytes(b"\x1f\x8b\x08" + bytes(99)), "is a gzip file; unpack it first"),
    "web page": (write_bytes(b"<!DOCTYPE html><html>"), "is a web page; download the file itself"),
    "pointer": (write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "is a pointer of Git LFS"),
    "safetensors": (write_bytes(struct.pack("<Q", 2) + b'{"'), "is a safetensors file; rename it"),
    "empty": (write_bytes(b""), "not a readable PyTorch file, or truncated"),
    "zip without end": (write_bytes(b"PK\x03\x04" + bytes(99)), "not a readable PyTorch file, or truncated"),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
@pytest.mark.parametrize("name", FORMATS)
def test_files_of_other_formats_are_named(name: str) -> None:
    write, message = FORMATS[name]
    write()
    assert message in refusal(Path("x.pth"))


def repack(change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Write the archive again with other contents of its records."""
    with zipfile.ZipFile("x.pth") as old, zipfile.ZipFile("y.pth", "w", compression) as new:
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename, old.read(info)))
    return Path("y.pth")


def numel(count: int) -> bytes:
    return b"J" + struct.pack("<i", count)


def test_archives_that_lie_about_sizes_take_no_memory() -> None:
    save({"a": torch.arange(1000.0)})
    pickle = zipfile.ZipFile("x.pth").read("x/data.pkl")
    assert pickle.count(b"M\xe8\x03") == 2  # 1000: the number of values of the storage, and of the tensor
    for path in (
        repack(lambda name, data: bytes(100_000_000) if name.endswith("data/0") else data, zipfile.ZIP_DEFLATED),
        repack(lambda name, data: data.replace(b"M\xe8\x03", numel(500_000_000))),
        repack(lambda name, data: data.replace(b"M\xe8\x03", numel(500_000_000), 1)),
        repack(lambda name, data: data[:400] if name.endswith("data/0") else data),
        repack(lambda name, data: data.replace(b"torch\nFloatStorage", b"torch\nDoubleStorage")),
    ):
        text = call_limited(lambda path=path: read_state_dict(path), megabytes=60)  # type: ignore[misc]
        assert text.startswith("WeightsError: y.pth: "), text
        assert len(text) < 330


def test_old_files_that_lie_about_sizes_take_no_memory() -> None:
    content = save({"a": torch.arange(1000.0)}, legacy=True).read_bytes()
    assert content.count(b"M\xe8\x03") == 2
    for lie in (
        content.replace(b"M\xe8\x03", numel(500_000_000)),
        content.replace(b"M\xe8\x03", numel(500_000_000), 1),
        content[:-2000],
    ):
        Path("y.pth").write_bytes(lie)
        text = call_limited(lambda: read_state_dict(Path("y.pth")))
        assert text.startswith("WeightsError: y.pth: not a readable PyTorch file, or truncated ("), text


def test_repeated_values_and_byte_arrays_take_no_memory() -> None:
    with without_memory():
        shapes = {name: tensor.shape for name, tensor in create_model("vgg16", num_classes=50_000).state_dict().items()}
    save({name: torch.zeros(1).expand(shape) for name, shape in shapes.items()})
    from firstsight.weights.published import import_weights

    text = call_limited(lambda: import_weights("x.pth", "vgg16", out="out.safetensors"))
    assert text.startswith("WeightsError: x.pth: repeats few values to tensors of ") and "at most 268,435,456" in text
    save({"a": torch.zeros(1), "b": 1})
    body = b"cbuiltins\nbytearray\n" + numel(2_000_000_000) + b"\x85R"
    path = repack(lambda name, data: data.replace(b"K\x01u", body + b"u") if name.endswith("data.pkl") else data)
    assert body in path.read_bytes()
    text = call_limited(lambda: read_state_dict(path))
    assert text.startswith("WeightsError: y.pth: contains a bytearray, which can take any memory")
