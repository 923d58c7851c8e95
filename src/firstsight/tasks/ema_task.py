"""One network that goes downhill, and the running mean of its weights: what tasks of poses have in common."""

import copy

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from firstsight.data.batches import BatchShard
from firstsight.optim.ema import ModelEma
from firstsight.optim.muon import Muon
from firstsight.tasks.classification.train import OptimizerConfig
from firstsight.weights.memory_format import channels_last


class EmaTask:
    """Of one model, "net", or of two: "net", and "average", the running mean of its weights, which is the product then.

    Parameters
    ----------
    ema : float
        How much of the average is kept at every update; 0 for no average.
    steps : int
        Updates in an epoch.
    early_epochs, restart
        After so many epochs the learning rate begins anew, as a share of what it was; 0 for never.
    """

    accelerator: Accelerator

    def __init__(
        self,
        net: nn.Module,
        *,
        device: torch.device,
        dtype: torch.dtype,
        optimizer_config: OptimizerConfig,
        ema: float,
        steps: int,
        early_epochs: int,
        restart: float,
    ) -> None:
        self.optimizer_config, self.ema, self._steps = optimizer_config, ema, steps
        self._early_epochs, self._restart = early_epochs, restart
        placed = channels_last(net.to(device, dtype))
        self.models: dict[str, nn.Module] = {"net": placed}
        self.export_model = "average" if ema else "net"
        if ema:
            self.models["average"] = copy.deepcopy(placed).eval().requires_grad_(False)
        self.optimizers = make_optimizers(placed, optimizer_config)

    def prepare(self, accelerator: Accelerator) -> None:
        """Move to the device; wrap for several processes (with batch statistics over all of them on GPUs)."""
        self.accelerator = accelerator
        net = self.models["net"].train()
        if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
            net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
        self.models["net"] = accelerator.prepare(net)
        if self.ema:
            source = accelerator.unwrap_model(self.models["net"])
            self._follower = ModelEma(self.models["average"], source, keep=self.ema)
        if accelerator.scaler is not None:
            self.optimizers = {name: accelerator.prepare(one) for name, one in self.optimizers.items()}

    def rate(self, batch: BatchShard) -> float:
        """The learning rate at a batch; after the early epochs it begins anew."""
        return self.optimizer_config.rate(batch.progress) * (
            self._restart if 0 < self._early_epochs <= batch.epoch else 1.0
        )

    def update(self, loss: Tensor, batch: BatchShard) -> None:
        """Backward from a scalar, one step at the rate of the batch's place, and the average after it."""
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rate(batch) * (self.optimizer_config.filter_lr_mult if name == "filters" else 1.0)
        self.accelerator.backward(loss)
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        if self.ema:
            self._follower.follow(batch.epoch * self._steps + batch.index)

    def product_net(self) -> nn.Module:
        """The product, in eval mode."""
        net: nn.Module = self.accelerator.unwrap_model(self.models[self.export_model])
        return net.eval()

    def restore_train_mode(self) -> None:
        """The net, if it is what was measured, to training mode."""
        self.product_net().train(self.export_model == "net")


def make_optimizers(net: nn.Module, how: OptimizerConfig) -> dict[str, Optimizer]:
    """Adam or AdamW, "net", in two groups: weights that mix channels decay; depthwise filters, biases, batch norms do
    not. With Muon it has the filters that a batch norm follows (all but the first layer's), "filters", and AdamW the
    rest.
    """
    filters = muon_parameters(net) if how.optimizer == "muon" else []
    taken = {id(p) for p in filters}
    mixing = [p for p in net.parameters() if p.ndim > 1 and p.shape[1] > 1 and id(p) not in taken]
    rest = [p for p in net.parameters() if not (p.ndim > 1 and p.shape[1] > 1)]
    groups = [{"params": mixing, "weight_decay": how.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizers: dict[str, Optimizer] = {
        "net": (Adam if how.optimizer == "adam" else AdamW)(groups, lr=how.lr, fused=True)
    }
    if filters:
        optimizers["filters"] = Muon(
            filters, [], lr=how.lr * how.filter_lr_mult, momentum=how.momentum, filter_momentum=how.momentum
        )
    return optimizers


def muon_parameters(net: nn.Module) -> list[nn.Parameter]:
    """Filters of convolutions without bias, which a batch norm follows: their length means nothing. Neither the first
    layer's, which sees pixels, nor depthwise ones, each a single row.
    """
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    filters = [layer.weight for layer in layers[1:] if layer.bias is None and layer.groups == 1]
    return [weight for weight in filters if isinstance(weight, nn.Parameter)]
