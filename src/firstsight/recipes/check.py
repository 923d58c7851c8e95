"""Impossible settings, refused in one sentence."""

import math
from typing import TYPE_CHECKING, Literal, get_args, get_origin, get_type_hints

from firstsight.errors import UsageError
from firstsight.recipes.recipe import (
    ClassifySettings,
    GanSettings,
    PeopleSettings,
    PoseSettings,
    Settings,
    TopDownSettings,
)

if TYPE_CHECKING:
    from firstsight.gan.losses import Spread

LIMITS: dict[str, tuple[float, float]] = {
    "epochs": (1, 100_000), "evaluate_every": (1, 100_000), "updates": (0, 10**9),
    "batch_size": (1, 1_000_000), "image_size": (4, 4096),
    "rotate": (0, 180), "zoom": (0, 0.9),
    "warmup": (0, 0.99), "label_smoothing": (0, 0.99), "holdout": (0, 0.9), "momentum": (0, 0.999),
    "linear_lr": (0, 100_000), "bias_lr": (0, 100_000), "bias_decay": (0, 100), "weight_decay": (0, 100),
    "whiten": (0, 1_000_000), "seed": (0, 2**62), "d_lr": (0, 1000), "beta1": (0, 0.999), "penalty": (0, 10_000),
    "r1": (0, 10_000), "critic_steps": (1, 100), "latent": (1, 10_000), "width": (1, 1024), "g_width": (0, 1024),
    "real_target": (0.5, 1), "label_noise": (0, 0.5), "instance_noise": (0, 100), "ema": (0, 0.99999),
    "packing": (1, 16), "continuous": (0, 100), "information": (0, 1000), "information_warmup": (0, 0.99),
    "people": (1, 30), "smallest": (0.05, 2), "largest": (0.05, 2), "stages": (0, 10), "sigma": (1, 100),
    "paf_weight": (0, 1000), "image_width": (0, 1024), "stacks": (0, 8), "move": (0, 0.5), "half_body": (0, 1),
    "hide": (0, 1), "filter_lr": (0, 100_000), "early": (0, 0.99), "early_scale": (0.05, 1), "restart": (0.001, 1),
    "foreground": (0, 1000), "measured": (1, 1_000_000),
}  # fmt: skip
"""Smallest and greatest value of each number."""


def check(settings: Settings) -> None:
    """Refuse impossible settings.

    Raises
    ------
    UsageError
        A value out of its limits, not one of its choices, or one that needs another.
    """
    limits = LIMITS | {
        "shift": (0, settings.image_size - 1), "cutout": (0, settings.image_size),
        "translation": (0, settings.image_size // 2),
    }  # fmt: skip
    for name, hint in get_type_hints(type(settings)).items():
        value, option = getattr(settings, name), f"--{name.replace('_', '-')}"
        if name in limits and not limits[name][0] <= value <= limits[name][1]:
            raise UsageError(f"{option} must lie between {limits[name][0]} and {limits[name][1]}; got {value}")
        if get_origin(hint) is Literal and value not in get_args(hint):
            raise UsageError(f"{option} must be one of {', '.join(map(str, get_args(hint)))}; got {value}")
    if not 0 < settings.lr <= 1000:
        raise UsageError(f"--lr must be above 0 and at most 1000; got {settings.lr}")
    if isinstance(settings, ClassifySettings) and settings.freeze and settings.weights == "none":
        raise UsageError("--freeze needs --weights: a network that begins at random must learn everything")
    if isinstance(settings, GanSettings):
        _check_gan(settings)
    if isinstance(settings, PeopleSettings) and settings.flip == "alternating":
        raise UsageError("--flip must be none or random for poses; got alternating")
    if isinstance(settings, PeopleSettings) and settings.optimizer == "muon" and settings.precision == "float16":
        raise UsageError("--precision float16 is not for two optimizers at once, as --optimizer muon has; use bfloat16")
    if isinstance(settings, PoseSettings):
        _check_pose(settings)
    if isinstance(settings, TopDownSettings):
        _check_top_down(settings)


def _check_pose(settings: PoseSettings) -> None:
    side = settings.image_size
    if side % 8 or side < 64:
        raise UsageError(f"--image-size must be a multiple of 8, and 64 at least, for a pose network; got {side}")
    for name in ("shift", "zoom"):
        if getattr(settings, name):
            raise UsageError(f"--{name} is not for poses: people are moved and enlarged by --smallest and --largest")
    if settings.smallest > settings.largest:
        raise UsageError(f"--smallest {settings.smallest} is more than --largest {settings.largest}")


def _check_top_down(settings: TopDownSettings) -> None:
    for name in ("image_size", "image_width"):
        side = getattr(settings, name)
        if side % 32 or (name == "image_size" and side < 32):
            option = name.replace("_", "-")
            raise UsageError(f"--{option} must be a multiple of 32 for a network of one person at a time; got {side}")
    if settings.early and settings.head == "simcc":
        raise UsageError("--head simcc knows one size of crops alone: add --early 0")
    if settings.shift:
        raise UsageError("--shift is not for poses: people are moved by --move, a share of their size")


def _check_gan(settings: GanSettings) -> None:
    if settings.label_noise and settings.loss in ("hinge", "wasserstein"):
        raise UsageError(f"--label-noise turns labels round, and --loss {settings.loss} has none; use another loss")
    if settings.batch_size < 2 * settings.packing:
        least = 2 * settings.packing
        raise UsageError(
            f"--batch-size must be at least {least} with --packing {settings.packing}; batch norm needs two"
        )
    if settings.precision == "float16":
        raise UsageError("--precision float16 is not for two networks at once; use bfloat16 or float32")
    sizes(settings.categories)


def sizes(categories: str) -> tuple[int, ...]:
    """How many values each categorical code has.

    Raises
    ------
    UsageError
        They are no numbers from 2 to 1000.

    >>> sizes("10,3"), sizes("")
    ((10, 3), ())
    """
    words = [word.strip() for word in categories.split(",")] if categories.strip() else []
    if not all(word.isdecimal() and 2 <= int(word) <= 1000 for word in words):
        raise UsageError(f"--categories must be numbers from 2 to 1000, as 10 or 10,3; got {categories}")
    return tuple(map(int, words))


def spreads(spread: float | str, continuous: int) -> "Spread":
    """The deviation of Q's answer for each continuous code.

    Raises
    ------
    UsageError
        It is none of a number above 0, one for each code, and "learned".

    >>> spreads(0.5, 2), spreads("0.3,0.6", 2), spreads("learned", 2)
    (0.5, (0.3, 0.6), 'learned')
    """
    if spread == "learned":
        return "learned"
    try:
        numbers = tuple(float(word) for word in str(spread).split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, continuous) or not all(0 < number < math.inf for number in numbers):
        raise UsageError(
            f"--spread must be a number above 0, or one for each of the {continuous} continuous codes, or learned; got"
            f" {spread}"
        )
    return numbers[0] if len(numbers) == 1 else numbers
