"""Second derivatives, `torch.func` and autocast: every operation equals PyTorch's."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstsight.ops import (
    avg_pool2d,
    batch_norm,
    by_hand,
    conv2d,
    conv_transpose2d,
    cross_entropy,
    linear,
    local_response_norm,
    max_pool2d,
    relu,
)

Function = Callable[..., Tensor]
LABELS = torch.tensor([2, 0])


def batch_norm_of(function: Any, *, training: bool) -> Function:
    """Return a function of x, weight and bias."""

    def apply(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        mean = None if training else torch.full_like(weight, 0.3)
        variance = None if training else torch.full_like(weight, 1.7)
        result: Tensor = function(x, mean, variance, weight=weight, bias=bias, training=training)
        return result

    return apply


def make(*shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)


CASES: dict[str, tuple[Function, Function, tuple[tuple[int, ...], ...]]] = {
    "conv2d": (
        lambda x, w, b: conv2d(x, w, b, padding=1),
        lambda x, w, b: F.conv2d(x, w, b, padding=1),
        ((2, 2, 3, 2), (2, 2, 3, 2), (2,)),
    ),
    "conv2d with groups, stride and dilation": (
        lambda x, w: conv2d(x, w, groups=2, stride=2, dilation=(1, 2), padding=(1, 2), algorithm="taps"),
        lambda x, w: F.conv2d(x, w, groups=2, stride=2, dilation=(1, 2), padding=(1, 2)),
        ((1, 4, 4, 3), (2, 2, 2, 2)),
    ),
    "conv2d by loops": (
        lambda x, w: conv2d(x, w, algorithm="loops"),
        F.conv2d,
        ((1, 1, 3, 3), (1, 1, 2, 2)),
    ),
    "conv2d of one pixel": (conv2d, F.conv2d, ((2, 3, 2, 2), (2, 3, 1, 1), (2,))),
    "conv_transpose2d": (
        lambda x, w, b: conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1),
        lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1),
        ((2, 2, 2, 3), (2, 3, 3, 2), (3,)),
    ),
    "conv_transpose2d with groups": (
        lambda x, w: conv_transpose2d(x, w, groups=2, dilation=2, output_padding=1, algorithm="taps"),
        lambda x, w: F.conv_transpose2d(x, w, groups=2, dilation=2, output_padding=1),
        ((2, 4, 2, 2), (4, 1, 2, 2)),
    ),
    "linear": (linear, F.linear, ((2, 3, 4), (5, 4), (5,))),
    "relu": (lambda x: relu(x) ** 2, lambda x: F.relu(x) ** 2, ((3, 4),)),
    "max_pool2d": (
        lambda x: max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True) ** 2,
        lambda x: F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True) ** 2,
        ((2, 2, 4, 5),),
    ),
    "avg_pool2d": (
        lambda x: avg_pool2d(x, 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False) ** 2,
        lambda x: F.avg_pool2d(x, 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False) ** 2,
        ((2, 2, 4, 5),),
    ),
    "batch_norm in training": (
        batch_norm_of(batch_norm, training=True), batch_norm_of(F.batch_norm, training=True), ((3, 2, 2, 2), (2,), (2,))
    ),
    "batch_norm in evaluation": (
        batch_norm_of(batch_norm, training=False),
        batch_norm_of(F.batch_norm, training=False),
        ((3, 2, 2, 2), (2,), (2,)),
    ),
    "local_response_norm": (
        lambda x: local_response_norm(x, 4, alpha=0.7, beta=0.6, k=2.0),
        lambda x: F.local_response_norm(x, 4, alpha=0.7, beta=0.6, k=2.0),
        ((2, 5, 2, 2),),
    ),
    "cross_entropy": (
        lambda x: cross_entropy(x, LABELS, label_smoothing=0.2),
        lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.2),
        ((2, 4),),
    ),
    "cross_entropy of each": (
        lambda x: cross_entropy(x, LABELS, reduction="none"),
        lambda x: F.cross_entropy(x, LABELS, reduction="none"),
        ((2, 4),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_are_those_of_finite_differences(name: str) -> None:
    function, _, shapes = CASES[name]
    inputs = tuple(tensor.requires_grad_() for tensor in make(*shapes))
    assert torch.autograd.gradgradcheck(function, inputs)


def penalty(function: Function, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the gradients of a gradient penalty, as of WGAN-GP and R1."""
    inputs = tuple(tensor.detach().clone().requires_grad_() for tensor in inputs)
    (slope,) = torch.autograd.grad(function(*inputs).sin().sum(), inputs[0], create_graph=True)
    gradients = torch.autograd.grad((slope**2).sum(), inputs, allow_unused=True)
    return tuple(torch.zeros(1) if gradient is None else gradient for gradient in gradients)


@pytest.mark.parametrize("name", CASES)
def test_gradient_penalties_are_those_of_torch(name: str) -> None:
    function, reference, shapes = CASES[name]
    inputs = make(*shapes)
    expected = penalty(reference, inputs)
    torch.testing.assert_close(penalty(function, inputs), expected)
    assert expected[0].abs().max() > 0


def test_the_third_derivative_of_a_convolution_exists() -> None:
    x, w = (tensor.requires_grad_() for tensor in make((1, 1, 3, 3), (1, 1, 2, 2)))

    def slope(x: Tensor, w: Tensor) -> Tensor:
        return torch.autograd.grad((conv2d(x, w) ** 3).sum(), x, create_graph=True)[0]

    assert torch.autograd.gradgradcheck(slope, (x, w))


