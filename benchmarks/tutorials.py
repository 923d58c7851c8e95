"""Training loops as the tutorials write them, to measure ours against.

A Dataset makes a PIL image per sample, turns it into a tensor and normalises it; a DataLoader shuffles and collates;
forward, loss, backward, Adam. The loop of the generative adversarial networks is that of PyTorch's DCGAN tutorial:
the generated batch serves both updates, detached in the discriminator's; with codes, both losses hold the information
term.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from firstsight import create_model
from firstsight.data import ImageSet
from firstsight.models.gan import create_gan

Epoch = Callable[[], float]


class Tutorial(Dataset[tuple[Tensor, int]]):
    """The Dataset of the tutorials (what torchvision's FashionMNIST with Resize, Pad, ToTensor and Normalize does)."""

    def __init__(self, images: ImageSet, *, mean: Tensor, std: Tensor, size: int, pad: int) -> None:
        self.images, self.labels = images.images[:, 0].numpy(), images.labels.numpy()
        self.mean, self.std, self.size, self.pad = mean, std, size, pad

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.images[index])
        if image.width != self.size:
            image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        tensor = torch.from_numpy(np.array(image, dtype=np.uint8)[None]).float().div_(255)
        tensor.sub_(self.mean).div_(self.std)
        return F.pad(tensor, (self.pad,) * 4) if self.pad else tensor, int(self.labels[index])


def classifier(images: ImageSet, batch_size: int) -> Epoch:
    """One epoch of LeNet; returns its seconds."""
    torch.manual_seed(0)
    net = create_model("lenet")
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in images.mean_std())
    pictures = Tutorial(images, mean=mean, std=std, size=28, pad=2)
    loader = DataLoader(pictures, batch_size=batch_size, shuffle=True)

    def epoch() -> float:
        began = time.perf_counter()
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(inputs), labels)
            loss.backward()
            optimizer.step()
        return time.perf_counter() - began

    return epoch


def adversarial(images: ImageSet, batch_size: int, model: str, *, size: int, width: int) -> Epoch:
    """One epoch of a generator against a discriminator; returns its seconds."""
    torch.manual_seed(0)
    codes = model == "infogan"
    generator, discriminator = create_gan(
        model, size=size, width=width, latent=74 if codes else 100, categories=(10,) if codes else (),
        continuous=2 if codes else 0,
    )  # fmt: skip
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    half = torch.tensor(0.5)
    pictures = Tutorial(images, mean=half, std=half, size=size, pad=0)
    loader = DataLoader(pictures, batch_size=batch_size, shuffle=True)
    criterion = nn.BCEWithLogitsLoss()

    def epoch() -> float:
        began = time.perf_counter()
        for real, _ in loader:
            n = len(real)
            noise = torch.randn(n, 62 if codes else 100)
            chosen, values = torch.randint(0, 10, (n,)), torch.rand(n, 2) * 2 - 1
            z = torch.cat([noise, F.one_hot(chosen, 10).float(), values], 1) if codes else noise
            fake = generator(z)

            def ask(pictures: Tensor, chosen: Tensor = chosen, values: Tensor = values) -> tuple[Tensor, Tensor]:
                if not codes:
                    return discriminator(pictures), torch.zeros(())
                logits, read = discriminator(pictures)
                apart = (read.means - values).square().sum(1).mean() / 2
                return logits, F.cross_entropy(read.categories[0], chosen) + apart

            d_optimizer.zero_grad()
            on_real, _ = ask(real)
            on_fake, information = ask(fake.detach())
            loss = criterion(on_real, torch.full((n,), 0.9)) + criterion(on_fake, torch.zeros(n)) + information
            loss.backward()
            d_optimizer.step()

            g_optimizer.zero_grad()
            on_fake, information = ask(fake)
            loss = criterion(on_fake, torch.ones(n)) + information
            loss.backward()
            g_optimizer.step()
        return time.perf_counter() - began

    return epoch
