"""Diagnosis of GAN training from its metrics: typical failures, as sentences for users.

The rules use the means of the last `WINDOW` epochs, or of the last fifth of a long run.
"""

from statistics import fmean

from firstsight.engine.task import History

WINDOW = 5
D_WINS = 0.95
"""D wins if its mean outputs are within 5 % of its targets, as a fraction of the difference between the targets."""
CONSTANT = 0.01
"""The losses are constant if neither mean changes by more than this fraction in the last epochs."""
POOR = 3.0
"""Constant losses are a failure only if the Frechet distance is above this multiple of that of real images..."""
NOT_IMPROVED = 0.5
"""...and above this fraction of its maximum. Below, G and D are in balance."""
MISSING_MODES = 0.5
"""Modes are missing if at most this fraction of the classes is generated."""
COLLAPSED = 0.2
"""All images are alike if the variance of their features is below this fraction of that of real images."""
PATIENCE = 1 / 3
"""The last two rules wait for this fraction of the epochs: many runs start with few classes and recover."""


def diagnose(
    history: History, *, classes: int, epochs: int = 0, targets: tuple[float, float] | None = (1.0, 0.0)
) -> list[str]:
    """Return a sentence for every failure at the end of ``history``.

    Parameters
    ----------
    history : History
        Metrics of every epoch so far.
    classes : int
        Number of classes of the data; 0 if generated images cannot be classified.
    epochs : int
        Number of epochs of the whole training; 0 if it is finished.
    targets : tuple[float, float] | None
        Mean targets of D for real and for generated images, on the scale of D(x) and D(G(z)). None if D's outputs have
        no such scale (hinge, wasserstein); the rule "D wins" is then not applied.
    """
    last = history[-max(WINDOW, len(history) // 5) :]
    if len(history) < 2 * WINDOW or not any("test/frechet" in row for row in last):
        return []

    def mean(name: str) -> float:
        return fmean(row[name] for row in last if name in row)

    messages = []
    if targets and _reaches(mean("train/d_real"), *targets) and _reaches(mean("train/d_fake"), *reversed(targets)):
        messages.append(
            "D wins: it separates real from generated images almost without error, and G learns little from it;"
            " try a smaller `d_lr_mult`, or `label_flip_prob=0.1`"
        )
    highest = max(row["test/frechet"] for row in history if "test/frechet" in row)
    is_poor = mean("test/frechet") > max(POOR * mean("test/frechet_floor"), NOT_IMPROVED * highest)
    if is_poor and all(_is_constant([row[f"train/{name}"] for row in last]) for name in ("g_loss", "d_loss")):
        messages.append(
            "the losses are constant: nothing is learned; a layer between D's features and its output removes the"
            " difference between real and generated images"
        )
        return messages  # missing modes would only be a consequence
    if len(history) < PATIENCE * epochs:
        return messages
    if classes and mean("test/modes") <= MISSING_MODES * classes:
        messages.append(
            f"modes are missing: at most half of the {classes} classes are generated;"
            " try more `epochs`, another `seed`, a smaller `lr`, or `packing=2`"
        )
    if mean("test/spread") < COLLAPSED:
        messages.append(
            "the images are all alike: G has collapsed to a few of them; try more `epochs`, another `seed`, a"
            " smaller `lr`, or `packing=2`"
        )
    return messages


def _reaches(output: float, target: float, other: float) -> bool:
    """Return whether an output of D is within 5 % of its target (see `D_WINS`)."""
    return target != other and (output - other) / (target - other) > D_WINS


def _is_constant(values: list[float]) -> bool:
    return max(values) - min(values) <= CONSTANT * abs(fmean(values))
