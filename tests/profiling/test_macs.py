"""MACs of any function: those of `torch.utils.flop_counter`, counts by hand, and what is named as not counted."""

import json
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from firstsight.errors import UsageError
from firstsight.ops import by_hand
from firstsight.profiling import summarize

Run = Callable[..., tuple[int, str, str]]
SHAPE = (3, 8, 8)


class Tokens(nn.Module):
    """Rows of the image as 8 tokens of 24 values, and a layer or function of tokens."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Any:
        tokens = x.transpose(1, 2).flatten(2)
        return self.body(tokens, tokens, tokens) if isinstance(self.body, nn.MultiheadAttention) else self.body(tokens)


MODULES: dict[str, Callable[[], nn.Module]] = {
    "attention": lambda: Tokens(nn.MultiheadAttention(24, 4, batch_first=True)),
    "attention without weights": lambda: Tokens(nn.MultiheadAttention(24, 2, bias=False)),
    "encoder": lambda: Tokens(nn.TransformerEncoder(nn.TransformerEncoderLayer(24, 4, 32, batch_first=True), 2)),
    "lstm": lambda: Tokens(nn.LSTM(24, 16, num_layers=2, bidirectional=True, batch_first=True)),
    "lstm with projection": lambda: Tokens(nn.LSTM(24, 16, proj_size=8)),
    "gru": lambda: Tokens(nn.GRU(24, 16, bidirectional=True, batch_first=True)),
    "rnn": lambda: Tokens(nn.RNN(24, 16, num_layers=2)),
    "groups": lambda: nn.Conv2d(3, 6, 3, groups=3, stride=2, padding=1),
    "transposed": lambda: nn.ConvTranspose2d(3, 6, 3, stride=2),
    "transposed groups": lambda: nn.ConvTranspose2d(3, 6, 3, groups=3),
    "conv1d": lambda: Tokens(nn.Conv1d(8, 4, 3)),
    "dilated": lambda: nn.Conv2d(3, 6, 3, dilation=2, bias=False),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 6, 3)),
}
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sdpa": lambda t: F.scaled_dot_product_attention(t[:, None], t[:, None], t[:, None]),
    "causal sdpa": lambda t: F.scaled_dot_product_attention(t[:, None], t[:, None], t[:, None], is_causal=True),
    "einsum": lambda t: torch.einsum("nik,njk->nij", t, t),
    "addmm": lambda t: torch.addmm(t[0, :, :8], t[0], t[0].T),
    "bmm": lambda t: torch.bmm(t, t.mT),
    "baddbmm": lambda t: torch.baddbmm(t[:, :, :8], t, t.mT),
    "operator": lambda t: t @ t.mT,
    "linear": lambda t: F.linear(t, t[0]),
    "tensordot": lambda t: torch.tensordot(t, t, dims=([2], [2])),
    "multi_dot": lambda t: torch.linalg.multi_dot([t[0], t[0].T, t[0]]),
    "conv": lambda t: F.conv1d(t, t.view(2, 8, 12)[:, :, :3]),
    "checkpointed": torch.inference_mode()(lambda t: F.linear(t, t[0])),
}


def flops(net: nn.Module, *shapes: tuple[int, ...]) -> int:
    """Return the count of PyTorch, on the meta device, where no function is replaced by a faster one."""
    copy = net.to_empty(device="meta").train()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copy(*(torch.empty(1, *shape, device="meta") for shape in shapes))
    return int(counter.get_total_flops())


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", MODULES)
def test_macs_of_modules_are_half_of_the_flops_of_torch(name: str) -> None:
    summary = summarize(MODULES[name](), SHAPE)
    assert 0 < 2 * summary.macs == flops(MODULES[name](), SHAPE)
    assert not summary.not_counted and not summary.unused


@pytest.mark.parametrize("name", FUNCTIONS)
def test_macs_of_functions_are_half_of_the_flops_of_torch(name: str) -> None:
    net = Tokens(FUNCTIONS[name])
    assert 0 < 2 * summarize(net, SHAPE).macs == flops(net, SHAPE)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda t: torch.mv(t[0], t[0, 0]), 8 * 24),
        (lambda t: torch.dot(t[0, 0], t[0, 0]), 24),
        (lambda t: torch.addmv(t[0, :, 0], t[0], t[0, 0]), 8 * 24),
        (lambda t: torch.addbmm(t[0, :, :8], t, t.mT), 8 * 8 * 24),
        (lambda t: torch.cdist(t, t), 8 * 8 * 24),
        (lambda t: F.bilinear(t, t, t.new_ones(5, 24, 24)), 8 * 5 * 24 * 24),
    ],
)
def test_products_that_torch_does_not_count_are_counted(function: Callable[[Tensor], Tensor], expected: int) -> None:
    assert summarize(Tokens(function), SHAPE).macs == expected


def test_networks_by_hand_have_the_macs_of_those_of_torch() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5))
    assert summarize(by_hand(net), SHAPE).macs == summarize(net, SHAPE).macs == 4 * 27 * 36 + 36 * 5


@torch.library.custom_op("firstsight_tests::scale", mutates_args=())
def scale(x: Tensor) -> Tensor:
    return 2 * x


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda t: torch.linalg.inv(t[0] @ t[0].T + torch.eye(8)), "linalg_inv_ex"),
        (torch.fft.rfft, "fft_r2c"),
        (lambda t: torch.linalg.svd(t)[0], "linalg_svd"),
        (scale, "firstsight_tests.scale"),
        (lambda t: torch.linalg.solve(torch.eye(8), t), "linalg_solve_ex"),
    ],
)
def test_what_is_not_counted_is_named(function: Callable[[Tensor], Tensor], name: str) -> None:
    summary = summarize(Tokens(function), SHAPE)
    (layer,) = [layer for layer in summary.layers if layer.not_counted]
    assert layer.not_counted == (name,) and layer.is_costly and layer.cells()[4].endswith("?")
    assert summary.totals()[-1] == f"  MACs not counted: {name} in {layer.name}"
    assert summary.to_dict()["not_counted"] == {layer.name: [name]}


def test_elementwise_functions_pooling_and_norms_are_not_named() -> None:
    net = nn.Sequential(
        nn.BatchNorm2d(3), nn.GELU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2), nn.GroupNorm(3, 3), nn.Softmax(1),
        nn.Upsample(scale_factor=2, mode="bilinear"), nn.Dropout(), nn.LayerNorm(4), nn.Flatten(), nn.LogSoftmax(1),
    )  # fmt: skip
    summary = summarize(net, SHAPE)
    assert not summary.not_counted and summary.macs == 0
    assert not summarize(Tokens(lambda t: F.normalize(t).softmax(1).gather(2, t.long().abs())), SHAPE).not_counted


def test_attention_is_one_row_with_its_output() -> None:
    (layer,) = [layer for layer in summarize(MODULES["attention"](), SHAPE).layers if layer.macs]
    assert (layer.name, layer.type, layer.output_shape) == ("body", "MultiheadAttention", (8, 24))
    assert layer.parameters == 4 * 24 * 24 + 4 * 24


@dataclass
class Output:
    logits: Tensor


Pair = namedtuple("Pair", ("logits", "other"))


@pytest.mark.parametrize(
    "wrap",
    [
        Output,
        lambda y: {"logits": y},
        lambda y: Pair(y, None),
        lambda y: SimpleNamespace(logits=y),
        lambda y: [{"deep": (Output(y),)}],
    ],
)
def test_objects_as_outputs_keep_their_layer(wrap: Callable[[Tensor], Any]) -> None:
    class Leaf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(4, 3))

        def forward(self, x: Tensor) -> Any:
            return wrap(x.mean((2, 3)) @ self.weight.T)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.leaf = Leaf()

        def forward(self, x: Tensor) -> Any:
            return self.leaf(x)

    (layer,) = summarize(Net(), SHAPE).layers
    assert (layer.name, layer.output_shape, layer.parameters, layer.macs) == ("leaf", (4,), 12, 12)


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.LazyLinear(10)
        self.later = nn.UninitializedParameter()

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(self.conv(x)).flatten(1))


def test_lazy_modules_are_initialized_in_a_copy() -> None:
    net = Lazy()
    summary = summarize(net, SHAPE)
    assert [layer.macs for layer in summary.layers if layer.macs] == [8 * 27 * 36, 288 * 10]
    assert summary.parameters == 8 * 28 + 16 + 2890 and summary.unused == {"later": 0}
    assert isinstance(net.conv, nn.LazyConv2d) and isinstance(net.conv.weight, nn.UninitializedParameter)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.vector = nn.Conv2d(3, 4, 8), nn.Linear(5, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.image(x).flatten(1) * self.vector(y)


def test_networks_with_several_inputs_are_summarized(run: Run) -> None:
    summary = summarize(TwoInputs(), SHAPE, (5,))
    assert summary.macs == 3 * 4 * 64 + 20 and not summary.unused
    assert "one image of 3x8x8 and 5: 788 MACs" in summary.totals()[0]
    with pytest.raises(UsageError, match=r"^TwoInputs does not accept an image of 3x8x8: .* missing .* as in 3x8x8,16"):
        summarize(TwoInputs(), SHAPE)
    Path("two.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.f = nn.Linear(5, 2)\n"
        "    def forward(self, x, y):\n        return x.mean() + self.f(y)\n"
    )
    code, out, _ = run("summary", "two:Net", "--input", "3x8x8,5", "--json")
    assert code == 0 and json.loads(out)["macs"] == 10
    for text in ("3x8x8,", "3x8x8,x", "3x8", "5,3x8x8", "²x8x8", f"3x8x{'9' * 400}"):
        code, out, err = run("summary", "two:Net", "--input", text)
        assert (code, out, err.count("\n")) == (2, "", 1) and "--input must be" in err


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [torch.jit.script, lambda net: torch.jit.trace(net, torch.rand(1, *SHAPE)),
                                  lambda net: nn.Sequential(torch.jit.script(net))])  # fmt: skip
def test_torchscript_is_refused(make: Callable[[nn.Module], nn.Module]) -> None:
    with pytest.raises(UsageError, match="is TorchScript, whose layers cannot be watched"):
        summarize(make(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())), SHAPE)


CODE = """
from torch import nn
class Raises(nn.Module):
    def forward(self, x):
        {0}
