"""Every parser handles damaged files; see tools/fuzz.py."""

import random
from pathlib import Path

import pytest
from fuzz import MAX_MESSAGE, Finding, Summary, fuzz, merge, mutate, run_input
from fuzz_parsers import PARSERS, Parser

from firstsight.errors import DataError


class RawError(DataError):
    """Error whose message is not made one line."""

    def __init__(self, message: str) -> None:
        super().__init__("")
        self.message = message

    def __str__(self) -> str:
        return self.message


def parser_that(outcome: Exception | None) -> Parser:
    def parse(path: Path) -> object:
        if outcome is not None:
            raise outcome
        return path.read_bytes()

    return Parser(".txt", lambda _: [b"seed"], parse)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (None, "ok"),
        (DataError("x.json: not valid JSON"), "refused"),
        (RawError("x" * (MAX_MESSAGE + 1)), "message"),
        (RawError("two\nlines"), "message"),
        (RawError("red \x1b[31m"), "message"),
        (KeyError("id"), "crash"),
        (RecursionError("deep"), "crash"),
        (MemoryError(), "crash"),
    ],
)
def test_outcomes_are_told_apart(outcome: Exception | None, kind: str, tmp_path: Path) -> None:
    assert run_input(parser_that(outcome), b"content", tmp_path)[0] == kind


def test_inputs_repeat_with_the_same_seed_and_differ_otherwise() -> None:
    seeds = [bytes(range(256)), b'{"a": [1, 2.5, "text"]}']
    first, again = ([mutate(seeds, random.Random(f"{seed}")) for seed in range(300)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 250
    assert len([1 for each in first if each in seeds]) < 15
    assert mutate(seeds, random.Random("other")) not in first[:1]


def test_the_smallest_input_of_a_finding_is_kept() -> None:
    parts = [Summary(), Summary()]
    for part, content in zip(parts, (b"long content", b"short"), strict=True):
        part.add(Finding("image", "crash", "KeyError at x.py:3", "", content))
    total = merge(parts)
    (finding,) = total.findings.values()
    assert finding.content == b"short" and sum(total.repeated.values()) == 2


@pytest.mark.parametrize("name", PARSERS)
def test_parsers_accept_the_files_that_are_mutated(name: str, tmp_path: Path) -> None:
    parser = PARSERS[name]
    outcomes = [run_input(parser, content, tmp_path) for content in parser.seeds(tmp_path)]
    assert {kind for kind, *_ in outcomes} <= {"ok", "refused"}
    assert any(kind == "ok" for kind, *_ in outcomes), outcomes


@pytest.mark.slow
def test_half_a_minute_of_damaged_files_gives_no_findings() -> None:
    summary = fuzz(list(PARSERS), seed=1, first=0, step=1, inputs=None, seconds=30)
    assert sum(summary.inputs.values()) > 500
    assert not summary.findings
