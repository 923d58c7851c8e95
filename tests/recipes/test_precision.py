"""Precision: "auto" selects what the processor computes fast and is recorded; emulated bfloat16 causes a warning."""

import json
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file

from firstsight.engine.accelerator import supports_bfloat16
from firstsight.recipes.zoo import RECIPES
from firstsight.tasks.classification.settings import ClassificationSettings

Run = Callable[..., tuple[int, str, str]]
SMALL = ("gan-digits", "--epochs", 1, "--d-width", 4, "--image-size", 12, "--batch-size", 512, "--device", "cpu")


def recorded(run_dir: str) -> str:
    """Return the precision in the configuration of a run."""
    settings: dict[str, str] = json.loads(Path(run_dir, "config.json").read_text())["settings"]
    return settings["precision"]


def test_bfloat16_support_matches_the_cpu_flags() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.is_file() else []
    assert supports_bfloat16("cpu") == ("avx512_bf16" in flags or "amx_bf16" in flags)
    assert not supports_bfloat16("mps")


EMULATED = "emulated bfloat16 is many times slower than float32"
"""Part of the warning."""


def test_auto_precision_is_recorded_as_the_one_selected(run: Run) -> None:
    """A run resumed on another machine keeps its precision; the bits equal those of an explicit precision."""
    selected = "bfloat16" if supports_bfloat16("cpu") else "float32"
    for precision, out in (("auto", "auto"), (selected, "named")):
        code, _, err = run("train", *SMALL, "--precision", precision, "--out", out)
        assert code == 0 and EMULATED not in err
        assert recorded(out) == selected
    one, other = (load_file(Path(name, "model.safetensors")) for name in ("auto", "named"))
    assert one.keys() == other.keys() and all(one[key].equal(other[key]) for key in one)
    code, _, err = run("train", *SMALL, "--precision", "auto", "--out", "auto", "--resume")
    assert code == 0 and "is finished" in err
    code, _, err = run("train", *SMALL, "--precision", "float64", "--out", "auto", "--resume")
    assert code == 2 and f"precision was {selected}, now float64" in err


def test_emulated_bfloat16_is_warned_of(run: Run) -> None:
    code, _, err = run("train", *SMALL, "--precision", "bfloat16", "--out", "run")
    assert code == 0 and (EMULATED in err) == (not supports_bfloat16("cpu"))


def test_recipes_use_float32_or_auto_precision() -> None:
    assert {recipe.settings.precision for recipe in RECIPES.values()} == {"auto", "float32"}
    assert ClassificationSettings().precision == "float32"
