"""Evaluation of a bottom-up network that was trained on composed scenes, on people outside of its training set.

    python benchmarks/scenes.py [MODEL] --data PATH [--limit N] [--height 184]

MODEL is a run directory or bundled weights (default: openpose-tiny-lsp). Scenes are composed from the test people in
--data (see `firstsight.data.keypoints.splits`) as in training, with epoch 0 and seed 0, and written as COCO keypoints.
They are evaluated as in `firstsight evaluate`, and also the original photographs with one person each. Printed are the
average precision with both decoders, with flip test and with two scales, the average precision by number of people in a
scene, and the PCK by joint.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from firstsight import load
from firstsight.data.keypoints.export_scenes import write_scenes
from firstsight.data.keypoints.keypoint_set import KeypointSet, load_keypoints, save_keypoints
from firstsight.data.keypoints.scenes import Scenes
from firstsight.data.keypoints.splits import load_people
from firstsight.tasks.pose.evaluate import PoseEvaluation, evaluate_pose

METHODS: dict[str, dict[str, Any]] = {
    "fast": {},
    "exact": {"method": "exact"},
    "fast, flip test": {"flip": True},
    "fast, flip test, two scales": {"flip": True, "scales": (1.0, 1.5)},
}


def compose_scenes(card: dict[str, Any], people: KeypointSet) -> Scenes:
    """Return scenes composed of people, with the settings of the training in a card."""
    settings = card["about"]["settings"]
    return Scenes(
        people,
        "composed",
        batch_size=16,
        epochs=1,
        seed=0,
        side=settings["image_size"],
        min_scale=settings["min_scale"],
        max_scale=settings["max_scale"],
        rotate=settings["rotate"],
        flip=settings["flip"] == "random",
        max_people=settings["max_people"],
    )


def format_metrics(result: PoseEvaluation) -> str:
    """Return the metrics as one line of text."""
    names = ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar", "oks", "pck")
    cells = [(name, result.metrics.get(name)) for name in names]
    return ", ".join(f"{name} {value:.4f}" for name, value in cells if value is not None)


def main() -> None:
    """Compose the scenes, evaluate, and print the metrics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="openpose-tiny-lsp")
    parser.add_argument("--data", required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--height", type=int, help="height of the photographs in the network (default: as trained)")
    arguments = parser.parse_args()
    estimator = load(arguments.model)
    _, people = load_people(arguments.data)
    scenes = compose_scenes(estimator.card, people)
    parameters = sum(p.numel() for p in estimator.network.model.parameters())
    print(f"{estimator.network.name}: {parameters:,} parameters with batch norm folded; {len(people):,} test people")
    with tempfile.TemporaryDirectory() as scratch:
        file = write_scenes(scenes, scratch, ids=range(min(arguments.limit or scenes.samples, scenes.samples)))
        for method, options in METHODS.items():
            result = evaluate_pose(estimator, file, **options)
            if method == "fast":
                print(f"{result.n:,} composed scenes of {result.people:,} people, {scenes.side}x{scenes.side} pixels")
            print(f"  {method}: {format_metrics(result)}")
        all_people = load_keypoints(file)
        counts = Counter(all_people.image_index.tolist())
        for number in range(1, scenes.max_people + 1):
            if number not in counts.values():
                continue
            subset = all_people.select([i for i in range(len(all_people)) if counts[i] == number])
            save_keypoints(subset, part := Path(scratch) / f"person_keypoints-{number}.json")
            result = evaluate_pose(estimator, part, images=Path(scratch) / "images")
            print(f"  {number} per scene ({result.n:,} scenes): {format_metrics(result)}")
    for method, options in METHODS.items():
        result = evaluate_pose(estimator, arguments.data, limit=arguments.limit, height=arguments.height, **options)
        print(f"{result.n:,} photographs of one person, {method}: {format_metrics(result)}")
        if method == "fast":
            print(
                "  PCK@0.2 by joint:", ", ".join(f"{k} {v:.3f}" for k, (v, _) in result.joints.items() if v is not None)
            )


if __name__ == "__main__":
    main()
