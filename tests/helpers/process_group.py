"""Train in groups of processes, each a fork with the environment that torchrun gives its workers.

    python -m helpers.process_group gradients FOLDER MODEL BATCH_SIZE...
    python -m helpers.process_group trainings FOLDER < JOBS

``gradients``: one process, then two, train some steps of a recipe in float64; the first process stores every gradient,
the loss and the sample numbers of every step in FOLDER/PROCESSES-BATCH_SIZE.safetensors.

``trainings``: JOBS is a JSON list. Every job has ``world`` (the number of processes), and either ``command`` (the
arguments of the command line), or ``recipe``, ``settings`` (further arguments of `firstsight.train`) and, if the
training is to be stopped by SIGTERM, ``stop_after`` (a number of steps). The jobs run one after the other in FOLDER.
Prints JSON: per job the exit codes, stdout and stderr of all processes.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.distributed import TCPStore

from firstsight.cli import main as command_line
from firstsight.data.images.loading import load_data
from firstsight.engine.accelerator import destroy_process_group_at_exit
from firstsight.errors import FirstsightError
from firstsight.recipes import find_recipe
from firstsight.recipes.train import NullCallback, RunOptions, TrainingRun, train
from helpers.forked import start, wait

STEPS = 5


def run_group(world: int, body: Callable[[], int], *, outputs: list[Path] | None = None) -> list[int]:
    """Call ``body`` in ``world`` processes that find each other as workers of torchrun do; returns their exit codes."""
    paths: dict[str, Path] = dict(zip(("stdout", "stderr"), outputs or [], strict=False))
    if world == 1:
        return [wait(start(body, **paths))]
    ports, port = os.pipe()
    end, running = os.pipe()
    store = start(lambda: serve_store(world, port, end, running))
    os.close(port)
    os.close(end)
    shared = {
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": os.read(ports, 100).decode(),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(world)]
    processes = [start(body, environment=shared | rank, **paths) for rank in ranks]
    codes = [wait(process) for process in processes]
    os.close(running)
    wait(store)
    return codes


def serve_store(world: int, port: int, end: int, running: int) -> int:
    """Keep the addresses of a group, as torchrun's agent does, until the parent closes its end of the pipe."""
    os.close(running)
    store = TCPStore("127.0.0.1", 0, world_size=world, is_master=True, wait_for_workers=False)
    os.write(port, str(store.port).encode())
    os.read(end, 1)
    return 0


def store_gradients(folder: Path, model: str, batch_sizes: list[int]) -> int:
    """Train ``STEPS`` steps with every batch size."""
    recipe = find_recipe(model)
    for batch_size in batch_sizes:
        settings = replace(recipe.settings, precision="float64", batch_size=batch_size, data="digits")
        session = TrainingRun(recipe, settings, RunOptions(device="cpu"), NullCallback())
        cached = gradients(session)
        if session.is_main:
            world = session.accelerator.num_processes
            save_file(cached, folder / f"{world}-{batch_size}.safetensors")
        session.accelerator.wait_for_everyone()
    destroy_process_group_at_exit()
    return 0


def gradients(session: TrainingRun) -> dict[str, torch.Tensor]:
    """Return every gradient, the loss and the sample numbers of the first steps, and the metrics after them."""
    task = session.make_task(load_data("digits"), load_data("digits", "test"))
    cached: dict[str, torch.Tensor] = {}
    net = session.accelerator.unwrap_model(task.models["net"])
    step = 0

    def keep(*_: object) -> None:
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None
            cached[f"{step}.{name}"] = parameter.grad.clone().contiguous()

    task.optimizers["net"].register_step_pre_hook(keep)
    for step in range(STEPS):
        batch = task.batches.get(0, step)
        scalars = task.train_step(batch)
        loss = session.accelerator.reduce(scalars["loss"], reduction="mean")
        ids = session.accelerator.gather_for_metrics([batch.ids.tolist()], use_gather_object=True)
        cached[f"{step}.loss"] = loss.clone().reshape(1)
        cached[f"{step}.ids"] = torch.tensor(sorted(i for share in ids for i in share))
    for name, value in task.evaluate().items():
        cached[f"test.{name}"] = torch.tensor([value], dtype=torch.float64)
    return cached


class Stopper(NullCallback):
    """Sends SIGTERM to its own process, the first one, after a number of steps (0: never)."""

    def __init__(self, stop_after: int) -> None:
        self.steps, self.stop_after = 0, stop_after

    def on_step_end(self, epoch: int, epochs: int, index: int, steps: int, loss: float) -> None:
        """Count a step."""
        self.steps += 1
        if self.steps == self.stop_after:
            os.kill(os.getpid(), signal.SIGTERM)


def run_training(job: dict[str, Any]) -> int:
    """Train as a job says; prints the result on the first process."""
    if "command" in job:
        return command_line(job["command"])
    try:
        result = train(job["recipe"], callback=Stopper(job.get("stop_after", 0)), **job["settings"])
    except FirstsightError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(result.to_dict()))
    return 0


def run_jobs(folder: Path, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run jobs one after the other."""
    os.chdir(folder)
    summary = []
    for number, job in enumerate(jobs):
        outputs = [folder / f"{number}.stdout", folder / f"{number}.stderr"]
        codes = run_group(job["world"], lambda job=job: run_training(job), outputs=outputs)
        summary.append({"codes": codes, "stdout": outputs[0].read_text(), "stderr": outputs[1].read_text()})
    return summary


def main() -> None:
    """Run a mode."""
    mode, folder, *rest = sys.argv[1:]
    if mode == "gradients":
        model, *batch_sizes = rest
        for world in (1, 2):
            codes = run_group(world, lambda: store_gradients(Path(folder), model, [int(size) for size in batch_sizes]))
            assert codes == [0] * world, codes
    else:
        print(json.dumps(run_jobs(Path(folder), json.load(sys.stdin))))


if __name__ == "__main__":
    main()
