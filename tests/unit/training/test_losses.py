"""Each loss, for cases whose value can be worked out by hand."""

# ruff: noqa: E402 - PyTorch may be missing

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from torch import Tensor

from training.features import Features
from training.losses import (
    Lately,
    Statistics,
    border_loss,
    content_loss,
    content_losses,
    contents,
    difference,
    grid_loss,
    hue_loss,
    local_loss,
    luma_loss,
    measure,
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


def far(
    seen: dict[str, Tensor], wanted: dict[str, Statistics], lately: Lately | None = None
) -> Tensor:
    return style_loss(measure(seen, wanted), wanted, lately)


def test_a_view_with_another_mean_is_as_far_as_its_variances_say() -> None:
    wanted = {"x": Statistics(ONE, torch.zeros(1), torch.tensor([[4.0]]))}
    seen = {"x": torch.tensor([1.0, 5.0]).reshape(1, 1, 1, 2)}
    # The mean is 3 instead of 0, the variance is 4 as wanted.
    assert far(seen, wanted).item() == pytest.approx(3**2 / 4)


def test_a_view_without_variance_is_as_far_as_can_be() -> None:
    wanted = {"x": Statistics(ONE, torch.zeros(1), torch.tensor([[4.0]]))}
    assert far({"x": torch.zeros(1, 1, 4, 4)}, wanted).item() == pytest.approx(1)


def test_a_channel_counts_in_multiples_of_the_paintings_own_spread() -> None:
    wanted = {"x": Statistics(torch.tensor([10.0]), torch.zeros(1), torch.tensor([[1.0]]))}
    seen = {"x": torch.tensor([-10.0, 10.0]).reshape(1, 1, 1, 2)}
    assert far(seen, wanted).item() == pytest.approx(0)


def test_the_painting_has_its_own_style(features: Features) -> None:
    painting = blotches(1)
    wanted = style_statistics(painting, features)
    assert far(views(painting, features), wanted).item() < 1e-6
    assert far(views(blotches(2), features), wanted).item() > 0.1


def test_a_little_colour_counts_as_much_as_light_and_dark(features: Features) -> None:
    """In an almost grey painting, the little colour must not be lost."""
    grey = blotches(4)[:, :1].expand(1, 3, 48, 48)
    rose = blotches(5)[:, :1] * torch.tensor([0.06, -0.06, 0.0])[None, :, None, None]
    wanted = {"colour/4": style_statistics(grey + rose, features)["colour/4"]}
    losses = {
        name: far(views(picture, features), wanted).item()
        for name, picture in {"without rose": grey + 0 * rose, "flat": rose + grey.mean()}.items()
    }
    assert losses["without rose"] > 0.5 * losses["flat"]


def test_light_and_dark_may_be_in_different_crops_if_they_are_asked_of_all_together() -> None:
    wanted = {"x": Statistics(ONE, torch.zeros(1), torch.tensor([[4.0]]))}
    light, dark = ({"x": torch.full((1, 1, 2, 2), value)} for value in (2.0, -2.0))
    assert far(light, wanted).item() == pytest.approx(2**2 / 4 + 1)
    lately = Lately(share=0.5)
    far(light, wanted, lately)
    assert far(dark, wanted, lately).item() == pytest.approx(0)


def test_the_crop_at_hand_gets_the_whole_gradient_of_all_together() -> None:
    wanted = {"x": Statistics(ONE, torch.zeros(1), torch.tensor([[4.0]]))}
    lately = Lately(share=0.25)
    far({"x": torch.tensor([[[[1.0, 1.0]]]])}, wanted, lately)
    seen = torch.tensor([[[[5.0, 5.0]]]], requires_grad=True)
    loss = far({"x": seen}, wanted, lately)
    loss.backward()
    # All together: mean 2, variance 3 of the products' mean 7. The gradient is that of a crop
    # which makes up all: 2 * 2 / 4 of the mean, and of the variance 2 * (3 - 4) * (10 - 4) / 16.
    assert loss.item() == pytest.approx(2**2 / 4 + 1 / 16)
    assert seen.grad is not None
    assert seen.grad.sum().item() == pytest.approx(1 - 12 / 16)


def test_texture_in_one_window_does_not_pay_for_another_without_any() -> None:
    """Asked of both windows together they would have what is wanted."""
    wave = torch.tensor([-1.0, 1.0]).repeat(24).expand(1, 1, 48, 48)
    wanted = {"relu1_1": Statistics(ONE, torch.zeros(1), ONE[None], within=ONE[None])}
    even, uneven = torch.cat((wave, wave), 3), torch.cat((2**0.5 * wave, 0 * wave), 3)
    for seen in (even, uneven):
        assert far({"relu1_1": seen}, wanted).item() == pytest.approx(0, abs=1e-6)
    first, second = (
        local_loss(measure({"relu1_1": seen}, wanted), wanted).item() for seen in (even, uneven)
    )
    assert first == pytest.approx(0, abs=1e-4)
    # Twice the variance is 1 too much, none 1 too little; so are the deviations, 1.41 and 0.
    assert second == pytest.approx((1 + 0.41**2 + 1 + 1) / 2, abs=0.02)


def test_differences_from_window_to_window_do_not_count_as_texture() -> None:
    steps = torch.cat((torch.zeros(1, 1, 48, 48), torch.full((1, 1, 48, 48), 5.0)), 3)
    wanted = {"relu1_1": Statistics(ONE, torch.zeros(1), ONE[None], within=ONE[None])}
    loss = local_loss(measure({"relu1_1": steps}, wanted), wanted)
    assert loss.item() == pytest.approx(2, abs=0.01)


def test_windows_that_tile_a_view_have_the_same_moments_as_the_whole(features: Features) -> None:
    seen = views(torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)), features)
    wanted = style_statistics(blotches(1, 96), features)
    tiled = measure(seen, wanted)["relu1_1"]
    whole = measure({"x": seen["relu1_1"]}, {"x": wanted["relu1_1"]})["x"]
    assert tiled.within is not None
    assert tiled.within.shape[0] == 4
    torch.testing.assert_close(tiled.mean, whole.mean)
    torch.testing.assert_close(tiled.covariance, whole.covariance, rtol=1e-3, atol=1e-4)


