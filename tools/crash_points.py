"""Kill small trainings, or let them fail, at every file operation, and check that the resumed runs are the same.

    python tools/crash_points.py FOLDER                                  # all kinds, every operation: hours
    python tools/crash_points.py FOLDER --recipe gan --every 20 --faults kill

For each kind of training, one process trains undisturbed in FOLDER/RECIPE/calm, with a checkpoint after every step. A
library (crash_points.c, loaded with LD_PRELOAD) counts its file operations below the run directory: open, read, write,
fsync, close, rename, mkdir, unlink, rmdir and listing a folder. For every N-th operation and each fault another process
trains in a new directory:

kill      it is killed before the operation; a write is half done
enospc    the operation fails as on a full disk; only those that take space
eio       the operation fails with an input/output error

It must be killed, succeed, or end with exit code 1 and one sentence. A third process resumes the run without a fault
and must succeed. Then the run directory must have the same files as the undisturbed one, and the same bits in the
weights, the optimizer states and the metrics. Prints one line per failure and a summary; the exit code is 1 if any
point fails. Linux with a C compiler.
"""

import argparse
import ctypes
import errno
import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).parent
IMAGES = ["--data", "images", "--image-size", "8", "--batch-size", "8", "--epochs", "2"]
PEOPLE = ["--data", "people/person_keypoints.json", "--batch-size", "4", "--epochs", "2"]
RECIPES = {
    "classification": ["convnet", *IMAGES],
    "gan": ["infogan", "--d-width", "4", "--categories", "2", *IMAGES],
    "bottom-up": ["openpose-tiny", "--image-size", "64", *PEOPLE],
    "top-down": ["pose-tiny", "--image-size", "32", *PEOPLE],
}
FAULTS = {"kill": -1, "enospc": errno.ENOSPC, "eio": errno.EIO}
MAX_MESSAGE = 300
VOLATILE = {"seconds", "train_seconds"}
"""Keys of documents that hold times."""


@dataclass
class Outcome:
    """Result for one kind of training.

    Attributes
    ----------
    operations : dict[str, int]
        Number of operations of the undisturbed training, by fault that can happen there.
    points : int
        Number of trainings that were disturbed.
    failures : list[str]
        One line for each that did not end as it should.
    """

    operations: dict[str, int] = field(default_factory=dict)
    points: int = 0
    failures: list[str] = field(default_factory=list)


