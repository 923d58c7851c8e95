"""Messages of documents that do not fit their schema."""

from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstsight.documents.decode import Count, decode_document, read_document
from firstsight.errors import DataError, WeightsError
from firstsight.text import MAX_MESSAGE, one_line


class Card(msgspec.Struct):
    """Schema of these tests."""

    kind: str
    classes: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scores: dict[str, float] = {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "card: expected an object, got a list"),
        ("{}", "card: object missing required field kind"),
        ('{"kind": 3}', "card: kind: expected text, got 3"),
        ('{"kind": "a", "classes": 1001}', "card: classes: expected an integer <= 1000, got 1001"),
        ('{"kind": "a", "classes": "²"}', 'card: classes: expected an integer, got "²"'),
        ('{"kind": "a", "mean": [0, 1]}', "card: mean: expected a list of length 3, got [0,1]"),
        ('{"kind": "a", "mean": [0, 1, null]}', "card: mean[2]: expected a number, got null"),
        ('{"kind": "a", "scores": {"b": "c"}}', "card: scores[...]: expected a number, got text"),
        ('{"kind": "a", "scores": {"b": 1e999}}', "card: scores[...]: number out of range"),
        (
            '{"kind": "a", "scores": {"b": NaN}}',
            "card: scores.b: NaN is not a number in JSON; write a finite number or null",
        ),
        ("[" * 100_000, "card: expected an object, got a list"),
        ("", "card: not valid JSON (Input data was truncated)"),
    ],
)
def test_message_names_the_key_and_the_value(text: str | bytes, message: str) -> None:
    with pytest.raises(WeightsError) as error:
        decode_document(text, Card, source="card", error=WeightsError)
    assert str(error.value) == message


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"^card: not valid JSON \(.*(UTF|utf)-8"):
        decode_document(b'{"kind": "\xff"}', Card, source="card", error=WeightsError)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "nan", "-NaN", "inf", "+inf", "INF"])
@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("%s\n ", ""),
        ("[0, %s]", "[1]: "),
        ('{"a": [{"b": "NaN"}, {"b\\u0041 ]": [1, [], {}, %s, 2]}]}', "a[1].bA ][3]: "),
        ('{"text": "\\"NaN\\\\", "list": [[1, 2], [3, %s]]}', "list[1][1]: "),
        ('{"\N{HANGUL SYLLABLE GA}":\n {"x" : %s}}', "\N{HANGUL SYLLABLE GA}.x: "),
    ],
)
def test_numbers_that_json_lacks_are_named_with_their_key(text: str, key: str, number: str) -> None:
    for data in (text % number, (text % number).encode()):
        with pytest.raises(DataError) as error:
            decode_document(data, object, source="a.json")
        assert str(error.value) == f"a.json: {key}{number} is not a number in JSON; write a finite number or null"


@pytest.mark.parametrize(
    "text", ['["nan\\q"]', '["a, nan\\q, inf"]', "[nano]", "[x, NaN]", '{"NaN": 1,}', '["NaN', '["a", NaN_1]']
)
def test_other_errors_are_not_taken_for_such_numbers(text: str) -> None:
    with pytest.raises(DataError, match=r"^a.json: not valid JSON"):
        decode_document(text, object, source="a.json")


def test_the_place_of_such_a_number_is_found_in_large_and_in_hostile_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = '{"a": "' + '\\"' * 200_000 + '", "b": ' + "[" * 200 + "NaN"
    with pytest.raises(DataError, match=r"^x: b(\[0\])+.*NaN is not a number in JSON") as error:
        decode_document(hostile + "]" * 200 + "}", object, source="x")
    assert len(str(error.value)) <= MAX_MESSAGE
    monkeypatch.setattr("firstsight.documents.decode.MAX_SCAN", 10)
    with pytest.raises(DataError, match=r"^x: byte 13: NaN is not a number in JSON"):
        decode_document("[" + "1, " * 4 + "NaN]", object, source="x")


def test_deep_documents_of_any_type_are_refused() -> None:
    with pytest.raises(DataError, match=r"^x: nested too deeply$"):
        decode_document("[" * 100_000, object, source="x")


@pytest.mark.parametrize("schema", [Count, float])
def test_long_numbers_are_refused(schema: type[object]) -> None:
    with pytest.raises(DataError, match=r"^x: (number|integer value) out of range$|expected an integer <= "):
        decode_document("9" * 400, schema, source="x")


def test_files_beyond_the_limit_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text('{"kind": "a"}')
    assert read_document(path, Card, max_bytes=13).kind == "a"
    with pytest.raises(DataError, match=r"card.json: larger than 12 bytes"):
        read_document(path, Card, max_bytes=12)


@pytest.mark.parametrize("name", ["absent.json", ".", "a\0b"])
def test_unreadable_paths_have_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"^[^\n]+: [^\n]+$"):
        read_document(tmp_path / name, Card)


@given(st.text())
def test_one_line_has_no_control_characters(text: str) -> None:
    line = one_line(text)
    assert len(line) <= MAX_MESSAGE
    assert line.isprintable()


def test_one_line_keeps_the_beginning_and_the_end() -> None:
    line = one_line("file.json: " + "x" * 1000 + " is too long")
    assert line.startswith("file.json: ")
    assert line.endswith(" is too long")
    assert len(line) == MAX_MESSAGE
