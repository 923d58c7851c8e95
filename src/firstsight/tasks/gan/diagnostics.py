"""What goes wrong when two networks train against each other, told from the metrics, in words.

Each rule looks at the means of the last `LAST` epochs (of a fifth of them in a long run).
"""

from statistics import fmean

from firstsight.engine.task import History

LAST = 5
SURE = 0.95
"""D wins: on average its answers have come so far to what it is asked to say, as a share of the way between the two."""
STILL = 0.01
"""A loss stands still: over the last epochs neither G's nor D's mean moves by more than this share of itself."""
POOR = 3.0
"""...while the Frechet distance is still more than this many times that of real pictures..."""
FALLEN = 0.5
"""...and more than this share of the highest so far; where it has fallen further, the game is in balance."""
SHARE = 0.5
"""Modes are missing: no more than this share of the classes is made."""
NARROW = 0.2
"""All pictures are alike: their features vary less than this share of what those of real pictures do."""
EARLY = 1 / 3
"""Neither of the last two is said before this share of the epochs: many a run begins with few classes and recovers."""


def find(lines: History, *, classes: int, epochs: int = 0, asked: tuple[float, float] | None = (1.0, 0.0)) -> list[str]:
    """A sentence for everything that is wrong at the end of ``lines``.

    Parameters
    ----------
    lines : History
        Metrics of every epoch so far.
    classes : int
        How many classes there are to make; 0 where nobody can tell.
    epochs : int
        How many the whole training has; 0 if it is over.
    asked : tuple[float, float] | None
        The mean of what D is asked to say to real and to generated pictures, as D(x) and D(G(z)) are told; None where
        its answers have no scale (hinge, wasserstein), and nobody can tell from them that it wins.
    """
    count = max(LAST, len(lines) // 5)
    last = lines[-count:]
    if len(lines) < 2 * LAST or not any("test/frechet" in line for line in last):
        return []

    def mean(name: str) -> float:
        return fmean(line[name] for line in last if name in line)

    told = []
    if asked and _near(mean("train/d_real"), *asked) and _near(mean("train/d_fake"), *reversed(asked)):
        told.append(
            "D wins: it tells real from generated pictures almost without error, and G learns little from it;"
            " try a smaller --d-lr-mult, or --label-flip-prob 0.1"
        )
    highest = max(line["test/frechet"] for line in lines if "test/frechet" in line)
    poor = mean("test/frechet") > max(POOR * mean("test/frechet_floor"), FALLEN * highest)
    if poor and all(_still([line[f"train/{name}"] for line in last]) for name in ("g_loss", "d_loss")):
        told.append(
            "the losses stand still: nothing is learned; something between D's layers and its answer takes the"
            " difference between real and generated pictures away"
        )
        return told  # what the pictures lack follows from it
    if len(lines) < EARLY * epochs:
        return told
    if classes and mean("test/modes") <= SHARE * classes:
        told.append(
            f"modes are missing: no more than half of the {classes} classes are made;"
            " try more --epochs, another --seed, a smaller --lr, or --packing 2"
        )
    if mean("test/spread") < NARROW:
        told.append(
            "the pictures are all alike: G has collapsed to a few of them; try more --epochs, another --seed, a"
            " smaller --lr, or --packing 2"
        )
    return told


def _near(answer: float, wanted: float, other: float) -> bool:
    """Has it come at least `SURE` of the way from the other answer to the wanted one?"""
    return wanted != other and (answer - other) / (wanted - other) > SURE


def _still(values: list[float]) -> bool:
    return max(values) - min(values) <= STILL * abs(fmean(values))
