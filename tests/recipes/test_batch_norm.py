"""Networks with batch norm and batches of one image."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from firstsight.data.image_io import Preprocess
from firstsight.errors import UsageError
from firstsight.models.classification import create_model
from firstsight.recipes.train import train
from firstsight.tasks.classification.build import batch_share, needs_larger_batch


@pytest.mark.parametrize(
    ("name", "size"),
    [("mlp", 8), ("lenet", 32), ("convnet", 8), ("resnet20", 4), ("resnet20", 16), ("resnet18", 32)],
)
@pytest.mark.parametrize("frozen", [False, True])
def test_networks_that_refuse_one_image_are_known_before_the_training(name: str, size: int, frozen: bool) -> None:
    """The answer is that of a training step, and nothing of the network changes."""
    net = create_model(name, num_classes=3, in_channels=3, image_size=size).train(not frozen)
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    preprocess = Preprocess(channels=3, resize=size, pad=0, mean=(0.0,) * 3, std=(1.0,) * 3)
    answer = needs_larger_batch(net, preprocess, 1)
    assert all(torch.equal(before[key], tensor) for key, tensor in net.state_dict().items())
    assert not needs_larger_batch(net, preprocess, 2)
    try:
        net(torch.zeros(1, 3, size, size))
        refused = False
    except ValueError:
        refused = True
    assert answer == refused


@pytest.mark.parametrize("count", range(4, 40))
def test_advised_batch_size_leaves_no_image_alone(count: int) -> None:
    for processes in (1, 2, 3):
        sizes = [size for size in range(1, count + 1) if batch_share(count, size, processes) >= 2]
        assert (2 * processes <= count) == bool(sizes)
    assert batch_share(count, 3, 1) >= 2


@pytest.mark.parametrize(("counts", "batch_size", "advice"), [((10, 10), 1, 2), ((10, 11), 2, 3), ((11, 10), 1, 3)])
def test_batch_of_one_is_refused_before_the_run_directory_is_made(
    tmp_path: Path, make_images: Callable[..., Path], counts: tuple[int, int], batch_size: int, advice: int
) -> None:
    """The training set has 16 of 20 images, and 17 of 21."""
    data = make_images({"dark": counts[0], "light": counts[1]}, size=4)
    options = {"data": str(data), "image_size": 4, "epochs": 1, "out": tmp_path / "run"}
    with pytest.raises(UsageError, match=f"`batch_size={batch_size}` is too small: resnet20 has .*=({advice})`$"):
        train("resnet20", batch_size=batch_size, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


def test_advised_batch_size_trains_in_the_same_directory(tmp_path: Path, make_images: Callable[..., Path]) -> None:
    data = make_images({"dark": 4, "light": 5}, size=4)
    with pytest.raises(UsageError, match="use `batch_size=3`"):
        train("resnet20", data=str(data), image_size=4, batch_size=2, epochs=1, out=tmp_path / "run")
    assert train("resnet20", data=str(data), image_size=4, batch_size=3, epochs=1, out=tmp_path / "run").epochs == 1


def test_networks_without_batch_norm_train_with_batches_of_one(
    tmp_path: Path, make_images: Callable[..., Path]
) -> None:
    data = make_images({"dark": 2, "light": 2}, size=8)
    assert train("mlp", data=str(data), image_size=8, batch_size=1, epochs=1, out=tmp_path / "run").epochs == 1
