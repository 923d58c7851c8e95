"""Arithmetic: "auto" is what the processor is quick in, recorded; what it imitates is said."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from firstsight.recipes.accelerator import computes_bfloat16
from firstsight.recipes.recipe import ClassifySettings
from firstsight.recipes.table import RECIPES

Run = Callable[..., tuple[int, str, str]]
SMALL = ("gan-digits", "--epochs", 1, "--width", 4, "--device", "cpu")


def recorded(run_dir: str) -> str:
    settings: dict[str, str] = json.loads(Path(run_dir, "config.json").read_text())["settings"]
    return settings["precision"]


def test_what_the_processor_can_is_what_the_system_says_of_it() -> None:
    described = Path("/proc/cpuinfo")
    flags = described.read_text().split() if described.is_file() else []
    assert computes_bfloat16("cpu") == ("avx512_bf16" in flags or "amx_bf16" in flags)
    assert not computes_bfloat16("mps")


def test_auto_is_recorded_as_what_it_was(run: Run) -> None:
    """So a run that goes on elsewhere goes on in the same arithmetic; its bits are those of asking for it by name."""
    chosen = "bfloat16" if computes_bfloat16("cpu") else "float32"
    assert run("train", *SMALL, "--precision", "auto", "--out", "auto")[0] == 0
    assert run("train", *SMALL, "--precision", chosen, "--out", "named")[0] == 0
    assert recorded("auto") == recorded("named") == chosen
    one, other = (load_file(Path(name, "model.safetensors")) for name in ("auto", "named"))
    assert one.keys() == other.keys() and all(one[key].equal(other[key]) for key in one)
    code, _, told = run("train", *SMALL, "--precision", "auto", "--out", "auto", "--resume")
    assert code == 0 and "is finished" in told
    code, _, told = run("train", *SMALL, "--precision", "float64", "--out", "auto", "--resume")
    assert code == 2 and f"precision was {chosen}, now float64" in told


@pytest.mark.parametrize("precision", ["auto", "bfloat16", "float32"])
def test_imitated_arithmetic_is_told_of(precision: str, run: Run) -> None:
    code, _, told = run("train", *SMALL, "--precision", precision, "--out", "run")
    imitated = precision == "bfloat16" and not computes_bfloat16("cpu")
    assert code == 0 and ("to have no arithmetic for bfloat16; imitated" in told) == imitated


def test_no_recipe_asks_for_arithmetic_that_a_laptop_may_lack() -> None:
    assert {recipe.settings.precision for recipe in RECIPES.values()} == {"auto", "float32"}
    assert ClassifySettings().precision == "float32"
