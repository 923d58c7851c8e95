"""Accuracy on tiny data sets: the defaults for a user's folder, and the best of ten hand-chosen settings.

    python benchmarks/small_data.py [SET ...] [--photos FOLDER] [--seeds N] [--out FILE.json]

Four data sets: circles and squares (drawn, 40 of each for training), letters (five, in six fonts), colors (patches of
photographs, red or yellow) and ants and bees (photographs). The last two need --photos: a folder with ``flowers/`` and
``ants-bees/``. Every setting is trained with the seeds 0, 1, 2, ..., and the means of the test accuracy are compared.
The best of ten is chosen on the same test images, so it is biased upwards.
"""

import argparse
import json
import random
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont

import firstsight as fs

Settings = dict[str, Any]

SMALL: Settings = {
    "image_size": 32, "fit": "crop", "batch_size": 16, "lr": 2e-3,
    "translate": 2, "rotate": 12, "scale": 0.1, "flip": "none",
}  # fmt: skip
LARGE: Settings = {**SMALL, "image_size": 64, "translate": 4}
FLIP: Settings = {"flip": "random", "scale": 0.2}
HAND_CHOSEN: dict[str, tuple[int, Settings]] = {
    "recipe": (0, {**SMALL, "epochs": 30, "batch_size": 64, "lr": 4e-3}),
    "long": (800, {**SMALL, "lr": 4e-3}),
    "plain": (400, {**SMALL, "lr": 1e-3, "translate": 0, "rotate": 0, "scale": 0}),
    "small-batch": (400, {**SMALL, "lr": 1e-3, "batch_size": 8, "rotate": 0}),
    "flip": (400, {**SMALL, **FLIP, "translate": 3}),
    "middle": (400, {**SMALL, "image_size": 48, "translate": 4}),
    "large": (400, LARGE),
    "large-flip": (400, {**LARGE, **FLIP, "translate": 6, "rotate": 15}),
    "decay": (300, {**LARGE, **FLIP, "batch_size": 32, "lr": 4e-3, "optimizer": "adamw", "weight_decay": 0.05,
                    "label_smoothing": 0.1}),
    "cutout": (300, {**LARGE, **FLIP, "batch_size": 32, "translate": 6, "cutout": 16}),
}  # fmt: skip
"""Updates, which determine the epochs (0: those of the settings), and settings that a user with experience tries."""
TRAIN, TEST = 40, 60
"""Images of each class."""
LETTERS = "ABCDE"
FONTS = "DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "DejaVuSans-Bold", "DejaVuSerif-Bold", "DejaVuSansMono-Bold"


def draw_circles(folder: Path, photos: Path | None) -> None:
    """Draw circles and squares of random size, place and color on white, 64x64 pixels."""
    rng = random.Random(0)
    for i in range(TRAIN + TEST):
        for name in ("circles", "squares"):
            image = Image.new("RGB", (64, 64), "white")
            side = rng.randint(16, 40)
            x, y = rng.randint(2, 62 - side), rng.randint(2, 62 - side)
            color = tuple(rng.randint(0, 200) for _ in range(3))
            draw = ImageDraw.Draw(image)
            (draw.ellipse if name == "circles" else draw.rectangle)((x, y, x + side, y + side), fill=color)
            _save(image, folder / split_of(i) / name / f"{i}.png")


def draw_letters(folder: Path, photos: Path | None) -> None:
    """Draw five letters in six fonts of Matplotlib, at random sizes, angles and places."""
    from matplotlib import get_data_path

    rng = random.Random(1)
    for i in range(24 + TEST):
        for letter in LETTERS:
            path = Path(get_data_path()) / "fonts/ttf" / f"{FONTS[i % len(FONTS)]}.ttf"
            width, height = rng.choice([(60, 80), (80, 60), (64, 64)])
            image = Image.new("L", (width, height), rng.randint(180, 255))
            font = ImageFont.truetype(str(path), rng.randint(26, 50))
            position = width / 2 + rng.randint(-8, 8), height / 2 + rng.randint(-8, 8)
            ImageDraw.Draw(image).text(position, letter, fill=rng.randint(0, 90), font=font, anchor="mm")
            _save(image.rotate(rng.uniform(-12, 12), fillcolor=230), folder / split_of(i, 24) / letter / f"{i}.png")


