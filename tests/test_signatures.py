"""Signatures of public functions, as help and notebooks show them."""

import inspect

import firstsight
from firstsight.arguments import ignore, iterate


def test_signatures_have_no_addresses() -> None:
    public = [getattr(firstsight, name) for name in firstsight.__all__]
    functions = [each for each in public if inspect.isfunction(each)]
    assert len(functions) > 15
    assert not [each.__name__ for each in functions if " at 0x" in str(inspect.signature(each))]
    parameters = inspect.signature(firstsight.evaluate).parameters
    assert (repr(parameters["notify"].default), repr(parameters["progress"].default)) == ("ignore", "iter")


def test_the_named_defaults_ignore_and_iterate() -> None:
    ignore("a line")
    assert list(iterate([1, 2])) == [1, 2]
