"""`firstsight pose` for one image compared with the forward pass of its network, alternating in one run.

    python benchmarks/pose.py [--people 5] [--rounds 15] [--height 256]

A JPEG of 480x640 pixels is read, resized, passed to lightweight OpenPose (random weights, folded batch norm) and
decoded; drawing is not included. Random weights find no people, so after the real forward pass the output is replaced
by target maps of people. Printed is the ratio of the times, as median over the rounds.
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
from firstsight.tasks.pose.bottom_up.network import BottomUpNetwork
from firstsight.weights.memory_format import channels_last


class ReplacedOutput(nn.Module):
    """Network that runs a full forward pass and then returns target maps of people for its input size."""

    def __init__(self, network: nn.Module, people: int) -> None:
        super().__init__()
        self.network, self.people = network, people
        self.maps: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def forward(self, images: Tensor) -> list[Tensor]:
        """Run the network, and replace the maps of the last stage."""
        outputs = self.network(images)
        cells = (images.shape[2] // 8, images.shape[3] // 8)
        if cells not in self.maps:
            keypoints, visible = crowd(self.people, seed=1, cells=cells, sizes=(0.4, 0.8))
            heatmaps = heatmap_targets(keypoints, visible, size=cells).float()
            self.maps[cells] = (heatmaps, paf_targets(keypoints, visible, OPENPOSE_18, size=cells).float())
        return [*outputs[:-2], *self.maps[cells]]


def seconds(call: Callable[[], Any]) -> float:
    """Return the time of one call in seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--height", type=int, default=256)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    net = ReplacedOutput(channels_last(fold_batch_norm(openpose_mobilenet())), arguments.people).eval()
    network = BottomUpNetwork(net, OPENPOSE_18, arguments.height, {}, "random weights", "openpose-mobilenet")
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    photo = io.BytesIO()
    Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).save(photo, "JPEG", quality=90)
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        path = Path(scratch) / "photo.jpg"
        path.write_bytes(photo.getvalue())
        print(f"{arguments.people} people, {torch.get_num_threads()} threads, median of {arguments.rounds} rounds")
        for method in ("fast", "exact"):
            estimator = PoseEstimator(network, method=method)
            letterbox = estimator.infer(path).letterbox
            inputs = letterbox.network_input(np.zeros((letterbox.resized_height, letterbox.resized_width, 3), np.uint8))
            for _ in range(3):
                net(inputs)
            pairs = [
                (seconds(lambda e=estimator: e.infer(path)), seconds(lambda x=inputs: net(x)))
                for _ in range(arguments.rounds)
            ]
            timings = estimator.infer(path).timings
            ratios = sorted(total / forward for total, forward in pairs)
            print(
                f"{method:5} {1e3 * statistics.median(total for total, _ in pairs):6.1f} ms per image at"
                f" {inputs.shape[2]}x{inputs.shape[3]}, {statistics.median(ratios):.3f} times the forward pass"
                f" ({ratios[0]:.2f} to {ratios[-1]:.2f}); "
                + ", ".join(f"{name} {1e3 * time_s:.1f} ms" for name, time_s in timings.items())
            )


if __name__ == "__main__":
    main()
