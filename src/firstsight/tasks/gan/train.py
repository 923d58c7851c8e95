"""The adversarial task: a generator G makes pictures, a discriminator D tells them from real ones, both learn."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from firstsight.data.batches import Batch, Batches, fit_images
from firstsight.data.images.image_set import ImageSet
from firstsight.engine.task import History, ReportFigure, ResultSummary
from firstsight.models.gan import losses
from firstsight.models.gan.augment import noisy, translated
from firstsight.models.gan.infogan import CodePrediction
from firstsight.models.gan.latent import Latent
from firstsight.optim.ema import ModelEma
from firstsight.optim.schedule import learning_rate_factor
from firstsight.tasks.gan import codes
from firstsight.tasks.gan import diagnostics as trouble
from firstsight.tasks.gan import figures as portraits
from firstsight.tasks.gan.evaluate import GANEvaluator
from firstsight.tasks.gan.reference_classifier import ReferenceClassifier
from firstsight.weights.generator import make_card
from firstsight.weights.memory_format import channels_last

CHUNK = 500
R1_INTERVAL = 8
"""The slope at real pictures is held down at every eighth update, and there eight times as strongly (Karras 2020)."""
SNAPSHOTS = 48
"""Sheets of samples that a run keeps."""


@dataclass(frozen=True, kw_only=True)
class GANRules:
    """How the two play; the fields are those of a recipe's settings."""

    lr: float
    d_lr_mult: float
    beta1: float
    optimizer: Literal["adam", "sgd", "sgd-in-d"]
    schedule: Literal["constant", "linear", "cosine"]
    loss: losses.Loss
    gp_weight: float
    r1_gamma: float
    n_critic: int
    batches: Literal["separate", "mixed"]
    real_label: float
    label_flip_prob: float
    ema_decay: float
    instance_noise: float
    diffaug_translation: int
    packing: int
    conditional: bool
    info_weight: float
    info_warmup: float
    code_std: losses.CodeStd


