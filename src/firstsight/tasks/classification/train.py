"""Training of a classifier."""

import copy
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from firstsight.data.batches import Batch, Batches, fit_images
from firstsight.data.images.image_set import ImageSet
from firstsight.engine.accelerator import prepare_model
from firstsight.engine.task import History, ReportFigure, ResultSummary
from firstsight.optim.config import OptimizerConfig, make_optimizer
from firstsight.tasks.classification.advice import advise
from firstsight.tasks.classification.classifier import average_over_views
from firstsight.tasks.classification.data_defaults import original_side
from firstsight.tasks.classification.diagnosis import diagnose
from firstsight.tasks.classification.settings import ClassificationSettings
from firstsight.tasks.classification.transfer import restore_train_mode
from firstsight.weights.io import make_card
from firstsight.weights.memory_format import channels_last

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVALUATION_BATCH = 500
CAPTIONS = {
    "Learning curves": (
        "Training batches are augmented and measured while the network changes, so the training loss may be above the"
        " test loss."
    ),
    "Confusion matrix": "Rows are true classes, columns are predictions; the shade is the fraction of the row.",
}
AUXILIARY_WEIGHT = 0.3
"""Weight of the losses of auxiliary classifiers (GoogLeNet, Szegedy 2014, section 5)."""
MAX_TRAIN_IMAGES = 2000
"""Maximum number of training images on which the training accuracy is measured at the end."""
MAX_WRONG = 24
MAX_CORRECT = 16


