"""Our networks compared with torchvision's: time of a forward pass and of a training step, alternating in one run.

    python benchmarks/networks.py [--only resnet18 vgg11] [--rounds 5] [--batch 4]

Run it in a separate environment with torchvision, which is not a dependency of the project, and with ``src`` on the
path: ``PYTHONPATH=src /tmp/golden/bin/python benchmarks/networks.py``. Both networks have the same weights and get the
same images. Each round takes the fastest of three calls; the ratio of our time to torchvision's is printed as median
over the rounds with minimum and maximum.
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


def create_torchvision(name: str) -> nn.Module:
    """Return torchvision's network with random weights."""
    options = {"aux_logits": True, "transform_input": False, "init_weights": False} if name == "googlenet" else {}
    net: nn.Module = getattr(torchvision.models, name)(weights=None, **options)
    return net


def forward(net: nn.Module, images: Tensor) -> Callable[[], None]:
    """Return a function that runs a forward pass in eval mode."""

    def call() -> None:
        net.eval()
        with torch.inference_mode():
            net(images)

    return call


def step(net: nn.Module, images: Tensor) -> Callable[[], None]:
    """Return a function that runs a training step: forward, backward and optimizer."""
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
    labels = torch.arange(len(images))

    def call() -> None:
        net.train()
        outputs = net(images)
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = F.cross_entropy(logits, labels) + sum(0.3 * F.cross_entropy(aux, labels) for aux in auxiliary)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return call


def ratio(ours: Callable[[], None], other: Callable[[], None], rounds: int) -> str:
    """Return the median, minimum and maximum of the ratio over the rounds, as text."""
    ratios = []
    for number in range(rounds + 1):
        best = []
        for call in (ours, other) if number % 2 else (other, ours):
            times = []
            for _ in range(3):
                start = time.perf_counter()
                call()
                times.append(time.perf_counter() - start)
            best.append(min(times))
        if number:  # the first round warms up
            ratios.append(best[0] / best[1] if number % 2 else best[1] / best[0])
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def main() -> None:
    """Measure and print the table."""
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
        net, reference = create_model(name), create_torchvision(name)
        net.load_state_dict(reference.state_dict())
        images = torch.randn(arguments.batch, 3, 224, 224)
        forward_ratio = ratio(forward(net, images), forward(reference, images), arguments.rounds)
        step_ratio = ratio(step(net, images), step(reference, images), arguments.rounds)
        print(f"{name:12} {forward_ratio:28} {step_ratio}", flush=True)


if __name__ == "__main__":
    main()
