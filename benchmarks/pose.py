"""The whole of `firstsight pose` for one picture beside its network's forward pass alone, alternating in one run.

    python benchmarks/pose.py [--people 5] [--rounds 15] [--height 256]

A JPEG of 480x640 pixels is read, resized, shown to lightweight OpenPose (weights at random, batch norms folded) and
decoded; drawing is not part of it. What is decoded are maps of people as a network is trained to make them, handed out
after the real forward pass, so that there is something to decode. The ratio is taken round by round.
"""

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from decoding import crowd
from PIL import Image
from torch import Tensor, nn

from firstsight.models.pose.openpose_mobilenet import openpose_mobilenet
from firstsight.ops import fold_batch_norm
from firstsight.pose.skeleton import OPENPOSE_18
from firstsight.pose.targets import heatmap_targets, paf_targets
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
from firstsight.weights.pose import PoseNetwork


class Drawn(nn.Module):
    """A network that does all its work, and answers with maps of people of its input's size."""

    def __init__(self, network: nn.Module, people: int) -> None:
        super().__init__()
        self.network, self.people = network, people
        self.maps: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """As the network's own, with other maps at the end."""
        answers = self.network(images)
        cells = (images.shape[2] // 8, images.shape[3] // 8)
        if cells not in self.maps:
            keypoints, visible = crowd(self.people, seed=1, cells=cells, sizes=(0.4, 0.8))
            heatmaps = heatmap_targets(keypoints, visible, size=cells).float()
            self.maps[cells] = (heatmaps, paf_targets(keypoints, visible, OPENPOSE_18, size=cells).float())
        answers[-1] = self.maps[cells]
        return list(answers)


def seconds(call: Callable[[], Any]) -> float:
    """One call's time."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--height", type=int, default=256)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    net = Drawn(fold_batch_norm(openpose_mobilenet()).to(memory_format=torch.channels_last), arguments.people).eval()
    network = PoseNetwork(net, OPENPOSE_18, arguments.height, {}, "random weights", "openpose-mobilenet")
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    photo = io.BytesIO()
    Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).save(photo, "JPEG", quality=90)
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        path = Path(scratch) / "photo.jpg"
        path.write_bytes(photo.getvalue())
        print(f"{arguments.people} people, {torch.get_num_threads()} threads, median of {arguments.rounds} rounds")
        for method in ("fast", "exact"):
            estimator = PoseEstimator(network, method=method)
            frame = estimator.steps(path).frame
            shown = frame.network_input(np.zeros((frame.high, frame.wide, 3), np.uint8))
            for _ in range(3):
                net(shown)
            pairs = [
                (seconds(lambda e=estimator: e.steps(path)), seconds(lambda x=shown: net(x)))
                for _ in range(arguments.rounds)
            ]
            parts = estimator.steps(path).seconds
            ratios = sorted(whole / alone for whole, alone in pairs)
            print(
                f"{method:5} {1e3 * statistics.median(w for w, _ in pairs):6.1f} ms a picture at"
                f" {shown.shape[2]}x{shown.shape[3]}, {statistics.median(ratios):.3f} x the network alone"
                f" ({ratios[0]:.2f} to {ratios[-1]:.2f}); "
                + ", ".join(f"{name} {1e3 * taken:.1f} ms" for name, taken in parts.items())
            )


if __name__ == "__main__":
    main()
