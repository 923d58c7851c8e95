"""Fuzz every parser: mutate small valid files, and check how each mutated file is handled.

    python tools/fuzz.py [--minutes 10 | --inputs 1000000] [--seed 0] [--parsers NAME ...] [--workers 2] [--out FOLDER]

A parser must return, or raise one of the errors of firstsight whose message is one line of at most 300 characters, in
at most 5 seconds and 1 GB of memory. Every other outcome is a finding: "crash" (another exception), "message" (long,
several lines, control characters), "hang", "memory" or "died" (the process ended). Findings are minimized by removing
parts of the file, grouped by the place that raised, and written to --out. The exit code is 1 if there are any.

The inputs are a function of the seed, the parser and the number of the input, so that a finding can be repeated.
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from fuzz_parsers import PARSERS, Parser

SECONDS, MEMORY, MAX_MESSAGE = 5.0, 2**30, 300
SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Folder of the inputs: memory, because replacing a file on a disk waits for the disk."""
BATCH = 91
"""Number of inputs that a process parses between two messages."""
MAX_BYTES = 200_000
"""Maximum size of a mutated file in bytes."""
INTERESTING = [
    b"\x00", b"\xff", b"\x7f", b"\x80", b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff" * 8,
    b"0", b"-1", b"1e999", b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}", b'""', b"9" * 400, b"\xc2\xb2", b"\n",
    b"-0", b"0.1", b"20000000", b"4294967296", b"[[[[[[[[", b'"\\ud800"', b"../../x", b"\x1b[31m", b"$20_$50",
    "\N{HANGUL SYLLABLE GA}".encode(), b"a" * 500,
]  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """Outcome of an input that a parser must not have."""

    parser: str
    kind: str
    place: str
    """Last line of firstsight in the traceback; for a message the message."""
    detail: str
    content: bytes


@dataclass
class Summary:
    """Counts of a run."""

    inputs: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict)
    repeated: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    slowest: float = 0.0
    peak: int = 0

    def add(self, finding: Finding) -> None:
        """Keep the smallest input of each kind and place."""
        key = finding.parser, finding.kind, finding.place
        self.repeated[key] += 1
        if key not in self.findings or len(finding.content) < len(self.findings[key].content):
            self.findings[key] = finding


def mutate(seeds: list[bytes], rng: random.Random) -> bytes:
    """Return a mutated copy of one of the seeds; every eighth input is combined from two."""
    data = bytearray(rng.choice(seeds))
    if rng.random() < 0.125:
        other = rng.choice(seeds)
        data = data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        position = rng.randrange(len(data) + 1)
        if rng.random() < 0.3:  # headers are at the beginning
            position = min(position, rng.randrange(64))
        length = rng.choice((1, 1, 2, 4, 8, 64))
        kind = rng.randrange(8)
        if kind == 0 and data:
            data[position % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[position % len(data)] = rng.randrange(256)
        elif kind == 2:
            del data[position : position + length]
        elif kind == 3:
            data[position:position] = data[position : position + length] * rng.choice((1, 2, 16))
        elif kind == 4:
            token = rng.choice(INTERESTING)
            data[position : position + len(token)] = token
        elif kind == 5:
            data[position:position] = rng.choice(INTERESTING)
        elif kind == 6:
            data = replace_token(data, rng)
        else:
            del data[rng.randrange(len(data) + 1) :]
    return bytes(data[:MAX_BYTES])


def replace_token(data: bytearray, rng: random.Random) -> bytearray:
    """Replace a number or a quoted text by an interesting value."""
    start = rng.randrange(len(data) + 1)
    is_token = [chr(byte).isalnum() or byte in b'.-"' for byte in data[start : start + 400]]
    if not any(is_token):
        return data
    begin = is_token.index(True)
    end = begin + next((i for i, same in enumerate(is_token[begin:]) if not same), len(is_token) - begin)
    return data[: start + begin] + rng.choice(INTERESTING) + data[start + end :]


def run_input(parser: Parser, content: bytes, folder: Path) -> tuple[str, str, str]:
    """Parse one input. Return the kind of the outcome ("ok", "refused" or that of a finding), its place, a detail."""
    from firstsight.errors import FirstsightError

    path = folder / f"input{parser.suffix}"
    path.write_bytes(content)
    try:
        parser.parse(path)
    except FirstsightError as error:
        message = str(error)
        if len(message.replace(str(folder), "")) > MAX_MESSAGE:
            return "message", f"{len(message)} characters", message
        if not message.isprintable():
            return "message", "not printable on one line", message
        return "refused", "", message
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "firstsight" in frame.filename]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside"
        return "crash", f"{type(error).__name__} at {place}", str(error)[:300]
    return "ok", "", ""


