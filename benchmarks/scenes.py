"""A bottom-up network that was trained on composed scenes, measured on people it has not seen.

    python benchmarks/scenes.py [MODEL] --data PATH [--limit N] [--height 184]

MODEL is a run directory or weights (default: openpose-tiny-lsp). From the second set of people in --data (see
`firstsight.data.keypoints.splits`) scenes are composed as in training, in epoch 0 of seed 0, and written as COCO
keypoints; `firstsight.tasks.pose.evaluate` measures them, as `firstsight evaluate` does, and the photographs they are
made of, with one person each. Printed are average precision by the two ways of decoding, with the mirror
image and in two sizes, what "fast" costs beside "exact", precision by the number of people in a scene, and correct
keypoints by joint.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from firstsight.data.keypoints.export_scenes import write_scenes
from firstsight.data.keypoints.keypoint_set import KeypointSet, load_keypoints, save_keypoints
from firstsight.data.keypoints.scenes import Scenes
from firstsight.data.keypoints.splits import load_people
from firstsight.tasks.pose.evaluate import PoseMeasured, evaluate_pose
from firstsight.weights.pose import PoseNetwork, load_pose

WAYS: dict[str, dict[str, Any]] = {
    "fast": {}, "exact": {"method": "exact"}, "fast, mirrored too": {"flip": True},
    "fast, mirrored too, in two sizes": {"flip": True, "scales": (1.0, 1.5)},
}  # fmt: skip


def composed(network: PoseNetwork, people: KeypointSet) -> Scenes:
    """Scenes of these people, as those that the network was trained on."""
    settings = network.card["about"]["settings"]
    return Scenes(
        people, "composed", batch_size=16, epochs=1, seed=0, side=settings["image_size"],
        smallest=settings["min_scale"], largest=settings["max_scale"], rotate=settings["rotate"],
        flip=settings["flip"] == "random", most=settings["max_people"],
    )  # fmt: skip


def told(found: PoseMeasured) -> str:
    """The measures in a line."""
    names = ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar", "oks", "pck")
    cells = [(name, found.metrics.get(name)) for name in names]
    return ", ".join(f"{name} {value:.4f}" for name, value in cells if value is not None)


def main() -> None:
    """Compose, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="openpose-tiny-lsp")
    parser.add_argument("--data", required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--height", type=int, help="of single photographs (default: the network's own)")
    arguments = parser.parse_args()
    network = load_pose(arguments.model)
    _, people = load_people(arguments.data)
    scenes = composed(network, people)
    parameters = sum(p.numel() for p in network.model.parameters())
    print(f"{network.name}: {parameters:,} parameters with batch norm folded; {len(people):,} people never seen")
    with tempfile.TemporaryDirectory() as scratch:
        file = write_scenes(scenes, scratch, ids=range(min(arguments.limit or scenes.samples, scenes.samples)))
        for way, options in WAYS.items():
            found = evaluate_pose(network, file, **options)
            if way == "fast":
                print(f"{found.n:,} composed scenes of {found.people:,} people, {scenes.side} pixels a side")
            print(f"  {way}: {told(found)}")
        whole = load_keypoints(file)
        counts = Counter(whole.picture.tolist())
        for number in range(1, scenes.most + 1):
            if number not in counts.values():
                continue
            some = whole.select([i for i in range(len(whole)) if counts[i] == number])
            save_keypoints(some, part := Path(scratch) / f"person_keypoints-{number}.json")
            found = evaluate_pose(network, part, images=Path(scratch) / "images")
            print(f"  {number} in the scene ({found.n:,} scenes): {told(found)}")
    for way, options in WAYS.items():
        found = evaluate_pose(network, arguments.data, limit=arguments.limit, height=arguments.height, **options)
        print(f"{found.n:,} photographs of one person, {way}: {told(found)}")
        if way == "fast":
            print(
                "  PCK@0.2 by joint:", ", ".join(f"{k} {v:.3f}" for k, (v, _) in found.joints.items() if v is not None)
            )


if __name__ == "__main__":
    main()
