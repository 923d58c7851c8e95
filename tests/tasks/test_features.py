"""Feature maps and filters of a layer."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from firstsight import load
from firstsight.data.sample_image import sample_photo
from firstsight.errors import UsageError
from firstsight.models.classification.lenet import LeNet
from firstsight.tasks.classification.features import compute_features

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
