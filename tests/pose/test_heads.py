"""How joints are told and read: heatmaps with three ways between the cells, classes of x and y; by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from firstsight.pose.heads import HeatmapHead, SimccHead, make_head, peaks, smoothed
from firstsight.pose.skeleton import LSP_14
from firstsight.pose.targets import gaussian_heatmaps

SIZE = (128, 96)


def some(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    places = torch.rand(6, 14, 2, generator=draw, dtype=torch.float64) * torch.tensor([60, 90]) + 18
    return places, torch.rand(6, 14, generator=draw) < 0.8


def bumps(places: torch.Tensor) -> torch.Tensor:
    everywhere = torch.ones(places.shape[:2], dtype=torch.bool)
    return gaussian_heatmaps((places - 1.5) / 4, everywhere, size=(32, 24), sigma=2.0)


def test_a_perfect_heatmap_is_read_between_the_cells() -> None:
    """None: up to half a cell wrong, two pixels. A quarter: up to one. DARK: nearly nothing (Zhang 2020)."""
    places, _ = some()
    head = HeatmapHead()
    errors = {
        refine: (head.decode(bumps(places), refine=refine)[..., :2] - places).abs().max().item()
        for refine in ("none", "quarter", "dark")
    }
    assert 1.5 < errors["none"] <= 2 and errors["quarter"] <= 1 + 1e-9 and errors["dark"] < 0.05


def test_a_quarter_by_hand() -> None:
    maps = torch.zeros(1, 2, 5, 5)
    maps[0, 0, 2, 1:4] = torch.tensor([0.2, 1.0, 0.5])
    maps[0, 0, 3, 2] = 0.1
    maps[0, 1, 0, 4] = 0.7  # a corner: nothing to compare with
    found = peaks(maps, refine="quarter")
    torch.testing.assert_close(found, torch.tensor([[[2.25, 2.25, 1.0], [4.0, 0.0, 0.7]]]))


def test_dark_is_one_newton_step_of_the_logarithm() -> None:
    """Against derivatives of a quadratic, fitted to the nine logarithms."""
    places, _ = some(1)
    noisy = bumps(places) * (1 + 0.1 * torch.rand(6, 14, 32, 24, dtype=torch.float64))
    found = peaks(noisy, refine="dark", sigma=2.0)
    logs = smoothed(noisy, 2.0).log()
    for n, k in ((0, 0), (3, 7), (5, 13)):
        cell = int(noisy[n, k].argmax())
        y, x = divmod(cell, 24)
        p = logs[n, k]
        gradient = torch.tensor([(p[y, x + 1] - p[y, x - 1]) / 2, (p[y + 1, x] - p[y - 1, x]) / 2])
        mixed = (p[y + 1, x + 1] - p[y + 1, x - 1] - p[y - 1, x + 1] + p[y - 1, x - 1]) / 4
        second = torch.tensor(
            [
                [p[y, x + 1] - 2 * p[y, x] + p[y, x - 1], mixed],
                [mixed, p[y + 1, x] - 2 * p[y, x] + p[y - 1, x]],
            ]
        )
        step = -torch.linalg.solve(second, gradient)
        torch.testing.assert_close(found[n, k, :2], torch.tensor([x, y]) + step)


def test_losses_by_hand() -> None:
    places, visible = some()
    answer = torch.randn(6, 14, 32, 24, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted = bumps(places)
    squares = HeatmapHead(loss="squares").losses(answer, places, visible)
    by_hand = torch.stack([0.5 * ((answer - wanted) ** 2)[n][visible[n]].sum() for n in range(6)])
    torch.testing.assert_close(squares, by_hand)
    cross = HeatmapHead().losses(answer, places, visible)
    total = torch.zeros(6, dtype=torch.float64)
    for n, k in torch.nonzero(visible).tolist():
        share = wanted[n, k].flatten() / wanted[n, k].sum()
        total[n] += F.cross_entropy(answer[n, k].flatten()[None], share[None])
    torch.testing.assert_close(cross, total)


@pytest.mark.parametrize("name", ["heatmap", "simcc"])
def test_what_the_loss_wants_is_what_is_read(name: str) -> None:
    """Answers that go downhill come to the joints, and to a score near 1; hidden joints are left alone."""
    places, visible = some(2)
    places = places.float()
    head = make_head(name, size=SIZE, sigma=8.0 if name == "heatmap" else 3.0)
    shape = (6, 14, 32, 24) if name == "heatmap" else (6, 14, 2 * (128 + 96))
    answer = torch.zeros(shape, requires_grad=True)
    optimizer = torch.optim.Adam([answer], lr=0.2)
    for _ in range(300):
        loss = head.losses(answer, places, visible).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = head.decode(head.likely(answer.detach()), refine="dark")
    assert (found[..., :2] - places)[visible].abs().max() < 0.3
    assert found[..., 2][visible].min() > 0.85 and (answer.detach()[~visible] == 0).all()


def test_simcc_has_two_linear_layers_for_all_joints() -> None:
    head = SimccHead(size=SIZE)
    assert sum(p.numel() for p in head.parameters()) == (32 * 24 + 1) * 2 * (128 + 96)
    maps = torch.randn(2, 14, 32, 24)
    answer = head(maps)
    torch.testing.assert_close(answer[1, 3, : 2 * 96], head.x(maps[1, 3].flatten()))
    torch.testing.assert_close(answer[1, 3, 2 * 96 :], head.y(maps[1, 3].flatten()))


@pytest.mark.parametrize("name", ["heatmap", "squares", "simcc"])
def test_the_mirror_image_of_an_answer(name: str) -> None:
    """The joint of the other side, at the mirrored place, exactly: no shift by a cell is needed here."""
    places, _ = some(3)
    head = make_head(name, size=SIZE, sigma=8.0)
    if isinstance(head, SimccHead):
        classes = [(torch.arange(2 * side, dtype=torch.float64) + 0.5) / 2 - 0.5 for side in (96, 128)]
        likely = torch.cat([-(c - places[..., i, None]).square() for i, c in enumerate(classes)], 2).exp()
    else:
        likely = bumps(places)
    plain, turned = head.decode(likely), head.decode(head.mirrored(likely, LSP_14.flip))
    torch.testing.assert_close(turned[..., 0], 95 - plain[:, list(LSP_14.flip), 0])
    torch.testing.assert_close(turned[..., 1], plain[:, list(LSP_14.flip), 1])
    torch.testing.assert_close(head.mirrored(head.mirrored(likely, LSP_14.flip), LSP_14.flip), likely)


def test_empty_flat_and_tiny_maps_have_a_place() -> None:
    for refine in ("none", "quarter", "dark"):
        for maps in (torch.zeros(1, 2, 8, 6), torch.full((1, 1, 8, 8), math.pi), torch.rand(1, 3, 1, 1)):
            found = peaks(maps, refine=refine)
            assert found.isfinite().all() and found.shape == (1, maps.shape[1], 3)
