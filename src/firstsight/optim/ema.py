"""Exponential moving average (EMA) of model weights."""

import torch
from torch import Tensor, nn


class ModelEma:
    """Exponential moving average of a model's parameters; buffers are copied.

    The parameters are collected once in the constructor, so neither model may replace them afterwards.

    Parameters
    ----------
    ema_model : nn.Module
        Receives the average. Same architecture and device as ``model``.
    model : nn.Module
        The model being trained.
    decay : float
        Weight of the old average in each update, in [0, 1). 0 copies the model.
    """

    def __init__(self, ema_model: nn.Module, model: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self._ema_params: list[Tensor] = list(ema_model.parameters())
        self._params: list[Tensor] = list(model.parameters())
        self._buffers = list(zip(ema_model.buffers(), model.buffers(), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average after optimizer step ``step`` (counted from 0).

        The effective decay is ``min(decay, (1 + step) / (10 + step))``, so the average warms up quickly.
        """
        decay = min(self.decay, (1 + step) / (10 + step)) if self.decay else 0.0
        torch._foreach_lerp_(self._ema_params, self._params, 1 - decay)
        for ema_buffer, buffer in self._buffers:
            ema_buffer.copy_(buffer)
