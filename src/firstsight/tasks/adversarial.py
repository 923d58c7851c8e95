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
from firstsight.data.imageset import ImageSet
from firstsight.engine.task import Lines, Picture, Verdict
from firstsight.gan import losses
from firstsight.gan.disturb import noisy, translated
from firstsight.gan.infogan import Reading
from firstsight.gan.latent import Latent
from firstsight.tasks import codes, portraits, trouble
from firstsight.tasks.adversarial_scores import MeasurePictures
from firstsight.tasks.average import Follower
from firstsight.tasks.judge import Judge
from firstsight.tasks.schedule import learning_rate_factor
from firstsight.weights.generator import make_card
from firstsight.weights.layout import channels_last

CHUNK = 500
LAZY = 8
"""The slope at real pictures is held down at every eighth update, and there eight times as strongly (Karras 2020)."""
SNAPSHOTS = 48
"""Sheets of samples that a run keeps."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How the two play; the fields are those of a recipe's settings."""

    lr: float
    d_lr: float
    beta1: float
    optimizer: Literal["adam", "sgd", "sgd-in-d"]
    schedule: Literal["constant", "linear", "cosine"]
    loss: losses.Loss
    penalty: float
    r1: float
    critic_steps: int
    batches: Literal["separate", "mixed"]
    real_target: float
    label_noise: float
    ema: float
    instance_noise: float
    translation: int
    packing: int
    conditional: bool
    information: float
    information_warmup: float
    spread: losses.Spread


