"""Cross entropy by hand equals torch."""

from math import log
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

from firstsight.ops import cross_entropy
from helpers.gradients import assert_same, generated, tensors


@generated(
    st.integers(1, 5),
    st.integers(1, 6),
    st.lists(st.integers(1, 3), max_size=2),
    st.just(0.0) | st.floats(0, 1),
    st.sampled_from(["mean", "sum", "none"]),
    st.integers(0, 10**6),
    slow=200,
)
def test_cross_entropy_equals_torch(
    n: int, classes: int, more: list[int], smoothing: float, reduction: Any, seed: int
) -> None:
    logits = tensors(seed)(n, classes, *more)
    target = torch.randint(classes, (n, *more), generator=torch.Generator().manual_seed(seed))
    options = {"label_smoothing": smoothing, "reduction": reduction}
    assert_same(cross_entropy(logits, target, **options), F.cross_entropy(logits, target, **options), [logits])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradients_equal_finite_differences(reduction: Any) -> None:
    target = torch.tensor([0, 2, 1])
    assert torch.autograd.gradcheck(
        lambda x: cross_entropy(x, target, label_smoothing=0.2, reduction=reduction), tensors(0)(3, 4)
    )


def test_cross_entropy_worked_out_by_hand() -> None:
    logits = torch.tensor([[log(1.0), log(3.0)]], dtype=torch.float64)  # probabilities 1/4 and 3/4
    assert cross_entropy(logits, torch.tensor([1])).item() == pytest.approx(-log(3 / 4))
    smooth = cross_entropy(logits, torch.tensor([1]), label_smoothing=0.2).item()
    assert smooth == pytest.approx(-0.9 * log(3 / 4) - 0.1 * log(1 / 4))


def test_large_logits_and_classes_of_probability_zero() -> None:
    logits = torch.tensor([[1e4, 0.0, -torch.inf]], requires_grad=True)
    loss = cross_entropy(logits, torch.tensor([1]))
    assert loss.item() == 1e4
    (grad,) = torch.autograd.grad(loss, logits)
    assert grad.tolist() == [[1.0, -1.0, 0.0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": torch.tensor([0, 3])}, r"`target` must be in 0\.\.2, got 3"),
        ({"target": torch.tensor([-100, 0])}, r"`target` must be in 0\.\.2, got -100"),
        ({"target": torch.tensor([0, 1, 2])}, r"`target` must have shape \(2,\), got \(3,\)"),
        ({"target": torch.tensor([0.0, 1.0])}, "`target` must be of integer type, got torch.float32"),
        ({"logits": torch.zeros(3)}, r"`logits` must have shape \(N, C, ...\), got 1 axes"),
        ({"label_smoothing": 1.5}, r"`label_smoothing` must be in \[0, 1\], got 1.5"),
        ({"reduction": "median"}, "`reduction` must be 'mean', 'sum' or 'none', got 'median'"),
    ],
)
def test_invalid_arguments_are_rejected(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cross_entropy(**{"logits": torch.zeros(2, 3), "target": torch.tensor([0, 1])} | change)
