"""The edge of the command line: every exception, Ctrl-C at any moment, and streams that are closed, full or limited."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.table import Table

from conftest import unavailable
from firstsight.cli import COMMANDS
from firstsight.cli.console import out, print_json, say, table, to_encodable
from firstsight.recipes.progress import ProgressBar
from firstsight.text import printable

Run = Callable[..., tuple[int, str, str]]
FIRSTSIGHT = [sys.executable, "-m", "firstsight"]
NAMES = [
    "photo [edited].png",
    "[/x].png",
    ":dog:.png",
    "a\x1b[2Jb",
    "c\x9b31m",
    "two\nlines",
    "caf\udce9",
    "\u202eevil",
]


class UnknownError(Exception):
    """Error of a library."""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """Return a function that adds the command ``own``, which calls a function."""

    def add(function: Callable[[], int]) -> None:
        module = ModuleType("firstsight.cli.own")
        module.run = lambda _: function()  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "firstsight.cli.own", module)
        monkeypatch.setitem(COMMANDS, "own", "a command of this test")

    return add


def failing(error: BaseException, cause: BaseException | None = None) -> Callable[[], int]:
    """Return a command that raises an error."""

    def run() -> int:
        raise error from cause

    return run


ERRORS = [
    KeyError("x"),
    UnknownError("one\n  two\x1b[31m"),
    RuntimeError("long " * 500),
    RecursionError("maximum recursion depth exceeded"),
    UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "invalid"),
    ExceptionGroup("several", [ValueError("a"), TypeError("b")]),
    MemoryError(),
    OSError(28, "No space left on device", "out.png"),
    OSError("no number"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_any_exception_is_one_sentence_and_a_traceback_only_with_debug(
    run: Run, command: Callable[[Callable[[], int]], None], error: Exception
) -> None:
    command(failing(error))
    code, printed, err = run("own")
    assert (code, printed) == (1, "")
    assert err.startswith("firstsight: ") and err.count("\n") == 1 and len(err) <= 301 and "\x1b" not in err
    with pytest.raises(type(error)):
        run("own", "--debug")


def test_the_sentence_of_an_exception_names_its_type_and_message(
    run: Run, command: Callable[[Callable[[], int]], None]
) -> None:
    command(failing(UnknownError("no such thing")))
    message = "unexpected UnknownError: no such thing (--debug shows the traceback)"
    assert run("own")[2] == f"firstsight: {message}\n"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (KeyboardInterrupt(), None),
        (ImportError("numpy is broken"), KeyboardInterrupt()),
        (RuntimeError("worker exited"), KeyboardInterrupt()),
    ],
)
def test_ctrl_c_exits_with_130_also_where_a_library_turns_it_into_an_error(
    run: Run, command: Callable[[Callable[[], int]], None], error: BaseException, cause: BaseException | None
) -> None:
    command(failing(error, cause))
    assert run("own") == (130, "", "firstsight: stopped\n")
    assert cause is not None or run("own", "--debug") == (130, "", "firstsight: stopped\n")


@pytest.mark.parametrize("module", ["firstsight.cli.openmp", "firstsight.cli.process", "tyro", "firstsight.recipes"])
def test_ctrl_c_during_an_import_exits_with_130_without_a_traceback(module: str) -> None:
    code = (
        "import os, signal, sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Stop())\n"
        "from firstsight.cli import entry\n"
        "sys.argv = ['firstsight', 'models']\n"
        "sys.exit(entry())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130, done
    assert (done.stdout, done.stderr) in (("", ""), ("", "firstsight: stopped\n"))


def test_ctrl_c_that_python_cannot_raise_ends_the_process() -> None:
    code = (
        "import os, signal\n"
        "from firstsight.cli.process import prepare_process\n"
        "class Held:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        sum(range(1000))\n"
        "prepare_process()\n"
        "held = Held()\n"
        "del held\n"
        "print('not stopped', flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def shell(line: str, **environment: str) -> tuple[int, str, str]:
    """Run a line of bash in which FS is the command line; return exit code, stdout and stderr."""
    environment = {**os.environ, "FS": " ".join(FIRSTSIGHT)} | environment
    environment.pop("PYTHONUNBUFFERED", None)  # short output is then written at the very end
    done = subprocess.run(["bash", "-c", line], capture_output=True, env=environment, check=False)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("$FS data >&-", (0, "", "")),
        ("$FS data >&- 2>&- <&-", (0, "", "")),
        ("$FS none 2>&-", (2, "", "")),
        ("$FS none 2>/dev/full", (2, "", "")),
        ("$FS data >/dev/full", (1, "", "firstsight: the disk is full\n")),
        ("$FS data >/dev/full 2>/dev/full", (1, "", "")),
        ("set -o pipefail; $FS data | head -c 8", (0, "data set", "")),
        ("set -o pipefail; $FS none 2>&1 | true", (2, "", "")),
    ],
)
def test_streams_that_are_closed_full_or_without_a_reader(line: str, expected: tuple[int, str, str]) -> None:
    if "/dev/full" in line and not Path("/dev/full").exists():
        unavailable("this system has no /dev/full")
    assert shell(line) == expected


def test_a_file_does_not_take_the_place_of_a_closed_stream() -> None:
    code = (
        "from firstsight.cli.process import prepare_process; prepare_process()\n"
        "import sys; file = open('x', 'w'); print('hello'); sys.stdout.flush(); file.write(str(file.fileno()))"
    )
    assert shell(f'{sys.executable} -c "{code}" >&- 2>&- <&-')[0] == 0
    assert int(Path("x").read_text()) > 2


@pytest.mark.parametrize("encoding", ["ascii", "cp949", "utf-8:strict"])
def test_names_that_an_encoding_lacks_are_printed_as_escapes(encoding: str) -> None:
    code, _, err = shell("$FS $'고양이 \\xe9 猫 😀'", PYTHONIOENCODING=encoding)
    assert code == 2 and err.startswith("firstsight: unknown command '") and "Traceback" not in err


@settings(max_examples=50)
@given(st.text(st.characters(codec=None), max_size=20), st.sampled_from(["ascii", "cp949", "latin-1", "utf-8"]))
def test_json_is_the_same_document_in_every_encoding(text: str, encoding: str) -> None:
    written = to_encodable(json.dumps({text: text}, ensure_ascii=False), encoding)
    assert json.loads(written.encode(encoding).decode(encoding)) == json.loads(json.dumps({text: text}))
    assert all(char.isascii() or ord(char) > 0x9F for char in written)


def test_json_has_no_numbers_that_json_lacks(capfd: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": [1.5, float("inf"), True], "c": [{"d": -float("inf")}], "e": [], "f": {}})
    document = json.loads(capfd.readouterr().out, parse_constant=pytest.fail)
    assert document == {"a": None, "b": [1.5, None, True], "c": [{"d": None}], "e": [], "f": {}}


def test_json_is_printed_to_a_stream_without_an_encoding() -> None:
    """A notebook or a test redirects stdout to io.StringIO."""
    with contextlib.redirect_stdout(io.StringIO()) as stream:
        print_json({"class": "고양이"})
    assert json.loads(stream.getvalue()) == {"class": "고양이"}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_printed_as_it_is_with_control_characters_escaped(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Print it in a table, in a line of a result, and in the progress of a training."""
    rows = table("name", "value")
    rows.add_row(name, "1")
    assert isinstance(rows, Table)
    out().print(rows)
    say(name)
    with ProgressBar() as callback:
        callback.warn(name)
    printed = capfd.readouterr()
    _, row, line = printed.out.splitlines()
    assert row.split("  ")[0] == line == printed.err.rstrip("\n") == printable(name)
    assert line.isprintable()


def test_a_second_signal_is_ignored_while_python_shuts_down() -> None:
    code = (
        "import atexit, os, signal\n"
        "from firstsight.cli.process import ignore_interrupts; ignore_interrupts()\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
