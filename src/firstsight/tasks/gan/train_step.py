"""Training step of a GAN: one optimizer step of the discriminator D, then one of the generator G."""

from collections.abc import Iterator, Mapping

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from firstsight.data.batches import Batch
from firstsight.models.gan import losses
from firstsight.models.gan.infogan import CodePrediction
from firstsight.models.gan.latent import Latent
from firstsight.optim.ema import ModelEma
from firstsight.optim.schedule import learning_rate_factor
from firstsight.tasks.gan.discriminator_forward import DiscriminatorForward
from firstsight.tasks.gan.settings import GANSettings

R1_INTERVAL = 8
"""The R1 penalty is computed at every 8th step with 8 times its weight (lazy regularization; Karras 2020)."""


class GANTrainStep:
    """Trains D and G on one batch (Goodfellow 2014, Algorithm 1).

    Parameters
    ----------
    models : Mapping[str, nn.Module]
        "generator" and "discriminator", as the accelerator returned them, and "average", the EMA of the generator.
    optimizers : Mapping[str, Optimizer]
        Optimizers of "generator" and "discriminator".
    accelerator : Accelerator
        Mixed precision and gradient reduction over processes.
    latent : Latent
        Latent space.
    settings : GANSettings
        Settings of the run.
    code_std : losses.CodeStd
        Standard deviation of Q's Gaussians, parsed from the settings.
    is_conditional : bool
        Whether G and D are class-conditional.
    steps_per_epoch : int
        Number of batches in an epoch.
    """

    def __init__(
        self,
        models: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
        accelerator: Accelerator,
        *,
        latent: Latent,
        settings: GANSettings,
        code_std: losses.CodeStd,
        is_conditional: bool,
        steps_per_epoch: int,
    ) -> None:
        self.models = models
        self.optimizers = optimizers
        self.accelerator = accelerator
        self.latent = latent
        self.settings = settings
        self.code_std = code_std
        self.is_conditional = is_conditional
        self.steps_per_epoch = steps_per_epoch
        self.d_forward = DiscriminatorForward(settings, is_conditional=is_conditional)
        self.discriminator = accelerator.unwrap_model(models["discriminator"])  # without gradient reduction
        self._d_parameters = list(self.discriminator.parameters())
        # Without buffers (batch norm, spectral norm) the logits in one batch are the same as in two.
        self.joint_batch = settings.batches == "mixed" or next(self.discriminator.buffers(), None) is None
        generator = accelerator.unwrap_model(models["generator"])
        self._model_ema = ModelEma(models["average"], generator, decay=settings.ema_decay)

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Train D on real and generated images, then G on the same generated images; return scalars.

        Parameters
        ----------
        batch : Batch
            Real images (N, C, S, S) and their labels (N,).
        """
        settings = self.settings
        self._set_learning_rates(batch.progress)
        self.d_forward.max_shift = round(settings.diffaug_translation * (1 - batch.progress))
        z = self.latent.draw(len(batch.images), device=batch.images.device, dtype=batch.images.dtype)
        if self.is_conditional:  # the classes of the real images
            z = self.latent.with_category(z, 0, batch.labels)
        with self.accelerator.autocast():
            fake = self.models["generator"](z)
        scalars = self.train_discriminator(batch, fake.detach(), z)
        step = self._step(batch)
        if (step + 1) % settings.n_critic == 0:
            scalars["g_loss"] = self.train_generator(batch, fake, z)
            self._model_ema.update(step // settings.n_critic)
        else:
            scalars["g_loss"] = self._g_loss(batch, fake)
        return scalars

    def train_discriminator(self, batch: Batch, fake: Tensor, z: Tensor) -> dict[str, Tensor]:
        """Train D, and Q on the generated images.

        Parameters
        ----------
        batch : Batch
            Real images (N, C, S, S) and their labels (N,).
        fake : Tensor
            (N, C, S, S) generated images, without gradient.
        z : Tensor
            (N, length) their latent vectors.

        Returns
        -------
        dict[str, Tensor]
            ``d_loss``; ``information``, the loss of Q, if there is one; mean outputs ``d_real`` and ``d_fake``.
        """
        name = self.settings.loss
        with self.accelerator.autocast():
            real_logits, fake_logits, prediction = self._classify(batch, fake)
        real_targets = self.d_forward.real_targets(real_logits)
        fake_targets = self.d_forward.fake_targets(fake_logits)
        d_losses = losses.real_loss(name, real_logits, target=real_targets)
        d_losses = d_losses + losses.fake_loss(name, fake_logits, target=fake_targets)
        for penalty in self._penalties(batch, fake):
            d_losses = d_losses + penalty
        loss = mean_over_batch(batch, d_losses)
        scalars = {"d_loss": loss.detach()}
        if prediction is not None:
            info_loss = self._info_loss(batch, prediction, z)
            loss = loss + self._info_weight(batch) * info_loss
            scalars["information"] = info_loss.detach()
        self.accelerator.backward(loss)
        self._update("discriminator")
        with torch.no_grad():
            scalars["d_real"] = mean_over_batch(batch, losses.to_score(name, real_logits))
            scalars["d_fake"] = mean_over_batch(batch, losses.to_score(name, fake_logits))
        return scalars

    def train_generator(self, batch: Batch, fake: Tensor, z: Tensor) -> Tensor:
        """Train G; return its loss, without that of Q.

        D is called without wrapper and its parameters get no gradient, because only G is updated.

        Parameters
        ----------
        batch : Batch
            Real images (N, C, S, S) and their labels (N,).
        fake : Tensor
            (N, C, S, S) generated images, with gradient.
        z : Tensor
            (N, length) their latent vectors.
        """
        for parameter in self._d_parameters:
            parameter.requires_grad_(False)
        try:
            with self.accelerator.autocast():
                logits, prediction = self.d_forward(self.discriminator, batch.labels, fake)
            g_loss = mean_over_batch(batch, losses.generator_loss(self.settings.loss, logits))
            loss = g_loss
            if prediction is not None:
                loss = loss + self._info_weight(batch) * self._info_loss(batch, prediction, z)
            self.accelerator.backward(loss)
        finally:
            for parameter in self._d_parameters:
                parameter.requires_grad_(True)
        self._update("generator")
        return g_loss.detach()

    @torch.no_grad()
    def _g_loss(self, batch: Batch, fake: Tensor) -> Tensor:
        """Return the loss of G without training it."""
        with self.accelerator.autocast():
            logits, _ = self.d_forward(self.discriminator, batch.labels, fake)
        return mean_over_batch(batch, losses.generator_loss(self.settings.loss, logits))

    def _classify(self, batch: Batch, fake: Tensor) -> tuple[Tensor, Tensor, CodePrediction | None]:
        """Return D's logits of real and generated images, and Q's prediction for the generated ones."""
        net = self.models["discriminator"]
        if not self.joint_batch:
            real_logits, _ = self.d_forward(net, batch.labels, batch.images)
            fake_logits, prediction = self.d_forward(net, batch.labels, fake)
            return real_logits, fake_logits, prediction
        logits, prediction = self.d_forward(net, batch.labels, batch.images, fake)
        real_logits, fake_logits = logits.chunk(2)
        return real_logits, fake_logits, prediction and prediction.map(lambda x: x.chunk(2)[1])

    def _penalties(self, batch: Batch, fake: Tensor) -> Iterator[Tensor]:
        """Yield the weighted gradient penalties (N,) of D: of WGAN-GP between real and generated images, R1 at real."""
        settings = self.settings

        def d(packs: Tensor) -> Tensor:
            return self.d_forward.packed_logits(self.discriminator, batch.labels, packs)

        real = self.d_forward.pack(batch.images)
        if losses.get_loss(settings.loss).has_gradient_penalty:
            fake = self.d_forward.pack(fake)
            mix = torch.rand(len(fake), device=fake.device, dtype=fake.dtype)
            yield settings.gp_weight * losses.gradient_penalty(d, real, fake, mix)
        if settings.r1_gamma and self._step(batch) % R1_INTERVAL == 0:
            yield R1_INTERVAL * settings.r1_gamma / 2 * losses.r1_penalty(d, real)

    def _info_loss(self, batch: Batch, prediction: CodePrediction, z: Tensor) -> Tensor:
        """Return the mutual-information loss of InfoGAN."""
        per_image = losses.information_loss(prediction, *self.latent.codes(z), code_std=self.code_std)
        return mean_over_batch(batch, per_image)

    def _info_weight(self, batch: Batch) -> float:
        """Return the weight of the mutual-information loss, which rises from 0 in the warm-up."""
        return self.settings.info_weight * learning_rate_factor(batch.progress, "constant", self.settings.info_warmup)

    def _step(self, batch: Batch) -> int:
        """Return the index of the step in the whole training, from 0."""
        return batch.epoch * self.steps_per_epoch + batch.index

    def _set_learning_rates(self, progress: float) -> None:
        factor = learning_rate_factor(progress, self.settings.schedule, 0.0)
        for name, lr_mult in (("generator", 1.0), ("discriminator", self.settings.d_lr_mult)):
            for group in self.optimizers[name].param_groups:
                group["lr"] = self.settings.lr * lr_mult * factor

    def _update(self, name: str) -> None:
        self.optimizers[name].step()
        self.optimizers[name].zero_grad()


def mean_over_batch(batch: Batch, values: Tensor) -> Tensor:
    """Return this process's part of the mean over the global batch.

    Unlike `Batch.mean` it takes one value per pack of images as well.

    Parameters
    ----------
    batch : Batch
        The batch.
    values : Tensor
        (N,) values of images, or (packs,) of packs.
    """
    weight = len(batch.images) * batch.world_size / batch.global_size
    return values.mean() if weight == 1 else values.mean() * weight
