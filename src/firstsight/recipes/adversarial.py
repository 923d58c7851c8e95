"""What a run of a generative adversarial network is made of: pictures, a judge, and the task."""

from dataclasses import fields
from typing import Any

import torch

from firstsight.data import ImageSet, Preprocess
from firstsight.errors import UsageError
from firstsight.gan import SWITCHES, create_gan
from firstsight.gan.latent import Latent
from firstsight.recipes.check import sizes, spreads
from firstsight.recipes.materials import Materials, shown
from firstsight.recipes.recipe import GanSettings
from firstsight.tasks.adversarial import Adversarial as Task
from firstsight.tasks.adversarial import Rules
from firstsight.tasks.judge import judge_for

FEW = 2
"""Batch norm needs so many pictures in every batch."""


class Adversarial(Materials[GanSettings]):
    """Gathers the materials of a generator and a discriminator."""

    labelled = False

    def make_task(self, train: ImageSet, test: ImageSet) -> Task:
        """Networks, batches and optimizers, on the device and ready to train.

        Raises
        ------
        UsageError
            A setting that the network does not have, a size it does not make, too few pictures.
        """
        settings, model = self.settings, self.recipe.model
        self._check(train, test)
        classes = self._told(train)
        torch.manual_seed(settings.seed)
        half = (0.5,) * train.channels if settings.pixels == "signed" else (0.0,) * train.channels
        whole = (0.5,) * train.channels if settings.pixels == "signed" else (1.0,) * train.channels
        preprocess = Preprocess(channels=train.channels, resize=settings.image_size, pad=0, mean=half, std=whole)
        spread = spreads(settings.spread, settings.continuous)
        latent = Latent(
            settings.latent, (classes,) if classes else sizes(settings.categories), settings.continuous, settings.noise
        )
        options: dict[str, Any] = {
            "latent": latent.length, "size": settings.image_size, "channels": train.channels, **self._options(classes)
        }  # fmt: skip
        generator, discriminator = create_gan(model, **options)
        about = {
            "recipe": self.recipe.name,
            "data": train.name,
            "classes": list(train.classes),
            "settings": shown(settings),
        }
        judge = judge_for(train.name, train.classes)
        if not judge.knows:
            stranger = f"no trained network knows {train.name}: distances are in the features of {judge.name}"
            self.observer.warn(stranger)
            self.notes = (*self.notes, stranger)
        as_found = {"spread": spread, "conditional": classes > 0}
        task = Task(
            generator, discriminator, self.batches(train, preprocess), test, latent=latent,
            rules=Rules(**{f.name: getattr(settings, f.name) for f in fields(Rules)} | as_found), judge=judge,
            seed=settings.seed, model=model, options=options, about=about,
        )  # fmt: skip
        task.prepare(self.accelerator)
        return task

    def _told(self, train: ImageSet) -> int:
        """How many classes the networks are told; 0 if they are not, or if there is nothing to tell."""
        if not self.settings.conditional:
            return 0
        if len(train.classes) > 1:
            return len(train.classes)
        note = f"{train.name}: its pictures are of one class, so --conditional has nothing to tell"
        self.observer.warn(note)
        self.notes = (*self.notes, note)
        return 0

    def _options(self, classes: int) -> dict[str, Any]:
        """The settings that make a difference to this network, as `create_gan` takes them."""
        settings = self.settings
        every: dict[str, Any] = {
            "width": settings.width, "g_width": settings.g_width, "signed": settings.pixels == "signed",
            "strided": settings.resampling == "strided", "leaky": settings.activation == "leaky",
            "batch_norm": settings.batch_norm, "spectral_norm": settings.spectral_norm,
            "stuck": settings.stuck, "packing": settings.packing,
            "critic": settings.loss == "wasserstein" or settings.r1 > 0,
            "classes": classes, "categories": sizes(settings.categories), "continuous": settings.continuous,
        }  # fmt: skip
        return {name: value for name, value in every.items() if name in SWITCHES[self.recipe.model]}

    def _check(self, train: ImageSet, test: ImageSet) -> None:
        """Refuse settings that this network does not have, and data that are too few."""
        settings, model, plain = self.settings, self.recipe.model, GanSettings()
        options = {"signed": "pixels", "strided": "resampling", "leaky": "activation", "classes": "conditional"}
        for switch in dict.fromkeys(s for switches in SWITCHES.values() for s in switches):
            name = options.get(switch, switch)
            if not hasattr(settings, name):  # follows from others, as a critic from its loss
                continue
            if switch not in SWITCHES[model] and getattr(settings, name) != getattr(plain, name):
                owners = " and ".join(owner for owner, switches in SWITCHES.items() if switch in switches)
                raise UsageError(f"{model} has no --{name.replace('_', '-')}; {owners} can have it")
        if model == "infogan" and not settings.categories and not settings.continuous:
            raise UsageError("infogan needs codes: --categories, how many values its code has, as 10, or --continuous")
        for name in ("information", "information_warmup"):
            if model != "infogan" and getattr(settings, name) != getattr(plain, name):
                raise UsageError(f"{model} has no --{name.replace('_', '-')}; infogan can have it")
        if settings.spread != plain.spread and (model != "infogan" or not settings.continuous):
            raise UsageError("--spread is that of continuous codes; infogan can have them, with --continuous")
        if settings.conditional and settings.packing > 1:
            raise UsageError("--conditional tells the class of a picture, and --packing shows D several; choose one")
        if settings.loss != "wasserstein" and settings.penalty != plain.penalty:
            raise UsageError(f"--penalty goes with --loss wasserstein, not with {settings.loss}")
        least = FEW * settings.packing * self.accelerator.num_processes
        if min(len(train) // -(-len(train) // settings.batch_size), len(test)) < least:
            raise UsageError(
                f"{train.name}: {len(train)} pictures to train on and {len(test)} to measure on are too few;"
                f" every batch needs {least} at least"
            )
        if len(train) < settings.batch_size:
            note = f"{len(train)} training pictures are fewer than a batch of {settings.batch_size}: all are in one"
            self.observer.warn(f"{train.name}: {note}")
            self.notes = (*self.notes, note)
