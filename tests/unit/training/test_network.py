"""What a viewer may rely on: a pixel depends only on its neighbourhood."""

# ruff: noqa: E402 - PyTorch may be missing

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from training.canvas import CELL, CHANNELS, Canvas
from training.data import seeded
from training.network import MULTIPLE, RIM, StyleNetwork, inner


@pytest.fixture
def network() -> StyleNetwork:
    torch.manual_seed(0)
    return StyleNetwork()


@pytest.fixture
def blank(network: StyleNetwork) -> StyleNetwork:
    """The network on a canvas without a pattern."""
    with torch.no_grad():
        network.lay.weight.zero_()
    return network


def place(down: float, across: float) -> torch.Tensor:
    return torch.tensor([[down, across]])


def test_the_network_is_as_small_as_it_says(network: StyleNetwork) -> None:
    assert sum(weights.numel() for weights in network.parameters()) == 42_972


def test_a_pixel_depends_on_its_neighbourhood_alone(network: StyleNetwork) -> None:
    picture = torch.rand(1, 3, 160, 160, generator=seeded(0)).requires_grad_()
    # One whole cell of the network's grid, so that no pixel's luck decides.
    cell = network(picture)[..., 80 : 80 + MULTIPLE, 80 : 80 + MULTIPLE]
    cell.sum().backward()
    assert picture.grad is not None
    influence = picture.grad.abs().sum((0, 1))
    touched = influence.nonzero()
    assert touched.min() >= 80 - 56
    assert touched.max() < 80 + MULTIPLE + 56
    near = slice(80 - RIM, 80 + MULTIPLE + RIM)
    assert influence[near, near].sum() > 0.999 * influence.sum()


def test_picture_and_canvas_moved_by_a_cell_are_painted_the_same_but_moved(
    network: StyleNetwork,
) -> None:
    wide = torch.rand(1, 3, 164, 164, generator=seeded(1))
    with torch.no_grad():
        still = inner(network(wide[..., :160, :160]), RIM)
        moved = inner(network(wide[..., MULTIPLE:, MULTIPLE:], place(MULTIPLE, MULTIPLE)), RIM)
    torch.testing.assert_close(still[..., MULTIPLE:, MULTIPLE:], moved[..., :-MULTIPLE, :-MULTIPLE])


def test_the_finest_stripes_of_half_size_are_painted_the_same_when_they_move_by_two_pixels(
    blank: StyleNetwork,
) -> None:
    stripes = torch.tensor([0.2, 0.2, 0.9, 0.9]).repeat(41).expand(1, 3, 160, 164)
    with torch.no_grad():
        still = inner(blank(stripes[..., :160]), RIM)
        moved = inner(blank(stripes[..., 2:162]), RIM)
    assert still.std() > 1e-3, "stripes that are not painted would prove nothing"
    # At half size they are as fine as can be: without a blur every second one would be lost.
    torch.testing.assert_close(still[..., 2:], moved[..., :-2])


def test_a_flat_picture_is_enlarged_without_a_pattern_of_four_pixels(
    blank: StyleNetwork,
) -> None:
    with torch.no_grad():
        painted = inner(blank(torch.full((1, 3, 160, 160), 0.5)), RIM)
    # What is left repeats every two pixels: the last step of the network, not its grid of four.
    torch.testing.assert_close(painted[..., 2:, :], painted[..., :-2, :])
    torch.testing.assert_close(painted[..., :, 2:], painted[..., :, :-2])


def test_levelled_it_paints_a_flat_colour_flat_and_keeps_its_mean(blank: StyleNetwork) -> None:
    flat = torch.full((1, 3, 112, 112), 0.5)
    with torch.no_grad():
        before = inner(blank(flat), RIM)
        blank.level()
        after = inner(blank(flat), RIM)
    assert before.std((2, 3)).min() > 1e-3, "without a pattern this would prove nothing"
    torch.testing.assert_close(after, after[..., :1, :1].expand_as(after))
    torch.testing.assert_close(after.mean((2, 3)), before.mean((2, 3)))


def test_a_picture_painted_to_its_edges_keeps_its_place(network: StyleNetwork) -> None:
    wide = torch.rand(1, 3, 160, 168, generator=seeded(2))
    with torch.no_grad():
        whole, plain = network.paint_whole(wide), network(wide)
    assert whole.shape == wide.shape
    torch.testing.assert_close(inner(whole, RIM + 4), inner(plain, RIM + 4))


def test_a_flat_wall_gets_strokes_that_stay_where_the_canvas_is(network: StyleNetwork) -> None:
    with torch.no_grad():
        network.lay.weight *= 10
        wall = torch.full((1, 3, 160, 160), 0.5)
        still, same, moved = (
            inner(network(wall, place(*at)), RIM) for at in ((0, 0), (0, 0), (8, 3))
        )
    assert still.std() > 1e-3
    assert torch.equal(still, same)
    assert (still - moved).abs().mean() > 1e-3


def test_the_canvas_moves_by_any_fraction_of_a_pixel() -> None:
    canvas = Canvas()
    whole = canvas(place(0, 0), 40, 40)
    moved = canvas(place(2 * CELL, -3 * CELL), 40, 40)
    torch.testing.assert_close(moved[..., :-2, 3:], whole[..., 2:, :-3], atol=1e-3, rtol=0)
    steps = [(canvas(place(0, part / 4), 40, 40) - whole).abs().mean().item() for part in range(4)]
    assert steps[0] == 0
    assert steps == sorted(steps)


def test_the_canvas_is_the_same_whatever_the_network_computes_in() -> None:
    canvas, where = Canvas(), place(1234.25, 77.5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(canvas(where, 16, 16), canvas(where, 16, 16).float())
        found = canvas(where, 16, 16)
    assert torch.equal(found, canvas(where, 16, 16))


def test_frames_may_each_have_their_own_place_on_the_canvas() -> None:
    canvas = Canvas()
    both = canvas(torch.tensor([[0.0, 0.0], [7.5, -100.25]]), 12, 20)
    assert both.shape == (2, CHANNELS, 12, 20)
    torch.testing.assert_close(both[1:], canvas(place(7.5, -100.25), 12, 20))


def test_every_plane_of_the_canvas_is_as_strong_in_every_place() -> None:
    planes = Canvas()(place(0, 0), 256, 256)[0]
    assert planes.abs().max() <= 1
    strengths = torch.nn.functional.avg_pool2d(planes.square(), 32)
    assert strengths.min() > 0.6 * strengths.mean()


def test_no_part_of_the_canvas_comes_again() -> None:
    planes = Canvas()(place(0, 0), 256, 256)[0].double()
    spectrum = torch.fft.rfft2(planes - planes.mean((1, 2), keepdim=True), s=(512, 512))
    same = torch.fft.irfft2(spectrum.abs().square(), s=(512, 512))[:, :128, :128]
    overlap = torch.outer(256.0 - torch.arange(128), 256.0 - torch.arange(128)) / 256**2
    alike = same / overlap / same[:, :1, :1]
    alike[:, :24, :24] = 0
    assert alike.mean(0).max() < 0.3
