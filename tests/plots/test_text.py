"""Text of users in figures: dollar signs, other scripts, decomposed characters, missing fonts, long names."""

import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.text import Text

from firstsight import plots
from firstsight.plots.style import MAX_LABEL, new_figure
from firstsight.plots.text import BOX, find_families, prepare_text
from firstsight.text import drawable

Run = Callable[..., tuple[int, str, str]]
PRIVATE = "\U0010fff0\U0010fff1"
"""Characters for private use, which no installed font has."""
NAMES = ["$20_$50", r"$\frac{$", r"\$5", "a_b^c", "[red] & <b>", "%s {0} {{x}}"]


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """Turn warnings into errors, such as those of matplotlib about missing glyphs."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def font(tmp_path: Path) -> Iterator[str]:
    """Install a font that has the characters of `PRIVATE`, each a filled square; return its family."""
    pen = TTGlyphPen(None)
    for step, point in enumerate([(0, 0), (0, 800), (800, 800), (800, 0)]):
        (pen.lineTo if step else pen.moveTo)(point)
    pen.closePath()
    square, names = pen.glyph(), [".notdef", "first", "second"]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(char): name for char, name in zip(PRIVATE, names[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (900, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Firstsight Squares", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "squares.ttf")
    before = [*font_manager.fontManager.ttflist]
    font_manager.fontManager.addfont(tmp_path / "squares.ttf")
    find_families.cache_clear()
    yield "Firstsight Squares"
    font_manager.fontManager.ttflist[:] = before
    find_families.cache_clear()


def confusion(names: Sequence[str]) -> bytes:
    """Return the PNG file of a confusion matrix of these classes."""
    return plots.encode_png(plots.confusion(np.eye(len(names), dtype=np.int64), names))


def test_dollar_signs_are_drawn_and_are_no_formulas() -> None:
    figure = plots.confusion(np.eye(len(NAMES), dtype=np.int64), NAMES)
    figure.suptitle("$20_$50")
    assert plots.encode_png(figure).startswith(b"\x89PNG")
    (ax,) = figure.axes
    for axis in (ax.xaxis, ax.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == NAMES
    assert not any(text.get_parse_math() for text in figure.findobj(Text))
    image = np.zeros((3, 1, 8, 8), dtype=np.uint8)
    titled = [
        plots.image_grid(image, 3, rows=["$a_$b"], heads=["$1_$2", "x", "y"], title="$20_$50"),
        plots.features(image[0], np.zeros((2, 3, 3), dtype=np.float32), None, "$20_$50.png"),
        plots.gallery(image, ["$20_$50 9 %", "cat\n(is $a_$)", "x"]),
        plots.text_figure("$20_$50"),
    ]
    for figure in titled:
        assert plots.encode_png(figure).startswith(b"\x89PNG")


def test_ticks_of_logarithmic_axes_stay_powers_of_ten() -> None:
    figure = new_figure(4, 3)
    ax = figure.subplots()
    ax.plot([1, 2], [1, 1000])
    ax.set_yscale("log")
    plots.encode_png(figure)
    labels = [label for label in ax.yaxis.get_ticklabels() if "10^{2}" in label.get_text()]
    assert labels and all(label.get_parse_math() for label in labels)


def test_decomposed_names_are_drawn_as_composed_ones() -> None:
    names = ["café", "Ñandú"]
    decomposed = [unicodedata.normalize("NFD", name) for name in names]
    assert decomposed != names and confusion(decomposed) == confusion(names)
    hangul = unicodedata.normalize("NFD", "고양이")
    assert drawable(hangul) == "고양이" != hangul


def test_control_characters_and_bytes_are_drawn_as_escapes() -> None:
    assert confusion(["a\x1b[31m", "caf\udce9"]) == confusion([r"a\x1b[31m", r"caf\xe9"])
    assert confusion(["two\nlines", "x"]) == confusion([r"two\nlines", "x"])


def test_a_font_that_has_the_characters_is_found_and_used(font: str, caplog: pytest.LogCaptureFixture) -> None:
    assert find_families(frozenset(PRIVATE + "abc")) == ((font,), frozenset())
    drawn = confusion([PRIVATE, "abc"])
    assert not caplog.records
    assert drawn != confusion([BOX * 2, "abc"])


def test_characters_that_no_font_has_are_squares_and_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert find_families(frozenset(PRIVATE)) == ((), frozenset(PRIVATE))
    drawn = confusion([PRIVATE, "abc"])
    assert [record.getMessage() for record in caplog.records] == [
        "figures show squares in place of some characters: no installed font has them; install a font that has them"
    ]
    assert drawn == confusion([BOX * 2, "abc"])


def test_characters_that_only_join_others_are_left_out() -> None:
    figure = plots.text_figure("a\u200d\ufe0fb")
    prepare_text(figure)
    assert [text.get_text() for text in figure.findobj(Text)] in (["ab"], ["a\u200d\ufe0fb"])


@pytest.mark.parametrize("length", [MAX_LABEL, 200])
def test_long_names_leave_space_for_the_plot(length: int) -> None:
    """Matplotlib warns if it finds no space; warnings are errors here."""
    names = ["x" * length, "y" * length]
    assert confusion(names)
    curves = plots.pck_by_joint(np.linspace(0, 0.5, 4), np.ones((4, 2)), names)
    assert plots.encode_png(curves)
    assert plots.encode_png(plots.swaps_and_errors(dict.fromkeys(names, 0.1), np.ones(3), np.ones(3)))


def test_a_training_with_difficult_class_names_ends_with_its_report(run: Run, make_images: Callable[..., Path]) -> None:
    classes = ["$20_$50", "[red]", "caf\udce9", "a\x1b[31m", "<b>&{{ 7*7 }}", "x" * 120]
    data = make_images(dict.fromkeys(classes, 5), size=8)
    code, _, err = run("train", "mlp", "--data", data, "--image-size", 8, "--epochs", 1, "--out", "r")
    assert code == 0 and "Traceback" not in err
    page = Path("r/report.html").read_text()
    assert all(name in page for name in ("$20_$50", "[red]", r"caf\xe9", r"a\x1b[31m", "&lt;b&gt;&amp;{{ 7*7 }}"))
    code, out, _ = run("predict", "r", *sorted(data.glob("*/000.png")), "--top", 6)
    assert code == 0 and "[red]" in out and r"caf\xe9" in out and "\x1b" not in out
