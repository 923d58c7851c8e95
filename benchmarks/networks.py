"""Our networks beside torchvision's: time of a forward pass and of a training step, alternating in one run.

    python benchmarks/networks.py [--only resnet18 vgg11] [--rounds 5] [--batch 4]

Run it in an environment of its own that has torchvision (which the project never depends on), with ``src`` on the
path: ``PYTHONPATH=src /tmp/golden/bin/python benchmarks/networks.py``. Both networks hold the same weights and see the
same images; the ratio of ours to theirs is given for each round's best of three, as median with least and greatest.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from firstsight.models.classification import create_model
from firstsight.models.registry import CLASSIFICATION_MODELS

NAMES = [name for name in CLASSIFICATION_MODELS if hasattr(torchvision.models, name)]


def theirs(name: str) -> nn.Module:
    """The other network, without weights."""
    options = {"aux_logits": True, "transform_input": False, "init_weights": False} if name == "googlenet" else {}
    net: nn.Module = getattr(torchvision.models, name)(weights=None, **options)
    return net


def forward(net: nn.Module, images: Tensor) -> Callable[[], None]:
    """A forward pass in eval mode."""

    def call() -> None:
        net.eval()
        with torch.inference_mode():
            net(images)

    return call


def step(net: nn.Module, images: Tensor) -> Callable[[], None]:
    """Forward, backward and an update, in training mode."""
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
    labels = torch.arange(len(images))

    def call() -> None:
        net.train()
        outputs = net(images)
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        others = outputs[1:] if isinstance(outputs, tuple) else ()
        loss = F.cross_entropy(first, labels) + sum(0.3 * F.cross_entropy(other, labels) for other in others)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return call


def ratio(ours: Callable[[], None], other: Callable[[], None], rounds: int) -> str:
    """Median, least and greatest ratio over the rounds."""
    ratios = []
    for number in range(rounds + 1):
        best = []
        for call in (ours, other) if number % 2 else (other, ours):
            times = []
            for _ in range(3):
                began = time.perf_counter()
                call()
                times.append(time.perf_counter() - began)
            best.append(min(times))
        if number:  # the first warms up
            ratios.append(best[0] / best[1] if number % 2 else best[1] / best[0])
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4)
    arguments = parser.parse_args()
    print(
        f"{torch.get_num_threads()} threads, batch {arguments.batch} of 224x224, torchvision {torchvision.__version__}"
    )
    print(f"{'network':12} {'forward, ours / theirs':28} training step")
    for name in arguments.only:
        torch.manual_seed(0)
        mine, other = create_model(name), theirs(name)
        mine.load_state_dict(other.state_dict())
        images = torch.randn(arguments.batch, 3, 224, 224)
        ahead = ratio(forward(mine, images), forward(other, images), arguments.rounds)
        print(f"{name:12} {ahead:28} {ratio(step(mine, images), step(other, images), arguments.rounds)}", flush=True)


if __name__ == "__main__":
    main()
