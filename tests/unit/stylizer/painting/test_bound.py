"""Networks on persistent buffers: the GPU's way, run on the processor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
from styles import hang, network

from shared.styles.gallery import Gallery
from stylizer.painting.bound import BoundPainter
from stylizer.painting.engine import CORNER
from stylizer.painting.sessions import Sessions

STYLE = "starry-night"


def bound(style: str = STYLE, gallery: Gallery | None = None) -> BoundPainter:
    data = (gallery or Gallery()).find(style).network("fp32")
    return BoundPainter(lambda: Sessions("cpu", None).open(style, data), "cpu")


def noise(seed: int, number: int = 1, height: int = 32, width: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (number, 3, height, width), np.uint8)


def test_bound_buffers_paint_what_plain_runs_paint_in_every_shape() -> None:
    plain = Sessions("cpu", None).passing_painter(STYLE, Gallery().find(STYLE).network("fp32"))
    painter = bound()
    for number, height in ((1, 32), (2, 32), (1, 64), (3, 16), (1, 20), (2, 24), (1, 32)):
        frames = noise(number, number, height)
        places = np.array([[8 * i, 3] for i in range(number)], np.int32)
        assert np.array_equal(painter(frames, places), plain(frames, places))
        assert np.array_equal(painter(frames, CORNER), plain(frames, CORNER))


def test_each_size_has_a_session_that_meets_one_shape_alone() -> None:
    opened = []
    data = Gallery().find(STYLE).network("fp32")

    def open_session() -> ort.InferenceSession:
        opened.append(Sessions("cpu", None).open(STYLE, data))
        return opened[-1]

    painter = BoundPainter(open_session, "cpu")
    for number in (4, 1, 3, 4):
        assert painter(noise(number, number), CORNER).shape == (number, 3, 32, 48)
    painter(noise(1, 2, 64), CORNER)
    assert len(opened) == 2


def test_a_painting_stays_as_it_is_when_the_next_is_made() -> None:
    painter = bound()
    first = painter(noise(1), CORNER)
    kept = first.copy()
    assert not np.array_equal(painter(noise(2), CORNER), kept)
    assert np.array_equal(first, kept)


def test_concurrent_callers_do_not_disturb_each_other() -> None:
    painter = bound()
    frames = [noise(seed) for seed in range(16)]
    alone = [painter(one, CORNER) for one in frames]
    with ThreadPoolExecutor(4) as lanes:
        together = list(lanes.map(lambda one: painter(one, CORNER), frames))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_network_without_a_canvas_is_bound_as_well(tmp_path: Path) -> None:
    hang(tmp_path, "still", network(0.25))
    grey = np.full((2, 3, 8, 12), 200, np.uint8)
    assert np.unique(bound("still", Gallery(tmp_path))(grey, CORNER)).tolist() == [50]
