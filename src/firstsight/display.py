"""Results in notebooks, terminals and files: HTML for `_repr_html_`, and `save` and `show` of every result."""

import base64
import html
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from firstsight.arguments import check_type, expand_user
from firstsight.atomic_io import replace_file
from firstsight.errors import UsageError
from firstsight.text import printable

if TYPE_CHECKING:
    from PIL import Image

MAX_BYTES = 150_000
"""Maximum size of an image in HTML; a larger one is embedded in a smaller size."""
MAX_SIDE = 640
"""Maximum side of an image in HTML in pixels."""
BAR_WIDTH = 120
BAR_COLOR = "#0b6e99"
FORMATS = (".json", ".html", ".txt")
"""Formats of `Result.save`."""


class Result:
    """Base class of results, which have the same three methods: `to_dict`, `save` and `show`.

    A subclass defines `to_dict`, ``__str__`` and ``_repr_html_``.
    """

    IMAGE_FORMATS: ClassVar[tuple[str, ...]] = ()
    """Suffixes of image files that a subclass can save."""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data for JSON."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        raise NotImplementedError

    def save(self, path: str | Path) -> Path:
        """Write the result to a file, which is replaced as a whole; the suffix chooses the format.

        Parameters
        ----------
        path : str | Path
            File to write: .json (the content of `to_dict`), .html (as in a notebook), .txt (as printed), or an image
            format if the result is an image.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        UsageError
            If the suffix is another one, or the file cannot be written.
        """
        check_type("path", path, str | Path)
        target = expand_user(path)
        known = (*self.IMAGE_FORMATS, *FORMATS)
        if target.suffix.lower() not in known:
            raise UsageError(f"`path` must end in {', '.join(known[:-1])} or {known[-1]}; got {path}")
        try:
            replace_file(target, self.encode(target.suffix))
        except OSError as error:
            raise UsageError(f"`path={path}` cannot be written ({error.strerror or error})") from None
        return target

    def encode(self, suffix: str) -> bytes:
        """Return the content of a file with this suffix; see `save`."""
        if suffix.lower() == ".json":
            return (json.dumps(self.to_dict(), indent=2) + "\n").encode()
        if suffix.lower() == ".html":
            return page(type(self).__name__, self._repr_html_()).encode()
        return (printable(str(self), keep="\n") + "\n").encode()

    def show(self) -> None:
        """Display the result: as HTML in a notebook; in a terminal as text, or as an image in the system's viewer."""
        if notebook_shell() is not None:
            from IPython.display import display

            display(self)
        else:
            self._show_in_terminal()

    def _show_in_terminal(self) -> None:
        write_line(str(self))


def notebook_shell() -> Any:
    """Return the shell of the notebook that runs this process, or None in a terminal or a script."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module else None
    return shell if getattr(shell, "kernel", None) is not None else None


def write_line(text: str) -> None:
    """Write text to stdout, with escapes for characters that control a terminal or that its encoding lacks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    line = printable(text, keep="\n")
    sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def open_image(image: "Image.Image") -> None:
    """Open an image in the viewer of the system; without a display, write it to a temporary file and name the file."""
    from PIL import ImageShow

    has_display = not sys.platform.startswith("linux") or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
    if has_display and ImageShow.show(image):
        return
    path = Path(tempfile.mkdtemp(prefix="firstsight-")) / "image.png"
    image.save(path)
    write_line(f"there is no image viewer here; the image is in {path}")


def text(value: object) -> str:
    """Return text for HTML: escaped, without control characters.

    >>> text("<b>cat</b> & dog")
    '&lt;b&gt;cat&lt;/b&gt; &amp; dog'
    """
    return html.escape(printable(str(value), keep="\n"))


def table(rows: Iterable[Sequence[object]], head: Sequence[str] = (), *, numbers: Sequence[int] = ()) -> str:
    """Return an HTML table of texts, which are escaped, and of `Html`, which is not.

    Parameters
    ----------
    rows : Iterable[Sequence[object]]
        Cells of each row.
    head : Sequence[str]
        Names of the columns; none by default.
    numbers : Sequence[int]
        Indices of the columns that are aligned right; the others are aligned left.

    Examples
    --------
    >>> table([("<cat>", 3)], numbers=[1])
    "<table><tr><td style='text-align:left'>&lt;cat&gt;</td><td style='text-align:right'>3</td></tr></table>"
    """
    styles = {True: "text-align:right", False: "text-align:left"}

    def row(cells: Sequence[object], tag: str) -> str:
        content = [cell if isinstance(cell, Html) else text(cell) for cell in cells]
        tags = [f"<{tag} style='{styles[i in numbers]}'>{cell}</{tag}>" for i, cell in enumerate(content)]
        return f"<tr>{''.join(tags)}</tr>"

    first = row(head, "th") if head else ""
    return f"<table>{first}{''.join(row(cells, 'td') for cells in rows)}</table>"


class Html(str):
    """Text that is HTML already, so it is not escaped again."""

    __slots__ = ()


def paragraph(value: object) -> str:
    """Return an HTML paragraph of escaped text."""
    return f"<p>{text(value)}</p>"


def bar(fraction: float) -> Html:
    """Return a horizontal bar for a fraction in [0, 1]."""
    width = round(BAR_WIDTH * min(max(fraction, 0.0), 1.0))
    return Html(f"<div style='background:{BAR_COLOR};height:0.7em;width:{width}px'></div>")


def embed(image: "Image.Image", *, scale: int = 1, alt: str = "image") -> Html:
    """Return an ``<img>`` that contains an image.

    It is a PNG file; a photograph that would be too large as PNG is a JPEG file.

    Parameters
    ----------
    image : Image.Image
        The image. It is reduced to `MAX_SIDE` pixels, and further until it has at most `MAX_BYTES`.
    scale : int
        Factor by which a browser enlarges the image; its pixels stay sharp.
    alt : str
        Description of the image.
    """
    content, kind, (width, _) = _encode_small(image)
    data = base64.b64encode(content).decode()
    style = f"width:{width * scale}px;image-rendering:pixelated" if scale > 1 else "max-width:100%"
    return Html(f"<img src='data:image/{kind};base64,{data}' alt='{text(alt)}' style='{style}'>")


def _encode_small(image: "Image.Image") -> tuple[bytes, str, tuple[int, int]]:
    """Return content, kind and size of an image file of at most `MAX_BYTES`."""
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    side = MAX_SIDE
    while True:
        small = image.copy()
        small.thumbnail((side, side))
        for kind, options in (("png", {}), ("jpeg", {"quality": 88})):
            out = io.BytesIO()
            small.save(out, kind, **options)
            if out.tell() <= MAX_BYTES:
                return out.getvalue(), kind, small.size
        side //= 2


def page(title: str, body: str) -> str:
    """Return an HTML page with a body that is HTML."""
    style = "body{font:15px system-ui,sans-serif;margin:2em}td,th{padding:2px 10px}"
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{text(title)}</title>"
        f"<style>{style}</style><body>{body}</body></html>\n"
    )
