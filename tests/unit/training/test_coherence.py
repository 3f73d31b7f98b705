"""Long strokes are coherent, dabs and specks are not, and strength does not matter."""

# ruff: noqa: E402 - PyTorch may be missing

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from torch import Tensor

from training.coherence import SCALES, coherence_loss, coherences

SIDE = 192


def grey(light: Tensor) -> Tensor:
    return light.expand(1, 3, SIDE, SIDE)


def stripes(angle: float, length: float = 16.0, contrast: float = 0.4) -> Tensor:
    turn = torch.tensor(angle).deg2rad()
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    phase = 2 * torch.pi * (rows * turn.sin() + columns * turn.cos()) / length
    return grey(0.5 + contrast / 2 * phase.sin())


def specks(seed: int = 0) -> Tensor:
    return grey(torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("angle", [0.0, 30.0, 45.0, 90.0, 150.0])
def test_stripes_are_coherent_whichever_way_they_run(angle: float) -> None:
    assert coherences(stripes(angle)).min().item() > 0.98


def test_two_ways_at_once_are_not_coherent_where_a_window_holds_both() -> None:
    crossed = (stripes(0.0) + stripes(90.0)) / 2
    assert coherences(crossed)[-1].item() < 0.1


def test_specks_are_hardly_coherent_at_the_wider_spreads() -> None:
    wide = [number for number, scale in enumerate(SCALES) if scale.spread > 2]
    assert coherences(specks())[wide].max().item() < 0.25


def test_faint_strokes_count_as_much_by_their_direction_as_strong_ones() -> None:
    faint, strong = (coherences(stripes(30.0, contrast=contrast)) for contrast in (0.05, 0.8))
    assert torch.allclose(faint, strong, atol=0.03)


def test_only_what_falls_short_of_the_painting_costs() -> None:
    long, short = coherences(stripes(20.0)), coherences(specks())
    assert coherence_loss(stripes(70.0), short).item() == 0
    expected = (1 - short / long).sum().item()
    assert coherence_loss(specks(), long).item() == pytest.approx(expected, rel=1e-5)


def test_a_flat_picture_has_a_finite_gradient() -> None:
    flat = grey(torch.tensor(0.5)).clone().requires_grad_()
    coherence_loss(flat, coherences(stripes(0.0))).backward()
    assert flat.grad is not None
    assert bool(flat.grad.isfinite().all())
