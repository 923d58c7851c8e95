"""One network that goes downhill, and the running mean of its weights: what tasks of poses have in common."""

import copy

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from firstsight.data.batches import Share
from firstsight.tasks.average import follow
from firstsight.tasks.classify import Descent
from firstsight.weights.layout import channels_last


class Averaged:
    """Of one model, "net", or of two: "net", and "average", the running mean of its weights, which is the product then.

    Parameters
    ----------
    ema : how much of the average is kept at every update; 0 for no average.
    steps : updates in an epoch.
    """

    accelerator: Accelerator

    def __init__(
        self, net: nn.Module, *, device: torch.device, dtype: torch.dtype, descent: Descent, ema: float, steps: int
    ) -> None:
        self.descent, self.ema, self._steps = descent, ema, steps
        placed = channels_last(net.to(device, dtype))
        self.models: dict[str, nn.Module] = {"net": placed}
        self.product = "average" if ema else "net"
        if ema:
            self.models["average"] = copy.deepcopy(placed).eval().requires_grad_(False)
        self.optimizers: dict[str, Optimizer] = {"net": make_optimizer(placed, descent)}

    def prepare(self, accelerator: Accelerator) -> None:
        """Move to the device; wrap for several processes (with batch statistics over all of them on GPUs)."""
        self.accelerator = accelerator
        net = self.models["net"].train()
        if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
            net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
        self.models["net"] = accelerator.prepare(net)
        if accelerator.scaler is not None:
            self.optimizers["net"] = accelerator.prepare(self.optimizers["net"])

    def rate(self, batch: Share) -> float:
        """The learning rate at a batch."""
        return self.descent.rate(batch.progress)

    def update(self, loss: Tensor, batch: Share) -> None:
        """Backward from a scalar, one step at the rate of the batch's place, and the average after it."""
        optimizer = self.optimizers["net"]
        for group in optimizer.param_groups:
            group["lr"] = self.rate(batch)
        self.accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        if self.ema:
            source, updates = self.accelerator.unwrap_model(self.models["net"]), batch.epoch * self._steps + batch.index
            follow(self.models["average"], source, keep=self.ema, updates=updates)

    def product_net(self) -> nn.Module:
        """The product, in eval mode."""
        net: nn.Module = self.accelerator.unwrap_model(self.models[self.product])
        return net.eval()

    def back_to_training(self) -> None:
        """The net, if it is what was measured, to training mode."""
        self.product_net().train(self.product == "net")


def make_optimizer(net: nn.Module, how: Descent) -> Optimizer:
    """Adam or AdamW in two groups: weights that mix channels decay; depthwise filters, biases, batch norms do not."""
    mixing = [p for p in net.parameters() if p.ndim > 1 and p.shape[1] > 1]
    rest = [p for p in net.parameters() if not (p.ndim > 1 and p.shape[1] > 1)]
    groups = [{"params": mixing, "weight_decay": how.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return (Adam if how.optimizer == "adam" else AdamW)(groups, lr=how.lr, fused=True)
