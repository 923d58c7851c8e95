"""Learning-rate schedules compared with torch, and by their properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR

from firstsight.optim.schedule import learning_rate_factor


def test_cosine_schedule_is_that_of_torch() -> None:
    optimizer = SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    torch_schedule = CosineAnnealingLR(optimizer, T_max=50)
    for step in range(50):
        expected = torch_schedule.get_last_lr()[0]
        assert learning_rate_factor(step / 50, "cosine", 0.0) == pytest.approx(expected, abs=1e-9)
        optimizer.step()
        torch_schedule.step()


@given(st.floats(0, 0.999), st.sampled_from(["constant", "linear", "cosine"]), st.floats(0, 0.9))
def test_schedule_stays_between_zero_and_one(progress: float, schedule: str, warmup: float) -> None:
    assert 0 <= learning_rate_factor(progress, schedule, warmup) <= 1  # type: ignore[arg-type]


def test_schedules_at_the_end_of_warmup_and_of_training() -> None:
    for schedule, end in (("constant", 1.0), ("linear", 0.0), ("cosine", 0.0)):
        assert learning_rate_factor(0.25, schedule, 0.25) == 1.0  # type: ignore[arg-type]
        assert learning_rate_factor(1.0, schedule, 0.25) == pytest.approx(end)  # type: ignore[arg-type]
        assert learning_rate_factor(0.125, schedule, 0.25) == 0.5  # type: ignore[arg-type]
