"""Heads of top-down networks: heatmaps with three kinds of refinement, and SimCC; losses and decoding by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from firstsight.models.pose.heads import HeatmapHead, Refine, SimccHead, locate_peaks, make_head, smooth_heatmaps
from firstsight.pose.skeleton import LSP_14
from firstsight.pose.targets import gaussian_heatmaps

SIZE = (128, 96)


def random_joints(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    places = torch.rand(6, 14, 2, generator=draw, dtype=torch.float64) * torch.tensor([60, 90]) + 18
    return places, torch.rand(6, 14, generator=draw) < 0.8


def bumps(places: torch.Tensor) -> torch.Tensor:
    everywhere = torch.ones(places.shape[:2], dtype=torch.bool)
    return gaussian_heatmaps((places - 1.5) / 4, everywhere, size=(32, 24), sigma=2.0)


def test_dark_decodes_a_perfect_heatmap_to_subcell_accuracy() -> None:
    """Without refinement errors reach half a cell, two pixels; with a quarter offset one; DARK (Zhang 2020) 0.05."""
    places, _ = random_joints()
    head = HeatmapHead()
    errors = {
        refine: (head.decode(bumps(places), refine=refine)[..., :2] - places).abs().max().item()
        for refine in ("none", "quarter", "dark")
    }
    assert 1.5 < errors["none"] <= 2 and errors["quarter"] <= 1 + 1e-9 and errors["dark"] < 0.05


def test_quarter_offset_by_hand() -> None:
    maps = torch.zeros(1, 2, 5, 5)
    maps[0, 0, 2, 1:4] = torch.tensor([0.2, 1.0, 0.5])
    maps[0, 0, 3, 2] = 0.1
    maps[0, 1, 0, 4] = 0.7  # in a corner there is nothing to compare with
    result = locate_peaks(maps, refine="quarter")
    torch.testing.assert_close(result, torch.tensor([[[2.25, 2.25, 1.0], [4.0, 0.0, 0.7]]]))


@pytest.mark.parametrize("refine", ["quarter", "dark"])
def test_peaks_at_the_border_are_not_refined_and_those_next_to_it_are(refine: Refine) -> None:
    """Each map is a Gaussian around a point 0.3 cells right of and below a cell."""
    cells = torch.cartesian_prod(torch.arange(10), torch.arange(8)).double()
    visible = torch.ones(1, len(cells), dtype=torch.bool)
    maps = gaussian_heatmaps(cells[None] + 0.3, visible, size=(8, 10), sigma=2.0)
    peaks = locate_peaks(maps, refine=refine)[0, :, :2]
    margin = 2 if refine == "dark" else 1
    is_inner = ((cells >= margin) & (cells < torch.tensor([10, 8]) - margin)).all(1)
    assert is_inner.sum() == (10 - 2 * margin) * (8 - 2 * margin)
    assert torch.equal(peaks[~is_inner], cells[~is_inner])
    assert ((peaks - cells)[is_inner] != 0).all()
    if refine == "quarter":
        assert torch.equal(peaks[is_inner], cells[is_inner] + 0.25)


def test_smoothing_is_that_of_scipy_on_the_device_of_the_maps() -> None:
    maps = torch.rand(2, 3, 9, 12, dtype=torch.float64)
    smooth = smooth_heatmaps(maps, 2.0)
    expected = gaussian_filter(maps.numpy(), 2.0, mode="constant", truncate=2.5, axes=(2, 3))
    torch.testing.assert_close(smooth, torch.from_numpy(expected))
    with torch.device("meta"):  # the default device does not matter
        torch.testing.assert_close(smooth_heatmaps(maps, 2.0), smooth)


def test_dark_is_one_newton_step_of_the_logarithm() -> None:
    """Derivatives by finite differences of the smoothed logarithms, the second ones over two cells (Zhang 2020)."""
    places, _ = random_joints(1)
    noisy = bumps(places) * (1 + 0.1 * torch.rand(6, 14, 32, 24, dtype=torch.float64))
    result = locate_peaks(noisy, refine="dark", sigma=2.0)
    logs = smooth_heatmaps(noisy, 2.0).log()
    for n, k in ((0, 0), (3, 7), (5, 13)):
        cell = int(noisy[n, k].argmax())
        y, x = divmod(cell, 24)
        p = logs[n, k]
        gradient = torch.tensor([(p[y, x + 1] - p[y, x - 1]) / 2, (p[y + 1, x] - p[y - 1, x]) / 2])
        mixed = (p[y + 1, x + 1] - p[y + 1, x - 1] - p[y - 1, x + 1] + p[y - 1, x - 1]) / 4
        second = torch.tensor(
            [
                [(p[y, x + 2] - 2 * p[y, x] + p[y, x - 2]) / 4, mixed],
                [mixed, (p[y + 2, x] - 2 * p[y, x] + p[y - 2, x]) / 4],
            ]
        )
        step = -torch.linalg.solve(second, gradient)
        torch.testing.assert_close(result[n, k, :2], torch.tensor([x, y]) + step)


def test_heatmap_losses_by_hand() -> None:
    places, visible = random_joints()
    maps = torch.randn(6, 14, 32, 24, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    targets = bumps(places)
    squares = HeatmapHead(loss="mse").losses(maps, places, visible)
    by_hand = torch.stack([0.5 * ((maps - targets) ** 2)[n][visible[n]].sum() for n in range(6)])
    torch.testing.assert_close(squares, by_hand)
    named = make_head("mse", size=SIZE, sigma=8.0)
    torch.testing.assert_close(
        named.losses(maps, places, visible), HeatmapHead(sigma=2.0, loss="mse").losses(maps, places, visible)
    )
    assert named.to_scores(maps) is maps
    cross = HeatmapHead().losses(maps, places, visible)
    total = torch.zeros(6, dtype=torch.float64)
    for n, k in torch.nonzero(visible).tolist():
        share = targets[n, k].flatten() / targets[n, k].sum()
        total[n] += F.cross_entropy(maps[n, k].flatten()[None], share[None])
    torch.testing.assert_close(cross, total)


@pytest.mark.parametrize("name", ["heatmap", "simcc"])
def test_minimizing_the_loss_decodes_to_the_target_joints(name: str) -> None:
    """Scores come near 1; predictions of invisible joints keep their values."""
    places, visible = random_joints(2)
    places, visible = places[:2].float(), visible[:2]
    head = make_head(name, size=SIZE, sigma=8.0 if name == "heatmap" else 3.0)
    shape = (2, 14, 32, 24) if name == "heatmap" else (2, 14, 2 * (128 + 96))
    logits = torch.zeros(shape, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.2)
    for _ in range(300):
        loss = head.losses(logits, places, visible).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    result = head.decode(head.to_scores(logits.detach()), refine="dark")
    assert (result[..., :2] - places)[visible].abs().max() < 0.3
    assert result[..., 2][visible].min() > 0.85 and (logits.detach()[~visible] == 0).all()


def test_simcc_shares_two_linear_layers_across_joints() -> None:
    head = SimccHead(size=SIZE)
    assert sum(p.numel() for p in head.parameters()) == (32 * 24 + 1) * 2 * (128 + 96)
    maps = torch.randn(2, 14, 32, 24)
    logits = head(maps)
    torch.testing.assert_close(logits[1, 3, : 2 * 96], head.x(maps[1, 3].flatten()))
    torch.testing.assert_close(logits[1, 3, 2 * 96 :], head.y(maps[1, 3].flatten()))


@pytest.mark.parametrize("name", ["heatmap", "mse", "simcc"])
def test_flipped_predictions_decode_to_flipped_joints(name: str) -> None:
    """Joints change sides; no shift by a cell is needed."""
    places, _ = random_joints(3)
    head = make_head(name, size=SIZE, sigma=8.0)
    if isinstance(head, SimccHead):
        classes = [(torch.arange(2 * side, dtype=torch.float64) + 0.5) / 2 - 0.5 for side in (96, 128)]
        likely = torch.cat([-(c - places[..., i, None]).square() for i, c in enumerate(classes)], 2).exp()
    else:
        likely = bumps(places)
    plain, flipped = head.decode(likely), head.decode(head.flip_back(likely, LSP_14.flip))
    torch.testing.assert_close(flipped[..., 0], 95 - plain[:, list(LSP_14.flip), 0])
    torch.testing.assert_close(flipped[..., 1], plain[:, list(LSP_14.flip), 1])
    torch.testing.assert_close(head.flip_back(head.flip_back(likely, LSP_14.flip), LSP_14.flip), likely)


@pytest.mark.parametrize("refine", ["none", "quarter", "dark"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_decodes_as_the_same_values_in_float32(refine: Refine, dtype: torch.dtype) -> None:
    """Column 301 is no number of bfloat16, and "dark" takes logarithms of values that neither type has."""
    visible = torch.ones(1, 2, dtype=torch.bool)
    maps = gaussian_heatmaps(torch.tensor([[[301.3, 9.6], [90.2, 20.1]]]), visible, size=(32, 320), sigma=2.0).to(dtype)
    head = HeatmapHead()
    joints = head.decode(maps, refine=refine)
    assert torch.equal(joints, head.decode(maps.float(), refine=refine))
    assert (joints[0, 0, :2] / 4 - torch.tensor([301.3, 9.6])).abs().max() < 1


def test_empty_flat_and_tiny_maps_decode_to_finite_peaks() -> None:
    for refine in ("none", "quarter", "dark"):
        for maps in (torch.zeros(1, 2, 8, 6), torch.full((1, 1, 8, 8), math.pi), torch.rand(1, 3, 1, 1)):
            result = locate_peaks(maps, refine=refine)
            assert result.isfinite().all() and result.shape == (1, maps.shape[1], 3)
