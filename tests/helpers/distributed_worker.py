"""One process of a job: train some steps of a recipe in float64 and store every gradient and the sample numbers.

torchrun --nproc_per_node 2 worker.py OUT MODEL BATCH_SIZE
"""

import sys
from dataclasses import replace

import torch
from safetensors.torch import save_file

from firstsight.data import load
from firstsight.recipes import find_recipe
from firstsight.recipes.accelerator import leave_at_exit
from firstsight.recipes.train import Session, Silent, Where

STEPS = 5


def run(out: str, model: str, batch_size: int) -> None:
    recipe = find_recipe(model)
    settings = replace(recipe.settings, precision="float64", batch_size=batch_size, data="digits")
    session = Session(recipe, settings, Where(device="cpu"), Silent())
    task = session.make_task(load("digits"), load("digits", "test"))
    stored: dict[str, torch.Tensor] = {}
    optimizer = task.optimizers["net"]
    net = session.accelerator.unwrap_model(task.models["net"])
    step = 0

    def keep(*_: object) -> None:
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None
            stored[f"{step}.{name}"] = parameter.grad.clone().contiguous()

    optimizer.register_step_pre_hook(keep)
    for step in range(STEPS):
        batch = task.batches.get(0, step)
        scalars = task.train_step(batch)
        loss = session.accelerator.reduce(scalars["loss"], reduction="mean")
        ids = session.accelerator.gather_for_metrics([batch.ids.tolist()], use_gather_object=True)
        stored[f"{step}.loss"] = loss.clone().reshape(1)
        stored[f"{step}.ids"] = torch.tensor(sorted(i for share in ids for i in share))
    for name, value in task.evaluate().items():
        stored[f"test.{name}"] = torch.tensor([value], dtype=torch.float64)
    if session.first:
        save_file(stored, out)
    session.accelerator.wait_for_everyone()
    leave_at_exit()


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]))
