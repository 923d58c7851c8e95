"""Limits of sizes, and numbers in text that the user writes."""

from collections.abc import Callable

import pytest

from firstsight.data.limits import max_bytes, max_pixels
from firstsight.data.video import is_camera, is_video
from firstsight.data.video_process import _max_pixels
from firstsight.documents.keypoints import parse_id
from firstsight.errors import UsageError

NO_NUMBERS = ["²", "1²", "٣", "①", "-1", "+1", "1e3", "1.5", " 1", "1_0", "0x1", "1" * 5000, "\N{FULLWIDTH DIGIT ONE}"]
"""Text of which ``str.isdigit``, ``str.isnumeric`` or ``int`` accept a part, and a number of too many digits."""


@pytest.mark.parametrize(
    ("variable", "read", "unit"),
    [
        ("FIRSTSIGHT_MAX_MB", lambda: max_bytes(7), 10**6),
        ("FIRSTSIGHT_MAX_MEGAPIXELS", lambda: max_pixels(7), 10**6),
        ("FIRSTSIGHT_VIDEO_PIXELS", _max_pixels, 1),
    ],
)
def test_limits_are_positive_integers(
    monkeypatch: pytest.MonkeyPatch, variable: str, read: Callable[[], int], unit: int
) -> None:
    default = read()
    for text, value in (("", default), ("3", 3 * unit), ("007", 7 * unit), ("9999999", 9999999 * unit)):
        monkeypatch.setenv(variable, text)
        assert read() == value
    for text in ("0", *NO_NUMBERS):
        monkeypatch.setenv(variable, text)
        with pytest.raises(UsageError, match=f"^{variable} must be ") as error:
            read()
        assert len(str(error.value)) <= 300


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_a_camera_has_a_number(number: str) -> None:
    assert not is_camera(f"camera:{number}") and not is_video(f"camera:{number}")
    assert is_camera("camera:12") and is_camera("camera")


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_ids_are_numbers_of_digits(number: str) -> None:
    assert parse_id(number) is None
