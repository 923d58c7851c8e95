"""Sample photograph that needs no download: Grace Hopper (US Navy, public domain), from matplotlib's sample data."""

from importlib.util import find_spec
from pathlib import Path

from firstsight.errors import DataError


def sample_photo() -> Path:
    """Return the path of the photograph (512x606 pixels).

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
