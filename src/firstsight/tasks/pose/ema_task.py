"""Training of one pose network with an exponential moving average (EMA) of its weights."""

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from firstsight.data.batches import BatchShard
from firstsight.data.keypoints.crops import Crops
from firstsight.data.keypoints.scenes import Scenes
from firstsight.engine.accelerator import prepare_model
from firstsight.engine.task import History
from firstsight.optim.config import OptimizerConfig, make_pose_optimizers
from firstsight.optim.ema import ModelEma
from firstsight.weights.io import make_card
from firstsight.weights.memory_format import channels_last

N = TypeVar("N", bound=nn.Module)


class EmaTask(Generic[N]):
    """Base of the pose tasks: optimization, weight average, evaluation and card.

    The model "net" is trained. With ``ema_decay`` above 0 there is also "average", the exponential moving average of
    its weights, which is exported instead of "net".

    Parameters
    ----------
    net : N
        Network to train.
    batches : Scenes | Crops
        Training batches, whose device and data type the network gets.
    optimizer_config : OptimizerConfig
        Optimizer and learning-rate schedule.
    ema_decay : float
        Decay of the average, see `ModelEma`; 0 for no average.
    lr_restart : float
        Factor of the learning rate after the low-resolution epochs of ``batches``, where the schedule restarts.
    test_set : str
        Description of the data that `evaluate_net` uses.
    about : Mapping[str, Any]
        Facts for the card: recipe, data, settings.
    """

    monitor = "loss"
    card_kind: ClassVar[str]
    accelerator: Accelerator

    def __init__(
        self,
        net: N,
        batches: Scenes | Crops,
        *,
        optimizer_config: OptimizerConfig,
        ema_decay: float,
        lr_restart: float,
        test_set: str,
        about: Mapping[str, Any],
    ) -> None:
        self.skeleton = batches.people.skeleton
        self.optimizer_config = optimizer_config
        self.ema_decay = ema_decay
        self.lr_restart = lr_restart
        self.test_set = test_set
        self.about = dict(about)
        self._steps, self._low_res_epochs = batches.steps, batches.low_res_epochs
        model = channels_last(net.to(batches.device, batches.dtype))
        self.models: dict[str, nn.Module] = {"net": model}
        self.export_model = "average" if ema_decay else "net"
        if ema_decay:
            self.models["average"] = copy.deepcopy(model).eval().requires_grad_(False)
        self.optimizers: dict[str, Optimizer] = make_pose_optimizers(model, optimizer_config)

    def prepare(self, accelerator: Accelerator) -> None:
        """Move the network to the device, and wrap it if there are several processes."""
        self.accelerator = accelerator
        self.models["net"] = prepare_model(accelerator, self.models["net"].train())
        if self.ema_decay:
            net = accelerator.unwrap_model(self.models["net"])
            self._model_ema = ModelEma(self.models["average"], net, decay=self.ema_decay)
        if accelerator.scaler is not None:  # only float16 needs it
            self.optimizers = {name: accelerator.prepare(optimizer) for name, optimizer in self.optimizers.items()}

    def lr_at(self, batch: BatchShard) -> float:
        """Return the learning rate of a batch."""
        is_restarted = 0 < self._low_res_epochs <= batch.epoch
        return self.optimizer_config.lr_at(batch.progress) * (self.lr_restart if is_restarted else 1.0)

    def update(self, loss: Tensor, batch: BatchShard) -> None:
        """Backpropagate a scalar loss, update the weights, and update their average."""
        for name, optimizer in self.optimizers.items():
            multiplier = self.optimizer_config.filter_lr_mult if name == "filters" else 1.0
            for group in optimizer.param_groups:
                group["lr"] = self.lr_at(batch) * multiplier
        self.accelerator.backward(loss)
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        if self.ema_decay:
            self._model_ema.update(batch.epoch * self._steps + batch.index)

    def exported_net(self) -> N:
        """Return the network that is exported, without wrapper and in eval mode."""
        net: N = self.accelerator.unwrap_model(self.models[self.export_model])
        return net.eval()

    def restore_train_mode(self) -> None:
        """Undo the eval mode that `exported_net` sets, unless the exported network is the average."""
        self.exported_net().train(self.export_model == "net")

    def evaluate(self) -> dict[str, float]:
        """Return the metrics of the exported network; every process computes all of them."""
        try:
            with torch.no_grad(), self.accelerator.autocast():
                return self.evaluate_net(self.exported_net())
        finally:
            self.restore_train_mode()

    def evaluate_net(self, net: N) -> dict[str, float]:
        """Return the metrics of a network in eval mode, on images of the size of the last training batch."""
        raise NotImplementedError

    def epoch_artifacts(self, epoch: int) -> Mapping[str, bytes]:
        """Return no files."""
        return {}

    def warnings(self, history: History) -> list[str]:
        """Return no warnings."""
        return []

    def card_fields(self) -> dict[str, Any]:
        """Return the entries of the card that the loader of this kind needs, with ``model``."""
        raise NotImplementedError

    def card(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """Return the card of the exported weights, by model name, as JSON text."""
        about = {**self.about, "metrics": dict(metrics), "measured_on": self.test_set}
        return {self.export_model: make_card(self.card_kind, about=about, **self.card_fields())}
