"""Files of figures and images in four formats."""

import io

import pytest
from PIL import Image

from firstsight import plots

START = {".png": b"\x89PNG", ".jpg": b"\xff\xd8\xff", ".JPEG": b"\xff\xd8\xff", ".svg": b"<", ".pdf": b"%PDF"}


@pytest.mark.parametrize("suffix", START)
def test_a_figure_and_an_image_are_written_in_the_format_of_the_suffix(suffix: str) -> None:
    figure = plots.text_figure("50 $ and 고양이")
    image = Image.new("RGBA", (6, 4), "red")
    for encode in (lambda: plots.encode_figure(figure, suffix), lambda: plots.encode_image(image, suffix)):
        content = encode()
        assert content.startswith(START[suffix])
        assert encode() == content  # no time and no random names in it


def test_an_svg_file_of_an_image_has_its_pixels() -> None:
    import base64
    import re

    content = plots.encode_image(Image.new("RGB", (6, 4), (1, 2, 3)), ".svg").decode()
    match = re.search(r"base64,([^\"]+)", content)
    assert match and 'width="6" height="4"' in content
    with Image.open(io.BytesIO(base64.b64decode(match[1]))) as image:
        assert image.size == (6, 4) and image.getpixel((0, 0)) == (1, 2, 3)


def test_an_unknown_suffix_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown suffix"):
        plots.encode_image(Image.new("L", (2, 2)), ".xyz")
