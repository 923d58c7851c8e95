"""``firstsight demo``."""

from dataclasses import dataclass
from pathlib import Path

from firstsight.cli.parse import Flag, Maybe, parse


@dataclass(frozen=True)
class Arguments:
    """Train LeNet on handwritten digits, evaluate it, predict some images, write a report.

    Needs no network connection and takes less than a minute.
    """

    out: Maybe[Path] = None
    """Run directory (default: runs/lenet-digits/1, 2, ...)."""
    epochs: Maybe[int] = None
    """Number of passes over the training images (default: that of the recipe lenet-digits)."""
    json: Flag = False
    """Print the result as one JSON document."""


def run(argv: list[str]) -> int:
    """Train, evaluate, predict, print."""
    arguments = parse(Arguments, "demo", argv, examples=("firstsight demo", "firstsight demo --epochs 5"))
    import time

    from firstsight.cli.console import as_options, log, out, print_json, say, table
    from firstsight.data.images.loading import load_data
    from firstsight.recipes.progress import ProgressBar
    from firstsight.recipes.train import train
    from firstsight.tasks.classification.predict import predict
    from firstsight.tasks.evaluate import evaluate

    start = time.monotonic()
    log("1. Train LeNet-5 on 1,438 handwritten digits (firstsight train lenet)")
    with ProgressBar(translate=as_options) as callback:
        if arguments.epochs is None:
            result = train("lenet-digits", callback=callback, out=arguments.out)
        else:
            result = train("lenet-digits", callback=callback, out=arguments.out, epochs=arguments.epochs)
    log(f"2. Evaluate it on 359 test images (firstsight evaluate {result.run_dir})")
    evaluation = evaluate(result.run_dir)
    accuracy = evaluation.metrics["accuracy"] or 0.0
    log(f"   accuracy {accuracy:.2%}, loss {evaluation.metrics['loss']:.4f} nats")
    log(f"3. Predict five of them (firstsight predict {result.run_dir} IMAGE...)")
    images = write_digits(load_data("digits", "test"), result.run_dir / "digits")
    predictions = predict(result.run_dir, images, top=3)
    seconds = time.monotonic() - start
    if arguments.json:
        document = {
            "recipe": result.recipe,
            "run_dir": str(result.run_dir),
            "metrics": dict(evaluation.metrics),
            "n": evaluation.n,
            "predictions": [{"image": item.image, "label": item.label} for item in predictions],
            "report": str(result.report),
            "seconds": seconds,
        }
        print_json(document)
        return 0
    rows = table("image", "class", "probability", right=("probability",))
    for item in predictions:
        rows.add_row(item.image, item.label, f"{item.probability:.1%}")
    out().print(rows)
    say(
        "",
        f"LeNet classified {accuracy:.2%} of {evaluation.n} test images correctly, in {seconds:.0f} s in all.",
        f"Open the report: {result.report}",
    )
    return 0


def write_digits(images: object, folder: Path) -> list[Path]:
    """Write one test image of every second class as a PNG file named after its class."""
    from PIL import Image

    from firstsight.atomic_io import replace_file
    from firstsight.data.images.image_set import ImageSet
    from firstsight.plots import encode_image

    assert isinstance(images, ImageSet)
    folder.mkdir(exist_ok=True)
    paths = []
    for label in range(0, len(images.classes), 2):
        position = int((images.labels == label).nonzero()[0])
        path = folder / f"a-{images.classes[label]}.png"
        replace_file(path, encode_image(Image.fromarray(images.images[position, 0].numpy()), ".png"))
        paths.append(path)
    return paths
