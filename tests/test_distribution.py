"""The sdist, the wheel, their description, and the installation that the Makefile and the README offer."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import firstsight
from firstsight.weights.bundled import bundled

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILD = """
import sys
from setuptools import build_meta
getattr(build_meta, sys.argv[1])(sys.argv[2])
"""
MAX_BYTES = 30_000_000
"""Largest size of a wheel: the bundled weights have 24 MB. PyPI accepts 100 MB."""


def build(kind: str, tree: Path, out: Path) -> Path:
    """Build the sdist or the wheel of a source tree, as pip and build do after they have installed setuptools."""
    out.mkdir()
    command = [sys.executable, "-W", "error", "-c", BUILD, f"build_{kind}", str(out)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = out.iterdir()
    return built


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files in a wheel."""
    with zipfile.ZipFile(wheel) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist of a copy of the files at the top and in src, and of some tests."""
    folder = tmp_path_factory.mktemp("sdist")
    for name in ("src", "tests/helpers"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, folder / "tree" / name, ignore=ignored)
    for path in (*ROOT.glob("*"), *ROOT.glob("tests/*.py")):
        if path.is_file():
            shutil.copy(path, folder / "tree" / path.relative_to(ROOT))
    return build("sdist", folder / "tree", folder / "dist")


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """Build the wheel of the same tree."""
    return build("wheel", sdist.parents[1] / "tree", sdist.parents[1] / "wheel")


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """Return the metadata of the wheel; its payload is the description that PyPI shows."""
    (text,) = (text for name, text in contents(wheel).items() if name.endswith(".dist-info/METADATA"))
    return message_from_string(text.decode())


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    source = ROOT / "src"
    files = {
        path.relative_to(source).as_posix(): path.read_bytes()
        for path in (source / "firstsight").rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert {"firstsight/py.typed", "firstsight/__init__.pyi", "firstsight/engine/report.html.jinja"} <= set(files)
    assert {f"firstsight/weights/{name}.safetensors" for name in bundled()} <= set(files)
    info = f"firstsight-{firstsight.__version__}.dist-info"
    names = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt")
    packed = contents(wheel)
    assert set(packed) == set(files) | {f"{info}/{name}" for name in names}
    assert {name for name in files if packed[name] != files[name]} == set()
    assert wheel.name == f"firstsight-{firstsight.__version__}-py3-none-any.whl"
    assert wheel.stat().st_size < MAX_BYTES


@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel_and_has_no_tests(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as file:
        file.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.glob("firstsight-*")
    assert {path.name for path in tree.iterdir()} == {
        *("LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg", "setup.py", "src"),
    }
    assert contents(build("wheel", tree, tmp_path / "wheel")) == contents(wheel)
    assert sdist.stat().st_size < MAX_BYTES


def links(markdown: str) -> list[str]:
    """Return the targets of all links and images of a text, as a browser gets them."""
    return re.findall(r'(?:href|src)="([^"]*)"', MarkdownIt("commonmark").enable("table").render(markdown))


@pytest.mark.slow
def test_links_and_images_of_the_description_are_absolute(metadata: Message) -> None:
    """Each leads to the file that the README names, in the tag of this version of the repository."""
    base = PROJECT["urls"]["Repository"]
    readme = (ROOT / "README.md").read_text()
    description = metadata.get_payload()
    assert metadata["Description-Content-Type"] == "text/markdown"
    tag = f"v{firstsight.__version__}"
    targets = [re.sub(rf"^{re.escape(base)}/(blob|raw)/{re.escape(tag)}/", "", target) for target in links(description)]
    assert targets == links(readme)
    assert len(targets) > 15
    relative = [target for target in links(description) if not target.startswith(("https://", "#"))]
    assert relative == []
    assert f"![Six images, each with the command that made it]({base}/raw/{tag}/docs/images/gallery.png)" in description
    assert re.sub(r"\]\([^)]*\)", "", description) == re.sub(r"\]\([^)]*\)", "", readme)


@pytest.mark.slow
def test_an_environment_with_the_wheel_alone_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    """Its libraries are those of this environment; the source tree cannot be imported."""
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([*command, "--no-deps", "--no-index", "--quiet", str(wheel)], env=variables, check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    # Python does not read the .pth files of a folder that a .pth file names, so the source tree is not found.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    (empty := tmp_path / "empty").mkdir()

    def run(*words: str | Path) -> str:
        done = subprocess.run(words, cwd=empty, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    loaded = "import firstsight as f, sys; [f.load(name) for name in sys.argv[1:]]; print(f.__file__)"
    assert Path(run(python, "-c", loaded, *bundled()).strip()) == site / "firstsight" / "__init__.py"
    assert "of 359 test images correctly" in run(environment / "bin" / "firstsight", "demo", "--epochs", "1")
    assert "</html>" in (empty / "runs/lenet-digits/1/report.html").read_text()
    assert {path.name for path in empty.iterdir()} == {"runs"}


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["version"] == firstsight.__version__
    for page in ("README.md", "README.ko.md"):
        assert f"version = {{{firstsight.__version__}}}" in (ROOT / page).read_text(), page


def test_the_address_of_the_repository_is_stated_in_pyproject_only() -> None:
    repository = PROJECT["urls"]["Repository"]
    assert all(address.startswith(repository) for address in PROJECT["urls"].values())
    for page in ("README.md", "README.ko.md", "CONTRIBUTING.md"):
        assert repository not in (ROOT / page).read_text(), page


def commands_of_make(*words: str) -> list[str]:
    """Return the commands that make would run in a tree without a virtual environment."""
    of_make = ("MAKEFLAGS", "MAKEOVERRIDES", "CONSTRAINTS", "TORCH_INDEX", "VENV")
    environment = {name: value for name, value in os.environ.items() if name not in of_make}
    done = subprocess.run(
        ["make", "-C", ROOT, "--dry-run", "--no-print-directory", "VENV=absent", *words],
        env=environment,  # make can run the tests with other variables
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_make_installs_torch_from_the_index_that_is_given() -> None:
    """The other libraries come from pip's own index, so torch is installed before them, alone."""
    index = "https://download.pytorch.org/whl/cpu"
    for target in ("demo", "test", "docs"):
        plain, other = commands_of_make(target), commands_of_make(target, f"TORCH_INDEX={index}")
        assert not any("index" in command for command in plain)
        (torch,) = (command for command in other if command not in plain)
        assert re.search(rf"pip .*install -c constraints.txt --no-deps --index-url {index} torch$", torch)
        assert [command for command in other if command != torch] == plain
        assert "-e" in other[other.index(torch) + 1]


@pytest.mark.parametrize("page", ["README.md", "README.ko.md"])
def test_the_readme_offers_the_cpu_build_that_make_installs(page: str) -> None:
    text = (ROOT / page).read_text()
    assert "make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu" in text
    (torch,) = re.findall(r"^torch==\S+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert f"pip install {torch} --index-url https://download.pytorch.org/whl/cpu" in text
