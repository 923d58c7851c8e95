"""Training, loading and evaluation of denoising networks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from fifth_kind.network import Denoiser, create_denoiser
from fifth_kind.settings import DenoisingSettings
from firstsight import plots
from firstsight.data.batches import Batch, Batches, fit_images
from firstsight.data.image_io import Preprocess
from firstsight.data.images.image_set import ImageSet
from firstsight.data.images.loading import load_data
from firstsight.engine.device import choose_device, device_of
from firstsight.engine.task import History, ReportFigure, ResultSummary
from firstsight.tasks.builder import ExperimentBuilder, redact_paths
from firstsight.tasks.classification.classifier import read_preprocess
from firstsight.tasks.evaluation import Evaluation
from firstsight.tasks.provenance import training_data
from firstsight.weights.io import WeightsFile, load_checked, make_card


class DenoisingTask:
    """Training with the mean squared error between denoised and clean images."""

    export_model = "net"
    monitor = "loss"

    def __init__(
        self, net: Denoiser, batches: Batches, test: ImageSet, settings: DenoisingSettings, recipe: str
    ) -> None:
        self.models: dict[str, nn.Module] = {"net": net}
        self.optimizers = {"net": torch.optim.Adam(net.parameters(), lr=settings.lr)}
        self.batches, self.test, self.settings, self.recipe = batches, test, settings, recipe

    def prepare(self, accelerator: Accelerator) -> None:
        """Move the network to the device."""
        self.accelerator = accelerator
        self.models["net"] = accelerator.prepare(self.models["net"])

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        """Train on one batch."""
        noisy = batch.images + self.settings.noise_std * torch.randn_like(batch.images)
        losses = (self.models["net"](noisy) - batch.images).square().flatten(1).mean(1)
        loss = batch.mean(losses)
        self.accelerator.backward(loss)
        self.optimizers["net"].step()
        self.optimizers["net"].zero_grad()
        return {"loss": loss.detach()}

    def evaluate(self) -> dict[str, float]:
        """Return the mean squared error on the test set."""
        net = self.accelerator.unwrap_model(self.models["net"])
        return {"mse": mean_squared_error(net, self.test, self.batches.preprocess, self.settings.noise_std)}

    def epoch_artifacts(self, epoch: int) -> Mapping[str, bytes]:
        """Return no files."""
        return {}

    def warnings(self, history: History) -> list[str]:
        """Return no warnings."""
        return []

    def figures(self, history: History) -> list[ReportFigure]:
        """Return one figure."""
        return [
            ReportFigure("Test images", plots.gallery(self.test.images[:2].numpy(), [""] * len(self.test.images[:2])))
        ]

    def summarize_result(self, metrics: Mapping[str, float]) -> ResultSummary:
        """Summarize the error."""
        mse = f"{metrics['mse']:.4f}"
        return ResultSummary(f"test MSE {mse}", [("test MSE", mse)], ["firstsight evaluate {run}"])

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """Return the card."""
        about = {
            "recipe": self.recipe,
            "data": self.test.name,
            "settings": redact_paths(self.settings),
            "metrics": dict(metrics),
        }
        preprocess = asdict(self.batches.preprocess)
        fields = {"preprocess": preprocess, "noise_std": self.settings.noise_std}
        return {"net": make_card("denoiser", model="denoiser", about=about, **fields)}


class DenoisingBuilder(ExperimentBuilder[DenoisingSettings]):
    """Experiment builder of a denoising network."""

    def make_task(self, train: ImageSet, test: ImageSet) -> DenoisingTask:
        """Return the task."""
        torch.manual_seed(self.settings.seed)
        mean, std = train.mean_std()
        resize, pad = Preprocess.fit(min(train.size), self.settings.image_size)
        preprocess = Preprocess(channels=train.channels, resize=resize, pad=pad, mean=mean, std=std)
        net = create_denoiser(self.model, channels=train.channels)
        task = DenoisingTask(net, self.batches(train, preprocess), test, self.settings, self.name)
        task.prepare(self.accelerator)
        return task


@dataclass(frozen=True)
class TrainedDenoiser:
    """A trained denoising network."""

    model: nn.Module
    preprocess: Preprocess
    card: dict[str, Any]
    source: str
    task: ClassVar[str] = "denoising"

    def to(self, device: str) -> Self:
        """Move the network to a device."""
        self.model.to(choose_device(device))
        return self


def load_denoiser(weights: WeightsFile) -> TrainedDenoiser:
    """Return the network of a weights file."""
    preprocess = read_preprocess(weights.card["preprocess"])
    net = load_checked(Denoiser(channels=preprocess.channels), weights)
    return TrainedDenoiser(net, preprocess, weights.card, str(weights.path))


def evaluate_denoiser(
    model: TrainedDenoiser,
    data: str | Path | None = None,
    *,
    strict: bool = False,
    notify: Callable[[str], None] = lambda line: None,
    progress: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> Evaluation:
    """Evaluate a denoising network on the test split of a data set."""
    test = load_data(data or training_data(model.source, model.card), "test", strict=strict, notify=notify)
    mse = mean_squared_error(model.model, test, model.preprocess, model.card["noise_std"])
    return Evaluation(metrics={"mse": mse}, n=len(test), model="denoiser", data=test.name)


@torch.no_grad()
def mean_squared_error(net: nn.Module, test: ImageSet, preprocess: Preprocess, noise_std: float) -> float:
    """Return the mean squared error of denoised test images, with fixed noise."""
    images = preprocess.normalize(fit_images(test, preprocess)).to(device_of(net))
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)).to(images)
    return float((net(images + noise_std * noise) - images).square().mean())
