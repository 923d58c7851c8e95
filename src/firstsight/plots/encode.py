"""Content of files of figures and images: PNG, JPEG, SVG and PDF."""

import base64
import io
import time
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

JPEG_QUALITY = 92
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    '<image width="{width}" height="{height}" href="data:image/png;base64,{content}"/></svg>\n'
)


def encode_figure(fig: Figure, suffix: str) -> bytes:
    """Return the content of a file of a figure. The same figure gives the same bytes.

    Parameters
    ----------
    fig : Figure
        The figure.
    suffix : str
        Suffix of the file, which chooses the format: ".png", ".jpg", ".jpeg", ".svg" or ".pdf".
    """
    out = io.BytesIO()
    name = suffix.lower().lstrip(".")
    options: dict[str, Any] = {}
    if name == "svg":
        options["metadata"] = {"Date": None}
    elif name == "pdf":
        options["metadata"] = {"CreationDate": None}
    elif name in ("jpg", "jpeg"):
        options["pil_kwargs"] = {"quality": JPEG_QUALITY}
    with mpl.rc_context({"svg.hashsalt": "firstsight"}):  # else the names in the file are random
        fig.savefig(out, format=name, **options)
    return out.getvalue()


def encode_png(fig: Figure) -> bytes:
    """Return the content of a PNG file of a figure."""
    return encode_figure(fig, ".png")


def encode_image(image: Image.Image, suffix: str, **options: Any) -> bytes:
    """Return the content of an image file.

    Parameters
    ----------
    image : Image.Image
        The image.
    suffix : str
        Suffix of the file, which chooses the format, as in ".png". An SVG or a PDF file contains the pixels.
    **options : Any
        Options of Pillow for this format.

    Raises
    ------
    ValueError
        If Pillow does not know the suffix, or the format cannot hold the image.
    """
    suffix = suffix.lower()
    if suffix == ".svg":
        content = base64.b64encode(encode_image(image, ".png", **options)).decode()
        return SVG.format(width=image.width, height=image.height, content=content).encode()
    formats = Image.registered_extensions()
    if suffix not in formats:
        raise ValueError(f"unknown suffix of an image file: {suffix}")
    if formats[suffix] == "PDF":  # without the time, so that the same image gives the same bytes
        options |= {"creationDate": time.gmtime(0), "modDate": time.gmtime(0)}
    if formats[suffix] in ("JPEG", "PDF") and image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    out = io.BytesIO()
    image.save(out, format=formats[suffix], **options)
    return out.getvalue()
