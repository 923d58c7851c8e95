"""Properties that both kinds of pose estimators take from their network."""

from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import nn

from firstsight.engine.device import choose_device
from firstsight.pose.skeleton import Skeleton
from firstsight.tasks.model_html import model_html


class TrainedNetwork(Protocol):
    """A trained pose network with the content of its card."""

    @property
    def model(self) -> nn.Module:
        """The network."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """Keypoints of its outputs."""
        ...

    @property
    def card(self) -> dict[str, Any]:
        """Metadata of the weights."""
        ...

    @property
    def source(self) -> str:
        """Path of the weights file."""
        ...


N = TypeVar("N", bound=TrainedNetwork)


class BaseEstimator(Generic[N]):
    """Base class of pose estimators.

    Attributes
    ----------
    network : N
        Trained network.
    """

    network: N

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the poses."""
        return self.network.skeleton

    @property
    def card(self) -> dict[str, Any]:
        """Metadata of the weights."""
        return self.network.card

    @property
    def source(self) -> str:
        """Path of the weights file."""
        return self.network.source

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (3, H, W) of one input of the network."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        skeleton = self.skeleton
        facts = [("keypoints", f"{len(skeleton)} ({skeleton.name})"), ("limbs", len(skeleton.limbs))]
        return model_html(type(self).__name__, self, self.network.model, facts)

    def to(self, device: str | torch.device) -> Self:
        """Move the network to a device ("cpu", "cuda", "mps", or "auto"); return the estimator itself.

        Raises
        ------
        UsageError
            If this machine has no such device.
        """
        self.network.model.to(choose_device(device))
        return self
