"""Generate images with trained generators: samples, traversals of codes, interpolation, latent arithmetic."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from firstsight.arguments import ModelSource, check_arguments
from firstsight.data.batches import fit_images
from firstsight.data.images.loading import load_data
from firstsight.errors import UsageError, unknown_name
from firstsight.metrics.frechet import nearest_neighbors
from firstsight.models.gan.latent import Latent, slerp
from firstsight.tasks.gan.evaluate import reference_of
from firstsight.tasks.gan.generator import Generator
from firstsight.tasks.gan.image_grid import ImageGrid
from firstsight.tasks.gan.parse_codes import Code, parse_codes
from firstsight.tasks.gan.reference_classifier import ReferenceClassifier
from firstsight.tasks.load import load_as
from firstsight.tasks.provenance import training_data

COLUMNS = 8
INTERPOLATION_COLUMNS = 12
MAX_Q_ERROR = 0.5
"""If the error of Q is larger, the values of a category are not named by classes."""
SEARCH_SAMPLES = 2000
"""Number of samples in which latent arithmetic searches for images of a class."""
MEAN_SAMPLES = 32
"""Number of latent vectors per class that latent arithmetic averages."""
MIN_SAMPLES = 3
"""Minimum number of samples of a class for latent arithmetic."""
VARIATION_STD = 0.25
"""Standard deviation of the noise that is added to the result of latent arithmetic for its variations."""


def generate(
    generator: Generator | ModelSource,
    n: int = 64,
    *,
    seed: int = 0,
    label: str | int | None = None,
    codes: str = "",
    device: str | torch.device | None = None,
) -> ImageGrid:
    """Generate images from random latent vectors, with random or given codes.

    Parameters
    ----------
    generator : Generator | ModelSource
        A generator, or what `firstsight.load` takes: "infogan-mnist", a run directory, a file, the result
        of `firstsight.train`.
    n : int
        Number of images, from 1 to 100,000. A traversal of a category always has one row for each of its values, and
        a traversal of a continuous code has complete rows of 8 images.
    seed : int
        Seed of the latent vectors; the same seed gives the same images.
    label : str | int | None
        Class to generate, by its name or its index, for a generator with codes.
        It sets the first code; ``codes`` can set the others.
    codes : str
        Values or ranges of codes, as in "c1=3,c2=-1..1"; categories have the first numbers. A range of a category is
        traversed down the rows, a range of a continuous code across the columns, with the same noise.
    device : str | torch.device | None
        Where to compute. None leaves a generator where it is, and is "auto" for a name or a path.

    Returns
    -------
    ImageGrid
        The images and their latent vectors.

    Raises
    ------
    UsageError
        If ``n`` is out of range, the generator does not have the codes or the class, ``label`` and ``codes`` both set
        the first code, or two codes are traversed in the same direction.

    Examples
    --------
    >>> generate("gan-digits", 10)
    ImageGrid(10 images of 1x16x16, 8 columns)
    """
    check_arguments(generate, locals())
    model = load_as("gan", generator, device=device)
    if not 1 <= n <= 100_000:
        raise UsageError(f"`n` must be between 1 and 100,000; got {n}")
    categories_of_label = None if label is None else torch.tensor(model.codes_of(label))
    assignments, notes = parse_codes(codes, model.latent)
    if categories_of_label is not None and any(code.index == 0 for code in assignments):
        raise UsageError("the class sets code c1; do not set c1 as well")
    layout = _plan_layout(n, assignments, model.latent)
    z = _draw_latents(model, n, layout, seed)
    if categories_of_label is not None:
        z = _set_label(z, categories_of_label, layout, model.latent)
    z = _set_codes(z, assignments, layout, model.latent)
    if categories_of_label is not None or (layout.down and layout.down.index == 0):
        notes = (*notes, *_category_notes(model))
    row_names = _row_names(model, layout)
    return ImageGrid(z, model(z), layout.columns, row_names, _column_names(layout), notes, (seed,))


@dataclass(frozen=True)
class _Layout:
    """Size of a grid, and the codes that are traversed in it.

    Attributes
    ----------
    rows : int
        Number of rows.
    columns : int
        Number of columns.
    down : Code | None
        Categorical code that is traversed down the rows.
    across : Code | None
        Continuous code that is traversed across the columns.
    """

    rows: int
    columns: int
    down: Code | None
    across: Code | None

    @property
    def row_values(self) -> list[int]:
        """Values of the category that is traversed, one per row."""
        return list(range(int(self.down.low), int(self.down.high) + 1)) if self.down else []

    @property
    def column_values(self) -> Tensor:
        """Values (columns,) of the continuous code that is traversed."""
        assert self.across
        return torch.linspace(self.across.low, self.across.high, self.columns)


def _plan_layout(n: int, assignments: Sequence[Code], latent: Latent) -> _Layout:
    """Return the layout for ``n`` images, or for the ranges among the codes."""
    num_categories = len(latent.categories)
    down = [code for code in assignments if code.is_traversal and code.index < num_categories]
    across = [code for code in assignments if code.is_traversal and code.index >= num_categories]
    if len(down) > 1 or len(across) > 1:
        raise UsageError("only one category (down) and one continuous code (across) can be traversed at a time")
    columns = COLUMNS if across else _num_columns(n)
    layout = _Layout(-(-n // columns), columns, down[0] if down else None, across[0] if across else None)
    return replace(layout, rows=len(layout.row_values)) if down else layout


def _num_columns(n: int) -> int:
    """Return the number of columns for ``n`` images: about as many as rows, but at least `COLUMNS` if possible."""
    return min(n, max(COLUMNS, math.isqrt(n - 1) + 1))


def _draw_latents(model: Generator, n: int, layout: _Layout, seed: int) -> Tensor:
    """Draw latent vectors; along a traversal they are the same."""
    rows = layout.rows
    columns = layout.columns
    if layout.down and layout.across:
        return model.draw(1, seed=seed).repeat(rows * columns, 1)
    if layout.down:
        return model.draw(columns, seed=seed).repeat(rows, 1)
    if layout.across:
        return model.draw(rows, seed=seed).repeat_interleave(columns, 0)
    return model.draw(n, seed=seed)


def _set_label(z: Tensor, categories: Tensor, layout: _Layout, latent: Latent) -> Tensor:
    """Set the first code to the categories of a class in turn: image by image, or row by row of a traversal."""
    period = layout.columns if layout.down or layout.across else 1
    turns = torch.arange(len(z)) // period
    return latent.with_category(z, 0, categories[turns % len(categories)])


def _set_codes(z: Tensor, assignments: Sequence[Code], layout: _Layout, latent: Latent) -> Tensor:
    num_categories = len(latent.categories)
    for code in assignments:
        if code == layout.down:
            values = torch.tensor(layout.row_values).repeat_interleave(layout.columns)
            z = latent.with_category(z, code.index, values)
        elif code == layout.across:
            values = layout.column_values.repeat(layout.rows)
            z = latent.with_continuous(z, code.index - num_categories, values)
        elif code.index < num_categories:
            z = latent.with_category(z, code.index, int(code.low))
        else:
            z = latent.with_continuous(z, code.index - num_categories, code.low)
    return z


def _row_names(model: Generator, layout: _Layout) -> tuple[str, ...]:
    """Return the value of the traversed category in every row, with its class if it is known."""
    if layout.down is None:
        return ()
    index = layout.down.index
    if index or not model.table or _category_notes(model):
        return tuple(f"c{index + 1} = {value}" for value in layout.row_values)
    if model.is_conditional:
        return tuple(model.table[value] for value in layout.row_values)
    return tuple(f"c1 = {value}: mostly {model.table[value]}" for value in layout.row_values)


def _column_names(layout: _Layout) -> tuple[str, ...]:
    """Return the value of the traversed continuous code in every column."""
    if layout.across is None:
        return ()
    return tuple(f"c{layout.across.index + 1} = {value:+.2f}" for value in layout.column_values)


def _category_notes(model: Generator) -> tuple[str, ...]:
    """Return a note if the categories were matched with classes, but do not agree with them."""
    q_error = model.card["about"].get("metrics", {}).get("q_error", 0.0)
    if not model.table or q_error <= MAX_Q_ERROR:
        return ()
    return (
        f"its categories do not correspond to classes: Q assigns {q_error:.0%} of the real images to the wrong"
        " category; train it longer",
    )


def interpolate(
    generator: Generator | ModelSource,
    a: int,
    b: int,
    *,
    steps: int = 12,
    path: Literal["slerp", "linear"] = "slerp",
    device: str | torch.device | None = None,
) -> ImageGrid:
    """Interpolate between two generated images.

    Parameters
    ----------
    generator : Generator | ModelSource
        See `generate`.
    a : int
        Seed of the first image.
    b : int
        Seed of the last image.
    steps : int
        Number of images including both ends, from 2 to 10,000.
    path : {"slerp", "linear"}
        Spherical interpolation of the noise, which keeps the length that normal noise has, or linear interpolation.
        Codes are always interpolated linearly.
    device : str | torch.device | None
        See `generate`.

    Returns
    -------
    ImageGrid
        The images in order.

    Raises
    ------
    UsageError
        If ``steps`` is out of range.
    """
    check_arguments(interpolate, locals())
    model = load_as("gan", generator, device=device)
    if not 2 <= steps <= 10_000:
        raise UsageError(f"`steps` must be between 2 and 10,000; got {steps}")
    z_a = model.draw(1, seed=a)
    z_b = model.draw(1, seed=b)
    t = torch.linspace(0, 1, steps)
    z = torch.lerp(z_a, z_b, t[:, None])
    if path == "slerp":
        noise = model.latent.noise
        z[:, :noise] = slerp(z_a[0, :noise], z_b[0, :noise], t)
    columns = min(steps, INTERPOLATION_COLUMNS)
    heads = (f"seed {a}", *[""] * (columns - 2), f"seed {b}") if steps == columns else ()
    return ImageGrid(z, model(z), columns, heads=heads, seeds=(a, b))


def latent_arithmetic(
    generator: Generator | ModelSource,
    expression: str,
    reference: ReferenceClassifier | None = None,
    *,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> ImageGrid:
    """Add and subtract latent vectors of classes, as in "7 - 1 + 0" (Radford 2016, Section 6.3.2).

    A class is represented by the mean noise of the 32 samples that the reference classifier assigns to it with the
    highest confidence. The sum is scaled to the mean length of the noise. The grid shows the classes, the sum, and
    seven variations of the sum with a little noise.

    Parameters
    ----------
    generator : Generator | ModelSource
        See `generate`; a generator without categorical codes.
    expression : str
        Sum and differences of class names.
    reference : ReferenceClassifier | None
        Classifier that finds the samples of a class; None for that of the training data.
    seed : int
        Seed of the samples.
    device : str | torch.device | None
        See `generate`.

    Returns
    -------
    ImageGrid
        One row of images.

    Raises
    ------
    UsageError
        If the expression cannot be parsed, has an unknown class, or cancels out; if the generator has categorical
        codes or hardly generates a class; if the reference classifier does not know the classes.
    """
    check_arguments(latent_arithmetic, locals())
    model = load_as("gan", generator, device=device)
    reference = reference or reference_of(model)
    if model.latent.categories:
        raise UsageError(
            "latent arithmetic adds noise, but in this generator a code sets the class; generate a class instead"
        )
    if not reference.in_domain:
        raise UsageError("latent arithmetic needs a classifier, and no bundled one knows the classes of these images")
    classes = reference.classifier.classes
    terms = _parse_terms(expression, classes)
    if not any(_coefficients(terms).values()):
        raise UsageError(f'the expression "{expression}" cancels out')
    z = model.draw(SEARCH_SAMPLES, seed=seed)
    means = _class_means(model, z, terms, reference)
    total = torch.stack([sign * means[name] for sign, name in terms]).sum(0)
    noise = model.latent.noise
    length = z[:, :noise].norm(dim=1).mean()
    points = torch.stack([x[:noise] / x[:noise].norm() * length for x in (*means.values(), total)])
    random = torch.Generator().manual_seed(seed)
    variations = points[-1:] + torch.randn(COLUMNS - 1, noise, generator=random) * VARIATION_STD
    z = model.draw(1, seed=seed).repeat(len(points) + len(variations), 1)
    z[:, :noise] = torch.cat([points, variations])
    heads = [*_term_names(terms), "sum", *[""] * (COLUMNS // 2 - 1), "the sum with a little noise"]
    heads += [""] * (len(z) - len(heads))
    return ImageGrid(z, model(z), len(z), heads=tuple(heads), seeds=(seed,))


def _class_means(
    model: Generator, z: Tensor, terms: Sequence[tuple[int, str]], reference: ReferenceClassifier
) -> dict[str, Tensor]:
    """Return the mean latent vector (length,) of each class over its most confident samples."""
    output = reference(model(z))
    means = {}
    for _, name in terms:
        rows = torch.nonzero(output.labels == reference.classifier.classes.index(name)).flatten()
        best = rows[output.confidence[rows].argsort(descending=True)][:MEAN_SAMPLES]
        if len(best) < MIN_SAMPLES:
            raise UsageError(f"the generator hardly makes the class '{name}' ({len(best)} of {len(z)} samples)")
        means[name] = z[best].mean(0)
    return means


def _parse_terms(expression: str, classes: Sequence[str]) -> list[tuple[int, str]]:
    """Return the signs and class names of an expression."""
    # Longest names first, because a name may contain a sign ("T-shirt/top").
    names = "|".join(re.escape(name) for name in sorted(classes, key=len, reverse=True))
    pattern = rf"(?<!\w)({names})(?=\s|[+-]|$)"
    terms = re.findall(rf"\s*([+-]?)\s*{pattern}", expression, flags=re.IGNORECASE)
    parsed = "".join(f"{sign}{name}" for sign, name in terms)
    if any(not sign for sign, _ in terms[1:]):
        raise UsageError(f'expression "{expression}": a sign is missing; write as "A - B + C"')
    if not terms or re.sub(r"\s", "", parsed) != re.sub(r"\s", "", expression):
        rest = re.sub(pattern, "", expression, flags=re.IGNORECASE)
        unknown = re.findall(r"[\w/.]+", rest)
        if not unknown:
            raise UsageError(f'expression "{expression}": a class is missing; write as "A - B + C"')
        raise unknown_name("class", unknown[0], list(classes), 'write as "A - B + C"')
    known = {name.casefold(): name for name in classes}
    return [(-1 if sign == "-" else 1, known[name.casefold()]) for sign, name in terms]


def _coefficients(terms: Sequence[tuple[int, str]]) -> dict[str, int]:
    """Return how often each class is added (or subtracted, if negative), in the order of the expression.

    >>> _coefficients([(1, "7"), (-1, "1"), (1, "7")])
    {'7': 2, '1': -1}
    """
    counts: dict[str, int] = {}
    for sign, name in terms:
        counts[name] = counts.get(name, 0) + sign
    return counts


def _term_names(terms: Sequence[tuple[int, str]]) -> list[str]:
    """Return each class once, in the order of the expression, with its sign and coefficient.

    >>> _term_names([(1, "7"), (-1, "1"), (1, "0"), (1, "0")])
    ['7', '- 1', '+ 2 x 0']
    """
    names: list[str] = []
    for name, count in _coefficients(terms).items():
        sign = "- " if count < 0 else "+ " if names else ""
        factor = "" if abs(count) == 1 else f"{abs(count)} x "
        names.append(f"{sign}{factor}{name}")
    return names


def add_nearest_neighbors(
    generator: Generator | ModelSource,
    grid: ImageGrid,
    k: int,
    data: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
) -> ImageGrid:
    """Add rows with the nearest training images below each row of a grid, to detect memorization.

    Parameters
    ----------
    generator : Generator | ModelSource
        See `generate`; the generator of the grid.
    grid : ImageGrid
        Generated images.
    k : int
        Number of training images for each generated image; at most all of them.
    data : str | Path | None
        Name or path of the training data, see `firstsight.load_data`; None for those of the generator.
    device : str | torch.device | None
        See `generate`.

    Returns
    -------
    ImageGrid
        The grid with ``k`` more rows below each of its rows; ``z`` is unchanged.

    Raises
    ------
    UsageError
        If ``data`` is None and the training data are not available, or ``k`` is below 0.
    DataError
        If the data cannot be used.
    """
    check_arguments(add_nearest_neighbors, locals())
    if k < 0:
        raise UsageError(f"`k` must be at least 0; got {k}")
    model = load_as("gan", generator, device=device)
    source = data if data is not None else training_data(model.source, model.card)
    preprocess = model.preprocess
    train = load_data(source, "train", size=preprocess.resize, channels=preprocess.channels, labeled=False)
    candidates = fit_images(train, preprocess)
    indices = nearest_neighbors(grid.images, candidates, k=min(k, len(candidates)))
    neighbor_names = ["nearest"] if k == 1 else [f"nearest {rank + 1}" for rank in range(indices.shape[1])]
    images = []
    row_names = []
    for number, start in enumerate(range(0, len(grid.images), grid.columns)):
        row = slice(start, start + grid.columns)
        neighbors = [candidates[rank] for rank in indices[row].T]
        images += [_pad_row(part, grid.columns) for part in (grid.images[row], *neighbors)]
        row_names += [grid.rows[number] if grid.rows else "generated", *neighbor_names]
    return replace(grid, images=torch.cat(images), rows=tuple(row_names))


def _pad_row(images: Tensor, columns: int) -> Tensor:
    """Fill up a row of images (N, C, S, S) with black ones."""
    return torch.cat([images, images.new_zeros(columns - len(images), *images.shape[1:])])
