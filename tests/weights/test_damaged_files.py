"""Weights files that are damaged, lie about sizes or have impossible values: one sentence, and little memory."""

import json
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from firstsight import load, predict
from firstsight.errors import WeightsError
from firstsight.text import MAX_MESSAGE
from firstsight.weights.bundled import bundled, cache_dir, card_of, read_card
from firstsight.weights.io import make_card, read_weights, without_memory, write_weights
from helpers.limited_memory import call_limited

Run = Callable[..., tuple[int, str, str]]
State = dict[str, Tensor]


def rewrite(name: str, *, tensors: Callable[[str, Tensor], Tensor] | None = None, **changes: Any) -> Path:
    """Write a copy of bundled weights with changed entries of the card, and changed tensors; return its path."""
    with safe_open(bundled()[name], framework="pt") as file:
        card = json.loads(file.metadata()["firstsight"])
    state = load_file(bundled()[name])
    if tensors:
        state = {key: tensors(key, tensor.float()).contiguous() for key, tensor in state.items()}
    for path, value in changes.items():
        *parents, key = path.split("__")
        target = card
        for parent in parents:
            target = target[parent]
        target[key] = value
    save_file(state, "x.safetensors", {"firstsight": json.dumps(card)})
    return Path("x.safetensors")


def refusal(call: Callable[[], object]) -> str:
    """Return the message of a call that refuses a file, after checking its form."""
    with pytest.raises(WeightsError) as caught:
        call()
    message = str(caught.value)
    assert len(message) <= MAX_MESSAGE and message.isprintable()
    return message


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("lenet-digits", {"model": "mlp", "options__image_size": 4000, "preprocess__resize": 4000}, "does not fit"),
        ("lenet-digits", {"model": "vgg19", "options__image_size": None}, "does not fit its network vgg19: missing"),
        ("gan-digits", {"options__width": 10_000}, "does not fit its network gan: misshapen"),
        ("infogan-mnist", {"options__width": 9_000}, "does not fit its network infogan: misshapen"),
        ("openpose-tiny-lsp", {"model": "openpose-vgg19", "stages": 20}, "does not fit its network openpose-vgg19"),
        ("pose-tiny-lsp", {"model": "hourglass", "stacks": 8}, "does not fit its network hourglass: it has"),
        ("pose-tiny-lsp", {"model": "simple-baseline-resnet50", "folded": False}, "does not fit its network simple-b"),
    ],
)
def test_a_card_of_a_large_network_takes_no_memory(name: str, changes: dict[str, Any], message: str) -> None:
    text = call_limited(lambda: load(rewrite(name, **changes)))
    assert text.startswith("WeightsError: x.safetensors: ") and message in text


def test_twenty_million_classes_are_refused_and_a_large_discriminator_is_not_built() -> None:
    text = call_limited(lambda: load(rewrite("lenet-digits", options__num_classes=20_000_000)))
    assert "options.num_classes: expected an integer <= 100000, got 20000000" in text
    names = [str(i) for i in range(100_000)]
    text = call_limited(lambda: load(rewrite("convnet-fashion", options__num_classes=100_000, classes=names)))
    assert "does not fit its network convnet: misshapen" in text
    text = call_limited(lambda: load(rewrite("gan-digits", options__width=10_000, options__g_width=32)))
    assert text.startswith("Generator(gan: ")


def test_networks_without_memory_leave_the_random_generator_alone() -> None:
    from firstsight.models.classification import create_model
    from firstsight.models.gan import create_gan

    before = torch.get_rng_state()
    with without_memory():
        nets = [create_model(name) for name in ("vgg11", "resnet18", "airbench", "mobilenet")]
        nets += create_gan("dcgan")
    assert all(parameter.is_meta for net in nets for parameter in net.parameters())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["lenet-digits", "gan-digits", "pose-tiny-lsp", "openpose-tiny-lsp"])
def test_weights_that_are_not_finite_are_refused(name: str, value: float) -> None:
    def damage(key: str, tensor: Tensor) -> Tensor:
        if tensor.ndim == 4 or name == "gan-digits":
            tensor.view(-1)[-1] = value
        return tensor

    message = refusal(lambda: load(rewrite(name, tensors=damage)))
    assert re.search(r"^x.safetensors: \S+ has values that are not finite \(NaN or infinity\); the training", message)


def test_double_precision_beyond_single_precision_is_refused() -> None:
    message = refusal(lambda: load(rewrite("lenet-digits", tensors=lambda key, tensor: tensor.double() * 1e300)))
    assert "not finite" in message


def test_outputs_that_are_not_finite_are_never_printed(run: Run, make_images: Callable[..., Path]) -> None:
    """Finite weights of 1e38 make infinite logits."""
    image = next(make_images({"a": 1}).rglob("*.png"))
    path = rewrite("lenet-digits", tensors=lambda key, tensor: torch.full_like(tensor, 1e38))
    for option in ((), ("--json",)):
        code, out, err = run("predict", path, image, *option)
        assert (code, out) == (1, "") and err.count("\n") == 1
        assert "x.safetensors: its probabilities are not finite (NaN or infinity); the weights are damaged" in err
    with pytest.raises(WeightsError, match="its probabilities are not finite"):
        predict(path, image)


