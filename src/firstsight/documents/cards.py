"""Schemas of cards, the metadata of weights files.

`decode_card` reads the card of a file of any version. `check_card` checks the entries that the loader of one kind
needs. Limits are wider than those of training, and narrow enough that no value alone can use up the memory.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from firstsight.documents.decode import Count, decode_document
from firstsight.errors import WeightsError
from firstsight.migrate import StoredCard, migrate_card

FORMAT = 1
"""Version of the cards that this package writes, and the newest one that it reads."""
MAX_CLASSES = 100_000
"""Maximum number of classes of a classifier."""
MAX_CARD_BYTES = 32 * 2**20
MAX_SIDE = 4096
"""Maximum side of the input of a network in pixels."""

Text = Annotated[str, Meta(max_length=1000)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
Width = Annotated[int, Meta(ge=1, le=10_000)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Channels = Literal[1, 3]
T = TypeVar("T")


class TrainingSettings(Struct):
    """Settings that are used again after the training; a card has all of them."""

    data: Text = "not known"
    val_fraction: Annotated[float, Meta(ge=0, lt=1)] = 0.0


class About(Struct, kw_only=True):
    """Facts for readers: where the weights are from, and their results."""

    data: Text = "not known"
    recipe: Text = "not known"
    classes: Annotated[list[Text], Meta(max_length=MAX_CLASSES)] = []
    metrics: dict[str, float | None] = {}
    settings: TrainingSettings = msgspec.field(default_factory=TrainingSettings)
    source: Text = ""
    sha256: Text = ""
    terms: Text = ""
    measured: Text = ""
    published_accuracy: Fraction | None = None
    published_ap: Fraction | None = None


class Card(Struct, kw_only=True):
    """Entries of every card."""

    kind: Name
    model: Name
    about: About
    format: Count = FORMAT

    def __post_init__(self) -> None:
        if self.format > FORMAT:
            raise ValueError(f"format {self.format} is of a later version of firstsight; update to read it")


class PreprocessCard(Struct, kw_only=True):
    """Preprocessing of images, see `firstsight.data.image_io.Preprocess`."""

    channels: Channels
    resize: Side
    pad: Annotated[int, Meta(ge=0, le=MAX_SIDE)]
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Meta(gt=0)], ...]
    shorter: Annotated[int, Meta(ge=0, le=4 * MAX_SIDE)] = 0
    letterbox: bool = False

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.std) == self.channels:
            given = f"{len(self.mean)} and {len(self.std)}"
            raise ValueError(f"mean and std must have a value for each of the {self.channels} channels, got {given}")
        if self.input_size > MAX_SIDE:
            raise ValueError(f"resize and pad make inputs of {self.input_size} pixels a side, more than {MAX_SIDE}")

    @property
    def input_size(self) -> int:
        """Side of the network's input in pixels."""
        return self.resize + 2 * self.pad


