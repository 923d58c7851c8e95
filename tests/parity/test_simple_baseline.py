"""Published checkpoints of SimpleBaseline: predictions equal those of the published code, written out here."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

import firstsight
from firstsight.errors import WeightsError
from firstsight.models.pose.simple_baseline import SimpleBaseline, simple_baseline_resnet18
from firstsight.pose.skeleton import COCO_17
from firstsight.tasks.pose.top_down.estimate import TopDownEstimator

BOX = (20.0, 10.0, 40.0, 70.0)


@pytest.fixture(scope="module")
def net() -> SimpleBaseline:
    """Network with random weights whose heatmaps have clear peaks."""
    torch.manual_seed(3)
    net = simple_baseline_resnet18().eval()
    with torch.no_grad():
        for name, value in net.named_parameters():
            if name.startswith(("deconv", "final")) and value.ndim == 4:
                value.mul_(20)
    return net


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    noise = np.random.default_rng(0).normal(size=(100, 120, 3))
    smooth = gaussian_filter(noise, (2, 2, 0))
    return Image.fromarray((128 + 60 * smooth / smooth.std()).clip(0, 255).astype(np.uint8))


def published_prediction(net: SimpleBaseline, photo: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Return joints (K, 3) as core/inference.py and dataset/JointsDataset.py of the published code compute them."""
    height, width = size
    x, y, w, h = BOX
    center = np.array([x + w / 2, y + h / 2])
    aspect = width / height
    if w > aspect * h:
        h = w / aspect
    else:
        w = h * aspect
    w, h = 1.25 * w, 1.25 * h
    # get_affine_transform: the center of the box to the center of the input, the width of the box to that of the input
    v, u = np.mgrid[:height, :width]
    source_x = center[0] + (u - width * 0.5) * (w / width)
    source_y = center[1] + (v - height * 0.5) * (w / width)
    pixels = np.asarray(photo, float)
    crop = np.stack([map_coordinates(pixels[..., c], [source_y, source_x], order=1, cval=0.0) for c in range(3)])
    image = (crop / 255 - np.array([[[0.485]], [[0.456]], [[0.406]]])) / np.array([[[0.229]], [[0.224]], [[0.225]]])
    images = torch.from_numpy(image).float()[None]
    with torch.no_grad():
        maps = net(images)[0][0].numpy()
        flipped = net(images.flip(3))[0][0].numpy()[list(COCO_17.flip), :, ::-1].copy()
    flipped[:, :, 1:] = flipped[:, :, :-1].copy()  # SHIFT_HEATMAP
    maps = (maps + flipped) / 2
    joints = np.zeros((17, 3))
    for k, hm in enumerate(maps):
        py, px = np.unravel_index(hm.argmax(), hm.shape)
        coordinate = np.array([px, py], float)
        if 1 < px < hm.shape[1] - 1 and 1 < py < hm.shape[0] - 1:
            coordinate += 0.25 * np.sign([hm[py, px + 1] - hm[py, px - 1], hm[py + 1, px] - hm[py - 1, px]])
        joints[k, :2] = center + (coordinate - np.array([width / 8, height / 8])) * (w / (width / 4))
        joints[k, 2] = hm.max()
    return joints


@pytest.mark.parametrize("size", [(256, 192), (384, 288)])
def test_predictions_equal_the_published_code(
    size: tuple[int, int], net: SimpleBaseline, photo: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / f"pose_resnet_18_{size[0]}x{size[1]}.pth.tar"
    torch.save({f"module.{name}": tensor for name, tensor in net.state_dict().items()}, path)
    estimator = firstsight.load(path)
    assert isinstance(estimator, TopDownEstimator) and estimator.network.size == size
    assert estimator.refine == "quarter"
    (pose,) = TopDownEstimator(estimator.network, flip=True)(photo, [BOX])
    expected = published_prediction(net, photo, size)
    is_inner = np.abs(expected[:, :2] - pose.keypoints[:, :2] - 0.5).max(1) < 1e-3
    assert is_inner.mean() >= 0.9  # cells next to the border are refined by us, not by the published code
    np.testing.assert_allclose(pose.keypoints[:, 2], expected[:, 2].clip(0, 1), atol=1e-4)


def test_unsupported_checkpoints_are_refused(net: SimpleBaseline, tmp_path: Path) -> None:
    state = net.state_dict()
    torch.save(state, tmp_path / "pose_resnet_18_128x96.pth.tar")
    with pytest.raises(WeightsError, match="an input of 128x96 pixels, as its name says"):
        firstsight.load(tmp_path / "pose_resnet_18_128x96.pth.tar")
    mpii = state | {"final_layer.weight": state["final_layer.weight"][:16]}
    torch.save(mpii, tmp_path / "mpii.pth.tar")
    with pytest.raises(WeightsError, match="has 16 keypoints; only networks with the 17 of COCO are supported"):
        firstsight.load(tmp_path / "mpii.pth.tar")
    notes: list[str] = []
    torch.save(state, tmp_path / "pose.pth.tar")
    firstsight.load(tmp_path / "pose.pth.tar", notify=notes.append)
    assert any("has no input size" in note for note in notes)
