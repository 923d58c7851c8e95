"""Build the task of a GAN run: networks, batches, latent space, reference classifier."""

from dataclasses import asdict
from typing import Any

import torch

from firstsight.data.image_io import Preprocess
from firstsight.data.images.image_set import ImageSet
from firstsight.errors import UsageError
from firstsight.models.gan import OPTIONS, create_gan
from firstsight.models.gan.latent import Latent
from firstsight.models.gan.losses import get_loss
from firstsight.tasks.builder import ExperimentBuilder, redact_paths
from firstsight.tasks.gan.parse_settings import parse_categories, parse_code_std
from firstsight.tasks.gan.reference_classifier import ReferenceClassifier, reference_for
from firstsight.tasks.gan.settings import GANSettings
from firstsight.tasks.gan.train import GANTask

MIN_BATCH = 2
"""Minimum number of images per batch and process, for batch norm."""


class GANBuilder(ExperimentBuilder[GANSettings]):
    """Builds the task of a GAN run."""

    labeled = False

    def make_task(self, train: ImageSet, test: ImageSet) -> GANTask:
        """Return the task, on the device and ready to train.

        Parameters
        ----------
        train : ImageSet
            Training images.
        test : ImageSet
            Test images.

        Raises
        ------
        UsageError
            If the network does not support a setting or the image size, or if there are too few images.
        """
        settings = self.settings
        self._check_settings()
        self._check_size(train, test)
        num_classes = self._count_classes(train)
        torch.manual_seed(settings.seed)
        code_std = parse_code_std(settings.code_std, settings.continuous)
        categories = (num_classes,) if num_classes else parse_categories(settings.categories)
        latent = Latent(settings.latent_dim, categories, settings.continuous, settings.noise)
        options = self._network_options(latent, train.channels, num_classes)
        generator, discriminator = create_gan(self.model, **options)
        about = {
            "recipe": self.name,
            "data": train.name,
            "classes": list(train.classes),
            "settings": redact_paths(settings),
        }
        task = GANTask(
            generator,
            discriminator,
            self.batches(train, self._preprocess(train.channels)),
            test,
            latent=latent,
            settings=settings,
            code_std=code_std,
            is_conditional=num_classes > 0,
            reference=self._reference(train),
            model=self.model,
            options=options,
            about=about,
        )
        task.prepare(self.accelerator)
        return task

    def _preprocess(self, channels: int) -> Preprocess:
        """Return the preprocessing to the range of G's output: [-1, 1] with tanh, [0, 1] with sigmoid."""
        mean, std = (0.5, 0.5) if self.settings.output == "tanh" else (0.0, 1.0)
        size = self.settings.image_size
        return Preprocess(channels=channels, resize=size, pad=0, mean=(mean,) * channels, std=(std,) * channels)

    def _reference(self, train: ImageSet) -> ReferenceClassifier:
        """Return the reference classifier for the data; warn if no bundled one was trained on them."""
        reference = reference_for(train.name, train.classes)
        if not reference.in_domain:
            self._warn(f"no bundled classifier knows {train.name}: distances use the features of {reference.name}")
        return reference

    def _count_classes(self, train: ImageSet) -> int:
        """Return the number of classes of a class-conditional GAN; 0 if it is not conditional."""
        if not self.settings.conditional:
            return 0
        if len(train.classes) > 1:
            return len(train.classes)
        self._warn(f"{train.name}: all images are of one class, so `conditional` has no effect")
        return 0

    def _network_options(self, latent: Latent, channels: int, num_classes: int) -> dict[str, Any]:
        """Return the arguments of `create_gan`: those of all networks, and those that this network supports."""
        settings = self.settings
        has_penalty = get_loss(settings.loss).has_gradient_penalty or settings.r1_gamma > 0
        values = asdict(settings) | {
            "d_batch_norm": not has_penalty,
            "num_classes": num_classes,
            "categories": parse_categories(settings.categories),
        }
        common = {"latent_dim": latent.length, "image_size": settings.image_size, "channels": channels}
        return common | {name: values[name] for name in OPTIONS[self.model]}

    def _check_settings(self) -> None:
        """Refuse settings that this network does not support, and settings that exclude each other."""
        settings = self.settings
        defaults = GANSettings()
        for option in dict.fromkeys(option for options in OPTIONS.values() for option in options):
            name = "conditional" if option == "num_classes" else option
            if not hasattr(settings, name):  # d_batch_norm follows from the loss
                continue
            if option not in OPTIONS[self.model] and getattr(settings, name) != getattr(defaults, name):
                owners = " and ".join(model for model, options in OPTIONS.items() if option in options)
                raise UsageError(f"{self.model} does not support `{name}` (supported by {owners})")
        self._check_codes(defaults)
        if settings.conditional and settings.packing > 1:
            raise UsageError("`conditional` and `packing` exclude each other: a pack has images of several classes")
        if not get_loss(settings.loss).has_gradient_penalty and settings.gp_weight != defaults.gp_weight:
            raise UsageError(f"`gp_weight` needs `loss=wasserstein`; got {settings.loss}")

    def _check_codes(self, defaults: GANSettings) -> None:
        """Refuse settings of latent codes without codes."""
        settings = self.settings
        is_infogan = self.model == "infogan"
        if is_infogan and not settings.categories and not settings.continuous:
            raise UsageError("infogan needs codes; set `categories`, as in 10, or `continuous`")
        for name in ("info_weight", "info_warmup"):
            if not is_infogan and getattr(settings, name) != getattr(defaults, name):
                raise UsageError(f"{self.model} does not support `{name}` (supported by infogan)")
        if settings.code_std != defaults.code_std and not (is_infogan and settings.continuous):
            raise UsageError("`code_std` needs continuous codes (infogan with `continuous`)")

    def _check_size(self, train: ImageSet, test: ImageSet) -> None:
        """Refuse data with too few images; warn if there is only one batch."""
        batch_size = self.settings.batch_size
        minimum = MIN_BATCH * self.settings.packing * self.accelerator.num_processes
        smallest_batch = len(train) // -(-len(train) // batch_size)
        if min(smallest_batch, len(test)) < minimum:
            raise UsageError(
                f"{train.name}: {len(train)} training images and {len(test)} test images are too few;"
                f" every batch needs at least {minimum}"
            )
        if len(train) < batch_size:
            note = f"{len(train)} training images are fewer than `batch_size={batch_size}`: all are in one batch"
            self._warn(f"{train.name}: {note}")

    def _warn(self, note: str) -> None:
        """Print a warning, and add it to the notes of the report."""
        self.callback.warn(note)
        self.notes = (*self.notes, note)
