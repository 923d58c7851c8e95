"""The typed keyword arguments of `firstsight.train` are the settings of all kinds of tasks."""

from make_train_settings import STUB, TARGET, stub, text


def test_the_generated_files_are_up_to_date() -> None:
    """Run ``python tools/make_train_settings.py`` after a change of settings."""
    assert TARGET.read_text(encoding="utf-8") == text()
    assert STUB.read_text(encoding="utf-8") == stub()
