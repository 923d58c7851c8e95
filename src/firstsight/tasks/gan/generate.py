"""Trained generators at work: samples, sweeps of codes, paths between two pictures, sums of what pictures show."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from firstsight.data.batches import fit_images
from firstsight.data.images.loading import load as load_data
from firstsight.errors import UsageError, unknown_name
from firstsight.metrics.frechet import nearest
from firstsight.models.gan.latent import slerp
from firstsight.tasks.gan.parse_codes import parse_codes
from firstsight.tasks.gan.reference_classifier import ReferenceClassifier, reference_for
from firstsight.tasks.pose.provenance import training_data
from firstsight.weights.generator import Generator, load_generator

COLUMNS = 8
DOUBTED = 0.5
"""Above this share of Q's errors the values of a category are not called by classes."""
SEARCHED, AVERAGED = 2000, 32
"""Arithmetic looks for classes among so many samples, and averages so many latent vectors of each."""


@dataclass(frozen=True)
class ImageGrid:
    """Generated pictures in rows.

    Parameters
    ----------
    z : Tensor
        (N, length) latent vectors; images : (N, C, S, S) uint8, made from them.
    columns : int
        Pictures in a row; rows, heads : names of rows and columns, or none.
    notes : tuple[str, ...]
        What to know about them.
    """

    z: Tensor
    images: Tensor
    columns: int
    rows: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def generate(
    generator: Generator | str | Path, n: int = 64, *, seed: int = 0, label: str | int | None = None,
    codes: str = "",
) -> ImageGrid:  # fmt: skip
    """Pictures from random latent vectors, or with some of the codes set.

    Parameters
    ----------
    generator : Generator | str | Path
        A `Generator`, or what `load_generator` takes: "infogan-mnist", a run directory, a file.
    n : int
        How many. A sweep of a category has a row for each of its values and a sweep of a continuous code whole rows of
        `COLUMNS`, whatever ``n``.
    seed : int
        Of the latent vectors; the same pictures in every process.
    label : str | int | None
        A class that the first code is to make; ``codes`` can then set the others.
    codes : str
        As "c1=3,c2=-1..1": a value, or a range that is swept. Categories come first and are swept down the rows,
        continuous codes across the columns, with the same noise.

    Raises
    ------
    UsageError
        Codes that the generator does not have, a class without a code, or with another code for it.
    """
    made = generator if isinstance(generator, Generator) else load_generator(generator)
    if not 1 <= n <= 100_000:
        raise UsageError(f"--n must lie between 1 and 100,000; got {n}")
    known = None if label is None else torch.tensor(made.codes_of(label))
    wanted, notes = parse_codes(codes, made.latent)
    if known is not None and any(code.place == 0 for code in wanted):
        raise UsageError("--class sets c1 itself; leave it out of --code")
    down = [code for code in wanted if code.swept and code.place < len(made.latent.categories)]
    across = [code for code in wanted if code.swept and code.place >= len(made.latent.categories)]
    if len(down) > 1 or len(across) > 1:
        raise UsageError("--code can sweep one category (down) and one continuous code (across) at a time")
    columns = COLUMNS if across else _columns(n)
    values = list(range(int(down[0].low), int(down[0].high) + 1)) if down else []
    rows = len(values) or -(-n // columns)
    if down and across:
        z = made.draw(1, seed=seed).repeat(rows * columns, 1)
    elif down:
        z = made.draw(columns, seed=seed).repeat(rows, 1)
    elif across:
        z = made.draw(rows, seed=seed).repeat_interleave(columns, 0)
    else:
        z = made.draw(n, seed=seed)
    if known is not None:  # several values that make it take turns, from row to row of a sweep
        turn = torch.arange(len(z)) // (columns if down or across else 1)
        z = made.latent.with_category(z, 0, known[turn % len(known)])
    heads: tuple[str, ...] = ()
    for code in wanted:
        if code.place < len(made.latent.categories):
            chosen = torch.tensor(values).repeat_interleave(columns) if code.swept else int(code.low)
            z = made.latent.with_category(z, code.place, chosen)
        else:
            steps = torch.linspace(code.low, code.high, columns)
            heads = tuple(f"c{code.place + 1} = {step:+.2f}" for step in steps) if code.swept else heads
            share: Tensor | float = steps.repeat(rows) if code.swept else code.low
            z = made.latent.with_continuous(z, code.place - len(made.latent.categories), share)
    names = tuple(_row(made, down[0].place, value) for value in values) if down else ()
    if known is not None or (down and down[0].place == 0):
        notes = (*notes, *_doubts(made))
    return ImageGrid(z, made(z), columns, names, heads, notes)


def _columns(n: int) -> int:
    """Of a sheet: `COLUMNS`, or of few pictures as many as there are; of many so that it is about as wide as high."""
    return min(n, max(COLUMNS, math.isqrt(n - 1) + 1))


def _row(made: Generator, place: int, value: int) -> str:
    if place or not made.table or _doubts(made):
        return f"c{place + 1} = {value}"
    return made.table[value] if made.conditional else f"c1 = {value}: mostly {made.table[value]}"


def _doubts(made: Generator) -> tuple[str, ...]:
    """A remark where the first code's values were matched with classes, as they always can be, but are not them."""
    error = made.card["about"].get("metrics", {}).get("q_error", 0.0)
    if not made.table or error <= DOUBTED:
        return ()
    return (
        f"its categories are not the classes: Q puts {error:.0%} of real pictures into wrong ones; train it longer",
    )


def interpolate(
    generator: Generator | str | Path, a: int, b: int, *, steps: int = 12, path: Literal["slerp", "linear"] = "slerp"
) -> ImageGrid:
    """Pictures on the way from one to another.

    Parameters
    ----------
    a, b : int
        Seeds of the two; steps : pictures in all, both ends included.
    path : Literal['slerp', 'linear']
        "slerp", along the sphere on which normal noise lies, or "linear". Codes go straight.

    Raises
    ------
    UsageError
        The number of steps is impossible.
    """
    made = generator if isinstance(generator, Generator) else load_generator(generator)
    if not 2 <= steps <= 10_000:
        raise UsageError(f"--steps must lie between 2 and 10,000; got {steps}")
    one, two = made.draw(1, seed=a), made.draw(1, seed=b)
    share = torch.linspace(0, 1, steps)
    z = torch.lerp(one, two, share[:, None])
    if path == "slerp":
        noise = made.latent.noise
        z[:, :noise] = slerp(one[0, :noise], two[0, :noise], share)
    columns = min(steps, 12)
    heads = (f"seed {a}", *[""] * (columns - 2), f"seed {b}") if steps == columns else ()
    return ImageGrid(z, made(z), columns, heads=heads)


def latent_arithmetic(
    generator: Generator | str | Path, expression: str, reference: ReferenceClassifier | None = None, *, seed: int = 0
) -> ImageGrid:
    """Sums and differences of latent vectors, as in the DCGAN paper: "7 - 1 + 0".

    Each class stands for the mean of the noise of `AVERAGED` samples that the judge is surest to be of it. The sum is
    brought to the usual length of noise; beside its picture stand seven with a little noise added.

    Parameters
    ----------
    judge
        Who finds the classes; `judge_of` the generator if None.

    Raises
    ------
    UsageError
        Not understood, an unknown class, a class that the generator hardly makes, a judge that does not know them, a
        sum of nothing, a generator whose category makes the class.
    """
    made = generator if isinstance(generator, Generator) else load_generator(generator)
    reference = reference or judge_of(made)
    if made.latent.categories:
        raise UsageError(
            "--arithmetic adds noise, but in this generator a code makes the class; ask for it with --class"
        )
    if not reference.in_domain:
        raise UsageError(
            "--arithmetic finds classes with a trained network, and none knows the classes of these pictures"
        )
    classes = reference.classifier.classes
    terms = _terms(expression, classes)
    if not any(sum(sign for sign, other in terms if other == name) for _, name in terms):
        raise UsageError(f'--arithmetic "{expression}" comes to nothing')
    noise = made.latent.noise
    z = made.draw(SEARCHED, seed=seed)
    seen = reference.look(made(z))
    means = {}
    for _, name in terms:
        rows = torch.nonzero(seen.labels == classes.index(name)).flatten()
        best = rows[seen.sure[rows].argsort(descending=True)][:AVERAGED]
        if len(best) < 3:
            raise UsageError(f"--arithmetic: the generator hardly makes '{name}' ({len(best)} of {SEARCHED} samples)")
        means[name] = z[best].mean(0)
    total = torch.stack([sign * means[name] for sign, name in terms]).sum(0)
    length = z[:, :noise].norm(dim=1).mean()
    rows_of = [*means.values(), total]
    shown = torch.stack([vector[:noise] / vector[:noise].norm() * length for vector in rows_of])
    wobble = torch.randn(COLUMNS - 1, noise, generator=torch.Generator().manual_seed(seed)) * 0.25
    whole = made.draw(1, seed=seed).repeat(len(rows_of) + COLUMNS - 1, 1)
    whole[:, :noise] = torch.cat([shown, shown[-1:] + wobble])
    heads = (*_signed(terms), "sum", *[""] * (COLUMNS // 2 - 1), "the sum, a little noise added")
    heads += ("",) * (len(whole) - len(heads))
    return ImageGrid(whole, made(whole), len(whole), heads=heads)


def judge_of(made: Generator) -> ReferenceClassifier:
    """The judge of a generator's pictures, by what it was trained on."""
    about = made.card["about"]
    return reference_for(str(about["data"]), tuple(about["classes"]))


def add_nearest_neighbors(
    generator: Generator | str | Path, sheet: ImageGrid, k: int, data: str | Path | None = None
) -> ImageGrid:
    """The sheet with rows of the nearest training images below each of its own: did the generator memorise?

    Parameters
    ----------
    k : int
        How many for each picture, at most as many as there are training images.
    data : str | Path | None
        What `load_data` takes; what it was trained on if None.
    """
    made = generator if isinstance(generator, Generator) else load_generator(generator)
    where = data if data is not None else training_data(made.source, made.card)
    prepare = made.preprocess
    train = load_data(where, "train", size=prepare.resize, channels=prepare.channels, labelled=False)
    among = fit_images(train, prepare)
    places = nearest(sheet.images, among, k=min(k, len(among)))
    ranks = ["nearest"] if k == 1 else [f"nearest {rank + 1}" for rank in range(places.shape[1])]
    images, rows = [], []
    for number, start in enumerate(range(0, len(sheet.images), sheet.columns)):
        own = slice(start, start + sheet.columns)
        images += [_padded(part, sheet.columns) for part in (sheet.images[own], *(among[p] for p in places[own].T))]
        rows += [sheet.rows[number] if sheet.rows else "generated", *ranks]
    return replace(sheet, images=torch.cat(images), rows=tuple(rows))


def _padded(row: Tensor, columns: int) -> Tensor:
    """A row of pictures filled up with black ones."""
    return torch.cat([row, row.new_zeros(columns - len(row), *row.shape[1:])])


def _terms(expression: str, classes: Sequence[str]) -> list[tuple[int, str]]:
    """Signs and class names; the longest names first, for a name may hold a sign ("T-shirt/top")."""
    names = "|".join(re.escape(name) for name in sorted(classes, key=len, reverse=True))
    pattern = rf"(?<!\w)({names})(?=\s|[+-]|$)"
    found = re.findall(rf"\s*([+-]?)\s*{pattern}", expression, flags=re.IGNORECASE)
    told = "".join(f"{sign}{name}" for sign, name in found)
    if any(not sign for sign, _ in found[1:]):
        raise UsageError(f'--arithmetic "{expression}": a sign is missing; write as "A - B + C"')
    if not found or re.sub(r"\s", "", told) != re.sub(r"\s", "", expression):
        rest = re.sub(pattern, "", expression, flags=re.IGNORECASE)
        strange = re.findall(r"[\w/.]+", rest)
        if not strange:
            raise UsageError(f'--arithmetic "{expression}": a class is missing; write as "A - B + C"')
        raise unknown_name("class", strange[0], list(classes), 'write as "A - B + C"')
    known = {name.casefold(): name for name in classes}
    return [(-1 if sign == "-" else 1, known[name.casefold()]) for sign, name in found]


def _signed(terms: Sequence[tuple[int, str]]) -> list[str]:
    """Each class once, in the order of the sum, with the sign that it has there.

    >>> _signed([(1, "7"), (-1, "1"), (1, "0"), (1, "0")])
    ['7', '- 1', '+ 2 x 0']
    """
    counts: dict[str, int] = {}
    for sign, name in terms:
        counts[name] = counts.get(name, 0) + sign
    told: list[str] = []
    for name, count in counts.items():
        before = "- " if count < 0 else "+ " if told else ""
        told.append(f"{before}{'' if abs(count) == 1 else f'{abs(count)} x '}{name}")
    return told
