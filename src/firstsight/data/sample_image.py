"""A photograph that is there without a download: Grace Hopper (US Navy, public domain), from matplotlib's samples."""

from importlib.util import find_spec
from pathlib import Path

from firstsight.errors import DataError


def sample_photo() -> Path:
    """Where the photograph is, 512x606 pixels.

    Raises
    ------
    DataError
        matplotlib was installed without its samples.
    """
    spec = find_spec("matplotlib")
    path = Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise DataError("matplotlib's sample photograph is not installed; name a picture of your own")
    return path
