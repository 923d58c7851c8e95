"""A small residual denoising network."""

from torch import Tensor, nn


class Denoiser(nn.Module):
    """Three convolutions that predict the noise of an image (Zhang 2017, DnCNN)."""

    def __init__(self, *, channels: int = 1, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map noisy images (N, C, H, W) to denoised ones."""
        return x - self.layers(x)


def create_denoiser(name: str, *, channels: int = 1, width: int = 16) -> Denoiser:
    """Build the network."""
    return Denoiser(channels=channels, width=width)