def test_moments_and_their_gradients_are_those_of_the_textbook() -> None:
    seen = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
    wanted = {"x": Statistics(torch.ones(3), torch.zeros(3), torch.eye(3))}
    found = measure({"x": seen}, wanted)["x"]
    flat = seen.flatten(2)
    covariance = torch.stack([picture.cov(correction=0) for picture in flat])
    torch.testing.assert_close(found.mean, flat.mean(2))
    torch.testing.assert_close(found.covariance, covariance)
    weights = torch.arange(9.0).reshape(3, 3)
    ours, textbooks = (
        torch.autograd.grad((mean.square().sum() + (weights * products).sum()), seen)[0]
        for mean, products in ((found.mean, found.covariance), (flat.mean(2), covariance))
    )
    torch.testing.assert_close(ours, textbooks)


def test_bfloat16_is_enough_for_the_texture_of_a_bright_wall() -> None:
    """Of the products of its values, in bfloat16, its texture would be within the rounding."""
    wall = 4 + torch.tensor([0.0, 1 / 16]).repeat(24).expand(1, 1, 48, 48)
    wanted = {"relu1_1": Statistics(ONE, torch.zeros(1), ONE[None], within=ONE[None])}
    found = measure({"relu1_1": wall.bfloat16()}, wanted)["relu1_1"]
    assert found.within is not None
    assert found.within.item() == pytest.approx(1 / 32**2)


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


def test_hue_that_stays_costs_nothing_and_its_negative_two() -> None:
    picture = blotches(6)
    assert hue_loss(0.7 * picture, picture).item() == pytest.approx(0, abs=0.02)
    assert hue_loss(1 - picture, picture).item() == pytest.approx(2, abs=0.05)


