"""Decoding of JSON documents by a schema: types, ranges, size and depth are checked before a value is used."""

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from firstsight.errors import DataError, FirstsightError
from firstsight.text import one_line

MAX_BYTES = 256 * 2**20
"""Default limit of the size of a document, in bytes."""
MAX_VALUE = 60
"""Maximum length of a value that a message quotes, in characters."""
MAX_SCAN = 32 * 2**20
"""The key of a value that is not JSON is searched in this many bytes in front of it; this takes seconds."""
TOKENS = re.compile(rb""""(?:[^"\\]++|\\.)*+"?|[][{}:,]|[+-]?\b(?:nan|inf|infinity)\b""", re.IGNORECASE | re.DOTALL)
"""A string, a character of the structure, or a number that JSON does not have."""
WORD = re.compile(rb"[+-]?\b(?:nan|inf|infinity)\b", re.IGNORECASE)

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""Integer of a document that is a number of things. A plain ``int`` in a schema accepts any number of digits."""

T = TypeVar("T")


def read_document(
    path: Path, schema: type[T], *, error: type[FirstsightError] = DataError, max_bytes: int = MAX_BYTES
) -> T:
    """Read a JSON file and return its content, checked against a schema.

    Parameters
    ----------
    path : Path
        File to read, UTF-8.
    schema : type[T]
        Type of the document: a `msgspec.Struct` or any type that msgspec supports. Fields that the schema does not
        have are ignored unless it forbids them.
    error : type[FirstsightError]
        Class of the error that is raised.
    max_bytes : int
        Limit of the file's size, checked before the file is read.

    Returns
    -------
    T
        The document.

    Raises
    ------
    FirstsightError
        ``error``, whose message names the file, the key and the value.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except (OSError, ValueError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
        raise error(f"{path}: {reason}") from None
    return decode_document(data, schema, source=str(path), error=error, max_bytes=max_bytes)


def decode_document(
    data: bytes | str,
    schema: type[T],
    *,
    source: str,
    error: type[FirstsightError] = DataError,
    max_bytes: int = MAX_BYTES,
) -> T:
    """Decode JSON and return its content, checked against a schema.

    Parameters
    ----------
    data : bytes | str
        The document. Bytes are UTF-8.
    schema : type[T]
        Type of the document, see `read_document`.
    source : str
        Name of the document in messages.
    error : type[FirstsightError]
        Class of the error that is raised.
    max_bytes : int
        Limit of the size.

    Raises
    ------
    FirstsightError
        ``error``, see `read_document`.

    Examples
    --------
    >>> decode_document('{"lr": 0.1}', dict[str, float], source="config.json")
    {'lr': 0.1}
    >>> decode_document('["x"]', list[float], source="boxes.json")
    Traceback (most recent call last):
    firstsight.errors.DataError: boxes.json: [0]: expected a number, got "x"
    """
    if len(data) > max_bytes:
        raise error(f"{source}: larger than {max_bytes:,} bytes, the limit of such a file")
    try:
        return msgspec.json.decode(data, type=schema)
    except msgspec.ValidationError as failure:
        message = _describe(str(failure), data)
    except RecursionError:
        message = "nested too deeply"
    except (msgspec.DecodeError, ValueError) as failure:  # UnicodeDecodeError is a ValueError
        message = _describe_number(str(failure), data) or f"not valid JSON ({failure})"
    raise error(f"{source}: {message}")


_TYPES = {
    "int": "an integer", "float": "a number", "str": "text", "bool": "true or false", "null": "null",
    "array": "a list", "object": "an object", "bytes": "text",
}  # fmt: skip


def _describe(message: str, data: bytes | str) -> str:
    """Return msgspec's message with the key, the value and plain names of types.

    >>> _describe("Expected `int`, got `str` - at `$.a[0]`", '{"a": ["x"]}')
    'a[0]: expected an integer, got "x"'
    >>> _describe("Object missing required field `kind`", "{}")
    'object missing required field kind'
    """
    reason, _, location = message.partition(" - at `")
    reason = reason[:1].lower() + reason[1:]
    path = location.rstrip("`").removeprefix("$").removeprefix(".")
    reason = re.sub(r"`([^`]*)`", lambda match: _plain_types(match[1]), reason)
    value = _value_at(location.rstrip("`"), data) if path else None
    if reason.startswith("expected") and value is not None:
        reason = f"{reason.partition(', got ')[0]}, got {value}"
    return f"{path}: {reason}" if path else reason


def _describe_number(message: str, data: bytes | str) -> str:
    """Return the message for NaN and infinity, which JSON does not have, with their key; "" for other errors.

    >>> _describe_number("JSON is malformed: invalid character (byte 10)", '{"a": [1, NaN]}')
    'a[1]: NaN is not a number in JSON; write a finite number or null'
    """
    position = re.search(r"\(byte (\d+)\)$", message)
    if position is None:
        return ""
    content = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    byte = int(position[1])
    words = WORD.finditer(content, max(0, byte - 16), byte + 16)
    word = next((word for word in words if word.start() <= byte <= word.end() + 1), None)
    if word is None:
        return ""
    reason = f"{word[0].decode()} is not a number in JSON; write a finite number or null"
    if word.end() > MAX_SCAN:
        return f"byte {word.start():,}: {reason}"
    path = _path_of_word(memoryview(content)[: word.end()], word.start())
    return "" if path is None else f"{path}: {reason}".removeprefix(": ")


def _path_of_word(content: memoryview, start: int) -> str | None:
    """Return the path of the word at byte ``start``, such as "a[0].b"; None if it is part of a string."""
    path: list[int | bytes] = []
    text = b""
    is_word = False
    for match in TOKENS.finditer(content):
        token = match[0]
        is_word = match.start() == start
        if token[:1] == b'"':
            text = token
        elif token in (b"[", b"{"):
            path.append(0 if token == b"[" else b"")
        elif token in (b"]", b"}"):
            del path[-1:]
        elif path and token == b":":
            path[-1] = text
        elif path and token == b"," and isinstance(path[-1], int):
            path[-1] += 1
    if not is_word:
        return None
    names = [f"[{key}]" if isinstance(key, int) else f".{_key(key)}" for key in path]
    return "".join(names).removeprefix(".")


def _key(text: bytes) -> str:
    """Return a key from its text in JSON."""
    try:
        return msgspec.json.decode(text, type=str)
    except (msgspec.DecodeError, ValueError):
        return text.strip(b'"').decode("utf-8", "replace")


def _plain_types(names: str) -> str:
    return " or ".join(_TYPES.get(name.strip(), name.strip()) for name in names.split("|"))


def _value_at(location: str, data: bytes | str) -> str | None:
    """Return the value at a path such as "$.a[0].b" as short JSON, or None where it cannot be followed."""
    try:
        value: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):  # damaged after the place that the message names
        return None
    for key, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", location):
        try:
            value = value[int(index)] if index else value[key]
        except (KeyError, IndexError, TypeError):  # "[...]" stands for any key of a mapping
            return None
    if "[...]" in location:
        return None
    return one_line(msgspec.json.encode(value).decode(), MAX_VALUE)
