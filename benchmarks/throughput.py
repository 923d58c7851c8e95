"""Training throughput of LeNet on Fashion-MNIST: firstsight's engine against the idiomatic PyTorch loop, in one run.

    python benchmarks/throughput.py [--data PATH] [--rounds 7] [--samples 20000] [--batch-size 256]

The idiomatic loop is the one of the tutorials: a Dataset that makes a PIL image per sample, turns it into a tensor
and normalises it; a DataLoader that shuffles and collates; forward, loss, backward, Adam. Same network from the same
weights, same batch size, same number of threads, same number of samples; the two alternate and their ratio is taken
round by round. Without --data, Fashion-MNIST is found or downloaded as `firstsight data` says.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from firstsight import create_model, load_data
from firstsight.data import ImageSet
from firstsight.engine.loop import Loop
from firstsight.recipes import find_recipe
from firstsight.recipes.train import Session, Silent, Where


class Tutorial(Dataset[tuple[torch.Tensor, int]]):
    """The Dataset of the tutorials (what torchvision's FashionMNIST with Pad, ToTensor and Normalize does)."""

    def __init__(self, images: ImageSet) -> None:
        self.images, self.labels = images.images[:, 0].numpy(), images.labels.numpy()
        mean, std = images.mean_std()
        self.mean, self.std = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.images[index])
        tensor = torch.from_numpy(np.array(image, dtype=np.uint8)[None]).float().div_(255)
        return F.pad(tensor.sub_(self.mean).div_(self.std), (2, 2, 2, 2)), int(self.labels[index])


def idiomatic(images: ImageSet, batch_size: int) -> Callable[[], float]:
    """One epoch of the tutorials' loop; returns its seconds."""
    torch.manual_seed(0)
    net = create_model("lenet")
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    loader = DataLoader(Tutorial(images), batch_size=batch_size, shuffle=True)

    def epoch() -> float:
        began = time.perf_counter()
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(inputs), labels)
            loss.backward()
            optimizer.step()
        return time.perf_counter() - began

    return epoch


def ours(images: ImageSet, data: str, *, batch_size: int, augmented: bool) -> Callable[[], float]:
    """One epoch of the engine, from the recipe's own task and loop; returns its seconds (evaluation left out)."""
    recipe = find_recipe("lenet-fashion")
    settings = replace(recipe.settings, data=data, epochs=1000, batch_size=batch_size, lr=1e-3)
    if not augmented:
        settings = replace(settings, flip="none", shift=0)
    session = Session(recipe, settings, Where(device="cpu"), Silent())
    loop = Loop(
        session.make_task(images, images),
        session.accelerator,
        None,
        Silent(),
        epochs=1000,
        seed=0,
        checkpoint_seconds=1e9,
    )

    def epoch() -> float:
        began = time.perf_counter()
        loop.train_epoch(loop.state.step // loop.task.batches.steps)
        return time.perf_counter() - began

    return epoch


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--batch-size", type=int, default=find_recipe("lenet-fashion").settings.batch_size)
    arguments = parser.parse_args()
    data = arguments.data
    beside = Path(__file__).parents[2] / "shared" / "data" / data
    if data == "fashion-mnist" and beside.is_dir():
        data = str(beside)
    images = load_data(data).select(np.arange(arguments.samples))
    runners = {
        "idiomatic loop": idiomatic(images, arguments.batch_size),
        "firstsight": ours(images, data, batch_size=arguments.batch_size, augmented=False),
        "firstsight, augmented": ours(images, data, batch_size=arguments.batch_size, augmented=True),
    }
    for runner in runners.values():
        runner()
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(arguments.rounds):
        for name, runner in runners.items():
            seconds[name].append(runner())
    print(f"LeNet on {images.name}, {len(images):,} samples an epoch, batch {arguments.batch_size},", end=" ")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {arguments.rounds} rounds")
    for name, values in seconds.items():
        speeds = [len(images) / value for value in values]
        ratios = [a / b for a, b in zip(seconds["idiomatic loop"], values, strict=True)]
        print(
            f"{name:24} {statistics.median(speeds):8,.0f} samples/s ({min(speeds):,.0f} to {max(speeds):,.0f}),"
            f" {statistics.median(ratios):.2f} x the idiomatic loop ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