def test_a_grey_picture_may_get_whatever_hue_it_likes() -> None:
    grey = blotches(7)[:, :1].expand(1, 3, 48, 48)
    assert hue_loss(blotches(8), grey).item() == pytest.approx(0, abs=1e-4)


def test_stripes_vary_by_one_a_pixel_across_and_not_at_all_down() -> None:
    stripes = torch.tensor([0.0, 1.0, 0.0, 1.0]).expand(1, 3, 4, 4)
    assert variation_loss(stripes).item() == pytest.approx(1)


def test_only_what_leaves_the_range_costs() -> None:
    assert range_loss(torch.tensor([0.0, 0.5, 1.0])).item() == 0
    assert range_loss(torch.tensor([-2.0, 1.0])).item() == pytest.approx(2)


def test_only_what_differs_along_the_edges_counts_there() -> None:
    picture = torch.zeros(1, 3, 112, 112)
    middle, edge = picture.clone(), picture.clone()
    middle[..., 48:64, 48:64] = 1
    edge[..., :12, :] = 2
    assert border_loss(middle, picture).item() == pytest.approx(0, abs=0.01)
    # The upper edge is 12 rows of 112, the border of a square of 112 but 88 x 88.
    share = 12 * 112 / (112 * 112 - 88 * 88)
    # Strips of 8 pixels, five from each side: the upper ones differ by 2, 1 and not at all,
    # those along the left and the right in 12 rows of 112.
    strips = ((2 + 1) / 5 + 0 + 2 * 2 * 12 / 112) / 4
    assert border_loss(edge, picture).item() == pytest.approx(2 * share + strips, abs=0.01)


def test_strokes_that_end_otherwise_cost_less_than_a_wall_of_another_colour() -> None:
    wall = torch.full((1, 3, 112, 112), 0.5)
    strokes = 0.1 * (torch.arange(112) % 2 * 2 - 1)
    assert border_loss(wall + 0.1, wall).item() > 1.5 * border_loss(wall + strokes, wall).item()


def test_a_pattern_that_repeats_every_four_pixels_is_a_grid_and_a_slope_is_not() -> None:
    rows, columns = torch.arange(96.0)[:, None], torch.arange(96.0)[None]
    slope = (rows + 2 * columns).expand(1, 3, 96, 96) / 288
    weave = 0.1 * ((rows % 4 == 0) & (columns % 4 == 0)).float()
    odd = 0.1 * ((rows % 5 == 0) & (columns % 5 == 0)).float()
    none, grid, other = (grid_loss(slope + pattern).item() for pattern in (0, weave, odd))
    assert none == pytest.approx(0, abs=0.005)
    assert grid > 2 * other


def test_two_paintings_differ_by_their_mean_absolute_change() -> None:
    a, b = torch.zeros(4), torch.tensor([0.0, 0.0, 0.0, 2.0])
    assert difference(a, b).item() == pytest.approx(0.5, abs=0.01)


def test_paintings_that_are_the_same_have_a_finite_gradient() -> None:
    a = torch.zeros(4, requires_grad=True)
    difference(a, torch.zeros(4)).backward()
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_flat_crop_gives_finite_losses_and_gradients(features: Features, level: float) -> None:
    wanted = style_statistics(blotches(1), features)
    picture = torch.full((1, 3, 48, 48), level)
    painted = picture.clone().requires_grad_()
    seen = views(painted, features)
    loss = (
        far(seen, wanted)
        + local_loss(measure(seen, wanted), wanted)
        + content_losses(seen, contents(picture, features), wanted)
        + luma_loss(painted, picture)
        + hue_loss(painted, picture)
        + variation_loss(painted)
        + range_loss(painted)
    )
    loss.backward()
    assert torch.isfinite(loss)
    assert painted.grad is not None
    assert torch.isfinite(painted.grad).all()