def cut_colors(folder: Path, photos: Path | None) -> None:
    """Cut patches of photographs of flowers that are mostly red or mostly yellow, one of each photograph."""
    if photos is None:
        raise FileNotFoundError("colors needs --photos")
    rng = random.Random(2)
    counts = {"red": 0, "yellow": 0}
    files = sorted((photos / "flowers").rglob("*.jpg"))
    rng.shuffle(files)
    for file in files:
        with Image.open(file) as opened:
            photo = opened.convert("RGB")
        side = min(photo.size) // 3
        for _ in range(10):
            width, height = rng.randint(side // 2, side), rng.randint(side // 2, side)
            x, y = rng.randint(0, photo.width - width), rng.randint(0, photo.height - height)
            patch = photo.crop((x, y, x + width, y + height))
            name = _color(patch)
            if name and counts[name] < TRAIN + TEST:
                counts[name] += 1
                _save(patch, folder / split_of(counts[name] - 1) / name / f"{counts[name]}.jpg")
                break
        if min(counts.values()) == TRAIN + TEST:
            return


def _color(patch: Image.Image) -> str | None:
    """Return the color of most pixels, or None."""
    small = torch.frombuffer(bytearray(patch.resize((16, 16)).tobytes()), dtype=torch.uint8).reshape(-1, 3).float()
    red, green, blue = small.unbind(1)
    if ((red > 110) & (green < 0.6 * red) & (blue < 0.7 * red)).float().mean() > 0.35:
        return "red"
    if ((red > 110) & (green > 0.7 * red) & (blue < 0.6 * red)).float().mean() > 0.35:
        return "yellow"
    return None


def copy_ants_bees(folder: Path, photos: Path | None) -> None:
    """Copy the photographs of ants and bees, which have ``train/`` and ``val/``."""
    if photos is None:
        raise FileNotFoundError("ants-bees needs --photos")
    shutil.copytree(photos / "ants-bees", folder, dirs_exist_ok=True)


def split_of(index: int, num_train: int = TRAIN) -> str:
    """Return the split of an image of a class."""
    return "train" if index < num_train else "test"


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


SETS: dict[str, Callable[[Path, Path | None], None]] = {
    "circles": draw_circles,
    "letters": draw_letters,
    "colors": cut_colors,
    "ants-bees": copy_ants_bees,
}


def accuracy(folder: Path, settings: Settings, seed: int) -> float:
    """Return the test accuracy of one training."""
    with tempfile.TemporaryDirectory() as out:
        path = Path(out) / "run"
        return fs.train("convnet", data=folder, seed=seed, out=path, evaluate_every=1000, **settings).metrics[
            "accuracy"
        ]


def with_epochs(settings: Settings, updates: int, num_images: int) -> Settings:
    """Return settings whose epochs give a number of updates; unchanged if it is 0."""
    if not updates:
        return settings
    steps = -(-num_images // settings["batch_size"])
    return {**settings, "epochs": -(-updates // steps)}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=[*SETS], help="data sets (default: all)")
    parser.add_argument("--photos", type=Path, help="folder with flowers/ and ants-bees/")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file of all accuracies, written after every training")
    arguments = parser.parse_args()
    results: dict[str, dict[str, list[float]]] = {}
    for name in arguments.sets:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            SETS[name](path, arguments.photos)
            n = len(fs.load_data(path, "train"))
            rows = results[name] = {label: [] for label in ("defaults", *HAND_CHOSEN)}
            for seed in range(arguments.seeds):
                for label, values in rows.items():
                    updates, settings = HAND_CHOSEN.get(label, (0, {}))
                    given = with_epochs(settings, updates, n) if settings else {}
                    values.append(accuracy(path, given, seed))
                    print(f"{name:10} seed {seed} {label:12} {values[-1]:.2%}", flush=True)
                    if arguments.out:
                        arguments.out.write_text(json.dumps(results, indent=1))
    print_table(results)


def print_table(results: dict[str, dict[str, list[float]]]) -> None:
    """Print the defaults next to the best and the median of the hand-chosen settings."""
    print("\n| data | defaults | best of ten | median of ten |\n| --- | --- | --- | --- |")
    for name, rows in results.items():
        means = {label: statistics.mean(values) for label, values in rows.items()}
        defaults = means.pop("defaults")
        best = max(means, key=lambda label: means[label])
        median = statistics.median(means.values())
        print(f"| {name} | {defaults:.1%} | {means[best]:.1%} ({best}) | {median:.1%} |")


if __name__ == "__main__":
    main()
