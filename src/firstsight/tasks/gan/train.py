"""Training task of GANs: a generator G makes images, a discriminator D classifies them as real or generated."""

import copy
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from firstsight.data.batches import Batch, Batches, fit_images
from firstsight.data.images.image_set import ImageSet
from firstsight.engine.task import History, ReportFigure, ResultSummary
from firstsight.metrics.clustering import ClusterMatch
from firstsight.models.gan import losses
from firstsight.models.gan.latent import Latent
from firstsight.tasks.gan import figures
from firstsight.tasks.gan.codes import match_categories
from firstsight.tasks.gan.diagnostics import diagnose
from firstsight.tasks.gan.evaluator import GANEvaluator
from firstsight.tasks.gan.generator import BATCH
from firstsight.tasks.gan.reference_classifier import ReferenceClassifier
from firstsight.tasks.gan.settings import GANSettings
from firstsight.tasks.gan.train_step import GANTrainStep
from firstsight.weights.io import make_card
from firstsight.weights.memory_format import channels_last

MAX_SAMPLE_FILES = 48
"""Number of files with samples that a run keeps."""


class GANTask:
    """Train a generator against a discriminator, and evaluate it by the features of a reference classifier. A `Task`.

    It has three models: "generator", "discriminator", and "average", the exponential moving average of the generator,
    which is exported. `GANTrainStep` has the training step.

    Parameters
    ----------
    generator : nn.Module
        (N, latent.length) latent vectors to (N, C, S, S) images.
    discriminator : nn.Module
        Images to (N,) logits, or to logits and a `CodePrediction`.
    batches : Batches
        Training batches, normalized to the range of the generator.
    test : ImageSet
        Test images.
    latent : Latent
        Latent space.
    settings : GANSettings
        Settings of the run.
    code_std : losses.CodeStd
        Standard deviation of Q's Gaussians, parsed from the settings.
    is_conditional : bool
        Whether generator and discriminator are class-conditional; then the first category is the class.
    reference : ReferenceClassifier
        Classifier that evaluates generated images.
    model : str
        Name of the network, for the card.
    options : Mapping[str, Any]
        Arguments of `create_gan`, for the card.
    about : Mapping[str, Any]
        Facts about the run, for the card.
    """

    export_model = "average"
    monitor = "g_loss"

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        batches: Batches,
        test: ImageSet,
        *,
        latent: Latent,
        settings: GANSettings,
        code_std: losses.CodeStd,
        is_conditional: bool,
        reference: ReferenceClassifier,
        model: str,
        options: Mapping[str, Any],
        about: Mapping[str, Any],
    ) -> None:
        self.batches = batches
        self.test = test
        self.latent = latent
        self.settings = settings
        self.code_std = code_std
        self.is_conditional = is_conditional
        self.reference = reference
        self.model = model
        self.options = dict(options)
        self.about = dict(about)
        generator = channels_last(generator.to(batches.device, batches.dtype))
        discriminator = channels_last(discriminator.to(batches.device, batches.dtype))
        average = copy.deepcopy(generator).eval().requires_grad_(False)
        self.models: dict[str, nn.Module] = {
            "generator": generator,
            "discriminator": discriminator,
            "average": average,
        }
        self.optimizers = {
            "generator": make_optimizer(generator, settings, use_sgd=settings.optimizer == "sgd"),
            "discriminator": make_optimizer(discriminator, settings, use_sgd=settings.optimizer != "adam"),
        }
        self.evaluator = GANEvaluator(reference, batches, test)
        random = torch.Generator().manual_seed(settings.seed + 1)
        num_fixed = max(self.evaluator.num_images, figures.COLUMNS**2)
        self.fixed_z = latent.draw(num_fixed, generator=random, dtype=batches.dtype)

    def prepare(self, accelerator: Accelerator) -> None:
        """Wrap the models for several processes, on GPUs with synchronized batch norm; create the training step."""
        for name in ("generator", "discriminator"):
            net = self.models[name].train()
            if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
                net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
            self.models[name] = accelerator.prepare(net)
        self.step = GANTrainStep(
            self.models,
            self.optimizers,
            accelerator,
            latent=self.latent,
            settings=self.settings,
            code_std=self.code_std,
            is_conditional=self.is_conditional,
            steps_per_epoch=self.batches.steps,
        )

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        """Train both networks on one batch; see `GANTrainStep`."""
        return self.step(batch)

    @torch.inference_mode()
    def generate(self, z: Tensor) -> Tensor:
        """Generate images with the averaged generator.

        Parameters
        ----------
        z : Tensor
            (N, latent.length) latent vectors.

        Returns
        -------
        Tensor
            (N, C, S, S) uint8 on the CPU.
        """
        device = self.batches.device
        chunks = [self.models["average"](chunk.to(device)) for chunk in z.split(BATCH)]
        return self.batches.preprocess.denormalize(torch.cat(chunks)).cpu()

    def evaluate(self) -> dict[str, float]:
        """Return the metrics of `GANEvaluator`, and ``q_error`` if Q predicts a category."""
        metrics = self.evaluator(self.generate(self.fixed_z[: self.evaluator.num_images]))
        match = self._match_categories()
        if match:
            metrics["q_error"] = 1 - match.hungarian_accuracy
        return metrics

    def _match_categories(self) -> ClusterMatch | None:
        """Match Q's first category with the classes of the test images; None if there is no Q or only one class."""
        if not self.latent.categories or len(self.test.classes) < 2 or self.is_conditional:
            return None
        images = fit_images(self.test, self.batches.preprocess)
        inputs = self.batches.preprocess.normalize(images, self.batches.dtype).to(self.batches.device)
        return match_categories(self.step.discriminator, inputs, self.test)

    def epoch_artifacts(self, epoch: int) -> Mapping[str, bytes]:
        """Return an image of samples from fixed latent vectors, for up to `MAX_SAMPLE_FILES` epochs."""
        epochs = self.batches.epochs
        if epoch > 1 and epoch * MAX_SAMPLE_FILES // epochs == (epoch - 1) * MAX_SAMPLE_FILES // epochs:
            return {}
        images = self.generate(figures.sample_latents(self.latent, self.fixed_z))
        return {f"samples/epoch-{epoch:05d}.png": figures.grid_png(images)}

    def warnings(self, history: History) -> list[str]:
        """Return the failures that `diagnose` finds."""
        settings = self.settings
        flipped = settings.label_flip_prob * settings.real_label  # mean change of the targets by flipped labels
        has_targets = losses.get_loss(settings.loss).has_targets
        targets = (settings.real_label - flipped, flipped) if has_targets else None
        classes = len(self.test.classes) if self.reference.in_domain else 0
        return diagnose(history, classes=classes, epochs=self.batches.epochs, targets=targets)

    def figures(self, history: History) -> list[ReportFigure]:
        """Return curves, samples, traversals of the codes, and the nearest training images."""
        return figures.report_figures(
            history,
            self.generate,
            latent=self.latent,
            z=self.fixed_z,
            classes=self.test.classes if self.is_conditional else (),
            train_images=self.batches.images.cpu(),
        )

    def summarize_result(self, metrics: Mapping[str, float]) -> ResultSummary:
        """Summarize the Frechet distance, the generated classes and the error of Q."""
        headline, rows = self.evaluator.summarize(metrics)
        commands = ["firstsight generate {run} --out samples.png", "firstsight evaluate {run}"]
        return ResultSummary(headline, rows, commands)

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """Return the card of the averaged generator."""
        table = self.test.classes if self.is_conditional else ()
        match = self._match_categories()
        if match:
            table = tuple(self.test.classes[label] for label in match.table)
        reference = {
            "name": self.reference.name,
            "sha256": self.reference.sha256,
            "in_domain": self.reference.in_domain,
            "n": self.evaluator.n,
        }
        card = make_card(
            "generator",
            model=self.model,
            options=self.options,
            latent=asdict(self.latent),
            preprocess=asdict(self.batches.preprocess),
            table=list(table),
            about={**self.about, "metrics": dict(metrics), "reference": reference},
        )
        return {"average": card}


def make_optimizer(net: nn.Module, settings: GANSettings, *, use_sgd: bool) -> Optimizer:
    """Return Adam, or SGD without momentum; the training step sets the learning rate.

    Parameters
    ----------
    net : nn.Module
        Network to train.
    settings : GANSettings
        ``lr`` and ``beta1`` are used.
    use_sgd : bool
        Whether to use SGD.
    """
    if use_sgd:
        return SGD(net.parameters(), lr=settings.lr, fused=True)
    return Adam(net.parameters(), lr=settings.lr, betas=(settings.beta1, 0.999), fused=True)
