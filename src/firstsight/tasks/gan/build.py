"""What a run of a generative adversarial network is made of: pictures, a judge, and the task."""

from dataclasses import fields
from typing import Any

import torch

from firstsight.data import ImageSet, Preprocess
from firstsight.errors import UsageError
from firstsight.models.gan import OPTIONS, create_gan
from firstsight.models.gan.latent import Latent
from firstsight.tasks.builder import ExperimentBuilder, shown
from firstsight.tasks.gan.parse_settings import parse_categories, parse_code_std
from firstsight.tasks.gan.reference_classifier import reference_for
from firstsight.tasks.gan.settings import GANSettings
from firstsight.tasks.gan.train import GANRules
from firstsight.tasks.gan.train import GANTask as Task

FEW = 2
"""Batch norm needs so many pictures in every batch."""


class GANBuilder(ExperimentBuilder[GANSettings]):
    """Gathers the materials of a generator and a discriminator."""

    labelled = False

    def make_task(self, train: ImageSet, test: ImageSet) -> Task:
        """Networks, batches and optimizers, on the device and ready to train.

        Raises
        ------
        UsageError
            A setting that the network does not have, a size it does not make, too few pictures.
        """
        settings, model = self.settings, self.model
        self._check(train, test)
        classes = self._told(train)
        torch.manual_seed(settings.seed)
        half = (0.5,) * train.channels if settings.output == "tanh" else (0.0,) * train.channels
        whole = (0.5,) * train.channels if settings.output == "tanh" else (1.0,) * train.channels
        preprocess = Preprocess(channels=train.channels, resize=settings.image_size, pad=0, mean=half, std=whole)
        code_std = parse_code_std(settings.code_std, settings.continuous)
        latent = Latent(
            settings.latent_dim,
            (classes,) if classes else parse_categories(settings.categories),
            settings.continuous,
            settings.noise,
        )
        options: dict[str, Any] = {
            "latent": latent.length, "size": settings.image_size, "channels": train.channels, **self._options(classes)
        }  # fmt: skip
        generator, discriminator = create_gan(model, **options)
        about = {
            "recipe": self.name,
            "data": train.name,
            "classes": list(train.classes),
            "settings": shown(settings),
        }
        reference = reference_for(train.name, train.classes)
        if not reference.in_domain:
            stranger = f"no trained network knows {train.name}: distances are in the features of {reference.name}"
            self.callback.warn(stranger)
            self.notes = (*self.notes, stranger)
        as_found = {"code_std": code_std, "conditional": classes > 0}
        task = Task(
            generator,
            discriminator,
            self.batches(train, preprocess),
            test,
            latent=latent,
            rules=GANRules(**{f.name: getattr(settings, f.name) for f in fields(GANRules)} | as_found),
            reference=reference,
            seed=settings.seed,
            model=model,
            options=options,
            about=about,
        )
        task.prepare(self.accelerator)
        return task

    def _told(self, train: ImageSet) -> int:
        """How many classes the networks are told; 0 if they are not, or if there is nothing to tell."""
        if not self.settings.conditional:
            return 0
        if len(train.classes) > 1:
            return len(train.classes)
        note = f"{train.name}: its pictures are of one class, so --conditional has nothing to tell"
        self.callback.warn(note)
        self.notes = (*self.notes, note)
        return 0

    def _options(self, classes: int) -> dict[str, Any]:
        """The settings that make a difference to this network, as `create_gan` takes them."""
        settings = self.settings
        every: dict[str, Any] = {
            "width": settings.d_width, "g_width": settings.g_width, "signed": settings.output == "tanh",
            "strided": settings.resampling == "strided", "leaky": settings.activation == "leaky",
            "batch_norm": settings.batch_norm, "spectral_norm": settings.spectral_norm,
            "stuck": settings.bn_on_logit, "packing": settings.packing,
            "critic": settings.loss == "wasserstein" or settings.r1_gamma > 0,
            "classes": classes, "categories": parse_categories(settings.categories), "continuous": settings.continuous,
        }  # fmt: skip
        return {name: value for name, value in every.items() if name in OPTIONS[self.model]}

    def _check(self, train: ImageSet, test: ImageSet) -> None:
        """Refuse settings that this network does not have, and data that are too few."""
        settings, model, plain = self.settings, self.model, GANSettings()
        options = {
            "signed": "output", "strided": "resampling", "leaky": "activation", "classes": "conditional",
            "width": "d_width", "stuck": "bn_on_logit",
        }  # fmt: skip
        for switch in dict.fromkeys(s for switches in OPTIONS.values() for s in switches):
            name = options.get(switch, switch)
            if not hasattr(settings, name):  # follows from others, as a critic from its loss
                continue
            if switch not in OPTIONS[model] and getattr(settings, name) != getattr(plain, name):
                owners = " and ".join(owner for owner, switches in OPTIONS.items() if switch in switches)
                raise UsageError(f"{model} has no --{name.replace('_', '-')}; {owners} can have it")
        if model == "infogan" and not settings.categories and not settings.continuous:
            raise UsageError("infogan needs codes: --categories, how many values its code has, as 10, or --continuous")
        for name in ("info_weight", "info_warmup"):
            if model != "infogan" and getattr(settings, name) != getattr(plain, name):
                raise UsageError(f"{model} has no --{name.replace('_', '-')}; infogan can have it")
        if settings.code_std != plain.code_std and (model != "infogan" or not settings.continuous):
            raise UsageError("--code-std is that of continuous codes; infogan can have them, with --continuous")
        if settings.conditional and settings.packing > 1:
            raise UsageError("--conditional tells the class of a picture, and --packing shows D several; choose one")
        if settings.loss != "wasserstein" and settings.gp_weight != plain.gp_weight:
            raise UsageError(f"--gp-weight goes with --loss wasserstein, not with {settings.loss}")
        least = FEW * settings.packing * self.accelerator.num_processes
        if min(len(train) // -(-len(train) // settings.batch_size), len(test)) < least:
            raise UsageError(
                f"{train.name}: {len(train)} pictures to train on and {len(test)} to measure on are too few;"
                f" every batch needs {least} at least"
            )
        if len(train) < settings.batch_size:
            note = f"{len(train)} training pictures are fewer than a batch of {settings.batch_size}: all are in one"
            self.callback.warn(f"{train.name}: {note}")
            self.notes = (*self.notes, note)