@pytest.mark.parametrize(
    ("name", "outputs"), [("gan-digits", "images"), ("openpose-tiny-lsp", "maps"), ("pose-tiny-lsp", "joints")]
)
def test_every_kind_refuses_outputs_that_are_not_finite(name: str, outputs: str) -> None:
    def scale(key: str, tensor: Tensor) -> Tensor:
        sign = 1 - 2 * (torch.arange(tensor.numel()) % 2)
        return sign.view(tensor.shape) * 3e38 if tensor.ndim > 1 else tensor

    model = load(rewrite(name, tensors=scale))
    images = model.draw(2) if name == "gan-digits" else torch.randint(0, 256, (3, 64, 48), dtype=torch.uint8)
    assert f"its {outputs} are not finite" in refusal(lambda: model(images))


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.complex64])
def test_weights_of_other_types_are_refused(kind: torch.dtype) -> None:
    message = refusal(lambda: load(rewrite("lenet-digits", tensors=lambda key, tensor: tensor.to(kind))))
    assert f"has type {kind}, torch.strided; expected dense floating-point numbers" in message


def header(content: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(content) if size is None else size) + content


DAMAGED = {
    "empty": b"",
    "one byte": b"x",
    "huge header": header(b"{}", 2**63),
    "header of 40 MB": header(b"{}", 40_000_000),
    "header beyond the end": header(b"{}", 100),
    "no json": header(b"x" * 10),
    "deep json": header(b"[" * 100_000),
    "overlap": header(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    ) + bytes(4),
    "lying shape": header(b'{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4]}}') + bytes(4),
    "overflow": header(b'{"a":{"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,0]}}'),
    "unknown type": header(b'{"a":{"dtype":"X9","shape":[1],"data_offsets":[0,4]}}') + bytes(4),
    "web page": b"<!DOCTYPE html><html></html>",
    "zip": b"PK\x03\x04" + bytes(60),
}  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_headers_are_refused_and_listed(content: bytes, run: Run) -> None:
    cache_dir().mkdir(parents=True)
    path = cache_dir() / "bad.safetensors"
    path.write_bytes(content)
    assert card_of(path) is None
    for function in (read_card, read_weights, load):
        message = refusal(lambda function=function: function(path))  # type: ignore[misc]
        assert message.startswith(f"{path}: not a readable safetensors file (")
    entries = {entry["name"]: entry for entry in json.loads(run("weights", "list", "--json")[1])}
    start = f"{path}: not a readable safetensors file ("
    assert entries["bad"]["error"].startswith(start) and not entries["bad"]["usable"]
    assert entries["lenet-digits"]["usable"]


@pytest.mark.parametrize("name", ["card", "folder", "link", "metrics", "skeleton", "kind", "no card"])
def test_one_bad_file_does_not_hide_the_others(name: str, run: Run) -> None:
    cache_dir().mkdir(parents=True)
    path = cache_dir() / "bad.safetensors"
    changes: dict[str, dict[str, Any]] = {
        "card": {"classes": {}},
        "metrics": {"about__metrics": {"accuracy": [1]}},
        "skeleton": {"kind": "pose", "skeleton": 1.0},
        "kind": {"kind": "x" * 150},
    }
    if name == "folder":
        path.mkdir()
    elif name == "link":
        path.symlink_to("nowhere")
    elif name == "no card":
        save_file({"a": torch.zeros(1)}, path)
    else:
        rewrite("lenet-digits", **changes[name]).rename(path)
    code, out, err = run("weights", "list")
    assert (code, err) == (0, "")
    (line,) = [line for line in out.splitlines() if line.startswith(f"{path}: ")]
    assert line.endswith("; remove or replace this file") and len(line) < 350
    assert "lenet-digits" in out and "resnet50-imagenet" in out
    assert refusal(lambda: load("bad")) == line.removesuffix("; remove or replace this file")


def test_a_card_is_written_without_nan() -> None:
    card = make_card("denoiser", model="m", about={"metrics": {"kl": float("inf"), "a": 1.0}}, values=[float("nan")])
    assert json.loads(card, parse_constant=pytest.fail)["about"]["metrics"] == {"kl": None, "a": 1.0}
    write_weights(Path("x.safetensors"), {"a": torch.zeros(1)}, card)
    assert read_card(Path("x.safetensors"))["about"]["metrics"] == {"a": 1.0}


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user that has no home directory: no HOME, and a number that is not in the list of users."""
    for name in ("HOME", "FIRSTSIGHT_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("os.getuid", lambda: 2_000_000_001)
    yield


@pytest.mark.usefixtures("no_home")
def test_a_user_without_a_home_is_asked_for_a_folder_only_where_it_is_needed(run: Run) -> None:
    with pytest.raises(RuntimeError):
        Path("~").expanduser()
    for command in (["data"], ["data", "--json"], ["weights", "list"], ["weights", "list", "--json"], ["models"]):
        code, out, err = run(*command)
        assert (code, err) == (0, "") and out
    assert len(load("lenet-digits").classes) == 10
    for command in (
        ["weights", "get", "resnet34"],
        ["train", "lenet", "--data", "kmnist", "--out", "run"],
        ["evaluate", "resnet34"],
    ):
        code, out, err = run(*command)
        assert (code, out) == (2, "")
        assert err == "firstsight: the home directory is not known; set FIRSTSIGHT_HOME to a folder for downloads\n"
    err = run("weights", "import", "~no-such-user/x.pth", "--model", "resnet18")[2]
    assert err == "firstsight: no such file: ~no-such-user/x.pth\n"