class GANTask:
    """Train a generator against a discriminator; measured on what a fixed classifier sees in both kinds of pictures.

    A `Task` of three models: "generator", "discriminator", and "average", the running mean of the generator's weights,
    which is the product.

    Parameters
    ----------
    generator : nn.Module
        (N, latent) to (N, C, S, S).
    discriminator : nn.Module
        Images to (N,) logits, or to logits and a `CodePrediction`.
    batches : Batches
        Real pictures, normalised to the generator's range.
    test : ImageSet
        The real pictures to measure against.
    latent : Latent
        What the generator is given.
    judge
        Who looks at the pictures.
    model, options
        For the card: the network's name, and how to build the generator again.
    """

    export_model, monitor = "average", "g_loss"

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        batches: Batches,
        test: ImageSet,
        *,
        latent: Latent,
        rules: GANRules,
        reference: ReferenceClassifier,
        seed: int,
        model: str,
        options: Mapping[str, Any],
        about: Mapping[str, Any],
    ) -> None:
        self.latent, self.rules, self.reference, self.seed = latent, rules, reference, seed
        self.model, self.options, self.about = model, dict(options), dict(about)
        self.batches, self.test = batches, test
        self.joint_batch = (
            rules.batches == "mixed" or next(discriminator.buffers(), None) is None
        )  # then it is the same
        made = {"generator": generator, "discriminator": discriminator}
        self.models: dict[str, nn.Module] = {
            name: channels_last(net.to(batches.device, batches.dtype)) for name, net in made.items()
        }
        self.models["average"] = copy.deepcopy(self.models["generator"]).eval().requires_grad_(False)
        self.optimizers: dict[str, Optimizer] = {
            name: SGD(self.models[name].parameters(), lr=rules.lr, fused=True)
            if rules.optimizer == "sgd" or (rules.optimizer == "sgd-in-d" and name == "discriminator")
            else Adam(self.models[name].parameters(), lr=rules.lr, betas=(rules.beta1, 0.999), fused=True)
            for name in made
        }  # the rate of each is set at every step
        self._unwrapped: dict[str, nn.Module] = {}  # the two, not wrapped for several processes
        self._reach = 0  # of pixels, by which pictures are moved
        self.measure = GANEvaluator(reference, batches, test)
        draws = torch.Generator().manual_seed(seed + 1)
        self.fixed = latent.draw(max(self.measure.pictures, portraits.COLUMNS**2), generator=draws, dtype=batches.dtype)

    def prepare(self, accelerator: Accelerator) -> None:
        """Move to the device; wrap for several processes (with batch statistics over all of them on GPUs)."""
        self.accelerator = accelerator
        for name in ("generator", "discriminator"):
            net = self.models[name].train()
            if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
                net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
            self.models[name] = accelerator.prepare(net)
            self._unwrapped[name] = accelerator.unwrap_model(self.models[name])
        self._d_parameters = list(self._unwrapped["discriminator"].parameters())  # listed once, as is what follows
        self._follower = ModelEma(self.models["average"], self._unwrapped["generator"], keep=self.rules.ema_decay)

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        """An update of D on real and generated pictures, then one of G on the same generated pictures."""
        rules, generator = self.rules, self.models["generator"]
        lr_scale = learning_rate_factor(batch.progress, rules.schedule, 0.0)
        self._reach = round(rules.diffaug_translation * (1 - batch.progress))
        for name, factor in (("generator", 1.0), ("discriminator", rules.d_lr_mult)):
            for group in self.optimizers[name].param_groups:
                group["lr"] = rules.lr * factor * lr_scale
        z = self.latent.draw(len(batch.images), device=batch.images.device, dtype=batch.images.dtype)
        if rules.conditional:  # of each real picture's class a generated one
            z = self.latent.with_category(z, 0, batch.labels)
        with self.accelerator.autocast():
            fake = generator(z)
        scalars = self._train_discriminator(batch, fake.detach(), z)
        step = batch.epoch * self.batches.steps + batch.index
        if (step + 1) % rules.n_critic == 0:
            scalars["g_loss"] = self._train_generator(batch, fake, z)
            self._follower.follow(step // rules.n_critic)
        else:
            with torch.no_grad(), self.accelerator.autocast():
                logits, _ = self._d_logits(self._unwrapped["discriminator"], batch, fake)
            scalars["g_loss"] = self._mean(batch, losses.generator_loss(rules.loss, logits))
        return scalars

    def _train_discriminator(self, batch: Batch, fake: Tensor, z: Tensor) -> dict[str, Tensor]:
        rules, net = self.rules, self.models["discriminator"]
        with self.accelerator.autocast():
            if self.joint_batch:
                both, reading = self._d_logits(net, batch, batch.images, fake)
                real_logits, fake_logits = both.chunk(2)
                reading = reading and reading.each(lambda part: part.chunk(2)[1])
            else:
                real_logits, _ = self._d_logits(net, batch, batch.images)
                fake_logits, reading = self._d_logits(net, batch, fake)
        real_target, fake_target = self._targets(real_logits), self._targets(fake_logits, fake=True)
        paid = losses.real_loss(rules.loss, real_logits, target=real_target)
        paid = paid + losses.fake_loss(rules.loss, fake_logits, target=fake_target)
        if rules.loss == "wasserstein":
            mix = torch.rand(len(paid), device=fake.device, dtype=fake.dtype)
            bare = self._unwrapped["discriminator"]
            slope = losses.gradient_penalty(
                lambda x: self._scores(self._call_discriminator(bare, batch, x)),
                self._packed(batch.images),
                self._packed(fake),
                mix,
            )
            paid = paid + rules.gp_weight * slope
        if rules.r1_gamma and (batch.epoch * self.batches.steps + batch.index) % R1_INTERVAL == 0:
            bare = self._unwrapped["discriminator"]
            slope = losses.r1_penalty(
                lambda x: self._scores(self._call_discriminator(bare, batch, x)), self._packed(batch.images)
            )
            paid = paid + R1_INTERVAL * rules.r1_gamma / 2 * slope
        loss = self._mean(batch, paid)
        scalars = {"d_loss": loss.detach()}
        if reading is not None:
            unread = self._mean(batch, self._info_loss(reading, z))
            loss = loss + self._info_weight(batch) * unread
            scalars["information"] = unread.detach()
        self.accelerator.backward(loss)
        self._update("discriminator")
        with torch.no_grad():
            for name, logits in (("d_real", real_logits), ("d_fake", fake_logits)):
                scalars[name] = self._mean(batch, losses.answer(rules.loss, logits))
        return scalars

    def _train_generator(self, batch: Batch, fake: Tensor, z: Tensor) -> Tensor:
        """D is only asked, not trained: its weights need no gradient, and its processes nothing to agree on."""
        for parameter in self._d_parameters:
            parameter.requires_grad_(False)
        try:
            with self.accelerator.autocast():
                logits, reading = self._d_logits(self._unwrapped["discriminator"], batch, fake)
            paid = loss = self._mean(batch, losses.generator_loss(self.rules.loss, logits))
            if reading is not None:
                unread = self._mean(batch, self._info_loss(reading, z))
                loss = loss + self._info_weight(batch) * unread
            self.accelerator.backward(loss)
        finally:
            for parameter in self._d_parameters:
                parameter.requires_grad_(True)
        self._update("generator")
        return paid.detach()

    def _info_weight(self, batch: Batch) -> float:
        """The weight of the information term by now."""
        rules = self.rules
        return rules.info_weight * learning_rate_factor(batch.progress, "constant", rules.info_warmup)

    def _info_loss(self, reading: CodePrediction, z: Tensor) -> Tensor:
        return losses.information_loss(reading, *self.latent.codes(z), code_std=self.rules.code_std)

    def _targets(self, logits: Tensor, *, fake: bool = False) -> Tensor | float:
        """What D is to say, some of it turned round on request."""
        right = 0.0 if fake else self.rules.real_label
        if not self.rules.label_flip_prob:
            return right
        turned = torch.rand_like(logits) < self.rules.label_flip_prob
        return torch.where(turned, self.rules.real_label if fake else 0.0, right)

    def _d_logits(self, net: nn.Module, batch: Batch, *sets: Tensor) -> tuple[Tensor, CodePrediction | None]:
        """What the discriminator says of one set of pictures, or of several in one batch; packs never mix them."""
        shown = [self._packed(self._disturbed(images)) for images in sets]
        answer = self._call_discriminator(net, batch, torch.cat(shown) if len(shown) > 1 else shown[0])
        logits, reading = answer if isinstance(answer, tuple) else (answer, None)
        return _single(logits), reading and reading.each(_single)

    def _call_discriminator(self, net: nn.Module, batch: Batch, images: Tensor) -> Any:
        """The discriminator's answer; real and generated pictures are of the same classes in the same order."""
        if not self.rules.conditional:
            return net(images)
        return net(images, batch.labels.repeat(len(images) // len(batch.labels)))

    def _disturbed(self, images: Tensor) -> Tensor:
        """As D sees pictures: moved, under noise."""
        return noisy(translated(images, self._reach), self.rules.instance_noise)

    def _scores(self, answer: Any) -> Tensor:
        logits: Tensor = answer[0] if isinstance(answer, tuple) else answer
        return logits

    def _packed(self, images: Tensor) -> Tensor:
        """Pictures behind one another in packs; a rest that fills no pack is left out."""
        pack = self.rules.packing
        if pack == 1:
            return images
        whole = images[: len(images) // pack * pack]
        return whole.reshape(len(whole) // pack, pack * whole.shape[1], *whole.shape[2:])

    def _mean(self, batch: Batch, values: Tensor) -> Tensor:
        """The share of this process in the mean over the global batch."""
        share = len(batch.images) * batch.world / batch.global_size
        return values.mean() if share == 1 else values.mean() * share

    def _update(self, name: str) -> None:
        self.optimizers[name].step()
        self.optimizers[name].zero_grad()

    @torch.inference_mode()
    def generate(self, z: Tensor) -> Tensor:
        """(N, C, S, S) uint8 pictures of the average generator."""
        device = self.batches.device
        chunks = [self.models["average"](chunk.to(device)) for chunk in z.split(CHUNK)]
        return self.batches.preprocess.pixels(torch.cat(chunks)).cpu()

    def evaluate(self) -> dict[str, float]:
        """See `GANEvaluator`; and ``q_error`` where there is a Q to ask."""
        found = self.measure(self.generate(self.fixed[: self.measure.pictures]))
        if self._has_table:
            found["q_error"] = (
                1 - codes.read(self._unwrapped["discriminator"], self._inputs(), self.test).hungarian_accuracy
            )
        return found

    @property
    def _has_table(self) -> bool:
        """Does Q read a category that can be held against classes?"""
        return bool(self.latent.categories) and len(self.test.classes) > 1 and not self.rules.conditional

    def _inputs(self) -> Tensor:
        """The test images, normalised."""
        images = fit_images(self.test, self.batches.preprocess)
        return self.batches.preprocess.normalize(images, self.batches.dtype).to(self.batches.device)

    def epoch_artifacts(self, epoch: int) -> Mapping[str, bytes]:
        """A sheet of samples from fixed latent vectors, for `SNAPSHOTS` epochs spread over the training."""
        epochs = self.batches.epochs
        if epoch > 1 and epoch * SNAPSHOTS // epochs == (epoch - 1) * SNAPSHOTS // epochs:
            return {}
        return {
            f"samples/epoch-{epoch:05d}.png": portraits.sheet(self.generate(portraits.shown(self.latent, self.fixed)))
        }

    def warnings(self, lines: History) -> list[str]:
        """See `trouble`."""
        rules = self.rules
        turned = rules.label_flip_prob * rules.real_label  # the mean of labels that are turned round now and then
        asked = None if rules.loss in losses.WITHOUT_SCALE else (rules.real_label - turned, turned)
        classes = len(self.test.classes) if self.reference.in_domain else 0
        return trouble.find(lines, classes=classes, epochs=self.batches.epochs, asked=asked)

    def figures(self, lines: History) -> list[ReportFigure]:
        """Curves, samples, sweeps of the codes, the nearest training images."""
        return portraits.figures(self, lines)

    def summarize_result(self, metrics: Mapping[str, float]) -> ResultSummary:
        """The distance beside its floor; modes; Q's error."""
        headline, figures = self.measure.told(metrics)
        return ResultSummary(
            headline, figures, ["firstsight generate {run} --out samples.png", "firstsight evaluate {run}"]
        )

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """The generator's card, to stand in the weights file of the average."""
        table = self.test.classes if self.rules.conditional else ()
        if self._has_table:
            found = codes.read(self._unwrapped["discriminator"], self._inputs(), self.test)
            table = tuple(self.test.classes[label] for label in found.table)
        reference = {
            "name": self.reference.name,
            "sha256": self.reference.sha256,
            "knows": self.reference.in_domain,
            "n": self.measure.n,
        }
        return {
            "average": make_card(
                model=self.model, options=self.options, latent=self.latent, preprocess=self.batches.preprocess,
                table=table, about={**self.about, "metrics": dict(metrics), "judge": reference},
            )
        }  # fmt: skip


def _single(answer: Tensor) -> Tensor:
    """In single precision at least."""
    return answer if answer.dtype == torch.float64 else answer.float()
