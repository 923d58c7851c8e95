"""Options of `firstsight train`: which settings count as given on the command line."""

import re
from typing import Any

import pytest

from firstsight.cli.train import read


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("gan-stuck", {}),
        ("gan-stuck --no-bn-on-logit", {"bn_on_logit": False}),
        (
            "gan-stuck --bn-on-logit --epochs 10",
            {"bn_on_logit": True, "epochs": 10},
        ),  # also where it is the recipe's value
        ("dcgan-digits --spectral-norm --loss hinge", {"spectral_norm": True, "loss": "hinge"}),
        ("lenet --lr 0.003 --flip none --evaluate-every 3", {"lr": 0.003, "flip": "none", "evaluate_every": 3}),
        ("resnet34 --weights imagenet --no-freeze", {"weights": "imagenet", "freeze": False}),
    ],
)
def test_only_options_on_the_command_line_count_as_given(line: str, given: dict[str, Any]) -> None:
    assert read(line.split())[1] == given


@pytest.mark.parametrize(
    ("given", "expected"), [("0.4", 0.4), ("1.0", 1.0), ("learned", "learned"), ("0.3,0.6", "0.3,0.6")]
)
def test_spread_takes_numbers_and_a_name(given: str, expected: float | str) -> None:
    """The default value counts as given too."""
    assert read(["infogan", "--code-std", given])[1] == {"code_std": expected}
    assert read(["infogan"])[1] == {}


@pytest.mark.parametrize(
    ("recipe", "titles"),
    [
        (
            "lenet",
            ["training", "augmentation", "regularization", "learning-rate schedule", "optimizer", "classifier"],
        ),
        (
            "gan",
            ["training", "augmentation", "GAN training", "GAN architecture", "GAN regularization", "latent code"],
        ),
        ("openpose-tiny", ["training", "pose training", "pose network", "bottom-up network"]),
        ("pose-tiny", ["training", "pose training", "pose network", "top-down network"]),
    ],
)
def test_the_help_groups_options_under_plain_titles(
    recipe: str, titles: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read([recipe, "--help-all"])
    headings = re.findall(r"^\W*([\w -]+?) options\b", capsys.readouterr().out, flags=re.MULTILINE)
    assert headings == titles
