"""Sample photographs that need no download.

`sample_photo` is Grace Hopper (US Navy, public domain), from matplotlib's sample data. `sample_people` is
``people.jpg``, four people at a table: image 790 of COCO train2017, unchanged, photo 7866247804 on Flickr
(<http://farm9.staticflickr.com/8292/7866247804_e0486b75b8_z.jpg>), license CC BY 2.0
(<http://creativecommons.org/licenses/by/2.0/>).
"""

from importlib.util import find_spec
from pathlib import Path

from firstsight.errors import DataError


def sample_photo() -> Path:
    """Return the path of a portrait (512x606 pixels).

    Raises
    ------
    DataError
        If matplotlib is installed without its sample data.
    """
    spec = find_spec("matplotlib")
    path = Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise DataError("matplotlib's sample photograph is not installed; pass the path of an image")
    return path


def sample_people() -> Path:
    """Return the path of a photograph of four people at a table (640x422 pixels)."""
    return Path(__file__).with_name("people.jpg")
