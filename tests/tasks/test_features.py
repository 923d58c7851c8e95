"""Feature maps and filters of a layer."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from firstsight import load
from firstsight.data.images.loading import load_data
from firstsight.data.sample_image import sample_people, sample_photo
from firstsight.errors import UsageError
from firstsight.models.classification.lenet import LeNet
from firstsight.tasks.classification.sample import find_sample
from firstsight.tasks.features import compute_features
from helpers.stand_ins import write_mnist_like

Run = Callable[..., tuple[int, str, str]]


def test_feature_maps_are_the_outputs_of_the_layers() -> None:
    network = load("lenet-fashion")
    result = compute_features(network, sample_photo())
    net = network.model
    assert isinstance(net, LeNet)
    inputs = network.preprocess.normalize(torch.from_numpy(result.image)[None])
    with torch.no_grad():
        maps = net.conv1(inputs)
        pooled = F.max_pool2d(torch.relu(maps), 2)
    assert result.layer == "conv1" and result.filters is not None
    np.testing.assert_array_equal(result.maps, maps[0].numpy())
    np.testing.assert_array_equal(result.filters, net.conv1.weight.detach().numpy())
    second = compute_features(network, Image.open(sample_photo()), "conv2")
    np.testing.assert_allclose(second.maps, net.conv2(pooled)[0].detach().numpy(), rtol=1e-5, atol=1e-5)
    assert compute_features(network, sample_photo(), "relu").filters is None


def test_features_command_draws_every_map_and_refuses_layers_without_maps(run: Run) -> None:
    code, out, _ = run("features", "convnet-fashion", "--layer", "stage2.conv", "--json")
    document = json.loads(out)
    assert code == 0 and document["maps"] == [64, 14, 14] and document["filters"] == [64, 32, 3, 3]
    assert Image.open("features.png").height > 1500
    code, out, err = run("features", "lenet-digits", "--layer", "conv9")
    assert code == 2 and not out and "unknown layer 'conv9': did you mean conv" in err
    with pytest.raises(UsageError, match="fc1 has a vector as output, no feature maps; layers with maps: conv1"):
        compute_features(load("lenet-digits"), sample_photo(), "fc1")


def test_features_of_a_generator_are_those_of_the_image_that_it_makes() -> None:
    generator = load("dcgan-fashion")
    result = compute_features(generator, layer="first.0", seed=5)
    z = generator.draw(1, seed=5)
    np.testing.assert_array_equal(result.image, generator(z)[0].numpy())
    first = generator.model.get_submodule("first.0")
    with torch.no_grad():
        np.testing.assert_allclose(result.maps, first(z[:, :, None, None])[0].numpy(), rtol=1e-5, atol=1e-6)
    assert result.filters is not None and result.filters.shape == (192, z.shape[1], 4, 4)
    np.testing.assert_array_equal(result.filters, first.weight.detach().transpose(0, 1).numpy())
    assert (result.heading, result.name) == ("generated image", "seed 5")
    assert not np.array_equal(compute_features(generator).image, result.image)


@pytest.mark.parametrize(("weights", "shape"), [("openpose-tiny-lsp", (3, 256)), ("pose-tiny-lsp", (3, 192))])
def test_features_of_a_pose_network_are_those_of_its_input(weights: str, shape: tuple[int, int]) -> None:
    estimator = load(weights)
    result = compute_features(estimator, sample_people())
    first = estimator.network.model.get_submodule(result.layer)
    assert result.image.shape[:2] == shape and result.filters is not None
    np.testing.assert_array_equal(result.filters[:, ::-1], first.weight.detach().numpy())  # BGR
    bgr = torch.from_numpy(result.image[::-1].copy())[None].float()
    with torch.no_grad():
        maps = first((bgr - 128) / 256)[0].numpy()
    np.testing.assert_allclose(result.maps, maps, atol=0.2)  # pixels of crops are rounded in the image
    photo = "people.jpg" if weights.startswith("openpose") else "grace_hopper.jpg"
    assert compute_features(estimator).name == f"the sample photograph {photo}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("gan-digits photo.jpg", "gan-digits is a generator: it takes no image, but makes one from a latent vector"),
        ("gan-digits --layer 0", "layers with maps: unflatten"),
        ("infogan-mnist --layer upsample9", "unknown layer 'upsample9': did you mean upsample1 or upsample2"),
        ("openpose-tiny-lsp --layer nothing", "more, which firstsight summary lists)"),
        ("pose-tiny-lsp --seed 3", "--seed is for generators; the input of this network is an image"),
    ],
)
def test_features_that_do_not_exist_are_refused(run: Run, arguments: str, message: str) -> None:
    code, out, err = run("features", *arguments.split())
    assert code == 2 and not out and message in err, err


def test_without_an_image_features_takes_one_of_the_training_data_and_says_which(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run("features", "lenet-digits", "--out", "a.png")[2].startswith(
        "no image given: using test image 0 of digits ("
    )
    digit = compute_features(load("lenet-digits"))
    np.testing.assert_array_equal(digit.image, load_data("digits", "test").images[0].numpy())
    monkeypatch.setenv("FIRSTSIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("firstsight.data.images.find.SYSTEM_FOLDERS", ())
    name = compute_features(load("lenet-mnist")).name
    assert name.startswith("test image 0 of digits (") and name.endswith("the images of mnist are not on this machine")
    name = compute_features(load("lenet-fashion")).name
    assert name == "the sample photograph grace_hopper.jpg; the images of fashion-mnist are not on this machine"
    write_mnist_like(tmp_path / "home" / "data" / "fashion-mnist", train=20, test=10)
    images = load_data("fashion-mnist", "test").images
    fashion = compute_features(load("lenet-fashion"))
    assert fashion.name.startswith("test image 0 of fashion-mnist (")
    np.testing.assert_array_equal(fashion.image[:, 2:-2, 2:-2], images[0].numpy())


def test_a_sample_of_a_folder_is_one_of_its_test_images(make_images: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_images({"dark": 5, "light": 5}, size=20)
    image, name = find_sample(str(tmp_path), {"data": "photos", "settings": {"data": str(folder)}})
    assert image.size == (20, 20) and name.endswith(f" of {folder}") and (folder / name.partition(" of ")[0]).is_file()
    assert find_sample(str(tmp_path), {"data": "gone", "settings": {"data": "gone"}})[1].startswith("the sample photo")


def test_features_command_describes_the_latent_vector(run: Run) -> None:
    document = json.loads(run("features", "gan-digits", "--seed", "3", "--out", "a.svg", "--json")[1])
    assert document["image"] is None and document["seed"] == 3 and document["maps"] == [1, 16, 16]
    assert Path("a.svg").read_text().startswith("<?xml")
