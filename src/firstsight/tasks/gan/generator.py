"""A trained generator: network, latent space, preprocessing, and where the weights are from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from msgspec.structs import asdict
from torch import Tensor, nn

from firstsight.arguments import check_arguments
from firstsight.data.image_io import Preprocess
from firstsight.documents.cards import GeneratorCard, check_card
from firstsight.engine import checkpoint
from firstsight.engine.device import choose_device, device_of
from firstsight.errors import UsageError
from firstsight.migrate import migrate_tensors
from firstsight.models.gan import gan_builders
from firstsight.models.gan.latent import Latent
from firstsight.tasks.classification.classifier import read_preprocess
from firstsight.tasks.model_html import model_html
from firstsight.weights.bundled import display_name
from firstsight.weights.io import WeightsFile, build_checked, not_finite

BATCH = 500
"""Images generated at once."""


@dataclass(frozen=True, repr=False)
class Generator:
    """A trained generator with everything needed to use it.

    Attributes
    ----------
    model : nn.Module
        In eval mode; (N, latent.length) latent vectors to (N, C, S, S) normalized images.
    latent : Latent
        Latent space: noise and codes.
    preprocess : Preprocess
        From images to the range of ``model``; its inverse converts outputs to images.
    table : tuple[str, ...]
        Class that each value of the first categorical code generates; empty without codes.
    card : dict[str, Any]
        Metadata of the weights: model, recipe, data and their terms, metrics.
    source : str
        Weights file.
    """

    model: nn.Module
    latent: Latent
    preprocess: Preprocess
    table: tuple[str, ...]
    card: dict[str, Any]
    source: str

    task: ClassVar[str] = "gan"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (latent.length,) of one input of ``model``."""
        return (self.latent.length,)

    @property
    def is_conditional(self) -> bool:
        """Return whether the generator is class-conditional; otherwise Q discovered the meaning of the first code."""
        return bool(self.card["options"].get("num_classes"))

    def draw(self, n: int, *, seed: int = 0) -> Tensor:
        """Draw random latent vectors.

        Parameters
        ----------
        n : int
            Number of vectors.
        seed : int
            The same seed gives the same vectors on every machine.

        Returns
        -------
        Tensor
            (n, latent.length) float on the CPU.
        """
        check_arguments(Generator.draw, locals())
        return self.latent.draw(n, generator=torch.Generator().manual_seed(seed))

    @torch.inference_mode()
    def __call__(self, z: Tensor) -> Tensor:
        """Generate images from latent vectors.

        Parameters
        ----------
        z : Tensor
            (N, latent.length) latent vectors, see `draw`.

        Returns
        -------
        Tensor
            (N, C, S, S) uint8 on the CPU.

        Raises
        ------
        UsageError
            If ``z`` is no tensor of this shape.
        WeightsError
            If the network computes values that are not finite.
        """
        if not isinstance(z, Tensor) or z.ndim != 2 or z.shape[1] != self.latent.length:
            given = f"shape {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
            raise UsageError(
                f"`z` must be a tensor (N, {self.latent.length}), got {given};"
                " use firstsight.generate(generator, 8) for 8 random images"
            )
        inputs = z.to(device_of(self.model))
        return torch.cat([self._generate(chunk) for chunk in inputs.split(BATCH)])

    def _generate(self, z: Tensor) -> Tensor:
        images = self.model(z)
        pixels = self.preprocess.denormalize(images).cpu()
        if not bool(images.isfinite().all()):
            raise not_finite(self.source, "images")
        return pixels

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device ("cpu", "cuda", "mps", or "auto"); return the generator itself.

        Raises
        ------
        UsageError
            If this machine has no such device.
        """
        self.model.to(choose_device(device))
        return self

    def codes_of(self, label: str | int) -> list[int]:
        """Return the values of the first categorical code that generate a class.

        Parameters
        ----------
        label : str | int
            Name of the class, or its index.

        Raises
        ------
        UsageError
            If the generator has no codes, or no such class.
        """
        if not self.table:
            raise UsageError(
                f"{display_name(self.source)}: was trained without codes, so it cannot generate a chosen class;"
                " infogan-mnist can, and so can a generator trained with `conditional=True`"
            )
        name = str(label).casefold()
        codes = [code for code, known in enumerate(self.table) if known.casefold() == name]
        classes = self.card.get("about", {}).get("classes", ())
        if not codes and isinstance(label, int) and 0 <= label < len(classes):  # an index, as labels of a data set are
            codes = [code for code, known in enumerate(self.table) if known == classes[label]]
        if not codes:
            raise UsageError(f"no class '{label}'; the classes are {', '.join(sorted(set(self.table)))}")
        return codes

    def _repr_html_(self) -> str:
        latent = self.latent
        facts = [
            ("noise", latent.noise),
            ("categorical codes", ", ".join(map(str, latent.categories))),
            ("continuous codes", latent.continuous),
        ]
        return model_html("Generator", self, self.model, facts)

    def __repr__(self) -> str:
        about = self.card.get("about", {})
        codes = []
        if self.latent.categories:
            codes.append(f"categorical codes {', '.join(map(str, self.latent.categories))}")
        if self.latent.continuous:
            codes.append(f"{self.latent.continuous} continuous codes")
        size = self.preprocess.resize
        parts = [f"trained on {about.get('data', 'unknown')}", f"noise {self.latent.noise}", *codes]
        return f"Generator({self.card['model']}: {', '.join(parts)}, output {self.preprocess.channels}x{size}x{size})"


def load_generator(weights: WeightsFile) -> Generator:
    """Return the generator of a weights file.

    Raises
    ------
    WeightsError
        If the card is incomplete, or the tensors do not fit the network that it names.
    """
    source = f"{weights.path}: its card"
    card = check_card(weights.card, GeneratorCard, source)
    preprocess = read_preprocess(weights.card["preprocess"], f"{source}: preprocess")
    model = build_checked(lambda: _build(card, 0), weights)
    latent = Latent(**asdict(card.latent))
    return Generator(model, latent, preprocess, tuple(card.table), weights.card, str(weights.path))


def load_discriminator(run: Path, card: Mapping[str, Any]) -> nn.Module | None:
    """Return the discriminator of a run's newest checkpoint in eval mode, or None if there is none.

    Parameters
    ----------
    run : Path
        Run directory.
    card : Mapping[str, Any]
        Card of the run's generator.
    """
    state, _ = checkpoint.load_newest(run / "checkpoints")
    if state is None or "discriminator" not in state.models:
        return None
    entries = check_card(card, GeneratorCard, f"{run}: its card")
    tensors = migrate_tensors(entries.model, state.models["discriminator"])
    weights = WeightsFile(state.folder, dict(card), tensors)
    return build_checked(lambda: _build(entries, 1), weights)


def _build(card: GeneratorCard, index: int) -> nn.Module:
    """Build the generator (0) or the discriminator (1) of a card."""
    return gan_builders(card.model, **asdict(card.options))[index]()
