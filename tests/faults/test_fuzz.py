"""Every parser handles damaged files; see tools/fuzz.py."""

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz import MAX_MESSAGE, Finding, Summary, fuzz, merge, mutate, run_input
from fuzz_parsers import PARSERS, Parser

from conftest import unavailable
from firstsight import load, train
from firstsight.cli.filter import _parse_padding, _parse_pixel
from firstsight.cli.summary import _parse_shapes
from firstsight.engine import checkpoint
from firstsight.errors import DataError, FirstsightError, UsageError
from firstsight.ops.kernels import parse_kernel
from firstsight.pose.skeleton import Skeleton
from firstsight.tasks.gan.parse_settings import parse_categories, parse_code_std
from firstsight.tasks.pose.evaluate import parse_scales
from firstsight.tasks.settings import parse_milestones

RECORDED = {
    "coco": "keypoints", "idx": "idx", "images": "image", "kernel": "kernel", "video": "video", "weights": "weights",
    "weights-list": "weights list", "zip": "archive",
}  # fmt: skip
"""Parser of each folder of recorded inputs."""
DOCUMENTS = {"config.json": "config", "metrics.jsonl": "metrics", "manifest.json": "manifest"}
"""Parser of each document of a run directory."""
TEXT_PARSERS: list[Callable[[str], object]] = [
    _parse_shapes, _parse_padding, _parse_pixel, parse_milestones, parse_categories, parse_scales, parse_kernel,
    lambda text: parse_code_std(text, 2),
]  # fmt: skip


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


@pytest.fixture
def recorded(shared: Path) -> Path:
    """Return the folder of inputs that once raised an exception, one folder for each parser; skip if it is absent."""
    folder = shared.parent / "cases" / "fuzz"
    if not folder.is_dir():
        unavailable("the recorded inputs are absent (set FIRSTSIGHT_SHARED to their folder)")
    return folder


def recorded_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix != ".txt")


def run_document(folder: Path, name: str) -> tuple[str, bytes]:
    """Return the path in the run directory and the content of a recorded document of a run."""
    place, _, content = (folder / name).read_bytes().partition(b"\0")
    return place.decode(), content.removeprefix(b"\0")


@pytest.mark.parametrize("folder", RECORDED)
def test_recorded_inputs_are_read_or_refused_in_one_sentence(recorded: Path, folder: str, tmp_path: Path) -> None:
    parser = PARSERS[RECORDED[folder]]
    parser.seeds(tmp_path)
    outcomes = {file.name: run_input(parser, file.read_bytes(), tmp_path) for file in recorded_files(recorded / folder)}
    assert outcomes
    assert {kind for kind, *_ in outcomes.values()} <= {"ok", "refused"}, outcomes


def test_recorded_skeletons_are_refused_in_one_sentence(recorded: Path) -> None:
    for file in recorded_files(recorded / "skeleton"):
        with pytest.raises(DataError) as error:
            Skeleton.from_category(json.loads(file.read_bytes()))
        assert len(str(error.value)) <= MAX_MESSAGE and str(error.value).isprintable()


def test_recorded_documents_of_runs_are_read_or_refused_in_one_sentence(recorded: Path, tmp_path: Path) -> None:
    """The manifests have the hashes of other files, which would be refused before the rest is used."""
    names = [file.name for file in recorded_files(recorded / "rundir")]
    assert len(names) >= 13
    for name in names:
        place, content = run_document(recorded / "rundir", name)
        parser = PARSERS[DOCUMENTS[Path(place).name]]
        folder = tmp_path / name
        folder.mkdir()
        (seed,) = parser.seeds(folder)
        if place.endswith("manifest.json"):
            hashes = json.loads(seed)["sha256"]
            content = with_hashes(checkpoint._without_checksum(content), hashes)
        kind, *rest = run_input(parser, content, folder)
        assert kind in ("ok", "refused"), (name, kind, rest)


def with_hashes(manifest: bytes, hashes: dict[str, str]) -> bytes:
    """Return a manifest with other hashes of its files."""
    return re.sub(rb'"sha256": {[^}]*}', f'"sha256": {json.dumps(hashes)}'.encode(), manifest)


