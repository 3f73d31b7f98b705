"""The grid follows the camera by whole pixels, and does not jump during drifts."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from shared.contracts.manifest import Place
from splitter.media.grid import Grid

PIXEL = 4
"""Places are told in quarters of pixels."""

WHOLE = Fraction(1)


def moved(grid: Grid, *across: int) -> list[int]:
    """Return how far the grid has moved across at each of these places, in quarters."""
    return [grid.follow(Place(0, place), cut=False).across for place in across]


@pytest.mark.parametrize("speed", [1, 2, 3, 7, -1])
def test_it_moves_with_a_pan_by_whole_pixels(speed: int) -> None:
    places = [PIXEL * speed * n for n in range(12)]
    assert moved(Grid(WHOLE), *places) == [speed * n for n in range(12)]


def test_it_counts_pixels_of_the_size_that_is_painted() -> None:
    assert moved(Grid(Fraction(1, 3)), *range(0, 60, 12)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("speed", [1, -1])
def test_it_stays_while_the_picture_drifts_by_less_than_half_a_pixel_a_frame(speed: int) -> None:
    assert set(moved(Grid(WHOLE), *(speed * n for n in range(40)))) == {0}


def test_a_picture_never_moves_by_more_than_half_a_pixel_against_it() -> None:
    places = [0, 3, 9, 10, 17, 17, 12, 1, -6, -5, 30]
    shifts = moved(Grid(WHOLE), *places)
    left = [place - PIXEL * shift for place, shift in zip(places, shifts, strict=True)]
    assert max(abs(now - then) for then, now in pairwise(left)) <= PIXEL // 2


def test_a_cut_starts_from_zero() -> None:
    grid = Grid(WHOLE)
    assert moved(grid, 0, 4, 8)[-1] == 2
    assert grid.follow(Place(0, 0), cut=True) == (0, 0)
    assert grid.follow(Place(4, 0), cut=False) == (1, 0)
