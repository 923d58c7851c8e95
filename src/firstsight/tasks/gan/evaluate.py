"""Evaluation of a trained generator: distance to real images, classes generated, meaning of its codes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from firstsight.arguments import ignore, iterate
from firstsight.data.batches import fit_images
from firstsight.data.images.image_set import ImageSet
from firstsight.data.images.loading import load_data
from firstsight.errors import DataError, UsageError
from firstsight.metrics.clustering import class_accuracy, cluster_purity
from firstsight.metrics.frechet import class_kl_divergence, compute_prdc, count_modes, frechet_distance
from firstsight.tasks.evaluation import Evaluation, MetricRow
from firstsight.tasks.gan.codes import code_correlations, joint_correlation, match_categories
from firstsight.tasks.gan.evaluate_options import MAX_IMAGES
from firstsight.tasks.gan.evaluator import MAX_DRAWS, classify_set, distances
from firstsight.tasks.gan.generator import BATCH, Generator, load_discriminator
from firstsight.tasks.gan.reference_classifier import ClassifierOutput, ReferenceClassifier, reference_for
from firstsight.tasks.provenance import abbreviated, is_training_data, training_data

MIN_DRAWS = 4
"""Minimum number of draws: even with ten thousand images, the distance depends on which images are drawn."""
MIN_IMAGES = 2
"""Minimum number of images: one has no covariance."""
NEIGHBORS = 5
DESCRIPTIONS = {
    "frechet": "Frechet distance to test images, lower is better",
    "frechet_sd": "standard deviation of the distance of one draw; the distance is the mean over draws",
    "frechet_floor": "Frechet distance of training images: the value to approach",
    "precision": "fraction of generated images that are in the manifold of real ones",
    "recall": "fraction of real images that are in the manifold of generated ones",
    "density": "mean number of real neighborhoods around a generated image, divided by k",
    "coverage": "fraction of real images with a generated image in their neighborhood",
    "modes": "number of classes that at least 1 % of the images show",
    "kl": "KL divergence of the generated from the real class distribution, in nats",
    "confidence": "mean probability of the reference classifier's predictions",
    "class_accuracy": "fraction of images of the requested class, mean over the classes",
    "q_error": "error of Q on test images, categories matched one-to-one with classes",
    "q_purity": "purity of Q's categories on test images, several categories per class allowed",
}
SHAPES = {"slant": "the slant of a digit", "width": "its width", "stroke": "its stroke width"}


@dataclass(frozen=True, kw_only=True, repr=False)
class GANEvaluation(Evaluation):
    """Metrics of a generator.

    Attributes
    ----------
    metrics : Mapping[str, float | None]
        ``frechet``: mean Frechet distance over draws of ``n`` images; ``frechet_sd``: standard deviation of one draw;
        ``frechet_floor``: distance of training images; ``precision``, ``recall``, ``density``, ``coverage``. If the
        reference classifier knows the classes: ``modes``, ``kl``, ``confidence``. For each categorical code
        ``c1_purity``, or ``class_accuracy`` of a class-conditional generator; for each continuous code ``c2_slant``,
        ``c2_width``, ``c2_stroke`` (correlations). For a run with a Q: ``q_error`` and ``q_purity``.
    n : int
        Number of generated and of real images compared.
    model, data : str
        Names of the network and of the data set.
    notes : tuple[str, ...]
        Remarks that qualify the result.
    purities : Mapping[str, tuple[float, ...]]
        For each categorical code, the fraction of the most frequent class among the images of each value. For a
        class-conditional generator, the fraction of the requested class.
    draws : int
        Number of draws (precision, recall, density and coverage use the first).
    reference : str
        Classifier whose features are compared.
    sha256 : str
        SHA-256 of its file.
    """

    purities: Mapping[str, tuple[float, ...]]
    draws: int
    reference: str
    sha256: str

    def headline(self) -> str:
        """Return the result in one line."""
        return (
            f"{self.model} on {self.data}: FD({self.reference}) {self.metrics['frechet']:.4g}"
            f" (N = {self.n:,}, {self.draws} draws)"
        )

    def rows(self) -> list[MetricRow]:
        """Return a table of the metrics for people."""
        rows = [MetricRow(name, f"{value:.4g}", describe(name)) for name, value in self.metrics.items()]
        for name, fractions in self.purities.items():
            kind = "purity" if f"{name}_purity" in self.metrics else "accuracy"
            rows.append(MetricRow(name, " ".join(f"{x:.2f}" for x in fractions), f"{kind} of each of its values"))
        return rows

    def details(self) -> list[str]:
        """Return lines printed below the table."""
        return [
            f"features of {self.reference} (SHA-256 {self.sha256[:12]});"
            " do not compare with distances of other features or another N"
        ]


def describe(name: str) -> str:
    """Return a one-line description of a metric.

    >>> describe("c2_slant")
    'correlation of c2 with the slant of a digit'
    """
    if name.endswith("_purity") and name not in DESCRIPTIONS:
        code = name.partition("_")[0]
        return f"fraction of the most frequent class among images of a value of {code}, mean over its values"
    code, _, shape = name.partition("_")
    if shape in SHAPES:
        subject = f"the best linear combination of {code.replace('-', ' to ')}" if "-" in code else code
        return f"correlation of {subject} with {SHAPES[shape]}"
    return DESCRIPTIONS[name]


def evaluate_generator(
    model: Generator,
    data: str | Path | None = None,
    *,
    n: int = MAX_IMAGES,
    seed: int = 0,
    strict: bool = False,
    notify: Callable[[str], None] = ignore,
    progress: Callable[[Sequence[Any]], Iterable[Any]] = iterate,
) -> GANEvaluation:
    """Evaluate a generator against the test images of a data set.

    Parameters
    ----------
    model : Generator
        Trained generator.
    data : str | Path | None
        Name or path of a data set, see `firstsight.load_data`; None for the one it was trained on.
    n : int
        Number of images to compare, at least 2; at most the number of test images is used.
    seed : int
        Seed of the latent vectors.
    strict : bool
        Refuse data with unusable images instead of leaving them out.
    notify : Callable[[str], None]
        Called with a line for every download.
    progress : Callable[[Sequence[Any]], Iterable[Any]]
        Iterates over the batches of images to generate, for a progress bar.

    Raises
    ------
    UsageError
        If ``data`` is None and the training data are not available, or ``n`` is below 2.
    DataError
        If the data cannot be used, have fewer than two images, or have other classes than the training data.
    """
    if n < MIN_IMAGES:
        raise UsageError(f"`n` must be at least {MIN_IMAGES}; got {n}")
    source = data if data is not None else training_data(model.source, model.card)
    train, test = _load_splits(model, source, strict=strict, notify=notify)
    data_notes = _check_data(model, data, test)
    n = min(n, len(test), len(train))
    if n < MIN_IMAGES:
        raise DataError(
            f"{test.name}: a Frechet distance needs at least {MIN_IMAGES} training and test images;"
            f" there are {len(train)} and {len(test)}"
        )
    reference = reference_for(test.name, test.classes)
    draws = max(MIN_DRAWS, min(MAX_DRAWS, MAX_IMAGES // n))
    z = model.draw(n * draws, seed=seed)
    images = torch.cat([model(chunk) for chunk in progress(z.split(BATCH))])
    fake = reference(images)
    real, labels = classify_set(reference, test, n, model.preprocess)
    other, _ = classify_set(reference, train, n, model.preprocess)
    metrics = _feature_metrics(real.features, other.features, fake.features)
    notes = (*data_notes, *test.notes)
    if n <= NEIGHBORS:
        notes += (f"precision, recall, density and coverage need more than {NEIGHBORS} images; there are {n}",)
    purities: dict[str, tuple[float, ...]] = {}
    if reference.in_domain:
        metrics |= _class_metrics(fake, labels, len(test.classes))
        purities = _code_purities(model, z, fake, test)
        metrics |= {_purity_name(code, model, test): fmean(fractions) for code, fractions in purities.items()}
    if model.latent.categories and len(test.classes) > 1 and not model.is_conditional:
        metrics |= _q_metrics(model, test)
    metrics |= _correlations(model, z, images)
    return GANEvaluation(
        metrics=metrics,
        n=n,
        model=model.card["model"],
        data=test.name,
        notes=notes,
        purities=purities,
        draws=draws,
        reference=reference.name,
        sha256=reference.sha256,
    )


def _load_splits(
    model: Generator, source: str | Path, *, strict: bool, notify: Callable[[str], None]
) -> tuple[ImageSet, ImageSet]:
    """Return training and test images at the size and with the channels of the generator."""
    size = model.preprocess.resize
    channels = model.preprocess.channels
    train, test = (
        load_data(source, split, size=size, channels=channels, strict=strict, labeled=False, notify=notify)
        for split in ("train", "test")
    )
    return train, test


def _check_data(model: Generator, data: str | Path | None, test: ImageSet) -> tuple[str, ...]:
    """Return a note if these are not the training data; refuse data with other classes, which it cannot generate."""
    if data is None or is_training_data(data, model.source, model.card):
        return ()
    about = model.card["about"]
    trained_on, classes = str(about.get("data", "other data")), tuple(about.get("classes", ()))
    if len(classes) > 1 and len(test.classes) > 1 and set(classes) != set(test.classes):
        expected, given = abbreviated(classes), abbreviated(test.classes)
        raise DataError(
            f"{test.name} has the classes {given}, but the generator was trained on {trained_on}: {expected}"
        )
    if test.name == trained_on:
        return ()
    return (f"the generator was trained on {trained_on}, so this compares its images with other data ({test.name})",)


def _feature_metrics(real: Tensor, other: Tensor, fake: Tensor) -> dict[str, float]:
    """Return the metrics of features of test images (N, D), training images (N, D) and draws (draws * N, D)."""
    n = len(real)
    metrics = distances(real, fake)
    metrics["frechet_floor"] = frechet_distance(real, other)
    if n > NEIGHBORS:
        metrics |= vars(compute_prdc(real, fake[:n], k=NEIGHBORS))
    return metrics


def _class_metrics(fake: ClassifierOutput, labels: Tensor, num_classes: int) -> dict[str, float]:
    return {
        "modes": float(count_modes(fake.labels, num_classes)),
        "kl": class_kl_divergence(fake.labels, labels, num_classes),
        "confidence": float(fake.confidence.double().mean()),
    }


def _is_conditional_on(model: Generator, test: ImageSet) -> bool:
    """Return whether the generator is class-conditional with the classes of the test images."""
    return model.is_conditional and model.table == test.classes


def _purity_name(code: str, model: Generator, test: ImageSet) -> str:
    return "class_accuracy" if _is_conditional_on(model, test) else f"{code}_purity"


def _code_purities(model: Generator, z: Tensor, fake: ClassifierOutput, test: ImageSet) -> dict[str, Any]:
    """Return the purity of every value of every categorical code, or the accuracy of every class."""
    values = model.latent.codes(z)[0]
    if _is_conditional_on(model, test):
        return {"c1": class_accuracy(values[0], fake.labels, num_classes=len(test.classes))}
    return {
        f"c{i}": cluster_purity(code, fake.labels, num_clusters=count, num_classes=len(test.classes))
        for i, (code, count) in enumerate(zip(values, model.latent.categories, strict=True), start=1)
    }


def _q_metrics(model: Generator, test: ImageSet) -> dict[str, float]:
    """Return the error and purity of Q on test images, if the generator is that of a run, which has Q."""
    discriminator = next(
        (load_discriminator(folder, model.card) for folder in _run_folders(model) if folder.is_dir()), None
    )
    if discriminator is None:
        return {}
    inputs = model.preprocess.normalize(fit_images(test, model.preprocess))
    match = match_categories(discriminator, inputs, test)
    return {"q_error": 1 - match.hungarian_accuracy, "q_purity": match.purity}


def _run_folders(model: Generator) -> list[Path]:
    """Return the run directory of a generator: the folder of model.safetensors, or the one with its checkpoints."""
    path = Path(model.source)
    return [folder for folder in path.parents[:3] if (folder / "checkpoints").is_dir()][:1]


def _correlations(model: Generator, z: Tensor, images: Tensor) -> dict[str, float]:
    """Return the correlations of the continuous codes with the shape of digits."""
    first = len(model.latent.categories) + 1
    count = model.latent.continuous
    correlations = {f"c{i}": item for i, item in enumerate(code_correlations(model.latent, z, images), start=first)}
    if count > 1:
        correlations[f"c{first}-c{first + count - 1}"] = joint_correlation(model.latent, z, images)
    return {f"{code}_{shape}": value for code, item in correlations.items() for shape, value in vars(item).items()}


def reference_of(model: Generator) -> ReferenceClassifier:
    """Return the reference classifier for the data that a generator was trained on."""
    about = model.card["about"]
    return reference_for(str(about["data"]), tuple(about["classes"]))
