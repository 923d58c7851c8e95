"""Learning curves: the axis of the error, and the validation images that early stopping uses."""

from typing import Any

import pytest

from firstsight.plots.training import curves


def history(errors: list[float], *, validation: bool = False) -> list[dict[str, Any]]:
    """Return the metrics of some epochs with these test errors."""
    rows = [
        {"epoch": i, "train/loss": 2 / i, "train/accuracy": 0.5, "test/loss": 1 / i, "test/accuracy": 1 - error}
        for i, error in enumerate(errors, 1)
    ]
    if validation:
        for row, loss in zip(rows, (0.5, 0.2, 0.9), strict=False):
            row |= {"val/loss": loss, "val/accuracy": 0.5}
    return rows


@pytest.mark.parametrize(
    ("errors", "num_test", "scale"),
    [
        ([0.4, 0.06, 0.01], 1000, "log"),
        ([0.4, 0.06, 0.01], None, "log"),
        ([0.4, 0.06, 0.02], 50, "linear"),
        ([0.4, 0.06, 0.0], 1000, "linear"),
        ([0.0, 0.0], 16, "linear"),
    ],
)
def test_the_axis_of_the_error_is_linear_for_zero_or_few_test_images(
    errors: list[float], num_test: int | None, scale: str
) -> None:
    axes = curves(history(errors), num_test=num_test).axes[1]
    assert axes.get_yscale() == scale
    low, high = axes.get_ylim()
    assert low < 100 * min(errors) and high > 100 * max(*errors, 0.5)


def test_early_stopping_shows_the_epoch_of_the_lowest_validation_loss() -> None:
    legend = [text.get_text() for text in curves(history([0.4, 0.2, 0.1], validation=True)).axes[0].get_legend().texts]
    assert "validation images" in legend and "lowest, at epoch 2" in legend
    assert "validation" not in " ".join(
        text.get_text() for text in curves(history([0.4, 0.2])).axes[0].get_legend().texts
    )