class ClassifierOptions(Struct, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `firstsight.models.classification.create_model`."""

    num_classes: Annotated[int, Meta(ge=2, le=MAX_CLASSES)]
    in_channels: Channels | None = None
    image_size: Side | None = None
    variant: Name | None = None


class ClassifierCard(Card, kw_only=True):
    """Card of a classifier."""

    options: ClassifierOptions
    preprocess: PreprocessCard
    classes: Annotated[list[Text], Meta(max_length=MAX_CLASSES)]
    views: Literal[1, 2, 6] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        options, preprocess = self.options, self.preprocess
        if len(self.classes) != options.num_classes:
            raise ValueError(f"classes: {len(self.classes)} names for {options.num_classes} classes of the network")
        if options.in_channels not in (None, preprocess.channels):
            raise ValueError(
                f"preprocess.channels: {preprocess.channels}, but the network takes {options.in_channels} channels"
            )
        if options.image_size not in (None, preprocess.input_size):
            side = preprocess.input_size
            raise ValueError(
                f"preprocess: makes images of {side}x{side} pixels, but the network takes"
                f" {options.image_size}x{options.image_size}"
            )


class GeneratorOptions(Struct, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `firstsight.models.gan.create_gan`; entries that are missing have its defaults."""

    latent_dim: Width = 100
    image_size: Side = 28
    channels: Channels = 1
    d_width: Width = 64
    g_width: Annotated[int, Meta(ge=0, le=10_000)] = 0
    output: Literal["tanh", "sigmoid"] = "tanh"
    resampling: Literal["strided", "plain"] = "strided"
    activation: Literal["leaky", "relu"] = "leaky"
    batch_norm: bool = False
    d_batch_norm: bool = True
    spectral_norm: bool = False
    bn_on_logit: bool = False
    packing: Annotated[int, Meta(ge=1, le=100)] = 1
    num_classes: Annotated[int, Meta(ge=0, le=10_000)] = 0
    categories: Annotated[tuple[Width, ...], Meta(max_length=100)] = ()
    continuous: Annotated[int, Meta(ge=0, le=1000)] = 0


class LatentCard(Struct, kw_only=True, forbid_unknown_fields=True):
    """Layout of latent vectors, see `firstsight.models.gan.latent.Latent`."""

    noise: Annotated[int, Meta(ge=0, le=10_000)]
    categories: Annotated[tuple[Width, ...], Meta(max_length=100)] = ()
    continuous: Annotated[int, Meta(ge=0, le=1000)] = 0
    kind: Literal["normal", "uniform"] = "normal"

    @property
    def length(self) -> int:
        """Length of a latent vector."""
        return self.noise + sum(self.categories) + self.continuous


class GeneratorCard(Card, kw_only=True):
    """Card of a generator."""

    options: GeneratorOptions
    latent: LatentCard
    preprocess: PreprocessCard
    table: Annotated[list[Text], Meta(max_length=10_000)]

    def __post_init__(self) -> None:
        super().__post_init__()
        options, latent = self.options, self.latent
        if latent.length != options.latent_dim:
            raise ValueError(f"latent: {latent.length} values, but the network takes {options.latent_dim}")
        if self.table and len(self.table) != sum(latent.categories[:1]):
            raise ValueError(
                f"table: {len(self.table)} classes, but the first code has {sum(latent.categories[:1])} values"
            )
        if (self.preprocess.channels, self.preprocess.input_size) != (options.channels, options.image_size):
            raise ValueError("preprocess: has other channels or another size than the images of the network")


class SkeletonCard(Struct, kw_only=True):
    """Skeleton of a pose network, a category of COCO keypoints; see `firstsight.pose.skeleton.Skeleton`."""

    keypoints: Annotated[list[Name], Meta(min_length=2, max_length=1000)]
    skeleton: Annotated[list[tuple[Count, Count]], Meta(max_length=2000)]
    flip_pairs: Annotated[list[tuple[Count, Count]], Meta(max_length=1000)] | None = None
    sigmas: Annotated[list[float], Meta(max_length=1000)] | None = None
    paf_channels: Annotated[list[Count], Meta(max_length=2000)] | None = None
    name: Text = ""
    skeleton_name: Text = "custom"


class CalibrationCard(Struct, kw_only=True):
    """Calibration of the scores of people, see `firstsight.pose.score.ScoreCalibration`."""

    coefficient: Annotated[float, Meta(gt=0)]
    intercept: float
    min_score: Fraction


class PoseCard(Card, kw_only=True):
    """Card of a bottom-up pose network."""

    skeleton: SkeletonCard
    stages: Annotated[int, Meta(ge=0, le=100)]
    height: Annotated[int, Meta(ge=32, le=2000)]
    bridge: Literal["relu", "elu"] | None = None
    score_calibration: CalibrationCard | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.skeleton.paf_channels is None:
            raise ValueError("skeleton: object missing required field paf_channels")


class TopDownCard(Card, kw_only=True):
    """Card of a top-down pose network."""

    skeleton: SkeletonCard
    size: tuple[Side, Side]
    head: Literal["heatmap", "mse", "simcc"]
    sigma: Annotated[float, Meta(gt=0, le=1000)]
    stacks: Annotated[int, Meta(ge=1, le=100)]
    convention: Text = ""
    folded: bool = False


SCHEMAS: dict[str, type[Card]] = {
    "classifier": ClassifierCard,
    "generator": GeneratorCard,
    "pose": PoseCard,
    "top-down": TopDownCard,
}
"""Schemas by the kind of the card. Other kinds have other entries, which their loader checks."""


def decode_card(text: str, source: str) -> dict[str, Any]:
    """Decode a card of any version; return it with the current names, checked by the schema of its kind.

    Metrics without a value (null, NaN, Infinity) are left out.

    Parameters
    ----------
    text : str
        The card, JSON.
    source : str
        Name of the card in messages.

    Raises
    ------
    WeightsError
        If it is not JSON, or an entry is missing or has a wrong value.
    """
    text = _replace_constants(text)
    decode_document(text, StoredCard, source=source, error=WeightsError, max_bytes=MAX_CARD_BYTES)
    content = decode_document(text, dict[str, Any], source=source, error=WeightsError, max_bytes=MAX_CARD_BYTES)
    card = migrate_card(content)
    about = card["about"]
    if "metrics" in about:
        about["metrics"] = {name: value for name, value in about["metrics"].items() if value is not None}
    check_card(card, SCHEMAS.get(card["kind"], Card), source)
    return card


def check_card(card: Mapping[str, Any], schema: type[T], source: str) -> T:
    """Return the entries of a card, or of a part of it, by a schema.

    Parameters
    ----------
    card : Mapping[str, Any]
        Card with the current names, see `decode_card`.
    schema : type[T]
        Schema, see `SCHEMAS`.
    source : str
        Name of the card in messages.

    Raises
    ------
    WeightsError
        If an entry is missing or has a wrong value.
    """
    return decode_document(json.dumps(dict(card)), schema, source=source, error=WeightsError, max_bytes=MAX_CARD_BYTES)


def _replace_constants(text: str) -> str:
    """Replace NaN and Infinity, which earlier versions wrote for metrics without a value, by null.

    >>> _replace_constants('{"kl": Infinity}')
    '{"kl": null}'
    """
    if "NaN" not in text and "Infinity" not in text:
        return text
    try:
        return json.dumps(json.loads(text, parse_constant=lambda _: None))
    except (ValueError, RecursionError):  # not JSON: `decode_document` describes it
        return text
