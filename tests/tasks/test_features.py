"""A layer's answers are those of the network's own layers."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from firstsight import load
from firstsight.data.photo import sample_photo
from firstsight.errors import UsageError
from firstsight.nets.lenet import LeNet
from firstsight.tasks.features import look

Run = Callable[..., tuple[int, str, str]]


def test_maps_are_what_the_layers_compute() -> None:
    network = load("lenet-fashion")
    seen = look(network, sample_photo())
    net = network.model
    assert isinstance(net, LeNet)
    inputs = network.preprocess.normalise(torch.from_numpy(seen.image)[None])
    with torch.no_grad():
        maps = net.conv1(inputs)
        pooled = F.max_pool2d(torch.relu(maps), 2)
    assert seen.layer == "conv1" and seen.filters is not None
    np.testing.assert_array_equal(seen.maps, maps[0].numpy())
    np.testing.assert_array_equal(seen.filters, net.conv1.weight.detach().numpy())
    second = look(network, Image.open(sample_photo()), "conv2")
    np.testing.assert_allclose(second.maps, net.conv2(pooled)[0].detach().numpy(), rtol=1e-5, atol=1e-5)
    assert look(network, sample_photo(), "relu").filters is None


def test_the_command(run: Run) -> None:
    code, out, _ = run("features", "convnet-fashion", "--layer", "stage2.conv", "--json")
    document = json.loads(out)
    assert code == 0 and document["maps"] == [64, 14, 14] and document["filters"] == [64, 32, 3, 3]
    assert Image.open("features.png").height > 1500
    code, out, err = run("features", "lenet-digits", "--layer", "conv9")
    assert code == 2 and not out and "unknown layer 'conv9': did you mean conv" in err
    with pytest.raises(UsageError, match="fc1 gives a list of numbers, not maps"):
        look(load("lenet-digits"), sample_photo(), "fc1")