TRANSFORMS: dict[str, Callable[[Function, tuple[Tensor, ...]], Any]] = {
    "grad": lambda f, inputs: torch.func.grad(lambda *a: f(*a).sin().sum(), argnums=tuple(range(len(inputs))))(*inputs),
    "vjp": lambda f, inputs: torch.func.vjp(f, *inputs)[1](torch.ones_like(f(*inputs))),
    "jacrev": lambda f, inputs: torch.func.jacrev(f)(*inputs),
    "hessian": lambda f, inputs: torch.func.jacrev(torch.func.grad(lambda *a: f(*a).sin().sum()))(*inputs),
    "vmap": lambda f, inputs: torch.func.vmap(f, in_dims=(1, *[None] * (len(inputs) - 1)))(
        torch.stack([inputs[0], 2 * inputs[0]], 1), *inputs[1:]
    ),
    "vmap of all": lambda f, inputs: torch.func.vmap(f)(*(torch.stack([one, one.flip(0)]) for one in inputs)),
    "vmap of grad": lambda f, inputs: torch.func.vmap(
        torch.func.grad(lambda *a: f(*a).sin().sum()), in_dims=(0, *[None] * (len(inputs) - 1))
    )(torch.stack([inputs[0], -inputs[0]]), *inputs[1:]),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", CASES)
def test_transforms_of_torch_func_are_those_of_torch(name: str, transform: str) -> None:
    function, reference, shapes = CASES[name]
    inputs = make(*shapes)
    expected = TRANSFORMS[transform](reference, inputs)
    torch.testing.assert_close(TRANSFORMS[transform](function, inputs), expected)


@pytest.mark.parametrize("name", CASES)
def test_forward_mode_is_refused_in_one_sentence(name: str) -> None:
    function, _, shapes = CASES[name]
    inputs = make(*shapes)
    with pytest.raises(RuntimeError, match="You must implement the jvp function"):
        torch.func.jvp(function, inputs, inputs)


@pytest.mark.parametrize("name", CASES)
def test_autocast_gives_the_values_and_types_of_torch(name: str) -> None:
    function, reference, shapes = CASES[name]
    inputs = tuple(tensor.float() for tensor in make(*shapes))
    for x in (inputs[0], inputs[0].bfloat16()):
        with torch.autocast("cpu", torch.bfloat16):
            result, expected = function(x, *inputs[1:]), reference(x, *inputs[1:])
        assert result.dtype == expected.dtype
        torch.testing.assert_close(result, expected, atol=0.05, rtol=0.03)


@pytest.mark.parametrize("name", CASES)
def test_gradients_under_autocast_are_close_to_those_of_torch(name: str) -> None:
    function, reference, shapes = CASES[name]
    results = []
    for one in (function, reference):
        inputs = tuple(tensor.float().requires_grad_() for tensor in make(*shapes))
        with torch.autocast("cpu", torch.bfloat16):
            loss = one(*inputs).float().square().mean()
        results.append(torch.autograd.grad(loss, inputs))
    assert all(gradient.dtype == torch.float32 for gradient in results[0])
    torch.testing.assert_close(*results, atol=0.05, rtol=0.05)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 3, 2, bias=False), nn.Flatten(),
        nn.Linear(3 * 4, 3),
    ).double()  # fmt: skip


def test_functional_call_and_per_sample_gradients_of_a_network() -> None:
    """Gradients of functional_call, for one sample and by vmap."""
    net = network()
    x, labels = make((4, 1, 6, 6))[0], torch.tensor([0, 1, 2, 1])
    results = []
    for model, loss in ((net, F.cross_entropy), (by_hand(net), cross_entropy)):
        parameters = dict(model.named_parameters())

        def loss_of(parameters: Any, x: Tensor, label: Tensor, model: Any = model, loss: Any = loss) -> Tensor:
            output = torch.func.functional_call(model, parameters, (x[None],))
            return loss(output, label[None])  # type: ignore[no-any-return]

        whole = torch.func.grad(loss_of)(parameters, x[0], labels[0])
        each = [torch.func.grad(loss_of)(parameters, *pair) for pair in zip(x, labels, strict=True)]
        logits = torch.func.vmap(lambda one, m=model, p=parameters: torch.func.functional_call(m, p, (one[None],)))(x)
        results.append((whole, each, logits))
    torch.testing.assert_close(results[0], results[1])


def test_running_averages_in_vmap_are_refused_as_in_torch() -> None:
    (x,) = make((3, 4, 2))
    for function in (F.batch_norm, batch_norm):
        mean, variance = x.new_zeros(2), x.new_ones(2)
        with pytest.raises(RuntimeError):
            torch.func.vmap(lambda one, f=function, m=mean, v=variance: f(one, m, v, training=True))(x)
        assert (mean == 0).all() and (variance == 1).all()


def test_labels_in_vmap_are_refused_in_one_sentence() -> None:
    """The check of labels reads them, which vmap does not allow."""
    (x,) = make((3, 2, 4))
    with pytest.raises(RuntimeError, match=r"vmap"):
        torch.func.vmap(cross_entropy)(x, LABELS.expand(3, 2))


def test_a_gradient_penalty_of_a_network_by_hand_reaches_all_weights() -> None:
    gradients = []
    net = network()
    for model in (net, by_hand(net)):
        x = make((2, 1, 6, 6))[0].requires_grad_()
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        weights = [p for name, p in model.named_parameters() if "weight" in name]
        gradients.append(torch.autograd.grad((slope.norm(dim=(2, 3)) - 1).square().mean(), weights))
    torch.testing.assert_close(*gradients)
    assert all(gradient.abs().max() > 0 for gradient in gradients[1])
