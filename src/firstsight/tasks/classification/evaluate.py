"""A trained generator measured: how near its pictures are to real ones, what it makes, what its codes mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from firstsight.data.batches import fit_images
from firstsight.data.images.image_set import ImageSet
from firstsight.data.images.loading import load as load_data
from firstsight.engine.device import move
from firstsight.metrics.clustering import asked, purity
from firstsight.metrics.frechet import divergence, frechet_distance, modes, overlap
from firstsight.tasks.gan import codes
from firstsight.tasks.gan.evaluate import DRAWS, distances, look_at
from firstsight.tasks.gan.reference_classifier import reference_for
from firstsight.tasks.pose.provenance import training_data
from firstsight.weights.generator import Generator, load_discriminator, load_generator

MOST = 10_000
LEAST = 4
"""Draws at the least: even between ten thousand pictures a distance depends on which they are."""
NEIGHBOURS = 5


@dataclass(frozen=True)
class Measured:
    """A generator measured.

    Parameters
    ----------
    metrics : Mapping[str, float]
        ``frechet``, the mean over draws of ``n`` pictures, beside ``frechet_sd``, the standard deviation of one draw,
        and ``frechet_floor`` (training images in the place of generated ones); ``precision``, ``recall``, ``density``,
        ``coverage``; ``modes``, ``kl``, ``sure`` (mean probability of its answers) where the judge knows the classes;
        for each categorical code ``c1_purity`` (the mean of ``purities``), or ``c1_asked`` where it is the class that
        the networks were told; for each continuous one ``c2_slant``, ``c2_width`` (correlations); of a run with a Q
        ``q_error`` (one-to-one) and ``q_error_majority``, of the first category on the test images.
    purities : Mapping[str, tuple[float, ...]]
        For each categorical code, the share of the most frequent class among the pictures of each of its values; where
        the code is the class that the networks were told, the share of that class.
    n : int
        Generated and real pictures compared, each; draws : how often (precision to coverage: the first of them).
    judge, sha256
        The classifier whose features are compared, and the hash of its file.
    """

    metrics: Mapping[str, float]
    purities: Mapping[str, tuple[float, ...]]
    n: int
    draws: int
    model: str
    data: str
    reference: str
    sha256: str
    notes: tuple[str, ...]


def measure(
    generator: str | Path, data: str | Path | None = None, *, n: int = MOST, seed: int = 0, strict: bool = False,
    device: str = "cpu",
) -> Measured:  # fmt: skip
    """Measure a generator against the test images of a data set.

    Parameters
    ----------
    generator : str | Path
        What `load_generator` takes.
    data : str | Path | None
        What `load_data` takes; what it was trained on if None.
    n : int
        Pictures to compare, at most as many as there are test images.
    device : str
        Where the generator computes, see `choose_device`.
    """
    made = load_generator(generator)
    move(device, made.model)
    size = made.preprocess.resize
    where = data if data is not None else training_data(made.source, made.card)
    train, test = (
        load_data(where, split, size=size, channels=made.preprocess.channels, strict=strict, labelled=False)
        for split in ("train", "test")
    )
    n = min(n, len(test), len(train))
    reference = reference_for(test.name, test.classes)
    draws = max(LEAST, min(DRAWS, MOST // n))
    z = made.draw(n * draws, seed=seed)
    pictures = made(z)
    seen = reference.look(pictures)
    (real, labels), (other, _) = (look_at(reference, images, n, made.preprocess) for images in (test, train))
    found = distances(real.features, seen.features) | {"frechet_floor": frechet_distance(real.features, other.features)}
    notes = list(test.notes)
    if n > NEIGHBOURS:
        found |= vars(overlap(real.features, seen.features[:n], k=NEIGHBOURS))
    else:
        notes.append(
            f"{n} pictures are too few for precision, recall, density and coverage, which look at {NEIGHBOURS}"
        )
    classes = len(test.classes)
    if reference.in_domain:
        found["modes"] = float(modes(seen.labels, classes))
        found["kl"] = divergence(seen.labels, labels, classes)
        found["sure"] = float(seen.sure.double().mean())
    purities = {}
    if reference.in_domain and made.conditional and made.table == test.classes:
        purities["c1"] = asked(made.latent.codes(z)[0][0], seen.labels, values=classes)
        found["c1_asked"] = fmean(purities["c1"])
    elif reference.in_domain:
        for i, (chosen, values) in enumerate(
            zip(made.latent.codes(z)[0], made.latent.categories, strict=True), start=1
        ):
            purities[f"c{i}"] = purity(chosen, seen.labels, values=values, classes=classes)
            found[f"c{i}_purity"] = fmean(purities[f"c{i}"])
    if made.latent.categories and classes > 1 and not made.conditional:
        found |= _reading(Path(generator), made, test)
    first, count = len(made.latent.categories) + 1, made.latent.continuous
    found_codes = {f"c{i}": meaning for i, meaning in enumerate(codes.meanings(made.latent, z, pictures), start=first)}
    if count > 1:
        found_codes[f"c{first}-c{first + count - 1}"] = codes.meaning_together(made.latent, z, pictures)
    for code, meaning in found_codes.items():
        found |= {f"{code}_{name}": value for name, value in vars(meaning).items()}
    return Measured(
        found, purities, n, draws, made.card["model"], test.name, reference.name, reference.sha256, tuple(notes)
    )


def _reading(run: Path, made: Generator, test: ImageSet) -> dict[str, float]:
    """Q's errors, where a run has it."""
    discriminator = load_discriminator(run, made.card) if run.is_dir() else None
    if discriminator is None:
        return {}
    inputs = made.preprocess.normalize(fit_images(test, made.preprocess))
    found = codes.read(discriminator, inputs, test)
    return {"q_error": 1 - found.hungarian_accuracy, "q_error_majority": 1 - found.majority}
