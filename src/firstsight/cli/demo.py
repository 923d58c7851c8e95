"""``firstsight demo``: the tour."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstsight.cli.parse import Flag, Maybe, parse


@dataclass(frozen=True)
class Arguments:
    """Train LeNet on real handwritten digits, evaluate it, let it read some, write a report. Needs no network."""

    out: Maybe[Path] = None
    """Run directory (default: runs/lenet-digits/1, 2, ...)."""
    epochs: Maybe[int] = None
    """Passes over the training images (default: those of the recipe lenet-digits)."""
    json: Flag = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Parse and walk through."""
    arguments = parse(Arguments, "demo", argv)
    import time

    from firstsight.cli.console import ConsoleCallback, err, out, print_json, table

    began = time.monotonic()
    console = err()
    console.print("1. Train LeNet-5 on 1,438 real handwritten digits (firstsight train lenet)", markup=False)
    from firstsight.data import load as load_data
    from firstsight.recipes.train import RunOptions, train
    from firstsight.tasks.classification.predict import evaluate, predict

    changes: dict[str, Any] = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    with ConsoleCallback() as watcher:
        result = train("lenet-digits", callback=watcher, where=RunOptions(out=arguments.out), **changes)
    console.print(f"2. Evaluate it on 359 it has not seen (firstsight evaluate {result.run_dir})", markup=False)
    found = evaluate(result.run_dir)
    console.print(f"   accuracy {found.metrics['accuracy']:.2%}, loss {found.metrics['loss']:.4f} nats", markup=False)
    console.print(f"3. Let it read five of them (firstsight predict {result.run_dir} PICTURE...)", markup=False)
    pictures = write_digits(load_data("digits", "test"), result.run_dir / "digits")
    answers = predict(result.run_dir, pictures, top=3)
    seconds = time.monotonic() - began
    report = result.run_dir / "report.html"
    if arguments.json:
        print_json(
            {
                "recipe": result.recipe, "run_dir": str(result.run_dir), "metrics": dict(found.metrics), "n": found.n,
                "predictions": [{"image": a.image, "label": a.top[0].label} for a in answers], "report": str(report),
                "seconds": seconds,
            }
        )  # fmt: skip
        return 0
    shown = table("picture", "it reads", "how sure", right=("how sure",))
    for answer in answers:
        shown.add_row(answer.image, answer.top[0].label, f"{answer.top[0].probability:.1%}")
    screen = out()
    screen.print(shown)
    accuracy = f"{found.metrics['accuracy']:.2%} of {found.n} unseen digits"
    screen.print(f"\nLeNet read {accuracy} correctly; all of it took {seconds:.0f} s.")
    screen.print(f"Look at the report: {report}")
    return 0


def write_digits(images: object, folder: Path) -> list[Path]:
    """Write one test image of every second class as PNG files, named by what they show."""
    from PIL import Image

    from firstsight.data import ImageSet

    assert isinstance(images, ImageSet)
    folder.mkdir(exist_ok=True)
    paths = []
    for label in range(0, len(images.classes), 2):
        position = int((images.labels == label).nonzero()[0])
        path = folder / f"a-{images.classes[label]}.png"
        Image.fromarray(images.images[position, 0].numpy()).save(path)
        paths.append(path)
    return paths