def make_data(folder: Path) -> None:
    """Write 20 images of two classes, and 10 photographs of a stick figure with COCO keypoints."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(7)
    for label, level in (("dark", 60), ("light", 190)):
        (folder / "images" / label).mkdir(parents=True)
        for i in range(10):
            pixels = np.clip(rng.normal(level, 12, (8, 8)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / label / f"{i}.png")
    (folder / "people" / "images").mkdir(parents=True)
    images, annotations = [], []
    for i in range(1, 11):
        joints = np.array([[48, 24], [70, 50], [26, 50], [64, 96], [32, 96]]) + rng.uniform(-5, 5, (5, 2))
        y, x = np.mgrid[:120, :96] + 0.5
        dots = [200 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 18) for a, b in joints]
        pixels = np.stack([dots[1] + dots[3], dots[0], dots[2] + dots[4]], -1).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "people" / "images" / f"{i}.png")
        low, size = joints.min(0), np.ptp(joints, 0)
        keypoints = np.concatenate([joints, np.full((5, 1), 2)], 1).ravel().tolist()
        images.append({"id": i, "file_name": f"{i}.png", "width": 96, "height": 120})
        person = {"id": i, "image_id": i, "category_id": 1, "area": 3000.0, "keypoints": keypoints}
        annotations.append({**person, "bbox": [*low.tolist(), *size.tolist()]})
    names = ["head", "left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    category = {"id": 1, "name": "person", "keypoints": names, "skeleton": [[1, 2], [1, 3], [2, 4], [3, 5]]}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    (folder / "people" / "person_keypoints.json").write_text(json.dumps(content))


def build_library(folder: Path) -> Path:
    """Compile the library and return its path."""
    library = folder / "crash_points.so"
    compiler = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", str(library)]
    subprocess.run([*compiler, str(TOOLS / "crash_points.c"), "-ldl"], check=True)
    return library


class Trainer:
    """Trains in forks of this process.

    Parameters
    ----------
    folder : Path
        Folder with the data.
    arguments : list[str]
        Arguments of ``firstsight train``.
    """

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.folder, self.arguments = folder, arguments
        self.library = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self.messages = folder / "messages.txt"

    def train(self, out: Path, *, at: int = 0, fault: str = "kill") -> tuple[int, str]:
        """Train or resume in ``out``, with a fault at operation ``at``; return exit code and messages."""
        from helpers.forked import start, wait

        self.messages.unlink(missing_ok=True)
        options = ["--out", str(out), "--resume", "--quiet", "--checkpoint-seconds", "0"]

        def body() -> int:
            from firstsight.cli import main

            os.chdir(self.folder)
            self.library.crash_begin(os.fsencode(out), ctypes.c_long(at), FAULTS[fault])
            code = main(["train", *self.arguments, *options])
            report = {"operations": [self._count(0), self._count(1)], "modules": [*sys.modules]}
            (self.folder / "report.json").write_text(json.dumps(report))
            return code

        code = wait(start(body, stderr=self.messages))
        return code, self.messages.read_text() if self.messages.exists() else ""

    def _count(self, takes_space: int) -> int:
        self.library.crash_count.restype = ctypes.c_long
        return int(self.library.crash_count(takes_space))

    def operations(self) -> tuple[int, int]:
        """Return the number of operations of the last training, and how many of them take space."""
        every, space = json.loads((self.folder / "report.json").read_text())["operations"]
        return every, space

    def import_modules(self) -> None:
        """Import what the last training imported, so that the next ones need not."""
        for name in json.loads((self.folder / "report.json").read_text())["modules"]:
            if name.startswith(("firstsight.", "matplotlib.", "scipy.", "PIL.", "torch.optim.")):
                with suppress(ImportError):
                    importlib.import_module(name)


def describe_run(run: Path) -> dict[str, str]:
    """Return the content of each file of a run directory as a hash, without times; only the names of other files."""
    result = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.is_dir():
            result[name] = "folder"
        elif path.name == "model.safetensors" or path.suffix in (".html", ".json", ".lock"):
            result[name] = "file"  # times and settings of this run
        elif path.suffix == ".jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            result[name] = str([{k: v for k, v in line.items() if k not in VOLATILE} for line in lines])
        else:
            result[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    if (run / "model.safetensors").is_file():
        result["weights"] = hash_weights(run / "model.safetensors")
    return result


def hash_weights(path: Path) -> str:
    """Return a hash of the tensors in a file, without its card."""
    from safetensors.numpy import load_file

    tensors = load_file(path)
    return hashlib.sha256(b"".join(tensors[name].tobytes() for name in sorted(tensors))).hexdigest()


def check_point(trainer: Trainer, out: Path, expected: dict[str, str], *, at: int, fault: str) -> Iterator[str]:
    """Train with a fault and resume; yield a sentence for everything that is wrong."""
    code, messages = trainer.train(out, at=at, fault=fault)
    allowed = (-signal.SIGKILL,) if fault == "kill" else (0, 1)
    *_, last = messages.splitlines() or [""]  # lines before it are notes on the data
    is_sentence = last.startswith("firstsight: ") and len(last) <= MAX_MESSAGE
    if code not in allowed or (code == 1 and not is_sentence) or "Traceback" in messages:
        yield f"exit code {code}: {messages[-2000:]}"
    code, messages = trainer.train(out)
    if code or "Traceback" in messages:
        yield f"resumed: exit code {code}: {messages[-2000:]}"
    actual = describe_run(out)
    for name in sorted(expected.keys() | actual.keys()):
        if expected.get(name) != actual.get(name):
            yield f"{name}: {actual.get(name, 'missing')}, expected {expected.get(name, 'no such file')}"


def sweep(recipe: str, folder: Path, faults: list[str], *, first: int, every: int) -> Outcome:
    """Disturb a training at every ``every``-th operation from ``first`` on."""
    folder.mkdir(parents=True)
    make_data(folder)
    trainer = Trainer(folder, RECIPES[recipe])
    code, messages = trainer.train(folder / "calm")
    if code:
        raise SystemExit(f"{recipe}: undisturbed: exit code {code}: {messages}")
    trainer.import_modules()
    total, space = trainer.operations()
    expected = describe_run(folder / "calm")
    outcome = Outcome({fault: space if fault == "enospc" else total for fault in faults})
    for fault, operations in outcome.operations.items():
        for at in range(first, operations + 1, every):
            out = folder / f"{fault}-{at}"
            problems = [*check_point(trainer, out, expected, at=at, fault=fault)]
            failures = [f"{recipe}, {fault} at operation {at}: {problem}" for problem in problems]
            print(*failures, sep="\n", end="\n" if failures else "", flush=True)
            outcome.failures += failures
            outcome.points += 1
            if not problems:
                shutil.rmtree(out)
            print(f"\r{recipe}: {fault} {at} of {operations}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return outcome


def run() -> int:
    """Sweep the recipes and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="new folder for data and runs")
    parser.add_argument("--recipe", nargs="+", choices=RECIPES, default=[*RECIPES])
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=[*FAULTS])
    parser.add_argument("--every", type=int, default=1, help="disturb every N-th operation")
    parser.add_argument("--first", type=int, default=1, help="first operation to disturb")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if "LD_PRELOAD" not in os.environ:
        environment = os.environ | {
            "LD_PRELOAD": str(build_library(folder)),
            "OMP_NUM_THREADS": "1",
            "FIRSTSIGHT_OFFLINE": "1",
        }
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    sys.path.insert(0, str(TOOLS.parent / "tests"))
    import scipy.optimize  # noqa: F401  # GANs are measured with it; imported before the forks

    result: dict[str, Any] = {}
    for recipe in options.recipe:
        outcome = sweep(recipe, folder / recipe, options.faults, first=options.first, every=options.every)
        summary = {"points": outcome.points, "failures": len(outcome.failures), "operations": outcome.operations}
        result[recipe] = summary
    print(json.dumps(result))
    return int(any(summary["failures"] for summary in result.values()))


if __name__ == "__main__":
    sys.exit(run())
