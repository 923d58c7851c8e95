"""Accuracy on tiny data sets: the defaults for a user's folder, and the best of ten hand-chosen settings.

    python benchmarks/small_data.py [SET ...] [--photos FOLDER] [--seeds N] [--out FILE.json]

Four data sets: circles and squares (40 of each, drawn), letters (five, in several fonts), colors (patches of
photographs, red or yellow) and ants and bees (photographs). The last two need --photos: a folder with ``flowers/`` and
``ants-bees/``. Each setting is trained with several seeds, and its mean test accuracy is printed. The table has two
references: the setting that is best on the test images, which is biased upwards, and the one that is best on a fifth of
the training images.
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

HAND_CHOSEN: dict[str, dict[str, Any]] = {
    "recipe": {"image_size": 32, "epochs": 30, "batch_size": 64, "lr": 4e-3, "translate": 2, "rotate": 12, "scale": 0.1},
    "long": {"image_size": 32, "epochs": 200, "batch_size": 16, "lr": 4e-3, "translate": 2, "rotate": 12, "scale": 0.1},
    "plain": {"image_size": 32, "epochs": 100, "batch_size": 16, "lr": 1e-3, "translate": 0, "rotate": 0, "scale": 0},
    "small-steps": {"image_size": 32, "epochs": 100, "batch_size": 8, "lr": 1e-3, "translate": 2, "rotate": 0,
                    "scale": 0.1},
    "flip": {"image_size": 32, "epochs": 100, "batch_size": 16, "lr": 2e-3, "translate": 3, "rotate": 12, "scale": 0.2,
             "flip": "random"},
    "middle": {"image_size": 48, "epochs": 100, "batch_size": 16, "lr": 2e-3, "translate": 4, "rotate": 12,
               "scale": 0.1},
    "large": {"image_size": 64, "epochs": 100, "batch_size": 16, "lr": 2e-3, "translate": 4, "rotate": 12,
              "scale": 0.1},
    "large-flip": {"image_size": 64, "epochs": 100, "batch_size": 16, "lr": 2e-3, "translate": 6, "rotate": 15,
                   "scale": 0.2, "flip": "random"},
    "large-decay": {"image_size": 64, "epochs": 60, "batch_size": 32, "lr": 4e-3, "translate": 6, "rotate": 0,
                    "scale": 0.2, "flip": "random", "optimizer": "adamw", "weight_decay": 0.05,
                    "label_smoothing": 0.1},
    "cutout": {"image_size": 64, "epochs": 60, "batch_size": 32, "lr": 2e-3, "translate": 6, "rotate": 12, "scale": 0.2,
               "flip": "random", "cutout": 16},
}  # fmt: skip
"""Settings that a user with some experience tries."""
LETTERS = "ABCDE"
FONTS = "DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "DejaVuSans-Bold", "DejaVuSerif-Bold", "DejaVuSansMono-Bold"


def draw_circles(folder: Path, photos: Path | None, *, per_class: int = 40) -> None:
    """Draw circles and squares of random size, place and color on white, 64x64 pixels."""
    rng = random.Random(0)
    for i in range(per_class):
        for name in ("circles", "squares"):
            image = Image.new("RGB", (64, 64), "white")
            side = rng.randint(16, 40)
            x, y = rng.randint(2, 62 - side), rng.randint(2, 62 - side)
            color = tuple(rng.randint(0, 200) for _ in range(3))
            draw = ImageDraw.Draw(image)
            (draw.ellipse if name == "circles" else draw.rectangle)((x, y, x + side, y + side), fill=color)
            _save(image, folder / name / f"{i}.png")


def draw_letters(folder: Path, photos: Path | None) -> None:
    """Draw five letters in six fonts of Matplotlib, at random sizes, angles and places."""
    from matplotlib import get_data_path

    rng = random.Random(1)
    for i in range(24):
        for letter in LETTERS:
            path = Path(get_data_path()) / "fonts/ttf" / f"{FONTS[i % len(FONTS)]}.ttf"
            width, height = rng.choice([(60, 80), (80, 60), (64, 64)])
            image = Image.new("L", (width, height), rng.randint(180, 255))
            font = ImageFont.truetype(str(path), rng.randint(26, 50))
            position = width / 2 + rng.randint(-8, 8), height / 2 + rng.randint(-8, 8)
            ImageDraw.Draw(image).text(position, letter, fill=rng.randint(0, 90), font=font, anchor="mm")
            _save(image.rotate(rng.uniform(-12, 12), fillcolor=230), folder / letter / f"{i}.png")


def cut_colors(folder: Path, photos: Path | None) -> None:
    """Cut patches of photographs of flowers that are mostly red or mostly yellow, 40 of each."""
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
            if name and counts[name] < 40:
                counts[name] += 1
                _save(patch, folder / name / f"{counts[name]}.jpg")
                break
        if min(counts.values()) == 40:
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


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


SETS: dict[str, Callable[[Path, Path | None], None]] = {
    "circles": draw_circles,
    "letters": draw_letters,
    "colors": cut_colors,
    "ants-bees": copy_ants_bees,
}


def measure(folder: Path, settings: dict[str, Any], seeds: int) -> dict[str, list[float]]:
    """Return the test accuracy, and the accuracy on held-out training images, for each seed."""
    result: dict[str, list[float]] = {"test": [], "val": []}
    for seed in range(seeds):
        for split, extra in (("test", {}), ("val", {"val_fraction": 0.2})):
            with tempfile.TemporaryDirectory() as out:
                trained = fs.train(
                    "convnet", data=folder, seed=seed, out=Path(out) / "run", evaluate_every=1000, **extra, **settings
                )
            result[split].append(trained.metrics["accuracy"])
    return result


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=[*SETS])
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results: dict[str, dict[str, dict[str, list[float]]]] = {}
    for name in arguments.sets:
        with tempfile.TemporaryDirectory() as folder:
            SETS[name](Path(folder) / name, arguments.photos)
            results[name] = {}
            for label, settings in {"defaults": {}, **HAND_CHOSEN}.items():
                results[name][label] = measure(Path(folder) / name, settings, arguments.seeds)
                test, val = (
                    statistics.mean(results[name][label][split]) * 100 for split in ("test", "val")
                )
                print(f"{name:10} {label:12} test {test:6.2f} %  held out {val:6.2f} %", flush=True)
                if arguments.out:
                    arguments.out.write_text(json.dumps(results, indent=1))
    print_table(results)


def print_table(results: dict[str, dict[str, dict[str, list[float]]]]) -> None:
    """Print the defaults next to both references."""
    print("\n| data | defaults | best of ten on test | best of ten, chosen on held-out images |\n| --- | --- | --- | --- |")
    for name, rows in results.items():
        means = {label: {k: statistics.mean(v) for k, v in row.items()} for label, row in rows.items()}
        chosen = [label for label in means if label != "defaults"]
        best = max(chosen, key=lambda label: means[label]["test"])
        fair = max(chosen, key=lambda label: means[label]["val"])
        print(
            f"| {name} | {means['defaults']['test']:.1%} | {means[best]['test']:.1%} ({best})"
            f" | {means[fair]['test']:.1%} ({fair}) |"
        )


if __name__ == "__main__":
    main()
