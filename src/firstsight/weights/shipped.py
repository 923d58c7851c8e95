"""The weights inside the package."""

from importlib.resources import files
from pathlib import Path


def shipped() -> dict[str, Path]:
    """Names and files of the weights inside the package."""
    folder = Path(str(files("firstsight.weights")))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
