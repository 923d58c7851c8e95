"""Text of users in figures: drawn unchanged, in installed fonts that have its characters."""

import logging
import unicodedata
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter

from firstsight.text import drawable

LOGGER = logging.getLogger(__name__)
PREFERRED = (
    "notosanscjk", "notosanskr", "sourcehansans", "nanumgothic", "nanumbarun", "malgun", "applesdgothic", "pretendard",
    "wqy", "droidsansfallback", "msyh", "simhei", "pingfang", "hiragino", "yugoth", "arialuni", "notosans",
)  # fmt: skip
"""Beginnings of the names of font files, without separators, in the order in which they are tried."""
PLACEHOLDERS = ("lastresort", "adobeblank")
"""Fonts whose glyphs do not show the characters."""
STYLES = ("bold", "italic", "oblique", "black", "light", "thin", "mono", "medium", "condensed")
BOX = "\N{WHITE SQUARE}"
"""Drawn in place of a character that no font has."""


class TextFigure(Figure):
    """Figure whose text is drawn unchanged: dollar signs are no formulas, and all characters of all fonts are used.

    Tick labels of logarithmic axes are powers of ten, which matplotlib writes as formulas; they stay so.
    """

    def draw(self, renderer: Any) -> None:
        """Prepare the text and draw the figure."""
        prepare_text(self)
        super().draw(renderer)


def prepare_text(fig: Figure) -> None:
    """Change all texts of a figure so that they are drawn unchanged; log a warning if no font has a character.

    Parameters
    ----------
    fig : Figure
        The figure; it is modified.
    """
    formulas: set[Text] = set()
    axes = [axis for ax in fig.axes for axis in (ax.xaxis, ax.yaxis)]
    for axis in axes:
        if isinstance(axis.get_major_formatter(), LogFormatter) or isinstance(axis.get_minor_formatter(), LogFormatter):
            formulas |= {*axis.get_ticklabels(which="both")}
    texts = [text for text in fig.findobj(Text) if text not in formulas]
    labels = {axis: [text.get_text() for text in axis.get_ticklabels()] for axis in axes}
    chars = {char for text in texts for char in drawable(text.get_text())}
    chars |= {char for names in labels.values() for name in names for char in drawable(name)}
    families, missing = find_families(frozenset(chars))
    if missing:
        LOGGER.warning(_describe_missing(missing))
    for axis, names in labels.items():
        if not formulas & {*axis.get_ticklabels()}:
            _set_labels(axis, names, missing)
    for text in texts:
        text.set_parse_math(False)
        text.set_usetex(False)
        text.set_fontfamily([*dict.fromkeys([*text.get_fontfamily(), *families])])
        text.set_text(_replace_missing(drawable(text.get_text()), missing))


def _set_labels(axis: Axis, names: list[str], missing: Collection[str]) -> None:
    """Replace tick labels, whose text comes from a formatter at every drawing, if they change."""
    changed = [_replace_missing(drawable(name), missing) for name in names]
    if changed != names and len(names) == len(axis.get_majorticklocs()):
        axis.set_ticks(axis.get_majorticklocs(), changed)


def _replace_missing(text: str, missing: Collection[str]) -> str:
    return "".join(("" if _is_invisible(char) else BOX) if char in missing else char for char in text)


def _is_invisible(char: str) -> bool:
    """Return whether a character only changes how its neighbors are drawn (joiners, variation selectors)."""
    return unicodedata.category(char) == "Cf" or 0xFE00 <= ord(char) <= 0xFE0F


@lru_cache(64)
def find_families(chars: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return installed font families that have characters, in addition to matplotlib's default font.

    Parameters
    ----------
    chars : frozenset[str]
        Characters to draw.

    Returns
    -------
    tuple[tuple[str, ...], frozenset[str]]
        Families for the characters that the default font lacks, and the characters that no font has.
    """
    missing = {char for char in chars if not char.isspace()}
    missing -= _covered(font_manager.findfont(FontProperties()), missing)
    families: list[str] = []
    for path in _installed_fonts() if missing - {*filter(_is_invisible, missing)} else ():
        covered, family = _family_with(path, missing)
        if covered:
            families.append(family)
            missing -= covered
        if not missing:
            break
    return tuple(families), frozenset(missing)


def _installed_fonts() -> list[str]:
    """Return all font files: those that matplotlib knows, and those that were installed since it listed them."""
    known = {str(entry.fname) for entry in font_manager.fontManager.ttflist}
    paths = known | {*font_manager.findSystemFonts()}
    return sorted((path for path in paths if not _plain_name(path).startswith(PLACEHOLDERS)), key=_rank)


def _plain_name(path: str) -> str:
    """Return the name of a font file in lower case, without separators and suffix."""
    return "".join(char for char in Path(path).stem.casefold() if char.isalnum())


def _rank(path: str) -> tuple[int, bool, str]:
    """Return a sort key: preferred families first, of each the regular style first."""
    name = _plain_name(path)
    is_first = [name.startswith(beginning) for beginning in PREFERRED]
    return [*is_first, True].index(True), any(style in name for style in STYLES), path


def _family_with(path: str, chars: Collection[str]) -> tuple[set[str], str]:
    """Return the characters that the family of a font file has, and its name; register it in matplotlib."""
    if not _covered(path, chars):
        return set(), ""
    try:
        family: str = FT2Font(path).family_name
        if path not in {str(entry.fname) for entry in font_manager.fontManager.ttflist}:
            font_manager.fontManager.addfont(path)
        used = font_manager.findfont(FontProperties(family=[family]), fallback_to_default=False)
    except Exception:  # a font that matplotlib cannot use is as good as none
        return set(), ""
    return _covered(used, chars), family


def _covered(path: str, chars: Iterable[str]) -> set[str]:
    """Return the characters that a font file has; none if it cannot be read or has no outlines."""
    try:
        font = FT2Font(path)
        return {char for char in chars if font.scalable and font.get_char_index(ord(char))}
    except Exception:  # a font that FreeType cannot read is as good as none
        return set()


def _describe_missing(missing: Collection[str]) -> str:
    """Return a warning that names the scripts, so that it is the same for several figures.

    >>> _describe_missing({"고", "양", "猫"})
    'figures show squares in place of Chinese and Hangul characters: no installed font has them; install Noto Sans CJK'
    """
    scripts = {_script(char) for char in missing}
    names = " and ".join(sorted(scripts - {""})) + " characters" if scripts - {""} else "some characters"
    font = "Noto Sans CJK" if scripts & {"Hangul", "Chinese", "Japanese"} else "a font that has them"
    return f"figures show squares in place of {names}: no installed font has them; install {font}"


def _script(char: str) -> str:
    """Return the name of the script of a letter, or an empty string for a symbol."""
    first = unicodedata.name(char, "").partition(" ")[0]
    if not first or not (char.isalpha() or unicodedata.combining(char)):
        return ""
    return {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese"}.get(first, first.capitalize())
