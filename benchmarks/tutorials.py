"""Training loops in the style of the PyTorch tutorials, as the baseline of `throughput.py`.

A Dataset makes a PIL image per sample, converts it to a tensor and normalizes it; a DataLoader shuffles and collates.
The GAN loop is that of PyTorch's DCGAN tutorial: both steps use the same generated batch, detached in D's step. For
InfoGAN both losses include the information term.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from firstsight.data.images.image_set import ImageSet
from firstsight.models.classification import create_model
from firstsight.models.gan import create_gan

Epoch = Callable[[], float]


class TutorialDataset(Dataset[tuple[Tensor, int]]):
    """Dataset with the work of torchvision's FashionMNIST with Resize, Pad, ToTensor and Normalize."""

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


def classifier_epoch(images: ImageSet, batch_size: int) -> Epoch:
    """Return a function that trains LeNet for one epoch and returns the time in seconds."""
    torch.manual_seed(0)
    net = create_model("lenet")
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in images.mean_std())
    dataset = TutorialDataset(images, mean=mean, std=std, size=28, pad=2)
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)

    def epoch() -> float:
        start = time.perf_counter()
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(inputs), labels)
            loss.backward()
            optimizer.step()
        return time.perf_counter() - start

    return epoch


def gan_epoch(images: ImageSet, batch_size: int, model: str, *, size: int, width: int) -> Epoch:
    """Return a function that trains a GAN for one epoch and returns the time in seconds."""
    torch.manual_seed(0)
    has_codes = model == "infogan"
    generator, discriminator = create_gan(
        model,
        image_size=size,
        d_width=width,
        latent_dim=74 if has_codes else 100,
        categories=(10,) if has_codes else (),
        continuous=2 if has_codes else 0,
    )
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    half = torch.tensor(0.5)
    dataset = TutorialDataset(images, mean=half, std=half, size=size, pad=0)
    loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)
    criterion = nn.BCEWithLogitsLoss()

    def epoch() -> float:
        start = time.perf_counter()
        for real, _ in loader:
            n = len(real)
            noise = torch.randn(n, 62 if has_codes else 100)
            labels, values = torch.randint(0, 10, (n,)), torch.rand(n, 2) * 2 - 1
            z = torch.cat([noise, F.one_hot(labels, 10).float(), values], 1) if has_codes else noise
            fake = generator(z)

            def discriminate(images: Tensor, labels: Tensor = labels, values: Tensor = values) -> tuple[Tensor, Tensor]:
                if not has_codes:
                    return discriminator(images), torch.zeros(())
                logits, codes = discriminator(images)
                continuous_loss = (codes.means - values).square().sum(1).mean() / 2
                return logits, F.cross_entropy(codes.categories[0], labels) + continuous_loss

            d_optimizer.zero_grad()
            real_logits, _ = discriminate(real)
            fake_logits, info_loss = discriminate(fake.detach())
            loss = criterion(real_logits, torch.full((n,), 0.9)) + criterion(fake_logits, torch.zeros(n)) + info_loss
            loss.backward()
            d_optimizer.step()

            g_optimizer.zero_grad()
            fake_logits, info_loss = discriminate(fake)
            loss = criterion(fake_logits, torch.ones(n)) + info_loss
            loss.backward()
            g_optimizer.step()
        return time.perf_counter() - start

    return epoch
