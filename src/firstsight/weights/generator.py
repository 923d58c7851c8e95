"""Trained generators: a safetensors file with its card, as of classifiers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from firstsight.data.image_io import Preprocess
from firstsight.engine import checkpoint
from firstsight.engine.device import device_of
from firstsight.errors import UsageError, WeightsError
from firstsight.models.gan import create_gan
from firstsight.models.gan.latent import Latent
from firstsight.weights.bundled import display_name
from firstsight.weights.classifier import fill, read_file, resolve, weights_of_run

BATCH = 500
"""Pictures that are made at once."""


@dataclass(frozen=True)
class Generator:
    """A trained generator with what it needs.

    Parameters
    ----------
    model : nn.Module
        In eval mode; (N, ``latent.length``) to normalised (N, C, S, S) pictures.
    latent : Latent
        What it is given.
    preprocess : Preprocess
        From pictures to its range; its inverse makes pictures of its outputs.
    table : tuple[str, ...]
        The class that each value of the first categorical code makes; empty without codes.
    card : dict[str, Any]
        Model, recipe, data and its terms, metrics.
    """

    model: nn.Module
    latent: Latent
    preprocess: Preprocess
    table: tuple[str, ...]
    card: dict[str, Any]
    source: str

    @property
    def conditional(self) -> bool:
        """Is the first code the class, of which the networks were told? Else Q found it."""
        return bool(self.card["options"].get("classes"))

    def draw(self, n: int, *, seed: int = 0) -> Tensor:
        """(n, latent.length) random latent vectors, the same for the same seed on every machine's CPU."""
        return self.latent.draw(n, generator=torch.Generator().manual_seed(seed))

    @torch.inference_mode()
    def __call__(self, z: Tensor) -> Tensor:
        """Pictures of latent vectors: (N, latent.length) to (N, C, S, S) uint8, on the CPU."""
        inputs = z.to(device_of(self.model))
        return torch.cat([self.preprocess.pixels(self.model(chunk)).cpu() for chunk in inputs.split(BATCH)])

    def codes_of(self, label: str | int) -> list[int]:
        """The values of the first categorical code that make a class, by its name.

        Raises
        ------
        UsageError
            No table of codes, or a class that is not in it.
        """
        if not self.table:
            raise UsageError(
                f"{display_name(self.source)}: was trained without codes, so it cannot generate a class;"
                " infogan-mnist can, and what is trained with --conditional"
            )
        name = str(label)
        found = [code for code, known in enumerate(self.table) if known.casefold() == name.casefold()]
        if not found:
            known = ", ".join(sorted(set(self.table)))
            raise UsageError(f"there is no class '{name}'; there are {known}")
        return found


def load_discriminator(run: Path, card: Mapping[str, Any]) -> nn.Module | None:
    """The discriminator of a run's newest checkpoint, in eval mode; None where there is none (a weights file).

    Parameters
    ----------
    card : Mapping[str, Any]
        That of the run's generator.
    """
    state, _ = checkpoint.newest(run / "checkpoints")
    if state is None or "discriminator" not in state.models:
        return None
    _, model = create_gan(card["model"], **_options(card))
    return fill(model, state.models["discriminator"], state.folder, card)


def make_card(
    *, model: str, options: Mapping[str, Any], latent: Latent, preprocess: Preprocess, table: tuple[str, ...],
    about: Mapping[str, Any],
) -> str:  # fmt: skip
    """The card of a generator as JSON; ``options`` are those of `create_gan`."""
    card = {
        "format": 1, "kind": "generator", "model": model, "options": dict(options), "latent": asdict(latent),
        "preprocess": asdict(preprocess), "table": list(table), "about": dict(about),
    }  # fmt: skip
    return json.dumps(card, sort_keys=True)


def load_generator(name_or_run: str | Path, *, notify: Callable[[str], None] = lambda line: None) -> Generator:
    """A trained generator: a name of shipped weights ("dcgan-fashion"), a run directory, or a ``.safetensors`` file.

    Raises
    ------
    UsageError
        Neither a known name nor a path that exists.
    WeightsError
        The file is damaged, or not of a generator.
    """
    path = resolve(name_or_run, notify)
    path = weights_of_run(path) if path.is_dir() else path
    card, tensors = read_file(path, "generator")
    try:
        latent = Latent(**card["latent"] | {"categories": tuple(card["latent"]["categories"])})
        preprocess = Preprocess(**card["preprocess"] | {k: tuple(card["preprocess"][k]) for k in ("mean", "std")})
        model, _ = create_gan(card["model"], **_options(card))
        table = tuple(map(str, card["table"]))
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise WeightsError(f"{path}: its card cannot be used ({error})") from None
    return Generator(fill(model, tensors, path, card), latent, preprocess, table, card, str(path))


def _options(card: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in card["options"].items()}
