"""The classification task: which of the classes does a picture show?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from firstsight.data.batches import Batch, Batches, fit_images
from firstsight.data.images.image_set import ImageSet
from firstsight.engine.task import History, ReportFigure, ResultSummary
from firstsight.optim.muon import Muon
from firstsight.optim.schedule import Schedule, learning_rate_factor
from firstsight.weights.classifier import average_over_views, make_card
from firstsight.weights.memory_format import channels_last
from firstsight.weights.transfer import train_mode

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVALUATION_BATCH = 500
CAPTIONS = {
    "Learning curves": "Training batches are augmented and measured while the network still changes,"
    " so their line may lie above the test set's.",
    "Confusion matrix": "A row is a true class, a column an answer; the shade is the share of the row.",
}
AUXILIARY_WEIGHT = 0.3
"""Of the losses of auxiliary classifiers (GoogLeNet's paper, section 5)."""


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How the weights go downhill; the fields are those of a recipe's settings."""

    optimizer: Literal["adam", "adamw", "sgd", "muon"]
    lr: float
    schedule: Schedule
    warmup: float
    momentum: float = 0.9
    linear_lr_mult: float = 1.0
    bias_lr_mult: float = 1.0
    filter_lr_mult: float = 1.0
    weight_decay: float = 0.0
    bias_weight_decay: float = 0.0
    milestones: tuple[float, ...] = ()
    gamma: float = 0.1

    def rate(self, progress: float) -> float:
        """The learning rate after that share of the training."""
        return self.lr * learning_rate_factor(
            progress, self.schedule, self.warmup, milestones=self.milestones, gamma=self.gamma
        )


class ClassificationTask:
    """Train one network by cross entropy; measured by accuracy on a test set. A `Task`.

    Parameters
    ----------
    net : nn.Module
        (N, C, S, S) images to (N, classes) logits.
    batches : Batches
        Training batches; their preprocessing is applied to the test set too.
    test : ImageSet
        The images to measure on.
    label_smoothing : float
        Share of the target spread evenly over all classes, in [0, 1).
    views : int
        See `average_over_views`; of the test set.
    """

    export_model, monitor = "net", "loss"

    def __init__(
        self,
        net: nn.Module,
        batches: Batches,
        test: ImageSet,
        *,
        model: str,
        optimizer_config: OptimizerConfig,
        label_smoothing: float,
        views: int,
        about: Mapping[str, Any],
    ) -> None:
        net = channels_last(net.to(batches.device, batches.dtype))
        self.models: dict[str, nn.Module] = {"net": net}
        self.optimizers: dict[str, Optimizer] = {"net": make_optimizer(net, optimizer_config)}
        self.batches, self.test = batches, test
        self.model, self.about = model, dict(about)
        self.optimizer_config, self.label_smoothing, self.views = optimizer_config, label_smoothing, views
        self._test_images = fit_images(test, batches.preprocess).to(batches.device)

    def prepare(self, accelerator: Accelerator) -> None:
        """Move to the device; wrap for several processes (with batch statistics over all of them on GPUs)."""
        self.accelerator = accelerator
        net = self.models["net"]
        if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
            net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
        train_mode(net)
        self.models["net"] = accelerator.prepare(net)
        if accelerator.scaler is not None:  # only float16 needs it, and it looks for packages on disk at every step
            self.optimizers["net"] = accelerator.prepare(self.optimizers["net"])

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        """Forward, backward, update."""
        net, optimizer = self.models["net"], self.optimizers["net"]
        rate = self.optimizer_config.rate(batch.progress)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("pace", 1.0)
        with self.accelerator.autocast():
            outputs = net(batch.images)
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        losses = self._losses(logits, batch.labels)
        for other in auxiliary:
            losses = losses + AUXILIARY_WEIGHT * self._losses(other, batch.labels)
        loss = batch.mean(losses)
        self.accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        right = (logits.detach().argmax(1) == batch.labels).to(loss.dtype)
        return {"loss": loss.detach(), "accuracy": batch.mean(right)}

    def _losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy of every sample, in single precision at least."""
        logits = logits if logits.dtype == torch.float64 else logits.float()
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)

    def evaluate(self) -> dict[str, float]:
        """Accuracy and mean cross entropy (nats, without smoothing) over the whole test set."""
        logits, labels = self._test_logits()
        right = (logits.argmax(1) == labels).sum()
        loss = F.cross_entropy(logits.double(), labels, reduction="sum")
        totals = self._over_processes(torch.stack([right.double(), loss, torch.tensor(len(labels)).to(loss)]))
        return {"accuracy": float(totals[0] / totals[2]), "loss": float(totals[1] / totals[2])}

    def _over_processes(self, totals: Tensor) -> Tensor:
        reduced: Tensor = self.accelerator.reduce(totals, reduction="sum")
        return reduced

    @torch.no_grad()
    def _test_logits(self, *, everything: bool = False) -> tuple[Tensor, Tensor]:
        """Logits and labels of this process's share of the test set, or of all of it."""
        share = (
            slice(None) if everything else slice(self.accelerator.process_index, None, self.accelerator.num_processes)
        )
        images, labels = self._test_images[share], self.test.labels[share].to(self._test_images.device)
        net = self.accelerator.unwrap_model(self.models["net"])
        net.eval()
        try:
            rows = []
            for chunk in images.split(EVALUATION_BATCH):
                inputs = self.batches.preprocess.normalize(chunk, self.batches.dtype)
                with self.accelerator.autocast():
                    rows.append(
                        average_over_views(net, inputs.contiguous(memory_format=torch.channels_last), self.views)
                    )
        finally:
            train_mode(net)
        logits = torch.cat(rows) if rows else torch.empty(0, len(self.test.classes), device=labels.device)
        return logits if logits.dtype == torch.float64 else logits.float(), labels

    def epoch_artifacts(self, epoch: int) -> Mapping[str, bytes]:
        """Nothing: a classifier's epochs look alike."""
        return {}

    def warnings(self, lines: History) -> list[str]:
        """None."""
        return []

    def figures(self, lines: History) -> list[ReportFigure]:
        """Curves; confusion matrix, the surest wrong answers, and right answers, on the whole test set."""
        from firstsight import plots

        logits, labels = self._test_logits(everything=True)
        shown = classification_figures(torch.softmax(logits, 1).cpu(), labels.cpu(), self.test, plots)
        drawn = {"Learning curves": plots.curves(lines), **shown}
        return [ReportFigure(title, figure, CAPTIONS.get(title, "")) for title, figure in drawn.items()]

    def summarize_result(self, metrics: Mapping[str, float]) -> ResultSummary:
        """Accuracy, how many answers are wrong, loss."""
        accuracy, tested = metrics["accuracy"], len(self.test)
        return ResultSummary(
            headline=f"test accuracy {accuracy:.2%}",
            figures=[
                ("test accuracy", f"{accuracy:.2%}"),
                ("wrong answers", f"{round((1 - accuracy) * tested):,} of {tested:,}"),
                ("test loss", f"{metrics['loss']:.4f}"),
            ],
            commands=["firstsight evaluate {run}", "firstsight predict {run} PICTURE.png"],
        )

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """The classifier's card, to stand in the weights file."""
        preprocess = self.batches.preprocess
        return {
            "net": make_card(
                model=self.model, in_channels=preprocess.channels, preprocess=preprocess, classes=self.test.classes,
                views=self.views, about={**self.about, "metrics": dict(metrics), "test_images": len(self.test)},
            )
        }  # fmt: skip


def classification_figures(probs: Tensor, labels: Tensor, test: ImageSet, plots: Any) -> "Mapping[str, Figure]":
    """What every classifier's report shows.

    Parameters
    ----------
    chances
        (N, classes) probabilities; labels : (N,) true classes; test : the images.
    """
    n = len(test.classes)
    answers = probs.argmax(1)
    matrix = torch.bincount(labels * n + answers, minlength=n * n).reshape(n, n).numpy()
    sure = probs.max(1).values
    wrong = torch.nonzero(answers != labels).flatten()
    wrong = wrong[sure[wrong].argsort(descending=True, stable=True)][:24]
    right = torch.nonzero(answers == labels).flatten()
    right = right[torch.from_numpy(np.linspace(0, len(right) - 1, min(16, len(right))).astype(np.int64))]
    pictures = {"Confusion matrix": plots.confusion(matrix, test.classes)}
    if len(wrong):
        captions = [f"{test.classes[answers[i]]} {sure[i]:.0%}\n(is {test.classes[labels[i]]})" for i in wrong]
        pictures["Wrong answers, the surest first"] = plots.gallery(
            test.images[wrong].numpy(), captions, colours=[plots.WRONG] * len(wrong)
        )
    else:
        pictures["Wrong answers, the surest first"] = plots.message("None: every test image was answered right.")
    captions = [f"{test.classes[answers[i]]} {sure[i]:.0%}" for i in right]
    pictures["Right answers"] = plots.gallery(test.images[right].numpy(), captions)
    return pictures


def make_optimizer(net: nn.Module, how: OptimizerConfig) -> Optimizer:
    """An optimizer in groups: weights; biases and batch norms (of one axis), which have a pace and decay of their own.

    Each group keeps its pace as "pace". Parameters that are fixed (``requires_grad`` off) are in none.
    """
    learning = [p for p in net.parameters() if p.requires_grad]
    vectors = {
        "params": [p for p in learning if p.ndim <= 1],
        "weight_decay": how.bias_weight_decay,
        "pace": how.bias_lr_mult,
    }
    if how.optimizer == "muon":
        filters = [p for p in learning if p.ndim > 2]
        matrices = {
            "params": [p for p in learning if p.ndim == 2],
            "weight_decay": how.weight_decay,
            "pace": how.linear_lr_mult,
        }
        return Muon(filters, [matrices, vectors], lr=how.lr, momentum=how.momentum)
    weights = {"params": [p for p in learning if p.ndim > 1], "weight_decay": how.weight_decay}
    if how.optimizer == "sgd":
        return SGD([weights, vectors], lr=how.lr, momentum=how.momentum, nesterov=how.momentum > 0, fused=True)
    return (Adam if how.optimizer == "adam" else AdamW)([weights, vectors], lr=how.lr, fused=True)