@dataclass
class Outcomes:
    """Outcomes of a batch of inputs."""

    kinds: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    slowest: float = 0.0
    peak: int = 0


def work(connection: Connection, started: "Synchronized[float]", names: list[str], seed: int) -> None:
    """Process batches of jobs ``(parser, number)`` or ``(parser, content)`` until None is received.

    ``started`` is set to the time at which each input begins. An input that takes too much memory ends the process.
    """
    import torch

    torch.set_num_threads(1)
    os.nice(5)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as scratch:
        folder = Path(scratch)
        os.chdir(folder)
        with Path(os.devnull).open("w") as null:
            os.dup2(null.fileno(), 2)  # warnings of decoders
        seeds = {name: PARSERS[name].seeds(folder) for name in names}
        for name in names:  # the imports of the first call are not counted
            for content in seeds[name]:
                run_input(PARSERS[name], content, folder)
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        limit = base * 1024 + 3 * MEMORY
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        connection.send(None)
        while (batch := connection.recv()) is not None:
            outcomes = Outcomes()
            for name, item in batch:
                content = item if isinstance(item, bytes) else make_input(name, item, seeds[name], seed)
                started.value = begin = time.monotonic()
                kind, place, detail = run_input(PARSERS[name], content, folder)
                outcomes.slowest = max(outcomes.slowest, time.monotonic() - begin)
                outcomes.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                if kind in ("ok", "refused") and (outcomes.peak - base) * 1024 > MEMORY:
                    detail = f"{(outcomes.peak - base) / 2**20:.1f} GB, then: {detail}"
                    kind, place = "memory", kind
                outcomes.kinds.append(kind)
                if kind not in ("ok", "refused"):
                    outcomes.findings.append(Finding(name, kind, place, detail, content))
                if kind == "memory":
                    break  # the maximum of a process never decreases
            connection.send(outcomes)


def make_input(name: str, number: int, seeds: list[bytes], seed: int) -> bytes:
    """Return input ``number`` of a parser."""
    return mutate(seeds, random.Random(f"{seed} {name} {number}"))


Job = tuple[str, int | bytes]


class Worker:
    """Process that parses inputs, replaced when it hangs or dies."""

    def __init__(self, names: list[str], seed: int) -> None:
        self.names, self.seed = names, seed
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.started = context.Value("d", 0.0)
        self.process = context.Process(target=work, args=(other, self.started, self.names, self.seed), daemon=True)
        self.process.start()
        other.close()
        self.connection.recv()

    def run(self, batch: list[Job]) -> Outcomes:
        """Process several jobs. After a hang or the end of the process, each is processed alone."""
        failure = self._send(batch)
        if isinstance(failure, Outcomes):
            outcomes = failure
            if len(outcomes.kinds) < len(batch):
                self._restart()
                return self._join(outcomes, self.run(batch[len(outcomes.kinds) :]))
            if "memory" in outcomes.kinds:
                self._restart()
            return outcomes
        self._restart()
        if len(batch) == 1:
            name, item = batch[0]
            content = item if isinstance(item, bytes) else b""
            place = f"input {item}" if isinstance(item, int) else ""
            return Outcomes([failure], [Finding(name, failure, place, "", content)], SECONDS)
        result = Outcomes()
        for job in batch:
            result = self._join(result, self.run([job]))
        return result

    def _send(self, batch: list[Job]) -> Outcomes | str:
        """Return the outcomes, or "hang" or "died"."""
        try:
            self.started.value = time.monotonic()
            self.connection.send(batch)
            while not self.connection.poll(SECONDS / 4):
                if time.monotonic() - self.started.value > SECONDS:
                    return "hang"
            outcomes: Outcomes = self.connection.recv()
            return outcomes
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return "died"

    @staticmethod
    def _join(first: Outcomes, second: Outcomes) -> Outcomes:
        return Outcomes(
            first.kinds + second.kinds,
            first.findings + second.findings,
            max(first.slowest, second.slowest),
            max(first.peak, second.peak),
        )

    def _restart(self) -> None:
        self.process.kill()
        self.process.join()
        self._start()

    def close(self) -> None:
        """End the process."""
        self.process.kill()


def minimize(worker: Worker, finding: Finding, *, seconds: float = 3.0) -> Finding:
    """Return the finding with parts of its input removed, as long as kind and place stay the same."""
    content, deadline = finding.content, time.monotonic() + seconds
    size = len(content) // 2
    while size and time.monotonic() < deadline:
        position = 0
        while position < len(content) and time.monotonic() < deadline:
            shorter = content[:position] + content[position + size :]
            findings = worker.run([(finding.parser, shorter)]).findings
            if [(each.kind, each.place) for each in findings] == [(finding.kind, finding.place)]:
                content = shorter
            else:
                position += size
        size //= 2
    return Finding(finding.parser, finding.kind, finding.place, finding.detail, content)