def check_run(run: Path, place: str, content: bytes) -> None:
    """Replace a document of a run, load the run and resume it: both work or are refused in one sentence."""
    (run / place).write_bytes(content)
    for use in (lambda: load(run), lambda: train("lenet", out=run, epochs=3, resume=True)):
        try:
            use()
        except FirstsightError as error:
            assert len(str(error).replace(str(run), "")) <= MAX_MESSAGE and str(error).isprintable()


def test_recorded_documents_in_a_run_are_used_or_refused_in_one_sentence(
    recorded: Path, trained: Callable[[str], Path], tmp_path: Path
) -> None:
    for file in recorded_files(recorded / "rundir"):
        run = shutil.copytree(trained("lenet"), tmp_path / file.stem)
        place, content = run_document(recorded / "rundir", file.name)
        if place.endswith("manifest.json"):
            last = max((run / "checkpoints").iterdir())
            hashes = json.loads(checkpoint._without_checksum((last / checkpoint.MANIFEST).read_bytes()))["sha256"]
            text = with_hashes(checkpoint._without_checksum(content), hashes).decode()
            place, content = f"checkpoints/{last.name}/{checkpoint.MANIFEST}", checkpoint._with_checksum(text).encode()
            for other in (run / "checkpoints").iterdir():
                if other != last:
                    shutil.rmtree(other)
        check_run(run, place, content)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("manifest", b'"metrics": {', b'"metrics_": {'),
        ("manifest", b'"loop": {', b'"loop": [[1]], "loop_": {'),
        ("manifest", b'"loss": ', b'"loss": "0.2", "_": '),
        ("manifest", b'"samples": ', b'"samples": [[]], "_": '),
        ("manifest", b'"optimizers": {', b'"optimizers": ' + b"9" * 31 + b', "_": {'),
        ("config", b'"epochs": ', b'"epochs": 1.5, "_": '),
        ("config", b'"image_size": ', b'"image_size": "digits", "_": '),
        ("config", b'"weights": ', b'"weights": 9223372036854775808, "_": '),
        ("metrics", b'"step": ', b'"steps": '),
        ("metrics", b'{"epoch"', b'"x"\n{"epoch"'),
        ("metrics", b'{"epoch"', b"[" * 100_000 + b'{"epoch"'),
    ],
)
def test_damaged_documents_in_a_run_are_used_or_refused_in_one_sentence(
    trained: Callable[[str], Path], tmp_path: Path, name: str, old: bytes, new: bytes
) -> None:
    run = shutil.copytree(trained("lenet"), tmp_path / "run")
    place = {"config": "config.json", "metrics": "metrics.jsonl"}.get(name, "")
    if not place:
        last = max((run / "checkpoints").iterdir())
        for other in (run / "checkpoints").iterdir():
            if other != last:
                shutil.rmtree(other)
        place = f"checkpoints/{last.name}/{checkpoint.MANIFEST}"
        body = checkpoint._without_checksum((run / place).read_bytes())
        assert old in body
        check_run(run, place, checkpoint._with_checksum(body.replace(old, new, 1).decode()).encode())
        return
    content = (run / place).read_bytes()
    assert old in content
    check_run(run, place, content.replace(old, new, 1))


def check_text(text: str) -> None:
    """Check that every parser of text of the command line accepts a text, or refuses it in one sentence."""
    for parse in TEXT_PARSERS:
        try:
            parse(text)
        except UsageError as error:
            assert len(str(error)) <= MAX_MESSAGE and str(error).isprintable(), (parse, error)


def test_recorded_text_is_parsed_or_refused_in_one_sentence(recorded: Path) -> None:
    files = recorded_files(recorded / "misc")
    assert files
    for file in files:
        check_text(file.read_bytes().decode())


@pytest.mark.parametrize(
    "text",
    ["3x2²x224", "1" * 5001, "²", "٣,٣", "3x" + "9" * 400 + "x4", "1\n_", "\x1b[31m", "1,2\x00", "nan", "1e999", "-",
     "", ",", "x", "1;" * 500, "가" * 400],
)  # fmt: skip
def test_text_is_parsed_or_refused_in_one_sentence(text: str) -> None:
    check_text(text)
