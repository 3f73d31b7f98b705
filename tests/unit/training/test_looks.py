"""The measures of looks are right for painters whose looks are known."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("cv2", reason="looks need the extra 'train'")

from training.gates import GATES, Gate, look
from training.looks import (
    energy_of_painting,
    evenness,
    grid,
    light_kept,
    repetition,
    rim,
    strokes_in_flat_areas,
    walls,
)
from training.steadiness import Frames


def keep(frame: Frames) -> Frames:
    """Paint nothing."""
    return frame


def add(frame: Frames, pattern: np.ndarray) -> Frames:
    return np.clip(frame + pattern, 0, 255).round().astype(np.uint8)


def pattern(frame: Frames, period: int | None = None, seed: int = 1) -> np.ndarray:
    """Return patches of four pixels by chance, once or again and again."""
    height, width = frame.shape[2:]
    side = (period, period) if period else (height, width)
    coarse = np.random.default_rng(seed).normal(0, 20, (side[0] // 4, side[1] // 4))
    tile = np.kron(coarse, np.ones((4, 4)))
    return np.tile(tile, (height // side[0] + 1, width // side[1] + 1))[:height, :width]


def daub(frame: Frames, seed: int = 1) -> Frames:
    """Lay strokes everywhere."""
    return add(frame, pattern(frame, seed=seed))


def tile(frame: Frames) -> Frames:
    """Lay the same strokes on every square of 96 pixels."""
    return add(frame, pattern(frame, 96))


def gather(frame: Frames) -> Frames:
    """Lay all strokes into one half of every square of 128 pixels."""
    across = np.arange(frame.shape[3]) % 128 < 64
    return add(frame, pattern(frame) * across)


def border(frame: Frames) -> Frames:
    """Paint a frame 20 pixels wide, 30 levels darker."""
    dark = np.full(frame.shape[2:], -30.0)
    dark[20:-20, 20:-20] = 0
    return add(frame, dark)


def weave(frame: Frames) -> Frames:
    """Let every fourth pixel shine."""
    light = np.zeros(frame.shape[2:])
    light[::4, ::4] = 20
    return add(frame, light)


def negative(frame: Frames) -> Frames:
    """Turn light and dark round."""
    return 255 - frame


@pytest.fixture(scope="module")
def picture() -> Frames:
    """Half a wall, half blotches."""
    wall = walls()[1].copy()
    coarse = np.random.default_rng(0).integers(0, 256, (3, 24, 20))
    wall[0, :, :, 320:] = np.kron(coarse, np.ones((16, 16)))
    return wall


def test_strokes_are_counted_where_the_picture_is_flat(picture: Frames) -> None:
    assert strokes_in_flat_areas(keep, [picture]) < 1
    assert strokes_in_flat_areas(daub, [picture]) > 5


def test_a_painting_has_energy_and_a_wall_has_none(picture: Frames) -> None:
    assert energy_of_painting(walls()[0]) < 1
    assert energy_of_painting(picture) > 5


def test_light_is_kept_or_turned_round(picture: Frames) -> None:
    assert light_kept(keep, [picture]) == pytest.approx(1)
    assert light_kept(negative, [picture]) == pytest.approx(-1, abs=0.01)


def test_a_rim_is_told_from_strokes() -> None:
    assert rim([keep]) < 0.5
    assert rim([border]) > 20
    elsewhere = [partial(daub, seed=seed) for seed in range(8)]
    assert rim(elsewhere) < rim(elsewhere[:1]) < 2


def test_strokes_everywhere_are_even_and_gathered_ones_are_not() -> None:
    assert evenness(daub) > 0.6
    assert evenness(gather) < 0.1


def test_a_tile_comes_again_and_strokes_by_chance_do_not() -> None:
    assert repetition(daub) < 0.2
    assert repetition(tile) > 0.9


def test_a_weave_of_four_pixels_is_a_grid_and_strokes_are_not() -> None:
    assert grid(keep) < 0.1
    assert grid(weave) > 3
    strokes = np.roll(pattern(walls()[0]), 2, axis=1)
    assert (
        grid(lambda frame: add(frame, np.kron(strokes[::5, ::5], np.ones((5, 5)))[:384, :640]))
        < 0.5
    )


def test_a_gate_holds_on_its_own_side_and_is_shown_in_bold_beyond() -> None:
    least, most = Gate("light", least=0.9), Gate("noise", most=3.5)
    assert (str(least), least.cell(0.93), least.cell(0.5)) == ("light >= 0.9", "0.93", "**0.50**")
    assert (str(most), most.cell(3.5), most.cell(9.0)) == ("noise <= 3.5", "3.5", "**9.0**")


def test_a_network_that_paints_nothing_fails_only_the_strokes_gate(picture: Frames) -> None:
    seen = dict(
        zip((gate.name for gate in GATES), look([keep], [picture], picture, []), strict=True)
    )
    missed = [gate.name for gate in GATES if not gate.holds(seen[gate.name])]
    assert missed == ["strokes"]