def build():
    {0}
    return Raises()
"""


@pytest.mark.parametrize(
    "statement",
    ["assert x is None, 'gray only'", "raise KeyError('x')", "1 / 0", "raise NotImplementedError", "x.nothing",
     "raise Exception('a\\nb' * 300)", "nothing", "raise MemoryError", "build()", "raise SystemExit(3)"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["Raises", "build"])
def test_code_of_the_user_that_raises_ends_in_one_sentence(run: Run, statement: str, name: str) -> None:
    if name == "Raises" and ("SystemExit" in statement or "build()" in statement):
        return
    module = f"raises_{abs(hash((statement, name)))}"
    Path(f"{module}.py").write_text(CODE.format(statement))
    code, out, err = run("summary", f"{module}:{name}", "--input", "3x8x8")
    assert (code, out, err.count("\n")) == (2, "", 1) and len(err) < 320
    assert err.startswith(f"firstsight: {'Raises does not accept an image' if name == 'Raises' else module}")


def test_counting_changes_neither_the_fast_path_nor_the_mode() -> None:
    net = MODULES["encoder"]().train()
    assert torch.backends.mha.get_fastpath_enabled()
    summarize(net, SHAPE, runs=1)
    assert torch.backends.mha.get_fastpath_enabled() and net.training
