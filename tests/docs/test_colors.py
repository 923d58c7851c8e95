"""Text on the site has a contrast of at least 4.5 to 1 in light and in dark mode (WCAG 2, level AA)."""

import re
import runpy
from pathlib import Path

import furo
import pytest
from pygments.styles import get_style_by_name

CONF = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "conf.py"))
THEME = (Path(furo.__file__).parent / "theme/furo/static/styles/furo.css").read_text(encoding="utf-8")
TEXT = ("foreground-primary", "foreground-secondary", "foreground-muted", "problematic", "brand-primary")
LINKS = ("brand-content", "brand-visited")
BACKGROUNDS = ("background-primary", "background-secondary", "background-hover", "highlight-on-target")


def luminance(color: str) -> float:
    """Return the relative luminance of a color like #rgb or #rrggbb, in [0, 1]."""
    digits = color.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colors, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def colors(mode: str) -> dict[str, str]:
    """Return the theme's colors (where the dark mode has none, those of the light mode), then those of docs/conf.py."""
    blocks = re.findall(r"body(?:\[data-theme=dark\])?\{(--[^}]*)\}", THEME)
    theme: dict[str, str] = {}
    for block in blocks[: 2 if mode == "dark" else 1]:
        theme |= re.findall(r"--color-([\w-]+):(#\w+)", block)
    own = CONF["html_theme_options"][f"{mode}_css_variables"]
    return theme | {name.removeprefix("color-"): value for name, value in own.items()}


def test_contrast_of_known_colors() -> None:
    assert contrast("#fff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_links_are_readable_on_every_background(mode: str) -> None:
    color = colors(mode)
    assert (luminance(color["background-primary"]) < 0.1) == (mode == "dark")
    for name in (*TEXT, *LINKS):
        for background in BACKGROUNDS:
            assert contrast(color[name], color[background]) >= 4.5, (name, background)
    assert contrast(color["foreground-primary"], color["highlighted-background"]) >= 4.5


@pytest.mark.parametrize("setting", ["pygments_style", "pygments_dark_style"])
def test_highlighted_code_is_readable_on_its_background(setting: str) -> None:
    style = get_style_by_name(CONF[setting])
    checked = 0
    for token, look in style:
        if look["color"]:
            background = look["bgcolor"] or style.background_color
            assert contrast(look["color"], background) >= 4.5, (token, look["color"], background)
            checked += 1
    assert checked > 10
