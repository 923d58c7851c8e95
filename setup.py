"""Make the description that PyPI shows: README.md with absolute links. All other metadata are in pyproject.toml."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent


def absolute_links(text: str, repository: str, tag: str) -> str:
    """Return Markdown in which relative links and images lead to the files of a tag in the public repository."""

    def absolute(match: re.Match[str]) -> str:
        is_image, label, target = match.groups()
        return f"{is_image}[{label}]({repository}/{'raw' if is_image else 'blob'}/{tag}/{target})"

    return re.sub(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)\s]+)\)", absolute, text)


project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
setup(
    long_description=absolute_links(
        (ROOT / "README.md").read_text(encoding="utf-8"), project["urls"]["Repository"], f"v{project['version']}"
    ),
    long_description_content_type="text/markdown",
)
