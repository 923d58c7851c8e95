"""Export every network to ONNX, compare it in onnxruntime with PyTorch, and print the size of the files.

Networks have random weights and their default options; batch norms get the statistics of the inputs. Each file is
compared on 16 inputs in batches of three, where the export has traced a batch of two. Needs about 3 GB of memory and
half an hour on one core.

    python benchmarks/export.py            # all networks
    python benchmarks/export.py lenet gan  # some of them
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from firstsight.models.registry import MODELS
from firstsight.tasks.export import check_export, export, find_model, make_plan
from firstsight.tasks.export_plan import ExportPlan


def calibrate(plan: ExportPlan) -> None:
    """Set the statistics of batch norms to those of eight inputs, else deep networks would compute constants."""
    norms = [module for module in plan.net.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        plan.net(plan.draw_inputs(8))
    for norm in norms:
        norm.eval()


def main() -> None:
    """Export, compare, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(MODELS))
    names = parser.parse_args().names
    print("| Network | Size | Largest difference (standard deviations) | Time |")
    print("| --- | ---: | --- | ---: |")
    for name in names:
        start = time.perf_counter()
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as scratch:
            model = find_model(name, random_weights=True)
            calibrate(make_plan(model))
            path = export(model, Path(scratch) / f"{name}.onnx")
            differences = check_export(model, path)
            size = path.stat().st_size / 1e6
        values = ", ".join(f"{output} {value:.1e}" for output, value in differences.items())
        print(f"| {name} | {size:.1f} MB | {values} | {time.perf_counter() - start:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