class Adversarial:
    """Train a generator against a discriminator; measured on what a fixed classifier sees in both kinds of pictures.

    A `Task` of three models: "generator", "discriminator", and "average", the running mean of the generator's weights,
    which is the product.

    Parameters
    ----------
    generator : (N, latent) to (N, C, S, S); discriminator : pictures to (N,) logits, or to logits and a `Reading`.
    batches : real pictures, normalised to the generator's range.
    test : the real pictures to measure against.
    latent : what the generator is given.
    judge : who looks at the pictures.
    model, options : for the card: the network's name, and how to build the generator again.
    """

    product, watched = "average", "g_loss"

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, batches: Batches, test: ImageSet, *, latent: Latent,
        rules: Rules, judge: Judge, seed: int, model: str, options: Mapping[str, Any], about: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.latent, self.rules, self.judge, self.seed = latent, rules, judge, seed
        self.model, self.options, self.about = model, dict(options), dict(about)
        self.batches, self.test = batches, test
        self.together = rules.batches == "mixed" or next(discriminator.buffers(), None) is None  # then it is the same
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
        self._bare: dict[str, nn.Module] = {}  # the two, not wrapped for several processes
        self._reach = 0  # of pixels, by which pictures are moved
        self.measure = MeasurePictures(judge, batches, test)
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
            self._bare[name] = accelerator.unwrap_model(self.models[name])
        self._asked = list(self._bare["discriminator"].parameters())  # listed once, as is what follows
        self._follower = Follower(self.models["average"], self._bare["generator"], keep=self.rules.ema)

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        """An update of D on real and generated pictures, then one of G on the same generated pictures."""
        rules, generator = self.rules, self.models["generator"]
        pace = learning_rate_factor(batch.progress, rules.schedule, 0.0)
        self._reach = round(rules.translation * (1 - batch.progress))
        for name, factor in (("generator", 1.0), ("discriminator", rules.d_lr)):
            for group in self.optimizers[name].param_groups:
                group["lr"] = rules.lr * factor * pace
        z = self.latent.draw(len(batch.images), device=batch.images.device, dtype=batch.images.dtype)
        if rules.conditional:  # of each real picture's class a generated one
            z = self.latent.with_category(z, 0, batch.labels)
        with self.accelerator.autocast():
            fake = generator(z)
        scalars = self._train_discriminator(batch, fake.detach(), z)
        step = batch.epoch * self.batches.steps + batch.index
        if (step + 1) % rules.critic_steps == 0:
            scalars["g_loss"] = self._train_generator(batch, fake, z)
            self._follower.follow(step // rules.critic_steps)
        else:
            with torch.no_grad(), self.accelerator.autocast():
                logits, _ = self._judge(self._bare["discriminator"], batch, fake)
            scalars["g_loss"] = self._mean(batch, losses.generator_loss(rules.loss, logits))
        return scalars

    def _train_discriminator(self, batch: Batch, fake: Tensor, z: Tensor) -> dict[str, Tensor]:
        rules, net = self.rules, self.models["discriminator"]
        with self.accelerator.autocast():
            if self.together:
                both, reading = self._judge(net, batch, batch.images, fake)
                says_real, says_fake = both.chunk(2)
                reading = reading and reading.each(lambda part: part.chunk(2)[1])
            else:
                says_real, _ = self._judge(net, batch, batch.images)
                says_fake, reading = self._judge(net, batch, fake)
        real_target, fake_target = self._targets(says_real), self._targets(says_fake, fake=True)
        paid = losses.real_loss(rules.loss, says_real, target=real_target)
        paid = paid + losses.fake_loss(rules.loss, says_fake, target=fake_target)
        if rules.loss == "wasserstein":
            mix = torch.rand(len(paid), device=fake.device, dtype=fake.dtype)
            bare = self._bare["discriminator"]
            slope = losses.gradient_penalty(
                lambda x: self._scores(self._ask(bare, batch, x)), self._packed(batch.images), self._packed(fake), mix
            )
            paid = paid + rules.penalty * slope
        if rules.r1 and (batch.epoch * self.batches.steps + batch.index) % LAZY == 0:
            bare = self._bare["discriminator"]
            slope = losses.real_slope(lambda x: self._scores(self._ask(bare, batch, x)), self._packed(batch.images))
            paid = paid + LAZY * rules.r1 / 2 * slope
        loss = self._mean(batch, paid)
        scalars = {"d_loss": loss.detach()}
        if reading is not None:
            unread = self._mean(batch, self._unread(reading, z))
            loss = loss + self._information(batch) * unread
            scalars["information"] = unread.detach()
        self.accelerator.backward(loss)
        self._update("discriminator")
        with torch.no_grad():
            for name, logits in (("d_real", says_real), ("d_fake", says_fake)):
                scalars[name] = self._mean(batch, losses.answer(rules.loss, logits))
        return scalars

    def _train_generator(self, batch: Batch, fake: Tensor, z: Tensor) -> Tensor:
        """D is only asked, not trained: its weights need no gradient, and its processes nothing to agree on."""
        for parameter in self._asked:
            parameter.requires_grad_(False)
        try:
            with self.accelerator.autocast():
                logits, reading = self._judge(self._bare["discriminator"], batch, fake)
            paid = loss = self._mean(batch, losses.generator_loss(self.rules.loss, logits))
            if reading is not None:
                unread = self._mean(batch, self._unread(reading, z))
                loss = loss + self._information(batch) * unread
            self.accelerator.backward(loss)
        finally:
            for parameter in self._asked:
                parameter.requires_grad_(True)
        self._update("generator")
        return paid.detach()

    def _information(self, batch: Batch) -> float:
        """The weight of the information term by now."""
        rules = self.rules
        return rules.information * learning_rate_factor(batch.progress, "constant", rules.information_warmup)

    def _unread(self, reading: Reading, z: Tensor) -> Tensor:
        return losses.information_loss(reading, *self.latent.codes(z), spread=self.rules.spread)

    def _targets(self, logits: Tensor, *, fake: bool = False) -> Tensor | float:
        """What D is to say, some of it turned round on request."""
        right = 0.0 if fake else self.rules.real_target
        if not self.rules.label_noise:
            return right
        turned = torch.rand_like(logits) < self.rules.label_noise
        return torch.where(turned, self.rules.real_target if fake else 0.0, right)

    def _judge(self, net: nn.Module, batch: Batch, *sets: Tensor) -> tuple[Tensor, Reading | None]:
        """What the discriminator says of one set of pictures, or of several in one batch; packs never mix them."""
        shown = [self._packed(self._disturbed(images)) for images in sets]
        answer = self._ask(net, batch, torch.cat(shown) if len(shown) > 1 else shown[0])
        logits, reading = answer if isinstance(answer, tuple) else (answer, None)
        return _single(logits), reading and reading.each(_single)

    def _ask(self, net: nn.Module, batch: Batch, images: Tensor) -> Any:
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
        """See `MeasurePictures`; and ``q_error`` where there is a Q to ask."""
        found = self.measure(self.generate(self.fixed[: self.measure.pictures]))
        if self._has_table:
            found["q_error"] = 1 - codes.read(self._bare["discriminator"], self._inputs(), self.test).one_to_one
        return found

    @property
    def _has_table(self) -> bool:
        """Does Q read a category that can be held against classes?"""
        return bool(self.latent.categories) and len(self.test.classes) > 1 and not self.rules.conditional

    def _inputs(self) -> Tensor:
        """The test images, normalised."""
        images = fit_images(self.test, self.batches.preprocess)
        return self.batches.preprocess.normalise(images, self.batches.dtype).to(self.batches.device)

    def snapshot(self, epoch: int) -> Mapping[str, bytes]:
        """A sheet of samples from fixed latent vectors, for `SNAPSHOTS` epochs spread over the training."""
        epochs = self.batches.epochs
        if epoch > 1 and epoch * SNAPSHOTS // epochs == (epoch - 1) * SNAPSHOTS // epochs:
            return {}
        return {
            f"samples/epoch-{epoch:05d}.png": portraits.sheet(self.generate(portraits.shown(self.latent, self.fixed)))
        }

    def warnings(self, lines: Lines) -> list[str]:
        """See `trouble`."""
        rules = self.rules
        turned = rules.label_noise * rules.real_target  # the mean of labels that are turned round now and then
        asked = None if rules.loss in losses.WITHOUT_SCALE else (rules.real_target - turned, turned)
        classes = len(self.test.classes) if self.judge.knows else 0
        return trouble.find(lines, classes=classes, epochs=self.batches.epochs, asked=asked)

    def figures(self, lines: Lines) -> list[Picture]:
        """Curves, samples, sweeps of the codes, the nearest training images."""
        return portraits.figures(self, lines)

    def verdict(self, metrics: Mapping[str, float]) -> Verdict:
        """The distance beside its floor; modes; Q's error."""
        headline, figures = self.measure.told(metrics)
        return Verdict(headline, figures, ["firstsight generate {run} --out samples.png", "firstsight evaluate {run}"])

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """The generator's card, to stand in the weights file of the average."""
        table = self.test.classes if self.rules.conditional else ()
        if self._has_table:
            found = codes.read(self._bare["discriminator"], self._inputs(), self.test)
            table = tuple(self.test.classes[label] for label in found.table)
        judge = {"name": self.judge.name, "sha256": self.judge.sha256, "knows": self.judge.knows, "n": self.measure.n}
        return {
            "average": make_card(
                model=self.model, options=self.options, latent=self.latent, preprocess=self.batches.preprocess,
                table=table, about={**self.about, "metrics": dict(metrics), "judge": judge},
            )
        }  # fmt: skip


def _single(answer: Tensor) -> Tensor:
    """In single precision at least."""
    return answer if answer.dtype == torch.float64 else answer.float()