class ClassificationTask:
    """Training of a network with cross entropy, evaluated by accuracy on a test set. A `Task`.

    Parameters
    ----------
    net : nn.Module
        (N, C, S, S) images to (N, classes) logits. Networks with auxiliary classifiers return several logits in
        training mode.
    batches : Batches
        Training batches; their preprocessing is applied to the test set too.
    test : ImageSet
        Test set.
    model : str
        Name of the network, for the card.
    optimizer_config : OptimizerConfig
        Optimizer and learning-rate schedule.
    label_smoothing : float
        Fraction of the target that is distributed evenly over all classes, in [0, 1).
    views : int
        Test-time augmentation, see `average_over_views`.
    about : Mapping[str, Any]
        Facts for the card: recipe, data, settings.
    settings : ClassificationSettings
        Settings of the run, for the advice at its end.
    validation : ImageSet | None
        Images for early stopping.
    variant : str | None
        Variant of the network, for the card.
    """

    export_model = "net"
    monitor = "loss"

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
        settings: ClassificationSettings,
        validation: ImageSet | None = None,
        variant: str | None = None,
    ) -> None:
        net = channels_last(net.to(batches.device, batches.dtype))
        self.models: dict[str, nn.Module] = {"net": net}
        if validation is not None:
            self.models["best"] = copy.deepcopy(net).requires_grad_(False)
        self.optimizers: dict[str, Optimizer] = {"net": make_optimizer(net, optimizer_config)}
        self.batches = batches
        self.test = test
        self.model = model
        self.variant = variant
        self.about = dict(about)
        self.settings = settings
        self.optimizer_config = optimizer_config
        self.label_smoothing = label_smoothing
        self.views = views
        self._test_images = fit_images(test, batches.preprocess).to(batches.device)
        self._test_labels = test.labels.to(batches.device)
        if validation is not None:
            self._val_images = fit_images(validation, batches.preprocess).to(batches.device)
            self._val_labels = validation.labels.to(batches.device)

    def prepare(self, accelerator: Accelerator) -> None:
        """Move the network to the device, and wrap it if there are several processes."""
        self.accelerator = accelerator
        net = self.models["net"]
        restore_train_mode(net)
        self.models["net"] = prepare_model(accelerator, net)
        if accelerator.scaler is not None:  # only float16 needs it, and it looks for packages on disk at every step
            self.optimizers["net"] = accelerator.prepare(self.optimizers["net"])

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        """Train on one batch: forward, backward, update. Return loss and accuracy."""
        net, optimizer = self.models["net"], self.optimizers["net"]
        lr = self.optimizer_config.lr_at(batch.progress)
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("lr_mult", 1.0)
        with self.accelerator.autocast():
            outputs = net(batch.images)
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        losses = self._cross_entropy(logits, batch.labels)
        for auxiliary_logits in auxiliary:
            losses = losses + AUXILIARY_WEIGHT * self._cross_entropy(auxiliary_logits, batch.labels)
        loss = batch.mean(losses)
        self.accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        is_correct = (logits.detach().argmax(1) == batch.labels).to(loss.dtype)
        return {"loss": loss.detach(), "accuracy": batch.mean(is_correct)}

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross entropy (N,) of every sample, in single precision at least."""
        logits = logits if logits.dtype == torch.float64 else logits.float()
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)

    def evaluate(self) -> dict[str, float]:
        """Return accuracy and mean cross entropy (nats, without label smoothing) on the whole test set."""
        return self._measure(self._test_images, self._test_labels)

    def validate(self) -> dict[str, float]:
        """Return accuracy and mean cross entropy on the images for early stopping."""
        return self._measure(self._val_images, self._val_labels)

    def keep_weights(self) -> None:
        """Keep the current weights in the model "best"."""
        self.models["best"].load_state_dict(self.accelerator.unwrap_model(self.models["net"]).state_dict())

    def restore_weights(self) -> None:
        """Replace the current weights by those of the model "best"."""
        self.accelerator.unwrap_model(self.models["net"]).load_state_dict(self.models["best"].state_dict())

    def measure_training(self) -> tuple[float, float]:
        """Return accuracy and loss on at most `MAX_TRAIN_IMAGES` training images, without augmentation."""
        count = min(MAX_TRAIN_IMAGES, self.batches.samples)
        spread = torch.arange(count, device=self.batches.images.device) * self.batches.samples // count
        logits, labels = self._logits(self.batches.images[spread]), self.batches.labels[spread]
        accuracy = (logits.argmax(1) == labels).double().mean()
        return float(accuracy), float(F.cross_entropy(logits.double(), labels))

    def _measure(self, images: Tensor, labels: Tensor) -> dict[str, float]:
        """Return accuracy and mean cross entropy on images of the network's input size, over all processes."""
        part = slice(self.accelerator.process_index, None, self.accelerator.num_processes)
        images, labels = images[part], labels[part]
        logits = self._logits(images)
        correct = (logits.argmax(1) == labels).sum()
        loss = F.cross_entropy(logits.double(), labels, reduction="sum")
        totals = torch.stack([correct.double(), loss, torch.tensor(len(labels)).to(loss)])
        totals = self.accelerator.reduce(totals, reduction="sum")
        return {"accuracy": float(totals[0] / totals[2]), "loss": float(totals[1] / totals[2])}

    @torch.no_grad()
    def _logits(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes) of uint8 images (N, C, S, S), with the network in evaluation mode."""
        net = self.accelerator.unwrap_model(self.models["net"])
        net.eval()
        try:
            chunks = []
            for chunk in images.split(EVALUATION_BATCH):
                inputs = self.batches.preprocess.normalize(chunk, self.batches.dtype)
                inputs = inputs.contiguous(memory_format=torch.channels_last)
                with self.accelerator.autocast():
                    chunks.append(average_over_views(net, inputs, self.views))
        finally:
            restore_train_mode(net)
        logits = torch.cat(chunks) if chunks else torch.empty(0, len(self.test.classes), device=images.device)
        return logits if logits.dtype == torch.float64 else logits.float()

    def epoch_artifacts(self, epoch: int) -> Mapping[str, bytes]:
        """Return no files."""
        return {}

    def warnings(self, history: History) -> list[str]:
        """Return no warnings."""
        return []

    def figures(self, history: History) -> list[ReportFigure]:
        """Return learning curves, confusion matrix, and wrong and correct predictions on the whole test set."""
        from firstsight import plots

        logits = self._logits(self._test_images)
        figures = {"Learning curves": plots.curves(history, num_test=len(self.test))}
        figures |= prediction_figures(torch.softmax(logits, 1).cpu(), self.test.labels, self.test)
        return [ReportFigure(title, figure, CAPTIONS.get(title, "")) for title, figure in figures.items()]

    def summarize_result(self, metrics: Mapping[str, float]) -> ResultSummary:
        """Summarize accuracy, number of errors and loss, and say what they mean."""
        accuracy, n = metrics["accuracy"], len(self.test)
        train_accuracy, train_loss = self.measure_training()
        chance = float(torch.bincount(self.test.labels).max() / n)
        advice = advise(
            self.model,
            self.settings,
            image_side=original_side(self.settings.data, min(self.test.size)),
            num_classes=len(self.test.classes),
            steps=self.batches.steps,
            train_loss=train_loss,
        )
        diagnosis = diagnose(train_accuracy, accuracy, num_test=n, chance=chance, advice=advice)
        return ResultSummary(
            headline=f"test accuracy {accuracy:.2%}",
            metrics=[
                ("test accuracy", f"{accuracy:.2%}"),
                ("errors", f"{round((1 - accuracy) * n):,} of {n:,}"),
                ("test loss", f"{metrics['loss']:.4f}"),
                ("training accuracy", f"{train_accuracy:.2%}"),
            ],
            commands=["firstsight evaluate {run}", "firstsight predict {run} IMAGE.png"],
            diagnosis=diagnosis.text,
            values={"train_accuracy": train_accuracy},
        )

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """Return the card of the classifier."""
        preprocess = self.batches.preprocess
        options: dict[str, int | str] = {
            "num_classes": len(self.test.classes),
            "in_channels": preprocess.channels,
            "image_size": preprocess.input_size,
        }
        if self.variant:
            options["variant"] = self.variant
        card = make_card(
            "classifier",
            model=self.model,
            options=options,
            preprocess=asdict(preprocess),
            classes=list(self.test.classes),
            views=self.views,
            about={**self.about, "metrics": dict(metrics), "test_images": len(self.test)},
        )
        return {"net": card}


def prediction_figures(probs: Tensor, labels: Tensor, test: ImageSet) -> "dict[str, Figure]":
    """Return the figures of a classifier's predictions by title.

    Parameters
    ----------
    probs : Tensor
        (N, classes) probabilities.
    labels : Tensor
        (N,) true classes.
    test : ImageSet
        The images.
    """
    from firstsight import plots

    n = len(test.classes)
    confidences, predictions = probs.max(1)
    matrix = torch.bincount(labels * n + predictions, minlength=n * n).reshape(n, n).numpy()
    wrong = torch.nonzero(predictions != labels).flatten()
    wrong = wrong[confidences[wrong].argsort(descending=True, stable=True)][:MAX_WRONG]
    correct = torch.nonzero(predictions == labels).flatten()
    spread = np.linspace(0, len(correct) - 1, min(MAX_CORRECT, len(correct))).astype(np.int64)
    correct = correct[torch.from_numpy(spread)]
    title = "Wrong predictions, most confident first"
    figures = {"Confusion matrix": plots.confusion(matrix, test.classes)}
    if len(wrong):
        captions = [
            f"{test.classes[predictions[i]]} {confidences[i]:.0%}\n(is {test.classes[labels[i]]})" for i in wrong
        ]
        colors = [plots.WRONG] * len(wrong)
        figures[title] = plots.gallery(test.images[wrong].numpy(), captions, colors=colors)
    else:
        figures[title] = plots.text_figure("None: every test image was classified correctly.")
    captions = [f"{test.classes[predictions[i]]} {confidences[i]:.0%}" for i in correct]
    figures["Correct predictions"] = plots.gallery(test.images[correct].numpy(), captions)
    return figures
