"""Networks by name alone."""

import pytest
import torch

from firstsight import create_model, list_models
from firstsight.models.pose import default_size, default_skeleton
from firstsight.models.registry import BOTTOM_UP_MODELS, TOP_DOWN_MODELS


@pytest.mark.parametrize("name", list_models())
def test_every_network_is_built_by_its_name_alone(name: str) -> None:
    with torch.device("meta"):
        net = create_model(name)
    nets = net if isinstance(net, tuple) else (net,)
    assert all(sum(p.numel() for p in each.parameters()) > 1000 for each in nets)


@pytest.mark.parametrize("name", [*BOTTOM_UP_MODELS, *TOP_DOWN_MODELS])
def test_a_pose_network_has_the_keypoints_and_the_size_of_its_usual_data(name: str) -> None:
    options = {"size": default_size(name)} if name in TOP_DOWN_MODELS else {}
    with torch.device("meta"):
        plain, explicit = create_model(name), create_model(name, skeleton=default_skeleton(name), **options)
    shapes = [{key: tensor.shape for key, tensor in net.state_dict().items()} for net in (plain, explicit)]
    assert shapes[0] == shapes[1]
