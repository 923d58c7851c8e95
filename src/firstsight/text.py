"""Text of users, such as names of files and classes, made safe for a terminal, a JSON document and a figure."""

import ast
import re
import shlex
import unicodedata
from collections.abc import Callable

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, changes of the writing direction, and bytes that are not text (surrogates)."""

MAX_MESSAGE = 300
"""Maximum number of characters in the message of an error."""


def printable(text: str, *, keep: str = "") -> str:
    r"""Escape the characters that would control a terminal or cannot be encoded.

    All other characters are kept, also those that the encoding of an output lacks.

    Parameters
    ----------
    text : str
        Any text. Bytes of a file name that are not text are surrogates in it, see `os.fsdecode`.
    keep : str
        Characters that are not escaped, such as a line break.

    Examples
    --------
    >>> print(printable("cat\x1b[2J.png"), printable("caf\udce9"), printable("a\nb"), printable("고양이"))
    cat\x1b[2J.png caf\xe9 a\nb 고양이
    """
    return UNSAFE.sub(lambda match: match[0] if match[0] in keep else _escape(match[0]), text)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # the byte that the system could not decode
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def drawable(text: str) -> str:
    """Return text as figures show it: composed characters (NFC), control characters escaped, line breaks kept.

    Names of files on macOS are decomposed (NFD); fonts have the composed characters only.

    >>> len(unicodedata.normalize("NFD", "고양이")), len(drawable(unicodedata.normalize("NFD", "고양이")))
    (7, 3)
    """
    return unicodedata.normalize("NFC", printable(text, keep="\n"))


def shorten(text: str, length: int) -> str:
    """Return text that has at most this many characters; a longer one loses its middle.

    >>> shorten("a class with a long name", 12)
    'a class…name'
    """
    if len(text) <= length:
        return text
    end = (length - 1) // 2 - 1
    return f"{text[: length - 1 - end]}…{text[len(text) - end :]}"


def one_line(text: str, length: int = MAX_MESSAGE) -> str:
    r"""Return text on one line without control characters, at most ``length`` characters long.

    Long text loses its middle, because its beginning names the file and its end names the reason.

    Parameters
    ----------
    text : str
        Any text.
    length : int
        Maximum number of characters, at least 20.

    Examples
    --------
    >>> one_line("a\n  b\x1b[31m")
    'a b\\x1b[31m'
    >>> one_line("0123456789" * 4, 20)
    '012345678 … 23456789'
    """
    text = " ".join(text.split())
    text = "".join(char if char.isprintable() else char.encode("unicode_escape", "replace").decode() for char in text)
    if len(text) <= length:
        return text
    end = (length - 3) // 2
    return f"{text[: length - 3 - end]} … {text[-end:]}"


def format_settings(message: str, wrap: Callable[[str], str] = str) -> str:
    """Replace settings and calls in backticks by the options and commands of the command line.

    Parameters
    ----------
    message : str
        Text with parameters in backticks.
    wrap : Callable[[str], str]
        Formats each option or command.

    Examples
    --------
    >>> format_settings("try `flip=random`, `rotate`", "<{}>".format)
    'try <--flip random>, <--rotate>'
    """

    def option(match: re.Match[str]) -> str:
        if match[1].isupper():
            return wrap(f"{match[1]} {match[2]}" if match[2] else match[1])
        name, value = match[1].replace("_", "-"), match[2]
        if value in ("True", "False"):
            return wrap(f"--{'' if value == 'True' else 'no-'}{name}")
        return wrap(f"--{name} {value}" if value else f"--{name}")

    def command(match: re.Match[str]) -> str:
        return wrap(f"firstsight train {shlex.quote(ast.literal_eval(match[1]))} --resume")

    message = re.sub(r"`train\(('[^`]+'|\"[^`]+\"), resume=True\)`", command, message)
    return re.sub(r"`([a-z][a-z0-9_]*|[A-Z]+)(?:=([^`]+))?`", option, message)
