"""Training time of small and large networks on an idle and a busy machine, by OpenMP's wait policy.

    python benchmarks/threads.py [--rounds 5] [--busy 4]

Idle OpenMP threads of torch spin by default. On a busy machine, a spinning thread occupies the core of the thread that
it waits for. So `firstsight` lets threads spin briefly, and on a busy machine not at all
(``firstsight/cli/openmp.py``). Each variant is a separate process that trains some steps and times them, without the
imports; the variants alternate. Printed are medians with minimum and maximum, and the ratio to the passive policy.
"""

import argparse
import os
import statistics
import subprocess
import sys

VARIANTS = {
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "passive, short spin": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "10000"},
    "active (spin)": {"OMP_WAIT_POLICY": "ACTIVE"},
    "libgomp's default": {},
    "one thread": {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
}
NETWORKS = {
    "lenet, batch 64": ("lenet", 1, 32, 64, 100),
    "convnet, batch 64": ("convnet", 1, 28, 64, 40),
    "resnet18, batch 8, 96x96": ("resnet18", 3, 96, 8, 6),
}
PROGRAM = """
import sys, time
import torch
import torch.nn.functional as F
from firstsight import create_model
name, channels, size, batch, steps = sys.argv[1], *map(int, sys.argv[2:])
torch.manual_seed(0)
net = create_model(name, in_channels=channels, num_classes=10)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
images, labels = torch.randn(batch, channels, size, size), torch.arange(batch) % 10
for step in range(steps + 3):
    if step == 3:
        start = time.perf_counter()
    F.cross_entropy(net(images), labels).backward()
    optimizer.step()
    optimizer.zero_grad()
print(time.perf_counter() - start)
"""


def seconds(network: tuple[object, ...], variables: dict[str, str]) -> float:
    """Train in a separate process and return the time of its steps in seconds."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-c", PROGRAM, *map(str, network)]
    return float(
        subprocess.run(command, env=environment | variables, capture_output=True, text=True, check=True).stdout
    )


def measure(rounds: int) -> None:
    """Measure every network with every variant, and print a table."""
    for label, network in NETWORKS.items():
        times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for _ in range(rounds):
            for variant, variables in VARIANTS.items():
                times[variant].append(seconds(network, variables))
        base = statistics.median(times["passive"])
        for variant, values in times.items():
            median = statistics.median(values)
            value_range = f"{min(values):.2f} to {max(values):.2f}"
            print(
                f"  {label:26} {variant:20} {median:6.2f} s ({value_range}), {median / base:.2f} x passive", flush=True
            )


def main() -> None:
    """Measure on the idle machine, then next to busy processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", type=int, default=4, help="busy processes in the second part")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, n = {arguments.rounds}; idle:")
    measure(arguments.rounds)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(arguments.busy)]
    try:
        print(f"next to {arguments.busy} busy processes:")
        measure(arguments.rounds)
    finally:
        for process in busy:
            process.kill()


if __name__ == "__main__":
    main()
