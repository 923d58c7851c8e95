"""What the site writes can be read in light and in dark: a contrast of at least 4.5 to 1 (WCAG 2, level AA)."""

import re
import runpy
from pathlib import Path

import furo
import pytest
from pygments.styles import get_style_by_name

CONF = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "conf.py"))
THEME = (Path(furo.__file__).parent / "theme/furo/static/styles/furo.css").read_text(encoding="utf-8")
WRITING = ("foreground-primary", "foreground-secondary", "foreground-muted", "problematic", "brand-primary")
LINKS = ("brand-content", "brand-visited")
GROUNDS = ("background-primary", "background-secondary", "background-hover", "highlight-on-target")


def luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def colours(mode: str) -> dict[str, str]:
    """The theme's own, in dark those of light where dark has none, then those that we set."""
    blocks = re.findall(r"body(?:\[data-theme=dark\])?\{(--[^}]*)\}", THEME)
    found: dict[str, str] = {}
    for block in blocks[: 2 if mode == "dark" else 1]:
        found |= re.findall(r"--color-([\w-]+):(#\w+)", block)
    ours = CONF["html_theme_options"][f"{mode}_css_variables"]
    return found | {name.removeprefix("color-"): value for name, value in ours.items()}


def test_contrast_of_known_colours() -> None:
    assert contrast("#fff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_writing_on_every_ground(mode: str) -> None:
    found = colours(mode)
    assert (luminance(found["background-primary"]) < 0.1) == (mode == "dark")
    for name in (*WRITING, *LINKS):
        for ground in GROUNDS:
            assert contrast(found[name], found[ground]) >= 4.5, (name, found[name], ground, found[ground])
    assert contrast(found["foreground-primary"], found["highlighted-background"]) >= 4.5


@pytest.mark.parametrize("setting", ["pygments_style", "pygments_dark_style"])
def test_code_on_its_ground(setting: str) -> None:
    style = get_style_by_name(CONF[setting])
    for token, look in style:
        if look["color"]:
            ground = look["bgcolor"] or style.background_color
            assert contrast(look["color"], ground) >= 4.5, (token, look["color"], ground)
