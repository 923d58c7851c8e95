"""Documents of run directories: lines of metrics, and numbers that JSON does not have."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstsight.documents.runs import decode_metrics_line, encode, replace_not_finite
from firstsight.errors import RunError


@given(st.dictionaries(st.text(), st.floats()))
def test_metrics_are_read_as_they_were_written_and_numbers_that_are_not_finite_as_nan(
    metrics: dict[str, float],
) -> None:
    line = {**metrics, "epoch": 3, "step": 12}
    text = encode(line)
    json.loads(text, parse_constant=pytest.fail)  # no NaN, no Infinity
    read = decode_metrics_line(text.encode(), source="line", error=RunError)
    assert read.keys() == line.keys()
    for name, value in line.items():
        assert read[name] == value if math.isfinite(value) else math.isnan(read[name]), name


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"[NaN,-Infinity, Infinity]", b"[null,null, null]"),
        (b'{"NaN": NaN}', b'{"NaN": null}'),
        (b'["a \\" NaN", "\\\\", NaN]', b'["a \\" NaN", "\\\\", null]'),
        (b'{"ok": "Infinity"}', b'{"ok": "Infinity"}'),
        (b"[1, NaNs]", b"[1, NaNs]"),
    ],
)
def test_numbers_of_earlier_versions_that_json_lacks_become_null(old: bytes, new: bytes) -> None:
    assert replace_not_finite(old) == new


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            b'{"epoch": 1, "step": 23, "train/loss": ""}',
            "line 4: [...]: expected an integer or a number or null",
        ),
        (b'{"epoch": 1}', "line 4: object missing required field step"),
        (b'{"epoch": 1, "step": "x"}', 'line 4: step: expected an integer, got "x"'),
        (b'{"epoch": -1, "step": 2}', "line 4: epoch: expected an integer >= 0, got -1"),
        (b'{"epoch": 1, "step": ' + b"9" * 400 + b"}", "line 4: step: expected an integer <= 9007199254740992"),
        (b'{"epoch": 1, "step": 2, "a": 1e999}', "line 4: [...]: number out of range"),
        (b'"x"', "line 4: expected an object, got text"),
        (b"[" * 200_000, "line 4: expected an object, got a list"),
        (b'{"epoch": 1, "step": 2, "\xff": 0}', "line 4: not valid JSON ("),
        (b"", "line 4: not valid JSON (Input data was truncated)"),
    ],
)
def test_damaged_lines_are_described(line: bytes, message: str) -> None:
    with pytest.raises(RunError) as error:
        decode_metrics_line(line, source="line 4", error=RunError)
    assert str(error.value).startswith(message)
    assert len(str(error.value)) <= 300
