"""What each loss says of cases whose answer can be worked out by hand."""

# ruff: noqa: E402 - PyTorch may be missing

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from torch import Tensor

from training.features import Features
from training.losses import (
    Statistics,
    border_loss,
    content_floor,
    content_loss,
    difference,
    luma_loss,
    range_loss,
    style_loss,
    style_statistics,
    variation_loss,
    views,
)

ONE = torch.ones(1)


@pytest.fixture(scope="module")
def features(features_file: Path) -> Features:
    return Features(features_file, torch.device("cpu"))


def blotches(seed: int, size: int = 48) -> Tensor:
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")


def test_a_view_with_another_mean_is_as_far_as_its_variances_say() -> None:
    wanted = {"x": Statistics(ONE, torch.zeros(1), torch.tensor([[4.0]]))}
    seen = {"x": torch.tensor([1.0, 5.0]).reshape(1, 1, 1, 2)}
    # The mean is 3 instead of 0, the variance is 4 as wanted.
    assert style_loss(seen, wanted).item() == pytest.approx(3**2 / 4)


def test_a_view_without_variance_is_as_far_as_can_be() -> None:
    wanted = {"x": Statistics(ONE, torch.zeros(1), torch.tensor([[4.0]]))}
    assert style_loss({"x": torch.zeros(1, 1, 4, 4)}, wanted).item() == pytest.approx(1)


def test_a_channel_counts_in_multiples_of_the_paintings_own_spread() -> None:
    wanted = {"x": Statistics(torch.tensor([10.0]), torch.zeros(1), torch.tensor([[1.0]]))}
    seen = {"x": torch.tensor([-10.0, 10.0]).reshape(1, 1, 1, 2)}
    assert style_loss(seen, wanted).item() == pytest.approx(0)


def test_the_painting_has_its_own_style(features: Features) -> None:
    painting = blotches(1)
    wanted = style_statistics(painting, features)
    assert style_loss(views(painting, features), wanted).item() < 1e-6
    assert style_loss(views(blotches(2), features), wanted).item() > 0.1


def test_an_error_as_large_as_the_contents_spread_costs_one() -> None:
    content = torch.tensor([0.0, 2.0]).reshape(1, 1, 1, 2)
    assert content_loss(content + 1, content, floor=0.1).item() == pytest.approx(1)


def test_flat_content_costs_no_more_than_its_floor_allows() -> None:
    flat = torch.full((1, 4, 3, 3), 0.5)
    assert content_loss(flat + 1, flat, floor=2.0).item() == pytest.approx(0.5)


def test_light_that_stays_light_costs_nothing_and_a_negative_costs_two() -> None:
    picture = blotches(3)
    assert luma_loss(0.5 * picture + 0.2, picture).item() == pytest.approx(0, abs=0.02)
    assert luma_loss(1 - picture, picture).item() == pytest.approx(2, abs=0.02)


def test_stripes_vary_by_one_a_pixel_across_and_not_at_all_down() -> None:
    stripes = torch.tensor([0.0, 1.0, 0.0, 1.0]).expand(1, 3, 4, 4)
    assert variation_loss(stripes).item() == pytest.approx(1)


def test_only_what_leaves_the_range_costs() -> None:
    assert range_loss(torch.tensor([0.0, 0.5, 1.0])).item() == 0
    assert range_loss(torch.tensor([-2.0, 1.0])).item() == pytest.approx(2)


def test_only_what_differs_along_the_edges_counts_there() -> None:
    picture = torch.zeros(1, 3, 48, 48)
    middle, edge = picture.clone(), picture.clone()
    middle[..., 20:28, 20:28] = 1
    edge[..., :12, :] = 2
    assert border_loss(middle, picture).item() == 0
    # The upper edge is 12 rows of 48, the border of a square of 48 but 24 x 24.
    assert border_loss(edge, picture).item() == pytest.approx(4 * 12 * 48 / (48 * 48 - 24 * 24))


def test_two_paintings_differ_by_their_mean_square() -> None:
    assert difference(torch.zeros(2, 2), torch.full((2, 2), 3.0)).item() == pytest.approx(9)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_flat_crop_gives_finite_losses_and_gradients(features: Features, level: float) -> None:
    wanted = style_statistics(blotches(1), features)
    picture = torch.full((1, 3, 48, 48), level)
    painted = picture.clone().requires_grad_()
    seen = views(painted, features)
    loss = (
        style_loss(seen, wanted)
        + content_loss(seen["relu3_1"], features(picture)[2], content_floor(wanted))
        + luma_loss(painted, picture)
        + variation_loss(painted)
        + range_loss(painted)
    )
    loss.backward()
    assert torch.isfinite(loss)
    assert painted.grad is not None
    assert torch.isfinite(painted.grad).all()
