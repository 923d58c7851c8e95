"""Export every network to ONNX, compare it in onnxruntime with PyTorch, and print the size of the files.

Networks have random weights (see `firstsight.tasks.calibrate`) and their default options. Each file is compared on 16
inputs in batches of three, where the export has traced a batch of two. A network that fails has the reason in its row,
and the exit status is then 1. Needs about 3 GB of memory and 15 to 30 minutes on two cores.

    python benchmarks/export.py            # all networks
    python benchmarks/export.py lenet gan  # some of them
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

from firstsight.models.registry import MODELS
from firstsight.tasks.export import check_export, export, find_model


def measure(name: str) -> tuple[str, str]:
    """Export and compare a network; return the size of the file, and the largest differences."""
    torch.manual_seed(0)
    model = find_model(name, random_weights=True)
    with tempfile.TemporaryDirectory() as scratch:
        path = export(model, Path(scratch) / f"{name}.onnx")
        differences = check_export(model, path)
        size = path.stat().st_size / 1e6
    return f"{size:.1f} MB", ", ".join(f"{output} {value:.1e}" for output, value in differences.items())


def main() -> int:
    """Export, compare, print a table; return 1 if a network failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(MODELS))
    names = parser.parse_args().names
    print("| Network | Size | Largest difference (standard deviations of the output) | Time |")
    print("| --- | ---: | --- | ---: |")
    failed = []
    for name in names:
        start = time.perf_counter()
        try:
            size, result = measure(name)
        except Exception as error:  # the other networks are measured too
            failed.append(name)
            size, result = "", f"failed: {type(error).__name__}: {error}".replace("\n", " ").replace("|", "/")[:300]
        print(f"| `{name}` | {size} | {result} | {time.perf_counter() - start:.0f} s |", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
