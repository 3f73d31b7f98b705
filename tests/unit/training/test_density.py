"""Edges lie densely in a hatching and rarely between planes, whatever their strength."""

# ruff: noqa: E402 - PyTorch may be missing

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from torch import Tensor

from training.density import CELLS, densities, density_loss

SIDE = 192


def grey(light: Tensor) -> Tensor:
    return light.expand(1, 3, SIDE, SIDE)


def planes(contrast: float = 0.4, side: int = 24) -> Tensor:
    """Return a checkerboard, as large as facets are."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return grey(0.3 + contrast * ((rows // side + columns // side) % 2))


def hatching(contrast: float = 0.4) -> Tensor:
    ramp = 2 * torch.pi * torch.arange(SIDE) / 16
    return grey(0.5 + contrast / 2 * ramp.sin())


def test_planes_have_fewer_edges_than_hatching_in_cells_of_all_sizes() -> None:
    assert bool((densities(planes()) < 0.8 * densities(hatching())).all())
    assert len(densities(planes())) == len(CELLS)


def test_an_even_slope_is_as_dense_as_can_be() -> None:
    slope = grey(torch.arange(SIDE) / SIDE)
    assert densities(slope).min().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("picture", [planes, hatching])
def test_faint_edges_lie_as_densely_as_strong_ones(picture: Callable[[float], Tensor]) -> None:
    faint, strong = (densities(picture(contrast)) for contrast in (0.2, 0.6))
    assert torch.allclose(faint, strong, atol=0.02)


def test_hatching_on_one_side_is_not_made_up_for_by_planes_on_the_other() -> None:
    both = torch.cat([planes()[..., : SIDE // 2], hatching()[..., SIDE // 2 :]], dim=3)
    assert bool((densities(both) > densities(planes())).all())


def test_only_what_exceeds_the_painting_costs() -> None:
    few, many = densities(planes()), densities(hatching())
    assert density_loss(planes(), many).item() == 0
    expected = (many / few - 1).sum().item()
    assert density_loss(hatching(), few).item() == pytest.approx(expected, rel=1e-5)


def test_a_flat_picture_has_a_finite_gradient() -> None:
    flat = grey(torch.tensor(0.5)).clone().requires_grad_()
    density_loss(flat, densities(planes())).backward()
    assert flat.grad is not None
    assert bool(flat.grad.isfinite().all())
