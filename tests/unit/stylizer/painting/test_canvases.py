"""Drawn canvases are kept within bounds, and are the same whether kept or drawn again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from shared.styles.gallery import Gallery
from stylizer.painting.canvas_split import split
from stylizer.painting.canvases import Canvases, Draw
from stylizer.painting.sessions import Sessions
from stylizer.painting.sized import SizedPainter

FRAMES = np.zeros((1, 3, 40, 56), np.uint8)


class Starts:
    """Counts sessions that are started, and what they draw."""

    def __init__(self) -> None:
        self.sessions = self.runs = 0

    def drawer(self, canvases: Canvases, style: str) -> Draw:
        parts = split(Gallery().find_all(style)[0][0].network("fp32"))
        assert parts is not None
        return canvases.drawer(parts.drawing, lambda: self._start(parts.drawing))

    def _start(self, drawing: bytes) -> ort.InferenceSession:
        self.sessions += 1
        session = ort.InferenceSession(drawing, providers=["CPUExecutionProvider"])
        run = session.run

        def counted(*given: object) -> object:
            self.runs += 1
            return run(*given)

        session.run = counted
        return session


def place(down: int, across: int) -> np.ndarray:
    return np.array([[down, across]], np.int32)


def test_a_canvas_is_drawn_once_for_all_styles_of_a_family() -> None:
    starts, canvases = Starts(), Canvases()
    first = starts.drawer(canvases, "starry-night")(FRAMES, place(8, 4))
    again = starts.drawer(canvases, "udnie")(FRAMES, place(8, 4))
    assert np.array_equal(first, again)
    assert (starts.sessions, starts.runs) == (1, 1)


def test_those_drawn_last_are_kept_within_the_room_for_them() -> None:
    starts = Starts()
    size = Starts().drawer(Canvases(), "starry-night")(FRAMES, place(0, 0)).nbytes
    draw = starts.drawer(Canvases(kept_bytes=2 * size), "starry-night")
    first = draw(FRAMES, place(0, 0))
    for down in (0, 4, 0, 8):  # the one in place 4 has to go
        draw(FRAMES, place(down, 0))
    assert starts.runs == 3
    assert np.array_equal(draw(FRAMES, place(0, 0)), first)
    assert starts.runs == 3
    draw(FRAMES, place(4, 0))
    assert starts.runs == 4


def test_each_frame_of_a_batch_has_the_canvas_of_its_place() -> None:
    draw = Starts().drawer(Canvases(), "starry-night")
    both = draw(FRAMES.repeat(2, axis=0), np.array([[0, 0], [12, -8]], np.int32))
    singly = [draw(FRAMES, place(0, 0)), draw(FRAMES, place(12, -8))]
    assert np.array_equal(both, np.concatenate(singly))
    assert not np.array_equal(*singly)


class CountingSessions(Sessions):
    """Counts the runs of each network."""

    def __init__(self) -> None:
        super().__init__("cpu", None)
        self.runs: Counter[bytes] = Counter()

    def start(self, style: str, network: bytes, *given: Any, **named: Any) -> ort.InferenceSession:
        session = super().start(style, network, *given, **named)
        run = session.run

        def counted(*given: object) -> object:
            self.runs[network] += 1
            return run(*given)

        session.run = counted
        return session


@pytest.mark.parametrize("style", list(Gallery().styles))
def test_on_a_processor_a_still_camera_needs_one_drawing_and_no_bit_differs(style: str) -> None:
    network = Gallery().find_all(style)[0][0].network("fp32")
    parts = split(network)
    assert parts is not None
    sessions, other = CountingSessions(), Sessions("cpu", None)
    whole = SizedPainter(network, lambda sizes: other.start(style, network, sizes=sizes))
    paint = sessions.painter(style, network)
    frames = np.random.default_rng(0).integers(0, 256, (3, 1, 3, 40, 56), np.uint8)
    for frame in frames:
        assert np.array_equal(paint(frame, place(-33, 777)), whole(frame, place(-33, 777)))
    assert sessions.runs == {parts.drawing: 1, parts.painting: 3}
    assert np.array_equal(paint(frames[0], place(-32, 777)), whole(frames[0], place(-32, 777)))
    assert sessions.runs == {parts.drawing: 2, parts.painting: 4}
