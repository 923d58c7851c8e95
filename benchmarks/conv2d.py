"""Hand-written convolution compared with torch: forward pass in float32, alternating in one run.

    python benchmarks/conv2d.py [--rounds 9]

For each shape and algorithm, the time is divided by that of `torch.nn.functional.conv2d` in the same round. "best" is
the faster of the two fast algorithms. The loops of the definition are timed on one small shape.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from firstsight.ops import conv2d

SHAPES = {  # N, C_in, H = W, C_out, kernel size, stride, padding
    "1x1 256-64 at 56": (4, 256, 56, 64, 1, 1, 0),
    "1x1 1024-256 at 14": (4, 1024, 14, 256, 1, 1, 0),
    "3x3 64-64 at 56": (4, 64, 56, 64, 3, 1, 1),
    "3x3 128-128 at 28": (4, 128, 28, 128, 3, 1, 1),
    "3x3 256-256 at 14": (4, 256, 14, 256, 3, 1, 1),
    "3x3 512-512 at 7": (4, 512, 7, 512, 3, 1, 1),
    "7x7 stride 2 3-64 at 224": (4, 3, 224, 64, 7, 2, 3),
}


def seconds(call: Callable[[], torch.Tensor]) -> float:
    """Return the time of one call in seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ratios(shape: tuple[int, ...], rounds: int) -> dict[str, float]:
    """Return each algorithm's median ratio to torch."""
    n, channels, side, outputs, kernel, stride, padding = shape
    x, weight = torch.randn(n, channels, side, side), torch.randn(outputs, channels, kernel, kernel)
    calls: dict[str, Callable[[], torch.Tensor]] = {
        "torch": lambda: F.conv2d(x, weight, stride=stride, padding=padding),
        "im2col": lambda: conv2d(x, weight, stride=stride, padding=padding, algorithm="im2col"),
        "taps": lambda: conv2d(x, weight, stride=stride, padding=padding, algorithm="taps"),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 2):
        for name, call in calls.items():
            best = min(seconds(call) for _ in range(3))
            if number >= 2:  # the first two rounds warm up
                times[name].append(best)
    baseline = times.pop("torch")
    return {name: statistics.median(a / b for a, b in zip(t, baseline, strict=True)) for name, t in times.items()}


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print(f"time relative to conv2d of torch {torch.__version__}, ", end="")
    print(f"{torch.get_num_threads()} threads, median of {rounds} rounds")
    best: dict[str, float] = {}
    with torch.inference_mode():
        for name, shape in SHAPES.items():
            result = ratios(shape, rounds)
            best[name] = min(result.values())
            print(f"{name:26} im2col {result['im2col']:5.2f}  taps {result['taps']:5.2f}  best {best[name]:5.2f}")
        x, weight = torch.randn(1, 8, 24, 24), torch.randn(8, 8, 3, 3)
        slow = seconds(lambda: conv2d(x, weight, padding=1, algorithm="loops"))
        fast = min(seconds(lambda: conv2d(x, weight, padding=1, algorithm="taps")) for _ in range(20))
    best_3x3 = [value for name, value in best.items() if name.startswith("3x3")]
    print(f"geometric mean of best over the 3x3 shapes: {statistics.geometric_mean(best_3x3):.2f}")
    print(f"taps is {slow / fast:,.0f} times as fast as loops (1x8x24x24, 8 filters of 3x3)")


if __name__ == "__main__":
    main()