def fuzz(
    names: list[str],
    *,
    seed: int,
    first: int,
    step: int,
    inputs: int | None,
    seconds: float | None,
    notify: Callable[[str], None] = lambda line: None,
) -> Summary:
    """Run inputs ``first, first + step, ...`` of the parsers in turn, in one worker, until a limit is reached."""
    worker, summary, begin = Worker(names, seed), Summary(), time.monotonic()
    weighted = [name for name in names for _ in range(PARSERS[name].weight)]
    number, reported = first, begin
    while (inputs is None or number < inputs) and (seconds is None or time.monotonic() - begin < seconds):
        numbers = range(number, min(number + BATCH * step, inputs or number + BATCH * step), step)
        batch: list[Job] = [(weighted[each // step % len(weighted)], each) for each in numbers]
        outcomes = worker.run(batch)
        for (name, _), kind in zip(batch, outcomes.kinds, strict=True):
            summary.inputs[name] += 1
            summary.refused[name] += kind == "refused"
        summary.slowest, summary.peak = max(summary.slowest, outcomes.slowest), max(summary.peak, outcomes.peak)
        for finding in outcomes.findings:
            if not finding.content and finding.place:
                with tempfile.TemporaryDirectory() as scratch:
                    seeds = PARSERS[finding.parser].seeds(Path(scratch))
                lost = int(finding.place.removeprefix("input "))
                lost_input = make_input(finding.parser, lost, seeds, seed)
                summary.add(replace(finding, place="", content=lost_input))
            else:
                summary.add(finding)
        number += BATCH * step
        if time.monotonic() - reported > 60:
            reported = time.monotonic()
            notify(f"{sum(summary.inputs.values()):,} inputs, {len(summary.findings)} findings")
    for key, finding in summary.findings.items():
        if finding.kind in ("crash", "message"):
            summary.findings[key] = minimize(worker, finding)
    worker.close()
    return summary


def _fuzz_part(arguments: tuple[list[str], int, int, int, int | None, float | None]) -> Summary:
    names, seed, first, step, inputs, seconds = arguments
    return fuzz(
        names, seed=seed, first=first, step=step, inputs=inputs, seconds=seconds,
        notify=lambda line: print(line, flush=True),
    )  # fmt: skip


def merge(parts: list[Summary]) -> Summary:
    """Return the sum of several summaries."""
    total = Summary()
    for part in parts:
        total.inputs += part.inputs
        total.refused += part.refused
        total.slowest, total.peak = max(total.slowest, part.slowest), max(total.peak, part.peak)
        for key, finding in part.findings.items():
            total.add(finding)
            total.repeated[key] += part.repeated[key] - 1
    return total


def main() -> int:
    """Fuzz, print the counts and the findings, and write the findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--inputs", type=int, help="number of inputs, in place of --minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parsers", nargs="*", default=list(PARSERS), choices=list(PARSERS))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="write the findings to this folder")
    arguments = parser.parse_args()
    seconds = None if arguments.inputs else 60 * arguments.minutes
    begin = time.monotonic()
    jobs = [
        (arguments.parsers, arguments.seed, first, arguments.workers, arguments.inputs, seconds)
        for first in range(arguments.workers)
    ]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(arguments.workers) as pool:
        total = merge(list(pool.map(_fuzz_part, jobs)))
    print(f"{sum(total.inputs.values()):,} inputs in {time.monotonic() - begin:.0f} s, seed {arguments.seed}")
    for name in arguments.parsers:
        print(f"  {name}: {total.inputs[name]:,} inputs, {total.refused[name]:,} refused in one sentence")
    print(f"slowest input {total.slowest:.2f} s, peak memory of a process {total.peak / 2**20:.2f} GB")
    print(f"{len(total.findings)} findings")
    for key, finding in total.findings.items():
        place = f"{finding.kind} {finding.place} ({total.repeated[key]} times)"
        print(f"  {finding.parser}: {place}: {finding.detail[:200]!r}")
    if arguments.out:
        write_findings(total, arguments.out)
    return bool(total.findings)


def write_findings(summary: Summary, folder: Path) -> None:
    """Write the input of each finding, and a JSON document that describes all."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = []
    for index, finding in enumerate(summary.findings.values()):
        name = f"{finding.parser}-{finding.kind}-{index}{PARSERS[finding.parser].suffix}"
        (folder / name).write_bytes(finding.content)
        documents.append({"file": name, "kind": finding.kind, "place": finding.place, "detail": finding.detail})
    (folder / "findings.json").write_text(json.dumps(documents, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
